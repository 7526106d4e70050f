"""The tasks and prompts of a session, from each place that holds them.

Task files: `tasks/<session>/<n>.json`, written by the client's task tools. The same list can be rebuilt from the tools'
calls in the transcript (TaskCreate, TaskUpdate, TodoWrite), or in part from the TaskCreated and TaskCompleted hooks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from trinity.credit import transcript_lines
from trinity.credit.transcript_lines import text_of

_STATUSES = ("pending", "in_progress", "completed")
_TASK_TOOLS = (b'"TaskCreate"', b'"TaskUpdate"', b'"TodoWrite"')
_COMMAND = re.compile(r"<command-name>\s*(/?[\w:.-]+)\s*</command-name>")
_ARGUMENTS = re.compile(r"<command-args>(.+?)</command-args>", re.S)
_NO_COMMANDS_OF_WORK = frozenset(
    {"model", "config", "login", "logout", "usage", "rename", "add-dir", "resume", "effort"}
)


@dataclass(frozen=True)
class Task:
    """`status` pending, in_progress or completed; `blocked_by` ids of tasks, `blocked` while one of them is open."""

    id: str
    subject: str
    description: str = ""
    status: str = "pending"
    blocked_by: tuple[str, ...] = ()
    blocked: bool = False


@dataclass
class Found:
    """What a transcript tells of a session's work."""

    tasks: list[Task] = field(default_factory=list)
    first_prompt: str | None = None
    last_prompt: str | None = None


def from_files(folder: Path) -> list[Task]:
    """The task files; a damaged one is left out, for the client has the same view of it."""
    tasks = []
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == ".json")
    except OSError:
        return []
    for path in paths:
        try:
            record = json.loads(path.read_bytes()[:1_000_000])
        except (OSError, ValueError, RecursionError):
            continue
        task = _task(record, path.stem) if isinstance(record, dict) else None
        if task is not None:
            tasks.append(task)
    return _linked(tasks)


def from_events(events: Iterable[Mapping[str, Any]], session_id: str) -> list[Task]:
    """TaskCreated and TaskCompleted lines of the event log, in their order."""
    tasks: dict[str, Task] = {}
    for event in events:
        task_id = event.get("task_id")
        if event.get("session_id") != session_id or not isinstance(task_id, str):
            continue
        if event.get("name") == "TaskCreated":
            task = _task(
                {"id": task_id, "subject": event.get("subject"), "description": event.get("description")}, task_id
            )
            if task is not None:
                tasks.setdefault(task_id, task)
        elif event.get("name") == "TaskCompleted":
            known = tasks.get(task_id) or Task(task_id, text_of(event, "subject") or f"task {task_id}")
            tasks[task_id] = replace(known, status="completed")
    return _linked(list(tasks.values()))


def from_transcript(path: Path, want_tasks: bool = True, ignore: Callable[[str], bool] | None = None) -> Found:
    """First and last prompt of a person, and the task list as the session's tool calls left it."""
    found, lists = Found(), _Lists()
    shown = command = None
    try:
        with path.open("rb", buffering=1 << 20) as stream:
            for line in stream:
                if line.startswith(b'{"type":"last-prompt"'):
                    entry = transcript_lines.parse(line)
                    shown = (text_of(entry, "lastPrompt") if entry else None) or shown
                    continue
                if transcript_lines.SKIPPED.match(line):
                    continue
                if b'"type":"user"' in line:
                    entry = None if b'"tool_result"' in line and b'"toolUseResult"' in line else _own(line)
                    said = human_prompt(entry) if entry else None
                    if said and not (ignore and ignore(said)):
                        found.first_prompt = found.first_prompt or said
                        found.last_prompt = said
                    command = (_command(entry) if entry else None) or command
                elif want_tasks and any(tool in line for tool in _TASK_TOOLS):
                    entry = _own(line)
                    if entry is not None:
                        lists.take(entry)
    except OSError:
        pass  # moved away while it was read: what was found so far holds
    if found.last_prompt is None:
        fallback = shown if shown and not (ignore and ignore(shown)) else command
        found.first_prompt = found.last_prompt = fallback
    found.tasks = lists.tasks()
    return found


def human_prompt(entry: Mapping[str, Any]) -> str | None:
    """The prompt that a person (or the program that runs `-p`) gave in this line, or None."""
    if entry.get("type") != "user" or entry.get("isSidechain") is True or transcript_lines.is_noise(entry):
        return None
    if transcript_lines.is_auto_continuation(entry) or transcript_lines.has_block(entry, "tool_result"):
        return None
    return transcript_lines.texts(entry).strip() or None


def _own(line: bytes) -> dict[str, Any] | None:
    entry = transcript_lines.parse(line)
    return entry if entry is not None and entry.get("isSidechain") is not True else None


def _command(entry: Mapping[str, Any]) -> str | None:
    """A slash command with arguments: often a prompt in disguise, and better than nothing."""
    text = transcript_lines.texts(entry)
    name, arguments = _COMMAND.search(text), _ARGUMENTS.search(text)
    if not name or not arguments or name[1].lstrip("/") in _NO_COMMANDS_OF_WORK:
        return None
    return f"{name[1]} {arguments[1].strip()}"


class _Lists:
    """The session's list as its tools leave it: the todo list, or the tasks."""

    def __init__(self) -> None:
        self.todos: list[Task] = []
        self.created: dict[str, Task] = {}

    def take(self, entry: Mapping[str, Any]) -> None:
        message = entry.get("message")
        content = message.get("content") if isinstance(message, dict) else None
        for block in content if isinstance(content, list) else ():
            if isinstance(block, dict) and block.get("type") == "tool_use" and isinstance(block.get("input"), dict):
                self._call(str(block.get("name")), block["input"])

    def _call(self, name: str, given: dict[str, Any]) -> None:
        if name == "TodoWrite" and isinstance(given.get("todos"), list):
            todos = [
                _task({"subject": todo.get("content"), "status": todo.get("status")}, str(number))
                for number, todo in enumerate(given["todos"], 1)
                if isinstance(todo, dict)
            ]
            self.todos = [task for task in todos if task is not None]
        elif name == "TaskCreate":
            number = str(len(self.created) + 1)
            task = _task({"subject": given.get("subject"), "description": given.get("description")}, number)
            self.created[number] = task or Task(number, f"task {number}")
        elif name == "TaskUpdate" and str(given.get("taskId")) in self.created:
            self._update(str(given["taskId"]), given)

    def _update(self, number: str, given: dict[str, Any]) -> None:
        task = self.created[number]
        if given.get("status") in _STATUSES or given.get("status") == "deleted":
            task = replace(task, status=given["status"])
        if isinstance(given.get("subject"), str):
            task = replace(task, subject=given["subject"])
        blockers = given.get("addBlockedBy")
        if isinstance(blockers, list):
            task = replace(task, blocked_by=(*task.blocked_by, *(str(b) for b in blockers)))
        self.created[number] = task

    def tasks(self) -> list[Task]:
        return _linked([task for task in self.created.values() if task.status in _STATUSES] or self.todos)


def _task(record: Mapping[str, Any], number: str) -> Task | None:
    subject, description, status = (text_of(record, key) for key in ("subject", "description", "status"))
    if status is not None and status not in _STATUSES:
        return None  # "deleted"
    if not subject and not description:
        return None
    blockers = record.get("blockedBy")
    blocked_by = tuple(str(b) for b in blockers) if isinstance(blockers, list) else ()
    task_id = record.get("id")
    name = str(task_id) if isinstance(task_id, (str, int)) and str(task_id) else number
    return Task(name, subject or description or "", description or "", status or "pending", blocked_by)


def _linked(tasks: list[Task]) -> list[Task]:
    """In the order of their ids; a task is blocked while one it waits for is open."""
    open_ids = {task.id for task in tasks if task.status != "completed"}
    tasks.sort(key=lambda task: int(task.id) if task.id.isdigit() else 1 << 30)
    return [replace(task, blocked=any(b in open_ids for b in task.blocked_by)) for task in tasks]
