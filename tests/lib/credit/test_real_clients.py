"""Real clients against the scripted API: what they write about each failure is classified as what it was."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients import Client
from tests.fake_api import FAILURES, ScriptedApi
from trinity import clock
from trinity.credit import incidents, sessions, transcripts

# failure: kind, type, model
OAUTH = {
    "five_hour": ("hard", "five_hour", None),
    "seven_day": ("hard", "seven_day", None),
    "seven_day_opus": ("hard", "model_weekly", "opus"),
    "seven_day_sonnet": ("hard", "model_weekly", "sonnet"),
    "seven_day_overage_included": ("hard", "model_weekly", "fable"),
    "overage": ("hard", "credits", None),
    "plain_429": ("transient", "transient", None),
    "credit_balance_400": ("hard", "credits", None),
    "spend_cap_400": ("hard", "spend_cap", None),
    "server_500": ("transient", "transient", None),
    "authentication_401": ("auth", "auth", None),
}
KEY = {
    "plain_429": ("transient", "transient", None),
    "retry_after_429": ("transient", "transient", None),
    "credit_balance_402": ("hard", "credits", None),
    "spend_cap_400": ("hard", "spend_cap", None),
    "overloaded_529": ("transient", "transient", None),
    "server_503": ("transient", "transient", None),
    "authentication_401": ("auth", "auth", None),
    "permission_403": ("auth", "auth", None),
    "organization_disabled_400": ("auth", "auth", None),
    "model_404": ("request", None, None),
    "too_long_400": ("request", None, None),
    "other_400": ("other", None, None),
    "max_tokens": ("request", None, None),
    "dropped_before": ("transient", "transient", None),
}


@pytest.mark.parametrize(("auth", "table"), [("oauth", OAUTH), ("key", KEY)])
def test_every_failure_of_a_real_client_has_its_meaning(
    auth: str,
    table: dict[str, tuple[str, str | None, str | None]],
    version: str,
    make_client: Callable[..., Client],
    api: ScriptedApi,
) -> None:
    client = make_client(version, auth=auth)
    found, resets = {}, {}
    reset = int(time.time()) + 3700
    for name in table:
        api.set_plan({"default": FAILURES[name](reset)})
        run = client.headless(f"try {name}", "--model", "claude-sonnet-5", CLAUDE_CODE_MAX_RETRIES="0")
        assert run.returncode == 1, (name, run.stdout)
        tail = transcripts.tail_facts(client.transcript(run.session), zone="UTC")
        assert tail.stopped and tail.verdict is not None, name
        limit = tail.verdict.limit
        found[name] = (tail.verdict.kind, limit and limit.type, limit and limit.model)
        if limit is not None and name in FAILURES and limit.type in ("five_hour", "seven_day", "model_weekly"):
            assert limit.resets_at is not None
            resets[name] = limit.resets_at - reset
    assert found == table
    # To the second where the line has the number (2.1.234+), to the end of the minute where it has only the text.
    assert all(0 <= late < 60 for late in resets.values()), resets


def test_stream_error_line_and_hook_of_one_limit_are_one_incident(
    client: Client, api: ScriptedApi, tmp_path: Path
) -> None:
    dump = tmp_path / "stop.json"
    hook = {"hooks": [{"type": "command", "command": f"cat > '{dump}'"}]}
    client.settings.parent.mkdir(parents=True, exist_ok=True)
    client.settings.write_text(json.dumps({"hooks": {"StopFailure": [hook]}}), encoding="utf-8", newline="\n")
    reset = int(time.time()) + 3700
    api.limit_until(reset)
    run = client.headless("work", "--output-format", "stream-json", "--verbose")
    seen = time.time()
    events = [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]
    told = {"event": "rate_limit", "source": "stream", "time": clock.iso(seen, milliseconds=True)}
    informed = [event for event in events if event.get("type") == "rate_limit_event"]
    sightings = [incidents.of_event({**event, **told}, "UTC") for event in informed]
    session = str(next(event["session_id"] for event in events if event.get("type") == "result"))
    facts, _ = transcripts.read_new(client.transcript(session))
    sightings += [incidents.of_error_line(fact, "UTC") for fact in facts if isinstance(fact, transcripts.ApiError)]
    if dump.exists() and dump.stat().st_size:  # newer clients may end the hook before it has written (2.1.300+)
        stop = json.loads(dump.read_text(encoding="utf-8"))
        line = {"event": "hook", "source": "hook", "name": "StopFailure", "time": clock.iso(seen, milliseconds=True)}
        line |= {key: stop[key] for key in ("session_id", "prompt_id", "error")}
        line["text"] = stop["last_assistant_message"]
        sightings.append(incidents.of_event(line, "UTC"))
    merged: list[incidents.Incident] = []
    for sighting in sightings:
        if sighting is not None:
            incidents.of(merged, sighting).add(sighting)
    assert len(merged) == 1 and len(merged[0].seen) >= 2
    assert any(sighting.stops for sighting in sightings if sighting) and merged[0].source == "stream"
    assert merged[0].limit is not None
    assert (merged[0].limit.type, merged[0].limit.resets_at) == ("five_hour", reset)


@pytest.mark.posix
def test_a_running_client_is_found_and_a_dead_one_is_not(client: Client, api: ScriptedApi) -> None:
    api.set_plan({"default": {"hang": 60, "text": "late"}})
    process = client.start_headless("wait")
    try:
        deadline = time.monotonic() + 20
        found: list[sessions.Client] = []
        while not found and time.monotonic() < deadline:
            time.sleep(0.1)
            found = sessions.live_clients(client.configuration)
        assert [entry["certain"] for entry in found] == [True]
        assert found[0]["cwd"] == str(client.project)
        assert found[0]["session_id"] and found[0]["entrypoint"] == "sdk-cli"
        record = next(path for path in (client.configuration / "sessions").glob("*.json"))
        os.kill(found[0]["pid"], signal.SIGKILL)
        process.communicate(timeout=20)
        assert record.exists()  # a killed client leaves its record behind
        assert sessions.live_clients(client.configuration) == []
        # Somebody else got the number: the record is of another start.
        with subprocess.Popen(["sleep", "20"]) as other:
            changed = json.loads(record.read_text(encoding="utf-8")) | {"pid": other.pid}
            record.write_text(json.dumps(changed), encoding="utf-8")
            assert sessions.live_clients(client.configuration) == []
            del changed["procStart"]
            changed["startedAt"] -= 60_000
            record.write_text(json.dumps(changed), encoding="utf-8")
            assert sessions.live_clients(client.configuration) == []
            other.kill()
    finally:
        process.kill()
        process.communicate()


def test_the_tasks_of_a_real_session_are_its_work(client: Client, api: ScriptedApi) -> None:
    steps = [
        {"tools": [{"name": "TaskCreate", "input": {"subject": f"Step {n}", "description": f"do part {n}"}}]}
        for n in (1, 2, 3)
    ]
    steps += [
        {"tools": [{"name": "TaskUpdate", "input": {"taskId": number, **change}}]}
        for number, change in (
            ("1", {"status": "completed"}),
            ("2", {"status": "in_progress"}),
            ("3", {"addBlockedBy": ["2"]}),
        )
    ]
    api.set_plan({"steps": steps, "default": FAILURES["five_hour"](time.time() + 3600)})
    run = client.headless(
        "build the three parts", "--allowedTools", "TaskCreate,TaskUpdate", CLAUDE_CODE_MAX_RETRIES="0"
    )
    path = client.transcript(run.session)
    from_files = sessions.work_of(client.configuration, path, run.session)
    from_transcript = sessions.work_of(client.home / "nowhere", path, run.session)
    assert from_files == from_transcript
    assert from_files["current_work"] == {
        "task_id": "2",
        "subject": "Step 2",
        "progress": "1 of 3",
        "completed_subtasks": ["Step 1"],
        "next_subtask": "Step 3",
        "first_prompt": "build the three parts",
        "last_prompt": "build the three parts",
    }
    assert from_files["task_queue"] == [
        {"id": "2", "priority": "high", "description": "Step 2: do part 2"},
        {"id": "3", "priority": "low", "description": "Step 3: do part 3"},
    ]
