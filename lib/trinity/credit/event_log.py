"""The event log: `events/YYYY-MM-DD.jsonl`, one JSON object a line, one file a UTC day, written by hooks and programs.

A reader keeps a `Position` and gets each complete line once; a line without its newline yet is left for the next time.
Where there is no position, `position_at` finds the first line of a moment by bisection, so that the length of the history
behind it does not matter. Lines that are no JSON object are counted, never an error: the hook that wrote them is gone.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trinity import clock, files
from trinity.home import Home

_BLOCK = 1 << 20
# Hooks of one moment write in any order; a day's file is sorted only to within this many seconds.
_DISORDER = 30.0


@dataclass(frozen=True)
class Position:
    """How far the log was read: a day `YYYY-MM-DD` and a byte offset in its file."""

    day: str
    offset: int


def day_of(t: float) -> str:
    """The UTC day of epoch seconds."""
    return clock.iso(t)[:10]


def path_of(home: Home, day: str) -> Path:
    return home.events / f"{day}.jsonl"


def append(home: Home, event: dict[str, Any], t: float | None = None) -> None:
    """Write one event `{event, source, …}`; kind, version and time are added here."""
    moment = clock.now() if t is None else t
    line = {"kind": "event", "version": 1, "time": clock.iso(moment, milliseconds=True), **event}
    home.events.mkdir(mode=0o700, exist_ok=True)
    # The file of now, also for a moment of yesterday: readers have left yesterday's file behind.
    data = json.dumps(line, separators=(",", ":"), ensure_ascii=True).encode("ascii")
    files.append_line(path_of(home, day_of(clock.now())), data)


def days(home: Home) -> list[str]:
    """The days there are files for, oldest first."""
    try:
        names = os.listdir(home.events)
    except FileNotFoundError:
        return []
    return sorted(name[:-6] for name in names if len(name) == 16 and name.endswith(".jsonl"))


def position_at(home: Home, t: float) -> Position:
    """A position from which every event of `t` and later is read (and possibly some earlier ones)."""
    for day in days(home):
        if day >= day_of(t):
            return Position(day, _bisect(path_of(home, day), t - _DISORDER) if day == day_of(t) else 0)
    return Position(day_of(clock.now()), 0)


def _bisect(path: Path, t: float) -> int:
    with open(path, "rb") as stream:
        low, high = 0, os.fstat(stream.fileno()).st_size
        # Invariant: lines that begin before `low` are older than t. A block is scanned by the reader anyway.
        while high - low > _BLOCK // 16:
            middle = (low + high) // 2
            stream.seek(middle)
            stream.readline()
            start = stream.tell()
            line = stream.readline()
            found = _time_of(line)
            if start >= high or not line or found is None:
                high = middle
            elif found < t:
                low = start
            else:
                high = middle
        return low


def _time_of(line: bytes) -> float | None:
    event = _parse(line)
    return None if event is None else moment_of(event)


def moment_of(event: dict[str, Any]) -> float | None:
    """The event's time as epoch seconds, None when it has none."""
    try:
        return clock.parse(event["time"])
    except (KeyError, TypeError, ValueError):
        return None


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None


@dataclass
class Reading:
    """What `read` has met: `position` to go on from, and how many lines were `damaged`."""

    position: Position
    damaged: int = 0


def read(home: Home, reading: Reading) -> Iterator[dict[str, Any]]:
    """The complete events after `reading.position`, oldest first; `reading` moves along as they are taken."""
    for day in [day for day in days(home) if day >= reading.position.day]:
        path = path_of(home, day)
        offset = reading.position.offset if day == reading.position.day else 0
        if path.stat().st_size < offset:
            offset = 0  # the file was replaced by a shorter one: its events are new
        with open(path, "rb") as stream:
            stream.seek(offset)
            for line in stream:
                if not line.endswith(b"\n"):
                    break
                offset += len(line)
                event = _parse(line)
                reading.position = Position(day, offset)
                if event is None:
                    reading.damaged += 1
                else:
                    yield event
