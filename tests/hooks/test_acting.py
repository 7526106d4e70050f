"""What a hook sets going: the evaluation as a process of its own, and the notes of a resumed session."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.hooks.hook_runner import HookRunner, compact, payload, wait_until

ERROR_LINE = b'{"type":"assistant","isApiErrorMessage":true,"error":"rate_limit"}\n'


def settle(runner: HookRunner, expected: int) -> None:
    """Waits for the expected evaluations; where none is expected, long enough to see one."""
    if expected:
        wait_until(lambda: len(runner.started()) >= expected)
    else:
        time.sleep(0.3)
    assert len(runner.started()) == expected


def no_sweep(runner: HookRunner) -> None:
    (runner.home / "last_sweep").write_bytes(b"")


@pytest.mark.parametrize(
    ("content", "started"),
    [
        (b'{"type":"user"}\n' * 20_000 + ERROR_LINE, 1),
        (ERROR_LINE + b'{"type":"user"}\n' * 1000, 1),
        (ERROR_LINE + b'{"type":"user","message":"x"}\n' * 20_000, 0),
        (b'{"type":"user"}\n', 0),
        (b"", 0),
    ],
)
def test_a_session_whose_transcript_ends_in_an_error_has_the_status_evaluated(
    acting_runner: HookRunner, tmp_path: Path, content: bytes, started: int
) -> None:
    transcript = tmp_path / "session.jsonl"
    transcript.write_bytes(content)
    done = acting_runner.run("session_end.py", payload("2.1.328/SessionEnd") | {"transcript_path": str(transcript)})
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    settle(acting_runner, started)
    assert len(acting_runner.events()) == 1
    assert acting_runner.log() == []


@pytest.mark.posix
@pytest.mark.parametrize("place", ["/dev/zero", "/no/such/file", "pipe", "/", ""])
def test_a_transcript_that_is_no_file_blocks_nothing(acting_runner: HookRunner, tmp_path: Path, place: str) -> None:
    if place == "pipe":
        os.mkfifo(tmp_path / "pipe")
        place = str(tmp_path / "pipe")
    acting_runner.run("session_end.py", payload("2.1.328/SessionEnd") | {"transcript_path": place})
    assert len(acting_runner.events()) == 1
    assert len(acting_runner.log()) <= 1
    settle(acting_runner, 0)


@pytest.mark.posix
def test_the_evaluation_is_nobodys_child_and_runs_in_the_virtual_environment(acting_runner: HookRunner) -> None:
    acting_runner.environment = {
        "CLAUDECODE": "1",
        "CLAUDE_CODE_SESSION_ID": "x",
        "CLAUDE_CODE_MESSAGING_TOKEN": "secret",
        "CLAUDE_PID": "1",
        "CLAUDE_CONFIG_DIR": "/profile",
        "ANTHROPIC_BASE_URL": "http://127.0.0.1:9",
        "PYTHONHOME": "/nowhere",
    }
    acting_runner.run("stop_failure.py", payload("2.1.328/StopFailure"))
    settle(acting_runner, 1)
    (told,) = acting_runner.started()
    assert told["arguments"] == ["--act", "--home", str(acting_runner.home)]
    assert (told["own_session"], told["open"]) == (True, [])
    assert told["prefix"] == sys.prefix
    assert told["folder"] == str(acting_runner.home)
    kept = {"CLAUDE_CONFIG_DIR", "ANTHROPIC_BASE_URL", "PATH"}
    assert kept <= set(told["environment"])
    assert not {"CLAUDECODE", "CLAUDE_CODE_SESSION_ID", "CLAUDE_CODE_MESSAGING_TOKEN", "CLAUDE_PID"} & set(
        told["environment"]
    )


def test_a_hook_returns_before_what_it_started_ends(acting_runner: HookRunner) -> None:
    program = acting_runner.hooks.parent / "scripts" / "evaluate_status.py"
    done = acting_runner.home / "done"
    program.write_text(
        f"import time, pathlib\ntime.sleep(2)\npathlib.Path({str(done)!r}).write_text('')\n", encoding="utf-8"
    )
    acting_runner.run("stop_failure.py", payload("2.1.328/StopFailure"))
    assert not done.exists()
    wait_until(done.exists)


@pytest.mark.parametrize("name", ["2.1.197/StopFailure-subagent", "2.1.328/StopFailure-subagent"])
def test_a_subagents_failure_is_recorded_and_starts_nothing(acting_runner: HookRunner, name: str) -> None:
    acting_runner.run("stop_failure.py", payload(name))
    assert len(acting_runner.events()) == 1
    settle(acting_runner, 0)


def test_session_starts_sweep_once_a_minute(acting_runner: HookRunner) -> None:
    for _ in range(3):
        acting_runner.run("session_start.py", payload("2.1.328/SessionStart"))
    settle(acting_runner, 1)
    minute_ago = time.time() - 61
    os.utime(acting_runner.home / "last_sweep", (minute_ago, minute_ago))
    acting_runner.run("session_start.py", payload("2.1.328/SessionStart"))
    settle(acting_runner, 2)


def test_a_stamp_from_the_future_does_not_end_the_sweeps(acting_runner: HookRunner) -> None:
    no_sweep(acting_runner)
    ahead = time.time() + 1_000_000
    os.utime(acting_runner.home / "last_sweep", (ahead, ahead))
    acting_runner.run("session_start.py", payload("2.1.328/SessionStart"))
    settle(acting_runner, 1)


@pytest.mark.parametrize("version", ["2.1.197", "2.1.328"])
def test_a_resumed_session_gets_its_notes(acting_runner: HookRunner, version: str) -> None:
    no_sweep(acting_runner)
    given = payload(f"{version}/SessionStart-resume")
    notes = acting_runner.home / "notes"
    notes.mkdir()
    (notes / f"{given['session_id']}.txt").write_text("Parked at 10:00, resumed at 14:05 · go on\n", encoding="utf-8")
    done = acting_runner.run("session_start.py", given)
    assert (done.returncode, done.stdout.decode()) == (0, "Parked at 10:00, resumed at 14:05 · go on\n")
    other = acting_runner.run("session_start.py", given | {"source": "startup"})
    assert other.stdout == b""
    unknown = acting_runner.run("session_start.py", given | {"session_id": "another"})
    assert (unknown.stdout, acting_runner.log()) == (b"", [])


def test_notes_are_never_taken_for_instructions_to_the_client(acting_runner: HookRunner) -> None:
    given = payload("2.1.328/SessionStart-resume")
    notes = acting_runner.home / "notes"
    notes.mkdir()
    (notes / f"{given['session_id']}.txt").write_text('\n {"continue":false}', encoding="utf-8")
    assert acting_runner.run("session_start.py", given).stdout.startswith(b"Trinity: ")


def test_a_session_id_is_never_a_path(acting_runner: HookRunner, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret", encoding="utf-8")
    (acting_runner.home / "notes").mkdir()
    given = payload("2.1.328/SessionStart-resume") | {"session_id": "../../secret"}
    done = acting_runner.run("session_start.py", given)
    assert (done.stdout, len(acting_runner.log()), acting_runner.events()) == (b"", 1, [])


def test_without_an_installed_interpreter_hooks_only_record(acting_runner: HookRunner) -> None:
    (acting_runner.home / "python").unlink()
    acting_runner.run("stop_failure.py", payload("2.1.328/StopFailure"))
    acting_runner.run("session_start.py", payload("2.1.328/SessionStart"))
    settle(acting_runner, 0)
    assert (len(acting_runner.events()), acting_runner.log()) == (2, [])


def test_a_vanished_interpreter_is_one_line_in_the_log(acting_runner: HookRunner) -> None:
    (acting_runner.home / "python").write_text("/no/such/python\n", encoding="utf-8")
    done = acting_runner.run("stop_failure.py", payload("2.1.328/StopFailure"))
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert len(acting_runner.events()) == 1
    assert "/no/such/python" in acting_runner.log()[0]


@pytest.mark.posix
def test_the_evaluation_can_be_ended_though_the_launcher_ignores_signals(acting_runner: HookRunner) -> None:
    program = acting_runner.hooks.parent / "scripts" / "evaluate_status.py"
    asked = acting_runner.home / "signals"
    program.write_text(
        "import signal, pathlib\n"
        f"pathlib.Path({str(asked)!r} + '.part').write_text(repr(signal.getsignal(signal.SIGTERM)))\n"
        f"pathlib.Path({str(asked)!r} + '.part').rename({str(asked)!r})\n",
        encoding="utf-8",
    )
    subprocess.run(
        acting_runner.command("stop_failure.sh"),
        input=compact(payload("2.1.328/StopFailure")),
        env=acting_runner.environ(),
        check=True,
    )
    wait_until(asked.exists)
    assert asked.read_text(encoding="utf-8") == "<Handlers.SIG_DFL: 0>"
