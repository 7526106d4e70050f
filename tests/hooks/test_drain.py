"""An order to drain ends a turn once, of an unattended session's main thread, and fails open in every other way."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.hooks.hook_runner import Finished, HookRunner, payload, payload_of, wait_until
from trinity import clock

SESSION = "5e551011-0000-4000-8000-000000000001"
HOUR = 3600


def order(runner: HookRunner, **facts: Any) -> Path:
    (runner.home / "drain").mkdir(exist_ok=True)
    path = runner.home / "drain" / f"{SESSION}.json"
    known = {"until": time.time() + HOUR, "window": "five_hour", "used": 97.5, **facts}
    path.write_text(json.dumps(known), encoding="utf-8")
    return path


def batch(runner: HookRunner, entrypoint: str = "sdk-cli", **more: Any) -> Finished:
    runner.environment["CLAUDE_CODE_ENTRYPOINT"] = entrypoint
    given = {key: value for key, value in payload_of("PostToolBatch").items() if key != "agent_id"}
    return runner.run("post_tool_batch.py", {**given, "session_id": SESSION, **more})


def drained(runner: HookRunner) -> list[dict[str, Any]]:
    return [event for event in runner.events() if event["event"] == "drain"]


def test_it_ends_the_turn_says_why_and_writes_it_down(runner: HookRunner) -> None:
    order(runner)
    done = batch(runner)
    said = json.loads(done.stdout)
    assert done.returncode == 0 and said["continue"] is False and "97.5 % of the five-hour window" in said["stopReason"]
    (event,) = drained(runner)
    assert (event["session_id"], event["window"], event["used"]) == (SESSION, "five_hour", 97.5)
    assert runner.log() == []


def test_a_subagent_and_a_persons_session_go_on(runner: HookRunner) -> None:
    order(runner)
    assert batch(runner, agent_id="a1", agent_type="general-purpose").stdout == b""
    assert batch(runner, "cli").stdout == b""
    del runner.environment["CLAUDE_CODE_ENTRYPOINT"]
    assert drained(runner) == []


@pytest.mark.parametrize(
    "facts",
    [
        {"until": time.time() - 1},
        {"until": time.time() + 30 * 86400},
        {"until": "tomorrow"},
        {"until": None},
        {"until": True},
        {"window": "for ever"},
        {"used": "much"},
    ],
    ids=["over", "far away", "words", "none", "yes", "another window", "no number"],
)
def test_an_order_that_is_over_or_makes_no_sense_stops_nothing(runner: HookRunner, facts: dict[str, Any]) -> None:
    order(runner, **facts)
    done = batch(runner)
    assert (done.returncode, done.stdout, done.stderr, drained(runner)) == (0, b"", b"", [])


@pytest.mark.parametrize("data", [b"", b"{", b"[1]", b"\xff\xfe", b"null", b'{"until":1e999}'], ids=str)
def test_a_damaged_order_stops_nothing(runner: HookRunner, data: bytes) -> None:
    order(runner).write_bytes(data)
    done = batch(runner)
    assert (done.returncode, done.stdout, drained(runner)) == (0, b"", [])
    assert len(runner.events()) == 1 and len(runner.log()) == 1


def test_a_pause_holds_from_the_moment_it_is_there(runner: HookRunner) -> None:
    order(runner)
    for pause in ("{}", "{", '{"until": null}', json.dumps({"until": clock.iso(time.time() + 60)})):
        (runner.home / "paused.json").write_text(pause, encoding="utf-8")
        assert batch(runner).stdout == b"" and drained(runner) == []


def test_a_pause_that_is_over_holds_nothing(runner: HookRunner) -> None:
    order(runner)
    (runner.home / "paused.json").write_text(json.dumps({"until": clock.iso(time.time() - 60)}), encoding="utf-8")
    assert json.loads(batch(runner).stdout)["continue"] is False and len(drained(runner)) == 1


@pytest.mark.posix
def test_the_end_of_a_drained_session_starts_the_evaluation(acting_runner: HookRunner) -> None:
    given = {**payload_of("SessionEnd"), "session_id": SESSION}
    acting_runner.run("session_end.py", given)
    order(acting_runner)
    acting_runner.run("session_end.py", given)
    wait_until(lambda: len(acting_runner.started()) == 1)
    assert acting_runner.started()[0]["arguments"][0] == "--act"


@pytest.mark.posix
def test_a_percentage_near_the_end_starts_the_evaluation_once(acting_runner: HookRunner) -> None:
    given = payload("2.1.328/statusline-80pct")
    for used in (80, 89.9, 90, 90, 97):
        given["rate_limits"]["five_hour"]["used_percentage"] = used
        acting_runner.run("statusline.py", given)
    wait_until(lambda: len(acting_runner.started()) == 2)
    assert [e["five_hour"]["used_percentage"] for e in acting_runner.events()] == [80, 89.9, 90, 97]
