"""A conversation that was handed away is closed by one file, whatever is in it; nothing else closes anything."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.hooks.hook_runner import FILES, Finished, HookRunner, payload, payload_of, wait_until
from tests.hooks.test_plugin import register
from trinity.errors import TrinityError
from trinity.home import Home
from trinity.work import fence

TAKE_BACK = "trinity accept_handoff 01a1f899755658d4 --take-back"
PROMPT = "please go on with “the thing”\nand more"
REFUSING = ("UserPromptSubmit", "PreToolUse", "PostToolBatch", "PreCompact")


def close(runner: HookRunner, session: str) -> Path:
    """What happens when the conversation is handed to PC2."""
    return fence.raise_fence(
        Home(runner.home), session, handoff_id="01a1f899755658d4", to_pc="PC2", since="2026-11-20T10:56:09Z",
        take_back=TAKE_BACK,
    )  # fmt: skip


def given_to(event: str, **more: Any) -> dict[str, Any]:
    return {**payload_of(event), "session_id": "5e551011-0000-4000-8000-000000000001", **more}


def session_of(given: dict[str, Any]) -> str:
    return str(given["session_id"])


def held(runner: HookRunner) -> list[Path]:
    return sorted(runner.home.glob("held/*"))


def is_refused(event: str, done: Finished) -> bool:
    """Whether the hook said no in the way that counts for its event."""
    if event in ("UserPromptSubmit", "PreCompact"):
        return done.returncode == 2 and bool(done.stderr)
    if not done.stdout:
        return False
    said = json.loads(done.stdout)
    denied = said.get("hookSpecificOutput", {}).get("permissionDecision") == "deny"
    return said["continue"] is False and (denied or event != "PreToolUse")


def test_a_prompt_is_refused_kept_and_told_where_the_work_is(runner: HookRunner) -> None:
    given = given_to("UserPromptSubmit", prompt=PROMPT)
    close(runner, session_of(given))
    done = runner.run("user_prompt_submit.py", given)
    (kept,) = held(runner)
    assert (done.returncode, done.stdout) == (2, b"")
    said = done.stderr.decode()
    assert "went to PC2 at 2026-11-20T10:56:09Z (handoff 01a1f899755658d4)" in said
    assert TAKE_BACK in said and str(kept) in said
    assert kept.read_text(encoding="utf-8") == PROMPT
    assert kept.name.startswith(session_of(given)) and fence.held_prompts(Home(runner.home), session_of(given)) == [
        kept
    ]
    assert [event["refused"] for event in runner.events()] == [True]
    assert PROMPT[:20] not in json.dumps(runner.events())
    assert runner.log() == []


@pytest.mark.posix
def test_a_kept_prompt_is_private(runner: HookRunner) -> None:
    given = given_to("UserPromptSubmit")
    close(runner, session_of(given))
    runner.run("user_prompt_submit.py", given)
    assert held(runner)[0].stat().st_mode & 0o777 == 0o600
    assert (runner.home / "held").stat().st_mode & 0o777 == 0o700
    assert (runner.home / "fence").stat().st_mode & 0o777 == 0o700


def test_prompts_of_the_same_moment_are_all_kept(runner: HookRunner) -> None:
    given = given_to("UserPromptSubmit")
    close(runner, session_of(given))
    command = runner.command("user_prompt_submit.py")
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, env=runner.environ())
        for _ in "12345678"
    ]
    for number, process in enumerate(started):
        process.communicate(json.dumps({**given, "prompt": f"prompt {number}"}).encode())
    assert sorted(file.read_text(encoding="utf-8") for file in held(runner)) == [f"prompt {n}" for n in range(8)]


def test_the_clients_own_continuation_is_refused_and_not_kept(runner: HookRunner) -> None:
    given = payload("2.1.328/UserPromptSubmit-auto-continuation")
    close(runner, session_of(given))
    done = runner.run("user_prompt_submit.py", given)
    assert (done.returncode, held(runner)) == (2, [])
    assert [(event["auto"], event["refused"]) for event in runner.events()] == [(True, True)]


def test_a_tool_is_denied_and_the_turn_ended(runner: HookRunner) -> None:
    for event in ("PreToolUse", "PostToolBatch"):
        given = given_to(event)
        close(runner, session_of(given))
        done = runner.run(FILES[event], given)
        assert (done.returncode, done.stderr, is_refused(event, done)) == (0, b"", True)
        assert TAKE_BACK in json.loads(done.stdout)["stopReason"]
    assert runner.log() == []


def test_a_compaction_is_refused_and_nothing_kept(runner: HookRunner) -> None:
    given = given_to("PreCompact")
    close(runner, session_of(given))
    done = runner.run("pre_compact.py", given)
    assert is_refused("PreCompact", done) and TAKE_BACK in done.stderr.decode()
    assert held(runner) == []


@pytest.mark.posix
def test_a_tool_is_refused_also_when_nobody_reads_the_answer(runner: HookRunner, tmp_path: Path) -> None:
    given = given_to("PreToolUse")
    close(runner, session_of(given))
    (tmp_path / "given").write_text(json.dumps(given), encoding="utf-8")
    command = " ".join([*runner.command("pre_tool_use.py"), ">&-", "<", str(tmp_path / "given")])
    assert subprocess.run(["/bin/sh", "-c", command], env=runner.environ(), check=False).returncode == 2


def test_whoever_opens_the_session_is_told_and_its_notes_wait(runner: HookRunner) -> None:
    given = payload("2.1.328/SessionStart-resume")
    close(runner, session_of(given))
    (runner.home / "notes").mkdir()
    (runner.home / "notes" / f"{session_of(given)}.txt").write_text("parked at ten\n", encoding="utf-8")
    told = json.loads(runner.run("session_start.py", given).stdout)
    assert list(told) == ["systemMessage"] and TAKE_BACK in told["systemMessage"]
    fence.lower_fence(Home(runner.home), session_of(given))
    assert runner.run("session_start.py", given).stdout == b"parked at ten\n"


@pytest.mark.parametrize("event", REFUSING)
def test_a_session_beside_it_notices_nothing(runner: HookRunner, event: str) -> None:
    close(runner, "5e551011-0000-4000-8000-000000000002")
    close(runner, session_of(given_to(event))[:-1])
    done = runner.run(FILES[event], given_to(event))
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert (len(runner.events()), runner.log(), held(runner)) == (1, [], [])


@pytest.mark.parametrize("event", REFUSING)
def test_a_lowered_fence_leaves_an_ordinary_session(runner: HookRunner, event: str) -> None:
    given = given_to(event)
    home = Home(runner.home)
    close(runner, session_of(given))
    assert fence.is_raised(home, session_of(given))
    assert [fence.lower_fence(home, session_of(given)) for _ in "12"] == [True, False]
    assert not fence.is_raised(home, session_of(given))
    assert runner.run(FILES[event], given).stdout == b""


DAMAGE: dict[str, bytes] = {
    "empty": b"",
    "torn": b'{"kind":"fence","handoff_id":"01',
    "not utf-8": b'{"to_pc":"\xff"}',
    "a list": b"[]",
    "no facts": b"{}",
    "wrong types": b'{"to_pc":1,"since":null,"handoff_id":[],"take_back":{}}',
    "huge": b"[" * 3_000_000,
    "nul bytes": b"\0" * 100,
}


@pytest.mark.posix
@pytest.mark.parametrize("event", REFUSING)
@pytest.mark.parametrize("damage", [*DAMAGE, "a folder", "a link to nowhere", "a pipe"])
def test_a_damaged_fence_closes_its_session_and_only_it(runner: HookRunner, event: str, damage: str) -> None:
    given = given_to(event)
    path = close(runner, session_of(given))
    path.unlink()
    if damage == "a folder":
        path.mkdir()
    elif damage == "a link to nowhere":
        path.symlink_to("/no/such/file")
    elif damage == "a pipe":
        subprocess.run(["mkfifo", str(path)], check=True)
    else:
        path.write_bytes(DAMAGE[damage])
    done = runner.run(FILES[event], given)
    assert is_refused(event, done)
    assert str(path) in (done.stdout + done.stderr).decode() and fence.is_raised(Home(runner.home), session_of(given))
    other = runner.run(FILES[event], {**given, "session_id": "another"})
    assert (other.returncode, other.stdout, other.stderr, runner.log()) == (0, b"", b"", [])


def test_control_characters_of_a_fence_do_not_reach_the_terminal(runner: HookRunner) -> None:
    given = given_to("UserPromptSubmit")
    path = close(runner, session_of(given))
    path.write_text(path.read_text(encoding="utf-8").replace("PC2", "\\u001b[31mPC2\\u202e"), encoding="utf-8")
    assert b"went to [31mPC2 at" in runner.run("user_prompt_submit.py", given).stderr


@pytest.mark.posix
def test_on_a_full_disk_it_stays_closed_and_the_prompt_is_on_the_screen(runner: HookRunner) -> None:
    import resource

    given = given_to("UserPromptSubmit", prompt=PROMPT)
    close(runner, session_of(given))
    done = runner.run(
        "user_prompt_submit.py", given, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (5, 5))
    )
    assert done.returncode == 2
    assert PROMPT in done.stderr.decode() and "could not be kept" in done.stderr.decode()
    assert held(runner) == []


@pytest.mark.parametrize("event", REFUSING)
def test_what_is_no_fence_closes_nothing(runner: HookRunner, event: str) -> None:
    """A file in place of the folder: all other trouble leaves sessions open."""
    (runner.home / "fence").write_text("", encoding="utf-8")
    done = runner.run(FILES[event], given_to(event))
    assert (done.returncode, done.stdout, done.stderr, runner.log()) == (0, b"", b"", [])


@pytest.mark.parametrize("event", REFUSING)
def test_the_plugin_refuses_alone_and_steps_aside_for_the_settings(
    runner: HookRunner, tmp_path: Path, event: str
) -> None:
    given = given_to(event)
    close(runner, session_of(given))
    runner.environment = {"TRINITY_HOME": str(runner.home), "HOME": str(tmp_path)}
    assert is_refused(event, runner.run(FILES[event], given, home="plugin"))
    register(runner, tmp_path / ".claude")
    assert runner.run(FILES[event], given, home="plugin").returncode == 0
    wait_until(lambda: len(held(runner)) == (event == "UserPromptSubmit"))


def test_a_fence_names_a_session_and_says_where_the_work_went(home: Home) -> None:
    facts = {"handoff_id": "01a1f899755658d4", "since": "2026-11-20T10:56:09Z", "take_back": TAKE_BACK}
    with pytest.raises(TrinityError, match="no session id"):
        fence.raise_fence(home, "../../x", to_pc="PC2", **facts)
    with pytest.raises(TrinityError, match="to_pc"):
        fence.raise_fence(home, "5e55", to_pc="", **facts)
    assert not home.fence.exists()
