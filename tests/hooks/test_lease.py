"""Accepted work may use tools while its lease holds; sessions without one never hear of leases."""

import json
from typing import Any

import pytest

from tests.hooks.hook_runner import HookRunner, payload_of
from trinity import clock
from trinity.errors import TrinityError
from trinity.home import Home
from trinity.work import lease

GIVEN = payload_of("PreToolUse")
SESSION = str(GIVEN["session_id"])
WORK: dict[str, Any] = {"handoff_id": "01a1f899755658d4", "epoch": 3}


def denied(runner: HookRunner) -> str:
    """Why the tool was denied, "" when it may run."""
    done = runner.run("pre_tool_use.py", GIVEN)
    assert (done.returncode, done.stderr, runner.log()) == (0, b"", [])
    if not done.stdout:
        return ""
    said = json.loads(done.stdout)
    assert "continue" not in said  # a PC that only slept gets its lease back
    assert said["hookSpecificOutput"]["permissionDecision"] == "deny"
    return str(said["hookSpecificOutput"]["permissionDecisionReason"])


def test_tools_run_while_the_lease_holds_and_no_longer(runner: HookRunner) -> None:
    home = Home(runner.home)
    lease.grant(home, SESSION, seconds=600, **WORK)
    assert denied(runner) == ""
    lease.grant(home, SESSION, seconds=1, since=clock.boottime() - 2, **WORK)
    assert "handoff 01a1f899755658d4, epoch 3, has run out" in denied(runner)
    lease.grant(home, SESSION, seconds=600, **WORK)
    assert denied(runner) == ""
    assert [event.get("refused") for event in runner.events()] == [None, True, None]


def test_a_lease_that_was_given_back_leaves_an_ordinary_session(runner: HookRunner) -> None:
    home = Home(runner.home)
    lease.grant(home, SESSION, seconds=1, since=clock.boottime() - 2, **WORK)
    assert denied(runner)
    assert [lease.give_back(home, SESSION) for _ in "12"] == [True, False]
    assert denied(runner) == ""


def test_another_session_needs_no_lease(runner: HookRunner) -> None:
    lease.grant(Home(runner.home), "another", seconds=1, since=clock.boottime() - 2, **WORK)
    assert denied(runner) == ""


@pytest.mark.parametrize(
    "change",
    [
        {"boot": "7d0c1f4e-0000-4000-8000-000000000000"},
        {"granted_boottime": 1e14},
        {"until_boottime": None},
        {"until_boottime": "tomorrow"},
        {"boot": None},
    ],
)
def test_a_lease_of_another_boot_or_of_no_sense_has_run_out(runner: HookRunner, change: dict[str, Any]) -> None:
    """The clock starts anew at a restart: an old lease would look valid for as long as the PC had run."""
    path = lease.grant(Home(runner.home), SESSION, seconds=600, **WORK)
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | change), encoding="utf-8")
    assert denied(runner)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b"{" * 1000])
def test_a_damaged_lease_has_run_out(runner: HookRunner, content: bytes) -> None:
    lease.grant(Home(runner.home), SESSION, seconds=600, **WORK).write_bytes(content)
    assert "damaged" in denied(runner)


def test_a_lease_needs_a_time_and_a_session(home: Home) -> None:
    with pytest.raises(TrinityError):
        lease.grant(home, SESSION, seconds=0, **WORK)
    with pytest.raises(TrinityError):
        lease.grant(home, "a/b", seconds=60, **WORK)


@pytest.mark.parametrize("hook", ["stop.py", "session_end.py"])
def test_the_end_of_a_turn_of_accepted_work_calls_for_a_round(runner: HookRunner, hook: str) -> None:
    given = payload_of({"stop.py": "Stop", "session_end.py": "SessionEnd"}[hook])
    called = runner.home / "round.called"
    assert runner.run(hook, given).returncode == 0 and not called.exists()
    lease.grant(Home(runner.home), str(given["session_id"]), seconds=600, **WORK)
    done = runner.run(hook, given)
    assert (done.returncode, done.stdout, done.stderr, runner.log()) == (0, b"", b"", [])
    assert called.exists() and [event["name"] for event in runner.events()] == [given["hook_event_name"]] * 2
