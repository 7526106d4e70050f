"""What a hook writes down for each event of the client, and what it never writes down."""

import json
import os
import stat
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.hooks.hook_runner import FILES, HOOK_PAYLOADS, HookRunner, compact, payload, payload_of, wait_until
from trinity import schema

COMMON = ("session_id", "prompt_id", "agent_id", "transcript_path", "cwd", "permission_mode")


@pytest.mark.parametrize("name", HOOK_PAYLOADS)
def test_each_recorded_payload_becomes_one_valid_line(runner: HookRunner, name: str) -> None:
    given = payload(name)
    done = runner.run(FILES[given["hook_event_name"]], given)
    wait_until(lambda: len(runner.events()) == 1)
    (event,) = runner.events()
    assert (done.returncode, done.stdout, done.stderr, runner.log()) == (0, b"", b"", [])
    schema.validate("event", event, name)
    assert (event["event"], event["source"], event["name"]) == ("hook", "hook", given["hook_event_name"])
    assert {key: event.get(key) for key in COMMON} == {key: given.get(key) for key in COMMON}
    assert event["pid"] == os.getpid()


def test_every_event_has_a_payload_here() -> None:
    assert {payload(name)["hook_event_name"] for name in HOOK_PAYLOADS} == set(FILES)


@pytest.mark.parametrize(
    ("name", "members"),
    [
        ("2.1.328/SessionStart-resume", {"start": "resume"}),
        ("2.1.328/SessionStart-fork", {"start": "fork"}),
        ("2.1.197/SessionStart-interactive", {"start": "startup", "model": "claude-opus-4-8[1m]"}),
        ("2.1.328/SessionEnd", {"reason": "other"}),
        ("2.1.328/PreToolUse", {"tool": "Bash", "key": "toolu_0836ad802fc9408890f8"}),
        ("2.1.328/PostToolUse", {"tool": "Bash", "duration_ms": 22}),
        ("2.1.197/PostToolUseFailure", {"tool": "Bash", "duration_ms": 41}),
        (
            "2.1.328/StopFailure",
            {"error": "rate_limit", "text": "You've hit your 5-hour limit · resets 10:22am (UTC)"},
        ),
        ("2.1.197/StopFailure-subagent", {"error": "rate_limit", "agent_id": "a6484f3ce764b1095"}),
        ("2.1.197/TaskCreated", {"task_id": "1", "subject": "Do a thing", "description": "thing desc"}),
        ("2.1.197/TaskCompleted", {"task_id": "1", "subject": "Do a thing"}),
        ("2.1.328/Notification-fired", {"notification": "quota_auto_resume_fired"}),
        ("2.1.328/UserPromptSubmit-auto-continuation", {"auto": True}),
        ("2.1.328/UserPromptSubmit", {"auto": None}),
    ],
)
def test_the_line_says_what_kind_of_event_it_was(runner: HookRunner, name: str, members: dict[str, Any]) -> None:
    given = payload(name)
    runner.run(FILES[given["hook_event_name"]], given)
    wait_until(lambda: len(runner.events()) == 1)
    assert {key: runner.events()[0].get(key) for key in members} == members


def test_both_texts_of_the_clients_own_continuation_are_known_and_a_users_is_not(runner: HookRunner) -> None:
    given = payload("2.1.328/UserPromptSubmit")
    for prompt in (
        "Your claude.ai usage is available again before the usage-limit reset. Continue the task you were working on",
        "Please explain why the usage limit has not reset",
    ):
        runner.run("user_prompt_submit.py", {**given, "prompt": prompt})
    assert [event.get("auto") for event in runner.events()] == [True, None]


@pytest.mark.parametrize("event", FILES)
def test_no_prompt_tool_input_output_or_environment_is_written(runner: HookRunner, event: str) -> None:
    secret = "sk-ant-never-this"
    runner.environment = {"ANTHROPIC_API_KEY": secret, "CLAUDE_CODE_MESSAGING_TOKEN": secret}
    given = {
        **payload_of(event),
        "prompt": secret,
        "tool_input": {"command": secret},
        "tool_response": {"stdout": secret},
        "message": secret,
        "compact_summary": secret,
    }
    if event != "StopFailure":
        given |= {"last_assistant_message": secret, "error": secret}
    runner.run(FILES[event], given)
    wait_until(lambda: len(runner.events()) == 1)
    assert secret not in json.dumps(runner.events())


def test_long_texts_are_cut(runner: HookRunner) -> None:
    given = {**payload("2.1.328/StopFailure"), "last_assistant_message": "limit " * 1000, "error_details": "x" * 9000}
    runner.run("stop_failure.sh", given)
    wait_until(lambda: len(runner.events()) == 1)
    assert [len(runner.events()[0][key]) for key in ("text", "details")] == [600, 600]
    runner.run("task_created.py", {**payload("2.1.197/TaskCreated"), "task_description": "é" * 900})
    assert runner.events()[1]["description"] == "é" * 200
    assert runner.log() == []


def test_the_line_names_client_process_and_entrypoint(runner: HookRunner) -> None:
    runner.environment = {"CLAUDE_PID": "4711", "CLAUDE_CODE_ENTRYPOINT": "sdk-cli"}
    runner.run("stop.py", payload("2.1.328/Stop"))
    assert (runner.events()[0]["pid"], runner.events()[0]["entrypoint"]) == (4711, "sdk-cli")


@pytest.mark.posix
def test_lines_lie_in_the_file_of_their_utc_day_and_are_private(runner: HookRunner) -> None:
    runner.environment = {"TZ": "Pacific/Kiritimati"}
    runner.run("stop.py", payload("2.1.328/Stop"))
    (event,) = runner.events()
    file = runner.home / "events" / f"{event['time'][:10]}.jsonl"
    assert abs((datetime.now(UTC) - datetime.fromisoformat(event["time"])).total_seconds()) < 60
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


@pytest.mark.posix
def test_a_missing_state_folder_is_made_private(runner: HookRunner, tmp_path: Path) -> None:
    runner.home = tmp_path / "new"
    runner.run("stop.py", payload("2.1.328/Stop"))
    assert len(runner.events()) == 1
    assert stat.S_IMODE(runner.home.stat().st_mode) == 0o700


def test_without_an_argument_the_state_folder_is_that_of_the_environment(runner: HookRunner, tmp_path: Path) -> None:
    runner.environment = {"TRINITY_HOME": str(runner.home)}
    runner.run("stop.py", payload("2.1.328/Stop"), home="")
    runner.environment = {"HOME": str(tmp_path), "TRINITY_FORBID_DEFAULT_HOME": ""}
    runner.run("stop.py", payload("2.1.328/Stop"), home="")
    assert len(runner.events()) == 1
    assert len(list((tmp_path / ".trinity" / "events").iterdir())) == 1


def test_a_line_after_a_torn_one_is_not_lost_with_it(runner: HookRunner) -> None:
    runner.run("stop.py", payload("2.1.328/Stop"))
    (file,) = (runner.home / "events").iterdir()
    with file.open("ab") as torn:
        torn.write(b'{"kind":"event","ver')
    runner.run("stop.py", payload("2.1.328/Stop"))
    lines = file.read_bytes().splitlines()
    assert len(lines) == 3
    assert json.loads(lines[2])["name"] == "Stop"


def test_32_hooks_at_once_lose_and_tear_no_line(runner: HookRunner, tmp_path: Path) -> None:
    """Four rounds of 32 processes that all have their 100 KB before any of them can end."""
    events = [event for event in FILES if event != "StopFailure"]
    expected = set()
    for round_ in range(4):
        processes = []
        for number in range(32):
            event = events[number % len(events)]
            key = f"r{round_}n{number}"
            expected.add(key)
            given = {**payload_of(event), "prompt_id": key, "cwd": "/" + "é" * 2000}
            given |= {"prompt": "x" * 100_000, "tool_response": {"stdout": "x\n" * 30_000}}
            file = tmp_path / key
            file.write_bytes(compact(given))
            with file.open("rb") as stdin:
                command = runner.command(FILES[event])
                processes.append(subprocess.Popen(command, stdin=stdin, env=runner.environ()))
        assert [process.wait() for process in processes] == [0] * 32
    lines = b"".join(file.read_bytes() for file in (runner.home / "events").iterdir()).splitlines()
    assert len(lines) == 128
    assert {json.loads(line)["prompt_id"] for line in lines} == expected
    assert runner.log() == []
