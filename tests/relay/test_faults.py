"""Faults of the world around a resume: each ends in one start at the right time, or in words for a person."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.faults import stand_in
from tests.faults.stage import CHECKOUT, Stage, limit
from trinity import clock
from trinity.credit import evaluation, event_log
from trinity.errors import TrinityError
from trinity.fleet import journal, operations
from trinity.relay import accept, consent
from trinity.relay.link import Link

pytestmark = pytest.mark.posix

OVERLOADED = {"error": "overloaded", "text": "API Error: 529 Overloaded", "apiErrorStatus": 529}
LOGGED_OUT = {"error": "authentication_failed", "text": "Please run /login", "apiErrorStatus": 401}
TOO_LONG = {"error": "invalid_request", "text": "Prompt is too long", "apiErrorStatus": 400}


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def _alarms(stage: Stage) -> str:
    file = stage.home.logs / "alarms.log"
    return file.read_text(encoding="utf-8") if file.exists() else ""


def _waits(stage: Stage, rounds: int = 3) -> None:
    """Nothing is started in the next rounds."""
    before = len(stage.starts())
    for _ in range(rounds):
        stage.round()
    assert len(stage.starts()) == before, stage.story()


def test_the_stand_in_is_parked_and_resumed_once(stage: Stage) -> None:
    stage.stopped("s", resets_in=1)
    record = stage.rounds_until("done")[0]
    assert [start["session"] for start in stage.starts()] == ["s"] and record["epoch"] == 1


def test_an_overload_at_the_resume_is_waited_out(stage: Stage) -> None:
    stage.plan({"do": "error", **OVERLOADED}, {"do": "answer"})
    stage.stopped("s", resets_in=0.3)
    record = stage.rounds_until("parked", epoch=1)[0]
    _waits(stage)
    assert 280 < clock.parse(record["parked_until"]) - time.time() < 301
    assert "Overloaded" in record["outcome"]


@pytest.mark.parametrize("refusal", [OVERLOADED, LOGGED_OUT])
def test_an_error_after_some_work_does_not_end_the_work(stage: Stage, refusal: dict[str, object]) -> None:
    stage.plan({"do": "error", "after": 2, **refusal}, {"do": "answer"})
    stage.stopped("s", resets_in=0.3)
    record = stage.rounds_until("parked", epoch=1)[0]
    _waits(stage)
    assert str(refusal["text"]) in record["outcome"]
    # In time, or when a person says so, it goes on.
    stage.config.resume.__dict__["interactive"] = "headless"
    accept.accept(stage.home, stage.config, evaluation.evaluate(stage.home, stage.config), record["id"], True)
    assert stage.rounds_until("done")[0]["epoch"] == 2 and len(stage.starts()) == 2


def test_an_error_that_no_wait_cures_is_named(stage: Stage) -> None:
    stage.plan({"do": "error", "after": 2, **TOO_LONG})
    stage.stopped("s", resets_in=0.3)
    assert "Prompt is too long" in stage.rounds_until("done")[0]["outcome"]
    assert "Prompt is too long" in _alarms(stage)


def test_a_limit_whose_reset_has_passed_is_not_run_into_again_and_again(stage: Stage) -> None:
    stage.plan({"do": "error", **limit(time.time() - 600)})
    stage.stopped("s", resets_in=-600)
    record = stage.rounds_until("parked")[0]
    _waits(stage)
    assert stage.starts() == [] and 280 < clock.parse(record["parked_until"]) - time.time() < 301


def test_a_refusal_that_a_better_source_names_otherwise_is_still_a_refusal(stage: Stage) -> None:
    resets_at = time.time() + 3600
    path = stage.stopped("s", resets_in=3600)
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.index(b"\n") + 1])  # the hook is heard before the error line is on the disk
    text = f"You've hit your limit · resets {time.strftime('%I:%M%p', time.gmtime(resets_at))} (UTC)"
    event_log.append(
        stage.home,
        {"event": "hook", "source": "hook", "name": "StopFailure", "session_id": "s", "prompt_id": "p-s",
         "transcript_path": str(path), "cwd": str(stage.project), "entrypoint": "sdk-cli", "error": "rate_limit",
         "text": text},
    )  # fmt: skip
    first = stage.rounds_until("parked")[0]
    path.write_bytes(whole)
    _waits(stage)
    assert first["limit"]["type"] != "five_hour" and [r["state"] for r in stage.handoffs()] == ["parked"], stage.story()


def test_a_session_killed_in_the_middle_of_its_work_waits_for_a_person(stage: Stage) -> None:
    stage.plan({"do": "answer", "stay": 30})
    path = stage.stopped("s", resets_in=0.3)
    stage.rounds_until("running")
    call = {"role": "assistant", "model": "m", "id": "x", "content": [{"type": "tool_use", "id": "t", "name": "Bash"}]}
    stand_in.append(path, "s", type="assistant", message=call)
    psutil.Process(stage.starts()[0]["pid"]).kill()
    record = stage.rounds_until("parked")[0]
    assert record["parked_until"] is None and "in the middle of its work" in record["outcome"] + _alarms(stage)
    _waits(stage)
    assert [r["state"] for r in stage.handoffs()] == ["parked"]


def test_a_client_that_is_no_program_holds_up_nothing_but_its_handoff(stage: Stage) -> None:
    good = stage.client.read_bytes()
    stage.client.write_bytes(b"\x7fno program")
    stage.stopped("s", resets_in=0.3)
    record = stage.rounds_until("parked", epoch=1)[0]
    assert record["parked_until"] is None and str(stage.client) in record["outcome"]
    _waits(stage)
    stage.client.write_bytes(good)
    accept.accept(stage.home, stage.config, evaluation.evaluate(stage.home, stage.config), record["id"], True)
    assert [r["state"] for r in stage.handoffs()] in (["running"], ["done"])


def test_a_client_that_ends_without_a_word_is_not_started_again_and_again(stage: Stage) -> None:
    stage.plan({"do": "leave"})
    stage.stopped("s", resets_in=0.3)
    record = stage.rounds_until("parked", epoch=1)[0]
    deadline = time.monotonic() + 8
    while record["epoch"] == 0 and time.monotonic() < deadline:
        stage.round()
        record = stage.handoffs()[0]
    _waits(stage)
    # The conversation itself, and a new one from the text.
    assert len(stage.starts()) == 2 and record["state"] == "parked", stage.story()
    assert 50 < clock.parse(record["parked_until"]) - time.time() < 61 and "no word" in record["outcome"]


def test_an_unreachable_fleet_gathers_no_claims(stage: Stage, tmp_path: Path) -> None:
    remote = tmp_path / "remote.git"
    subprocess.run(["git", "init", "-q", "--bare", str(remote)], check=True)
    stage.config = dataclasses.replace(stage.config, fleet_url=remote.as_uri())
    stage.stopped("s", resets_in=2)
    stage.rounds_until("parked")
    remote.rename(tmp_path / "away")
    time.sleep(2)
    for _ in range(5):
        waiting = stage.round().waiting
    assert "does not answer" in waiting[0][1] and list(stage.home.outbox.iterdir()) == []
    (tmp_path / "away").rename(remote)
    stage.rounds_until("done")
    assert len(stage.starts()) == 1


# Clients of a person


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


def _open(stage: Stage, session: str, pid: int, **more: object) -> None:
    """A client lists itself as having the session open."""
    (stage.profile / "sessions").mkdir(exist_ok=True)
    document = {"pid": pid, "sessionId": session, "startedAt": (time.time() + 1) * 1000, "entrypoint": "cli", **more}
    (stage.profile / "sessions" / f"{pid}.json").write_text(json.dumps(document), encoding="utf-8")


def test_no_second_client_is_started_beside_one_that_a_person_has_open(
    stage: Stage, sleeper: subprocess.Popen[bytes]
) -> None:
    stage.stopped("s", resets_in=0.3)
    _open(stage, "s", sleeper.pid, status="idle")
    record = stage.rounds_until("queued")[0]
    _waits(stage)
    found = stage.round().waiting
    assert f"process {sleeper.pid}" in found[0][1]
    answer = evaluation.evaluate(stage.home, stage.config)
    with pytest.raises(TrinityError, match=f"process {sleeper.pid}"):
        accept.accept(stage.home, stage.config, answer, record["id"], True)
    sleeper.kill()
    sleeper.wait()
    stage.rounds_until("done")


@pytest.mark.parametrize("more", [{"status": "busy"}, {}, {"status": "idle", "pidDomain": "linux:x:pid:[1]"}])
def test_only_an_idle_client_of_this_system_is_ever_ended(
    tmp_path: Path, sleeper: subprocess.Popen[bytes], more: dict[str, str]
) -> None:
    stage = Stage(tmp_path, interactive="tmux", own_wait_seconds=0)
    stage.stopped("s", resets_in=0.3, interactive=True)
    _open(stage, "s", sleeper.pid, **more)
    stage.rounds_until("queued")
    _waits(stage)
    assert sleeper.poll() is None


def test_a_client_in_tmux_gets_its_login_and_nobody_else_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(tmp_path, interactive="tmux", own_wait_seconds=0)
    stage.plan({"do": "answer", "seconds": 1, "stay": 20})
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-a-live-secret")
    monkeypatch.setenv("TRINITY_TMUX_SOCKET", f"faults-{os.getpid()}")
    stage.stopped("s", resets_in=0.3, interactive=True)
    try:
        stage.rounds_until("running")
        given = psutil.Process(stage.starts()[0]["pid"]).environ()
        assert given["ANTHROPIC_API_KEY"] == "sk-ant-a-live-secret"
        assert given["CLAUDE_CONFIG_DIR"] == str(stage.profile)
        told = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
        assert any("trinity-" in line for line in told) and not any("a-live-secret" in line for line in told)
    finally:
        subprocess.run(["tmux", "-L", f"faults-{os.getpid()}", "kill-server"], capture_output=True, check=False)


# Records and files that somebody else wrote


def _sent(stage: Stage, **session: object) -> str:
    """A record from the fleet, about a session as told."""
    path = stage.stopped("s", resets_in=3600)
    record = stage.rounds_until("parked")[0]
    Link(stage.home, stage.config).submit(operations.bury("PC1", record["id"], "only a model"))
    made = {
        **record,
        "id": "0" * 16,
        "from_pc": "PC2",
        "state": "queued",
        "limit": None,
        "chain": {},
        "parked_until": None,
        "sessions": [{**record["sessions"][0], "transcript_path": str(path), **session}],
    }
    link = Link(stage.home, stage.config)
    consent.give(link, link.refresh(), {**made, "id": "1" * 16})  # a person has accepted work of PC2 before
    assert not link.submit(operations.create("PC2", made)).refused
    return str(made["id"])


def test_a_record_cannot_choose_the_settings_of_a_session(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    _sent(stage, config_dir=str(tmp_path / "theirs"))
    found = stage.rounds_until("parked", "dead")[0]
    assert "no profile of this PC" in found["outcome"] and stage.starts() == []


@pytest.mark.parametrize("members", [{"session_id": "--dangerously-skip-permissions"}, {"model": "--dangerous"}])
def test_a_record_cannot_add_options_to_the_client(stage: Stage, members: dict[str, str]) -> None:
    try:
        _sent(stage, **members)
    except TrinityError:
        pass  # refused before it could stand in the state
    stage.round()
    assert stage.starts() == []


def test_a_start_whose_journal_was_torn_is_found_and_not_doubled(stage: Stage) -> None:
    stage.plan({"do": "answer", "seconds": 3, "stay": 1})
    stage.stopped("s", resets_in=0.3)
    process = stage.program("credit_monitor", "--once", stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 20
    while not stage.starts() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()
    entry = next(stage.home.journal.iterdir())
    entry.write_bytes(entry.read_bytes()[:20])
    stage.rounds_until("done", timeout=30)
    assert len(stage.starts()) == 1 and stage.transcript("s").read_bytes().count(b'"answer 0"') == 1


def test_a_clock_that_is_set_does_not_make_a_running_client_a_dead_one(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.plan({"do": "answer", "seconds": 2, "stay": 1})
    stage.stopped("s", resets_in=0.3)
    process = stage.program("credit_monitor", "--once", stdout=subprocess.DEVNULL)
    record = None
    deadline = time.monotonic() + 15
    while record is None or "born" not in (journal.read(stage.home, record["id"], 1) or {}):
        assert time.monotonic() < deadline
        record = next(iter(stage.handoffs()), None)
        time.sleep(0.05)
    process.kill()
    process.wait()
    # psutil derives the start of a process from the time of the boot, which is now minus the uptime.
    monkeypatch.setattr(psutil._pslinux, "boot_time", lambda: 1e9)
    monkeypatch.setattr(psutil._pslinux, "BOOT_TIME", 1e9, raising=False)
    stage.rounds_until("done")
    assert len(stage.starts()) == 1


def test_programs_killed_at_random_moments_resume_each_session_once() -> None:
    command = [sys.executable, str(CHECKOUT / "tests" / "faults" / "kill_rounds.py"), "--quick"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
