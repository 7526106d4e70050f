"""The handoff record: built once, under 10 KB, and never empty when there is something to say.

The record says what was stopped, by which limit, until when, and what the session had on its list. Its file name is fixed
when it is made: `handoff_{FROM}_to_{TO}_{YYYYmmdd_HHMMSS}_{id}.json`. Text of people and models in it is shortened and
redacted here, before anything is stored.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from trinity import clock, files
from trinity.redaction import redact

MAX_BYTES = 10_000
# So many things that stayed behind stand in the record; all of them are in the log.
_NOTES = 8
_SESSION_KEYS = (
    "session_id",
    "pc",
    "cwd",
    "transcript_path",
    "transcript_bytes",
    "last_uuid",
    "interactive",
    "permission_mode",
    "model",
    "client_version",
    "config_dir",
)
# Tried in this order until the record fits: the longest texts matter least beyond their beginning.
_CUTS = ((1000, 30, 300), (500, 20, 200), (200, 10, 100), (80, 5, 60))
# These name something and are no text; the schema knows them short.
_LONGEST = {"task_id": 128, "id": 128, "progress": 80}


def new_id(t: float) -> str:
    """16 hex digits: 12 of the time in milliseconds, so that ids sort by age, and 4 of chance."""
    return f"{int(t * 1000) & 0xFFFFFFFFFFFF:012x}{os.urandom(2).hex()}"


def file_name(record: Mapping[str, Any]) -> str:
    """The record's name in the state's `handoff/` and `handoff/processed/`."""
    stamp = clock.stamp(clock.parse(record["timestamp"]))
    return f"handoff_{record['from_pc']}_to_{record['to_pc']}_{stamp}_{record['id']}.json"


def build(
    *,
    now: float,
    from_pc: str,
    to_pc: str,
    reason: str,
    account: str,
    credit_state: Mapping[str, Any],
    limit: Mapping[str, Any] | None = None,
    sessions: Sequence[Mapping[str, Any]] = (),
    current_work: Mapping[str, Any] | None = None,
    task_queue: Sequence[Mapping[str, Any]] = (),
    excerpts: Sequence[str] = (),
    parked_until: float | None = None,
    parked: bool = False,
) -> dict[str, Any]:
    """A new record in state `queued`, or `parked` until a moment (None: until a person or a success says so)."""
    record: dict[str, Any] = {
        "kind": "handoff",
        "version": 1,
        "id": new_id(now),
        "from_pc": from_pc,
        "to_pc": to_pc,
        "timestamp": clock.iso(now),
        "reason": _cut(reason, 300, 0),
        "credit_state": {
            "rate_limit_count": credit_state.get("rate_limit_count", 0),
            "error_rate": credit_state.get("error_rate", 0.0),
            "avg_response_time": credit_state.get("avg_response_time", 0.0),
        },
        "state": "parked" if parked else "queued",
        "epoch": 0,
        "owner": None,
        "attempts": 0,
        "hops": 0,
        "resumes": 0,
        "parked_until": clock.iso(parked_until) if parked and parked_until is not None else None,
        "limit": dict(limit) if limit else None,
        "account": account,
        "sessions": [{key: session[key] for key in _SESSION_KEYS if key in session} for session in sessions],
        "chain": {"written": clock.iso(now, milliseconds=True)},
        "outcome": None,
    }
    return _fitting(record, current_work or {}, task_queue, excerpts)


def with_notes(record: dict[str, Any], notes: Sequence[str], where: str) -> dict[str, Any]:
    """The record with what a person should know of what travels and what does not, as far as it fits; `where` names the
    log that has all of it."""
    lines = [redact(note)[:300] for note in notes]
    if not lines:
        return record
    shown = min(len(lines), _NOTES)
    more = [f"and {len(lines) - shown} more: {where}"] if shown < len(lines) else []
    noted = {**record, "notes": [*lines[:shown], *more]}
    if len(files.dump_json(noted)) < MAX_BYTES:
        return noted
    return _fitting(noted, record["current_work"], record["task_queue"], record.get("excerpts", []))


def _fitting(
    record: dict[str, Any], work: Mapping[str, Any], queue: Sequence[Mapping[str, Any]], excerpts: Sequence[str]
) -> dict[str, Any]:
    made = record
    for length, entries, short in _CUTS:
        made = {
            **record,
            "current_work": _members(work, length, short, entries),
            "task_queue": [_members(task, short, short, entries) for task in queue[:entries]],
            "excerpts": [_cut(text, min(600, length), entries) for text in excerpts[:5]],
        }
        left_out = len(queue) - len(made["task_queue"])
        if left_out > 0:
            made["current_work"]["not_listed"] = left_out + int(work.get("not_listed") or 0)
        if len(files.dump_json(made)) < MAX_BYTES:
            break
    return made


def _members(given: Mapping[str, Any], length: int, short: int, entries: int) -> dict[str, Any]:
    return {
        key: _cut(value, min(length if "prompt" in key else short, _LONGEST.get(key, length)), entries)
        for key, value in given.items()
    }


def _cut(value: Any, length: int, entries: int) -> Any:
    """Text redacted first and then shortened: the other way round half a secret would no longer be known as one."""
    if isinstance(value, str):
        text = redact(value)
        return text if len(text) <= length else text[: length - 1] + "…"
    if isinstance(value, list):
        return [_cut(entry, length, entries) for entry in value[:entries]]
    if isinstance(value, dict):
        return {key: _cut(entry, length, entries) for key, entry in value.items()}
    return value
