"""What a session was doing, and which clients are alive: the contents of a handoff's `current_work` and `task_queue`.

Sources, best first: the session's task files, its task events, the task tools in its transcript, its prompts. The
result is empty only when the session holds nothing at all. Everything is cut to fit a handoff of 10 KB.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypedDict

from trinity.credit import session_tasks
from trinity.credit.session_tasks import Task

# Bytes and entries: together under 7 KB, so that a handoff stays under 10 KB whatever the language.
_PROMPT = 500
_SUBJECT = 160
_QUEUE = 14
_DONE = 10
_FOREIGN_SECONDS = 86400.0


class Work(TypedDict):
    """Fields of the handoff record."""

    current_work: dict[str, Any]
    task_queue: list[dict[str, str]]


class Client(TypedDict):
    """A running client; `certain` is False when it runs where this process cannot look (another container)."""

    pid: int
    session_id: str
    cwd: str | None
    entrypoint: str | None
    status: str | None
    version: str | None
    started_at: float | None
    certain: bool


def work_of(
    config_dir: Path,
    transcript_path: Path | None,
    session_id: str,
    events: Iterable[Mapping[str, Any]] = (),
    ignore: Callable[[str], bool] | None = None,
) -> Work:
    """What the session was doing.

    `events`: lines of the event log (TaskCreated, TaskCompleted). `ignore` says of a prompt that it is no person's, for
    prompts that Trinity wrote itself.
    """
    tasks = session_tasks.from_files(config_dir / "tasks" / session_id) or session_tasks.from_events(events, session_id)
    first = last = None
    if transcript_path is not None and transcript_path.is_file():
        found = session_tasks.from_transcript(transcript_path, want_tasks=not tasks, ignore=ignore)
        tasks, first, last = tasks or found.tasks, found.first_prompt, found.last_prompt
    return _work(tasks, first, last, session_id)


def live_clients(config_dir: Path) -> list[Client]:
    """Clients that registered themselves below `config_dir`/sessions and run now.

    A number that another process got since is not taken for the client: its start time tells.
    """
    clients = []
    try:
        names = sorted(path for path in (config_dir / "sessions").iterdir() if path.suffix == ".json")
    except OSError:
        return []
    for path in names:
        try:
            record = json.loads(path.read_bytes()[:1_000_000])
        except (OSError, ValueError, RecursionError):
            continue
        client = _client(record, path) if isinstance(record, dict) else None
        if client is not None:
            clients.append(client)
    return clients


def _work(tasks: list[Task], first: str | None, last: str | None, session_id: str) -> Work:
    work: dict[str, Any] = {}
    open_tasks = sorted((t for t in tasks if t.status != "completed"), key=_order)
    done = [t for t in tasks if t.status == "completed"]
    if tasks:
        current = open_tasks[0] if open_tasks else done[-1]
        work["task_id"] = current.id
        work["progress"] = f"{len(done)} of {len(tasks)}"
        work["completed_subtasks"] = [_cut(t.subject, _SUBJECT) for t in done[-_DONE:]]
        following = open_tasks[1] if len(open_tasks) > 1 else None
        work["next_subtask"] = _cut(following.subject, _SUBJECT) if following else None
        if open_tasks:
            work["subject"] = _cut(current.subject, _SUBJECT)
    elif last:
        work = {"task_id": session_id, "progress": "in progress", "completed_subtasks": []}
        work["next_subtask"] = _cut(last, _SUBJECT)
    if work and first:
        work["first_prompt"] = _cut(first, _PROMPT)
    if work and last:
        work["last_prompt"] = _cut(last, _PROMPT)
    queue = [{"id": t.id, "priority": _priority(t), "description": _described(t)} for t in open_tasks[:_QUEUE]]
    if len(open_tasks) > _QUEUE:
        more = f"{len(open_tasks) - _QUEUE} more in the session's task list"
        queue.append({"id": "more", "priority": "low", "description": more})
    if not queue and last:  # stopped in the middle of an answer to it
        queue = [{"id": session_id, "priority": "normal", "description": _cut(last, 2 * _SUBJECT)}]
    return {"current_work": work, "task_queue": queue}


def _order(task: Task) -> tuple[int, int, str]:
    rank = {"high": 0, "normal": 1, "low": 2}[_priority(task)]
    return (rank, int(task.id), "") if task.id.isdigit() else (rank, 1 << 30, "")


def _priority(task: Task) -> str:
    if task.status == "in_progress":
        return "high"
    return "low" if task.blocked else "normal"


def _described(task: Task) -> str:
    more = f": {task.description}" if task.description and task.description != task.subject else ""
    return _cut(task.subject + more, _SUBJECT + 40)


def _cut(text: str, length: int) -> str:
    data = " ".join(text.split()).encode("utf-8", "replace")
    return data.decode() if len(data) <= length else data[: length - 3].decode("utf-8", "ignore") + "…"


def _client(record: Mapping[str, Any], path: Path) -> Client | None:
    pid, session_id = record.get("pid"), record.get("sessionId")
    if not isinstance(pid, int) or isinstance(pid, bool) or pid <= 0 or not isinstance(session_id, str):
        return None
    started = record.get("startedAt")
    started_at = started / 1000.0 if isinstance(started, (int, float)) and not isinstance(started, bool) else None
    certain = _same_namespace(record.get("pidDomain"))
    if certain and not _runs(pid, record.get("procStart"), started_at):
        return None
    if not certain and time.time() - path.stat().st_mtime > _FOREIGN_SECONDS:
        return None  # nobody here can say whether it lives; a day of silence says enough
    fields = {key: record.get(key) for key in ("cwd", "entrypoint", "status", "version")}
    return Client(
        pid=pid,
        session_id=session_id,
        cwd=_string(fields["cwd"]),
        entrypoint=_string(fields["entrypoint"]),
        status=_string(fields["status"]),
        version=_string(fields["version"]),
        started_at=started_at,
        certain=certain,
    )


def _string(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _runs_linux(pid: int, start: object, started_at: float | None) -> bool:
    """The 22nd field of /proc/PID/stat is what the client records as `procStart` (seen in 2.1.197 and 2.1.328)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    fields = stat.rpartition(")")[2].split()
    if len(fields) < 20 or fields[0] in ("Z", "X"):
        return False
    if isinstance(start, (str, int)) and str(start).isdigit():
        return fields[19] == str(start)
    return _runs_anywhere(pid, start, started_at)


def _runs_anywhere(pid: int, start: object, started_at: float | None) -> bool:
    import psutil

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        # The client writes its record after it began; whoever began later has only inherited the number.
        return started_at is None or process.create_time() <= started_at + 2.0
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


_runs = _runs_linux if sys.platform == "linux" else _runs_anywhere


def _same_namespace(domain: object) -> bool:
    """False when the record names a process namespace that is not this process's (2.1.328 on Linux)."""
    if not isinstance(domain, str) or not domain.startswith("linux:") or sys.platform != "linux":
        return True
    try:
        own = os.readlink("/proc/self/ns/pid")
    except OSError:
        return True
    return domain.endswith(own)
