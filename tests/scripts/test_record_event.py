"""record_event: what other programs say about their calls, and hook payloads that come without a hook."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import CHECKOUT, Program
from trinity import schema
from trinity.home import Home

PAYLOADS = CHECKOUT / "tests" / "hooks" / "payloads" / "2.1.328"


def _events(home: Home) -> list[dict[str, Any]]:
    lines = [line for path in sorted(home.events.glob("*.jsonl")) for line in path.read_bytes().splitlines()]
    return [schema.read("event", line, "the log") for line in lines]


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        (["success", "--seconds", "2.5"], {"event": "success", "seconds": 2.5}),
        (["slow", "15"], {"event": "slow", "seconds": 15.0}),
        (["error", "overloaded", "--status", "529"], {"event": "error", "error": "overloaded", "status": 529}),
        (["rate-limit", "--session", "s-1"], {"event": "rate_limit", "session_id": "s-1"}),
    ],
)
def test_it_records_what_a_caller_says(
    home: Home, program: Program, arguments: list[str], facts: dict[str, Any]
) -> None:
    done = program("record_event", *arguments, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    [event] = _events(home)
    assert event | facts | {"source": "program"} == event
    assert json.loads(done.stdout)["recorded"] | {"source": "program"} == facts | {"source": "program"}


@pytest.mark.parametrize("path", sorted(PAYLOADS.glob("[A-Z]*.json")), ids=lambda path: path.stem)
def test_a_hook_payload_on_stdin_is_recorded_as_the_hook_would(home: Home, program: Program, path: Path) -> None:
    payload = json.loads(path.read_text(encoding="utf-8"))
    done = program("record_event", "hook", input=json.dumps(payload))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"recorded: {payload['hook_event_name']}\n"
    [event] = _events(home)
    assert (event["event"], event["source"]) == ("hook", "hook")
    assert (event["name"], event["session_id"]) == (payload["hook_event_name"], payload["session_id"])
    assert payload.get("prompt", "no prompt") not in json.dumps(event)


@pytest.mark.parametrize(
    "given",
    ["", "nonsense", "[]", '{"hook_event_name":"Stop"}', '{"hook_event_name":"Other","session_id":"a"}', "[" * 100_000],
    ids=["empty", "no JSON", "a list", "no session", "an event nobody records", "nested deeply"],
)
def test_what_is_no_payload_is_an_expected_failure_and_records_nothing(
    home: Home, program: Program, given: str
) -> None:
    done = program("record_event", "hook", input=given)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("record_event: error: cannot record the payload: ")
    assert _events(home) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["slow"],
        ["slow", "soon"],
        ["slow", "-1"],
        ["success", "5"],
        ["success", "--seconds", "nan"],
        ["hook", "x"],
        ["other"],
    ],
    ids=" ".join,
)
def test_arguments_that_make_no_sense_are_a_usage_error(home: Home, program: Program, arguments: list[str]) -> None:
    done = program("record_event", *arguments)
    assert done.returncode == 2 and done.stderr.startswith("record_event: error: ")
    assert _events(home) == []
