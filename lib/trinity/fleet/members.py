"""What the members of an operation may hold: checked before it is kept, and again before it is applied."""

from __future__ import annotations

from collections.abc import Callable

from trinity import clock
from trinity.fleet import names

# What a holder may say anew about its handoff; never who holds it, in which epoch or state.
_NEWS = {"limit", "sessions", "current_work", "task_queue", "excerpts", "resumes", "notes", "touches"}


def is_time(value: object) -> bool:
    """Is this an ISO time?"""
    try:
        return isinstance(value, str) and clock.parse(value) > 0
    except ValueError:
        return False


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 0


def _are_parts(value: object) -> bool:
    if not isinstance(value, dict) or set(value) != {"ref", "oid", "bytes", "epoch", "number"}:
        return False
    about = names.parts_of(str(value["ref"]))
    counts = all(_is_count(value[name]) for name in ("bytes", "epoch", "number"))
    return counts and names.is_oid(value["oid"]) and about is not None and about[1] == value["epoch"]


CHECKS: dict[str, Callable[[object], bool]] = {
    "handoff_id": names.is_id,
    "epoch": _is_count,
    "decided_in": lambda value: value is None or _is_count(value),
    "parts": lambda value: value is None or _are_parts(value),
    "until": lambda value: value is None or is_time(value),
    "parked_until": lambda value: value is None or is_time(value),
    "seen": lambda value: value is None or is_time(value),
    "to_pc": lambda value: value is None or names.is_pc(value),
    "record": lambda value: isinstance(value, dict),
    "chain": lambda value: isinstance(value, dict) and all(is_time(time) for time in value.values()),
    "path": lambda value: isinstance(value, str) and names.allowed(value),
    "news": lambda value: isinstance(value, dict) and set(value) <= _NEWS,
    "wake": lambda value: isinstance(value, bool),
    "anyone": lambda value: isinstance(value, bool),
    "processed": lambda value: isinstance(value, bool),
    "reason": lambda value: isinstance(value, str),
    "reasons": lambda value: isinstance(value, list) and all(isinstance(one, str) for one in value),
    "outcome": lambda value: isinstance(value, str),
}
