"""What a session was doing: task files, events, tool calls, prompts; never empty when there is something."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from trinity import schema
from trinity.credit import sessions

REAL = Path(__file__).parent / "transcripts"


def _transcript(path: Path, *entries: dict[str, Any]) -> Path:
    with path.open("wb") as stream:
        for number, entry in enumerate(entries):
            whole = {
                "isSidechain": False,
                "timestamp": f"2026-11-20T10:00:{number:02d}.000Z",
                "sessionId": "s",
                **entry,
            }
            stream.write(json.dumps(whole, separators=(",", ":")).encode() + b"\n")
    return path


def _said(content: Any, **more: Any) -> dict[str, Any]:
    return {"type": "user", "message": {"role": "user", "content": content}, **more}


def _called(name: str, **given: Any) -> dict[str, Any]:
    block = {"type": "tool_use", "id": "t", "name": name, "input": given}
    return {"type": "assistant", "message": {"id": "m", "model": "claude-x", "content": [block]}}


def _task_file(folder: Path, number: int, **fields: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    record = {"id": str(number), "subject": f"Task {number}", "description": "", "status": "pending", "blockedBy": []}
    (folder / f"{number}.json").write_text(json.dumps(record | fields), encoding="utf-8")


def test_task_files_come_first_and_are_counted(tmp_path: Path) -> None:
    folder = tmp_path / "tasks" / "s"
    for number in range(1, 13):
        _task_file(folder, number, status="completed" if number < 3 else "pending")
    _task_file(folder, 4, status="in_progress", description="the long one")
    _task_file(folder, 3, blockedBy=["4"])
    _task_file(folder, 5, blockedBy=["1"])
    (folder / "99.json").write_text("{torn", encoding="utf-8")
    (folder / ".lock").touch()
    path = _transcript(tmp_path / "t.jsonl", _said("do all"), _called("TodoWrite", todos=[{"content": "old"}]))
    work = sessions.work_of(tmp_path, path, "s")
    current = work["current_work"]
    assert (current["task_id"], current["progress"], current["next_subtask"]) == ("4", "2 of 12", "Task 5")
    assert current["completed_subtasks"] == ["Task 1", "Task 2"]
    assert [task["id"] for task in work["task_queue"]] == ["4", "5", "6", "7", "8", "9", "10", "11", "12", "3"]
    assert [task["priority"] for task in work["task_queue"]] == ["high"] + ["normal"] * 8 + ["low"]
    assert work["task_queue"][0]["description"] == "Task 4: the long one"


def test_task_events_stand_in_for_lost_files(tmp_path: Path) -> None:
    def event(name: str, number: str, session: str = "s") -> dict[str, Any]:
        return {"event": "hook", "name": name, "session_id": session, "task_id": number, "subject": f"Task {number}"}

    events = [event("TaskCreated", "1"), event("TaskCreated", "2"), event("TaskCreated", "9", "another")]
    events += [event("TaskCompleted", "1"), event("TaskCompleted", "3"), {"event": "success"}]
    work = sessions.work_of(tmp_path, None, "s", events)
    assert (work["current_work"]["task_id"], work["current_work"]["progress"]) == ("2", "2 of 3")
    assert [task["id"] for task in work["task_queue"]] == ["2"]


def test_the_last_todo_list_of_the_transcript_counts(tmp_path: Path) -> None:
    first = [{"content": "read", "status": "pending"}, {"content": "write", "status": "pending"}]
    last = [{"content": "read", "status": "completed"}, {"content": "write", "status": "in_progress"}, "garbage", {}]
    path = _transcript(
        tmp_path / "t.jsonl", _said("go"), _called("TodoWrite", todos=first), _called("TodoWrite", todos=last)
    )
    work = sessions.work_of(tmp_path, path, "s")
    assert work["current_work"]["progress"] == "1 of 2"
    assert work["task_queue"] == [{"id": "2", "priority": "high", "description": "write"}]


@pytest.mark.parametrize("version", ["2.1.197", "2.1.328"])
def test_the_tasks_of_a_recorded_session_are_found_without_its_files(version: str, tmp_path: Path) -> None:
    work = sessions.work_of(tmp_path, REAL / f"tasks_{version}.jsonl", "s")
    assert (work["current_work"]["progress"], work["current_work"]["task_id"]) == ("1 of 3", "2")
    assert work["current_work"]["first_prompt"] == "say hi, please"


def test_prompts_are_those_of_people(tmp_path: Path) -> None:
    path = _transcript(
        tmp_path / "t.jsonl",
        _said("<command-name>/model</command-name><command-args>opus</command-args>"),
        _said("<local-command-stdout>Set model</local-command-stdout>"),
        _said("a hidden note", isMeta=True),
        _said([{"type": "text", "text": "build the parser"}, {"type": "image", "source": {}}]),
        _said([{"type": "tool_result", "tool_use_id": "t", "content": "build something else"}], toolUseResult={}),
        _said("in a subagent", isSidechain=True),
        _said('and test it, say "tool_result" and "toolUseResult"', origin={"kind": "human"}),
        _said("Your claude.ai usage limit has reset. Continue", isMeta=True, origin={"kind": "auto-continuation"}),
        _said("Continue, says the client", origin={"kind": "auto-continuation"}),
        _said("<task-notification>x</task-notification>", origin={"kind": "task-notification"}),
        _said("This session is being continued from …", isCompactSummary=True),
        _said("[Request interrupted by user]"),
        _said("TRINITY: go on"),
    )
    work = sessions.work_of(tmp_path, path, "s", ignore=lambda prompt: prompt.startswith("TRINITY"))
    assert work["current_work"]["first_prompt"] == "build the parser"
    assert work["current_work"]["last_prompt"] == 'and test it, say "tool_result" and "toolUseResult"'
    assert work["task_queue"][0]["description"].startswith("and test it")


def test_a_list_that_is_done_still_leaves_the_last_prompt_to_do(tmp_path: Path) -> None:
    todos = [{"content": "read", "status": "completed"}]
    path = _transcript(tmp_path / "t.jsonl", _said("read"), _called("TodoWrite", todos=todos), _said("now write"))
    work = sessions.work_of(tmp_path, path, "s")
    assert work["current_work"]["progress"] == "1 of 1"
    assert work["task_queue"] == [{"id": "s", "priority": "normal", "description": "now write"}]


@pytest.mark.parametrize(
    "entry",
    [
        {"type": "last-prompt", "lastPrompt": "from the bookkeeping"},
        _said("<command-name>/deploy</command-name>\n<command-args>from the bookkeeping</command-args>"),
    ],
)
def test_little_is_better_than_nothing(tmp_path: Path, entry: dict[str, Any]) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(json.dumps(entry, separators=(",", ":")).encode() + b"\n")
    work = sessions.work_of(tmp_path, path, "s")
    assert "from the bookkeeping" in work["task_queue"][0]["description"]
    assert work["current_work"]["task_id"] == "s"


def test_a_session_that_holds_nothing_gives_nothing(tmp_path: Path) -> None:
    assert sessions.work_of(tmp_path, tmp_path / "none.jsonl", "s") == {"current_work": {}, "task_queue": []}
    assert sessions.work_of(tmp_path, None, "s") == {"current_work": {}, "task_queue": []}


def test_much_is_cut_to_fit_a_handoff(tmp_path: Path) -> None:
    folder = tmp_path / "tasks" / "s"
    for number in range(1, 301):
        status = "completed" if number < 100 else "pending"
        _task_file(folder, number, subject="Wörter 語 " * 500, description="x" * 9000, status=status)
    path = _transcript(tmp_path / "t.jsonl", _said("p" * 100_000), _said("q \ud800" * 10_000))
    work = sessions.work_of(tmp_path, path, "s")
    assert len(json.dumps(work, ensure_ascii=False).encode()) < 7000
    assert work["task_queue"][-1]["description"] == "187 more in the session's task list"
    properties = json.loads((schema.FOLDER / "handoff.schema.json").read_text(encoding="utf-8"))["properties"]
    assert len(work["task_queue"]) <= properties["task_queue"]["maxItems"]
    shape = properties["current_work"]["properties"]
    assert len(work["current_work"]["next_subtask"]) <= shape["next_subtask"]["maxLength"]
    assert set(shape) <= set(work["current_work"])


def _registered(folder: Path, name: str, **record: Any) -> Path:
    (folder / "sessions").mkdir(exist_ok=True)
    path = folder / "sessions" / name
    path.write_text(json.dumps(record), encoding="utf-8")
    return path


def test_this_process_is_alive_and_damaged_records_are_not(tmp_path: Path) -> None:
    now = time.time() * 1000
    _registered(tmp_path, "1.json", pid=os.getpid(), sessionId="me", startedAt=now, cwd="/x", status="busy", cost=3)
    _registered(tmp_path, "2.json", pid="7", sessionId="text")
    _registered(tmp_path, "3.json", pid=os.getpid())
    _registered(tmp_path, "4.json", pid=-1, sessionId="all")
    (tmp_path / "sessions" / "5.json").write_text("[1", encoding="utf-8")
    (tmp_path / "sessions" / "6.secret.key").write_text("{}", encoding="utf-8")
    found = sessions.live_clients(tmp_path)
    assert [(entry["session_id"], entry["status"], entry["certain"]) for entry in found] == [("me", "busy", True)]
    assert sessions.live_clients(tmp_path / "nowhere") == []


def test_a_number_that_was_given_again_is_not_the_client(tmp_path: Path) -> None:
    _registered(tmp_path, "1.json", pid=os.getpid(), sessionId="before", startedAt=(time.time() - 86400) * 1000)
    assert sessions.live_clients(tmp_path) == []


def test_a_client_of_another_container_is_uncertain_for_a_day(tmp_path: Path) -> None:
    # Only Linux has process namespaces; elsewhere the number is looked up like any other.
    elsewhere = "linux:0123456789abcdef:pid:[1]"
    path = _registered(tmp_path, "1.json", pid=999_999_999, sessionId="there", pidDomain=elsewhere)
    if sys.platform == "linux":
        assert [entry["certain"] for entry in sessions.live_clients(tmp_path)] == [False]
    os.utime(path, (time.time() - 90_000, time.time() - 90_000))
    assert sessions.live_clients(tmp_path) == []


def test_reading_a_session_leaves_its_files_alone(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    shutil.copy(REAL / "tasks_2.1.328.jsonl", path)
    before = path.read_bytes(), path.stat().st_mtime_ns
    sessions.work_of(tmp_path, path, "s")
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
