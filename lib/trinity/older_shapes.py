"""Records as the systems before Trinity wrote them, lifted to the current shape.

Sources: the seeds' files below `.trinity/` (no `kind`, no `version`), the wake and heartbeat variants and the spawn-queue
tasks with local times behind a false `Z`. Only the shape changes: a value that is missing and cannot be known is left out,
and the schema then says so.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

Record = dict[str, Any]


def lift(kind: str, document: Record, source: str) -> Record:
    """`document` in the current shape of `kind`; a current one is returned as it is."""
    if "kind" in document and "version" in document:
        return document
    lifted = _LIFTS.get(kind, dict)(document)
    return {"kind": kind, "version": 1, **lifted}


def utc(text: object) -> object:
    """A time with an offset, microseconds or none at all as UTC with `Z`; what is no time is returned unchanged.

    A time without a zone counts as UTC: the writers of these files used UTC or lied about it, and nothing decides by it.
    """
    if isinstance(text, int | float) and not isinstance(text, bool) and 0 < text < 4e9:
        moment = datetime.fromtimestamp(text, UTC)
    elif isinstance(text, str):
        try:
            moment = datetime.fromisoformat(text.strip())
        except ValueError:
            return text
    else:
        return text
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _with_times(document: Record, *names: str) -> Record:
    return {key: utc(value) if key in names else value for key, value in document.items()}


def _handoff(document: Record) -> Record:
    made = _with_times(document, "timestamp")
    # The file name was the only identity: two PCs cannot hand over to each other twice in one second.
    import hashlib  # seldom needed, and slow to load

    identity = f"{document.get('from_pc')} {document.get('to_pc')} {document.get('timestamp')}"
    made.setdefault("id", hashlib.sha256(identity.encode("utf-8")).hexdigest()[:16])
    made.setdefault("state", "queued")
    made.setdefault("epoch", 0)
    made.setdefault("current_work", {})
    made.setdefault("credit_state", {"rate_limit_count": 0, "error_rate": 0.0, "avg_response_time": 0.0})
    made["task_queue"] = [_queue_entry(entry) for entry in document.get("task_queue") or []]
    return made


def _queue_entry(entry: Any) -> Any:
    if isinstance(entry, str):
        return {"id": entry[:128], "priority": "normal", "description": entry}
    if isinstance(entry, dict):
        made = {"priority": "normal", "description": str(entry.get("id", "")), **entry}
        made["priority"] = _priority(made["priority"])
        return made
    return entry


def _priority(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _wake(document: Record) -> Record:
    made = _with_times(document, "timestamp", "triggered_at", "received_at")
    for new, old in (("to", "target"), ("from", "triggered_by"), ("timestamp", "triggered_at")):
        if new not in made and old in made:
            made[new] = made.pop(old)
    made.setdefault("task", made.get("task_id") or made.get("command") or made.get("action") or "wake_up")
    made.setdefault("message", made.get("reason") or "")
    # Written only once, to say what became of the signal; the archive's `processed` says it now.
    if made.pop("status", None) in ("completed", "processed"):
        made.setdefault("processed", True)
    return made


def _heartbeat(document: Record) -> Record:
    made = _with_times(document, "timestamp", "time", "received_at", "last_git_sync")
    for new, olds in (("pc", ("computer_id", "instance_id")), ("timestamp", ("time",))):
        for old in olds:
            if new not in made and old in made:
                made[new] = made.pop(old)
    return made


def _credit_state(document: Record) -> Record:
    return _with_times(document, "timestamp")


def _credit_status(document: Record) -> Record:
    made = _with_times(document, "last_update")
    pcs = made.get("pcs")
    if isinstance(pcs, dict):
        made["pcs"] = {pc: _status_entry(entry) for pc, entry in pcs.items()}
    return made


def _status_entry(entry: Any) -> Any:
    if not isinstance(entry, dict):
        return entry
    made = _with_times(entry, "timestamp")
    errors = made.get("recent_errors")
    if isinstance(errors, list):
        made["recent_errors"] = [
            _with_times(error, "timestamp") if isinstance(error, dict) else error for error in errors[-10:]
        ]
    return made


def _task(document: Record) -> Record:
    made = _with_times(document, "created_at", "completed_at")
    made["priority"] = _priority(made.get("priority", "normal"))
    made.setdefault("status", "pending")
    return made


_LIFTS: dict[str, Callable[[Record], Record]] = {
    "handoff": _handoff,
    "wake": _wake,
    "heartbeat": _heartbeat,
    "credit_state": _credit_state,
    "credit_status": _credit_status,
    "task": _task,
}
