"""The event log: `events/YYYY-MM-DD.jsonl`, one JSON object a line, one file a UTC day, written by hooks and programs.

A reader keeps a position and gets each complete line once; a line without its newline yet is left for the next time. Where
there is no position, `position_at` finds the first line of a moment by bisection, so that the length of the history behind
it does not matter. Lines that are no JSON object are counted, never an error: the hook that wrote them is gone. Of a line
that was torn by a power cut and then written on, the whole event behind the tear is read.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from trinity import clock, files
from trinity.home import Home

_BLOCK = 1 << 20
# Hooks of one moment write in any order; a day's file is sorted only to within this many seconds.
_DISORDER = 30.0
_START = b'{"kind":"event"'
_DAY = re.compile(r"\d{4}-\d\d-\d\d\.jsonl")

# How far the log was read: the bytes of each day's file. The two newest days are kept, because a hook that looked at its
# clock before midnight may write a moment after the first line of the new day.
Position = dict[str, int]


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
    return sorted(name[:10] for name in names if _DAY.fullmatch(name))


def position_at(home: Home, t: float) -> Position:
    """A position from which every event of `t` and later is read (and possibly some earlier ones)."""
    for day in days(home):
        if day >= day_of(t):
            return {day: _bisect(path_of(home, day), t - _DISORDER) if day == day_of(t) else 0}
    return {day_of(t): 0}


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
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


_DECODER = json.JSONDecoder(parse_constant=_refuse)


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        event = _DECODER.decode(line.decode("utf-8"))
        if b"\\ud" in line.lower():
            # Half a character: what is made of this event could not be written as UTF-8.
            event = json.loads(json.dumps(event, ensure_ascii=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) else None


@dataclass
class Reading:
    """What `read` has met: `position` to go on from, and how many lines were `damaged`.

    `since` is the moment of the last reading (epoch seconds): when a file has become shorter, by a power cut or a repair,
    only what is newer counts as new.
    """

    position: Position
    damaged: int = 0
    since: float = 0.0


def read(home: Home, reading: Reading) -> Iterator[dict[str, Any]]:
    """The complete events after `reading.position`, oldest first; `reading` moves along as they are taken."""
    position = reading.position = dict(reading.position)
    first = min(position)
    for day in days(home):
        if day >= first:
            yield from _read_day(path_of(home, day), day, reading)
    for day in sorted(position)[:-2]:
        del position[day]


def _read_day(path: Path, day: str, reading: Reading) -> Iterator[dict[str, Any]]:
    offset, since = reading.position.get(day, 0), 0.0
    with open(path, "rb") as stream:
        if os.fstat(stream.fileno()).st_size < offset:
            offset, since = 0, reading.since
        stream.seek(offset)
        for line in stream:
            if not line.endswith(b"\n"):
                break
            offset += len(line)
            reading.position[day] = offset
            event = _parse(line)
            if event is None:
                reading.damaged += 1
                event = _parse(line[line.rfind(_START) :]) if line.rfind(_START) > 0 else None
            if event is not None and (not since or (moment_of(event) or 0.0) > since):
                yield event
