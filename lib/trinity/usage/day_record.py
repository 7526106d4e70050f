"""A day of one PC as the fleet gets it: every call with a key by which a copy of it on another PC is recognised.

Calls that have all but numbers in common stand in one group, number by number in columns (texts of numbers, so that a
record of 100,000 calls is checked and compressed fast). Keys are the first 48 bits of SHA-256 of the message's ids: one
pair of strangers in 300,000 fleets of 100,000 calls would be taken for one call. Of a project only the folder's own name
is told. A day that is older than DETAIL_DAYS is told in sums of a quarter of an hour, without keys.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

from trinity.errors import BadRecord
from trinity.usage.amounts import KINDS

DETAIL_DAYS = 35
DAY = 86400
_KEY_BYTES = 6
_MOST = 10**12
# What a prompt cache makes of a conversation: the next request reads what this one read and wrote.
_READ = KINDS.index("cache_read")
_WRITES = (KINDS.index("cache_write_5m"), KINDS.index("cache_write_1h"))


class Group(NamedTuple):
    """What the calls of a group have in common; `band` as in `prices`, `failed` and `unknown` are 0 or 1."""

    session: str
    project: str
    model: str
    account: str
    task: str
    tier: str
    speed: str
    band: int
    failed: int
    unknown: int


@dataclass(frozen=True)
class Row:
    """One call, or (`calls` more than one, `key` None) a sum of them; `counts` are the kinds of tokens and web searches."""

    group: Group
    key: int | None
    time: int
    counts: tuple[int, ...]
    seconds: float
    timed: int
    calls: int = 1


def key(*ids: str) -> int:
    """The key of a call, from the ids that every copy of it has."""
    return int.from_bytes(hashlib.sha256("\0".join(ids).encode("utf-8", "replace")).digest()[:_KEY_BYTES])


def dump(pc: str, day: str, rows: Iterable[Row]) -> dict[str, Any]:
    """The record of a day."""
    groups: dict[Group, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.group, []).append(row)
    return {
        "kind": "usage_day",
        "version": 1,
        "pc": pc,
        "day": day,
        "groups": [_group(group, sorted(found, key=_order)) for group, found in sorted(groups.items())],
    }


def _order(row: Row) -> tuple[int, int]:
    return row.time, row.key or 0


def _group(group: Group, rows: list[Row]) -> dict[str, Any]:
    columns = {name: [row.counts[at] for row in rows] for at, name in enumerate((*KINDS, "web_search"))}
    columns["cache_read"] = [
        read - expected for read, expected in zip(columns["cache_read"], _expected(columns), strict=True)
    ]
    times = [row.time % DAY for row in rows]
    document: dict[str, Any] = {name: value for name, value in group._asdict().items() if value}
    document |= {
        "times": _text([times[0], *(after - before for before, after in pairwise(times))]),
        "seconds": round(sum(row.seconds for row in rows), 3),
        "timed": sum(row.timed for row in rows),
        **{name: _text(numbers) for name, numbers in columns.items() if any(numbers)},
    }
    if all(row.key is not None for row in rows):
        keys = b"".join((row.key or 0).to_bytes(_KEY_BYTES) for row in rows)
        document["keys"] = base64.b64encode(keys).decode("ascii")
    else:
        document["calls"] = _text([row.calls for row in rows])
    return document


def _expected(columns: dict[str, list[int]]) -> list[int]:
    """What each request was to read from the cache, were it the next of the same conversation."""
    whole = zip(columns["cache_read"], columns["cache_write_5m"], columns["cache_write_1h"], strict=True)
    return [0, *(read + five + hour for read, five, hour in whole)][:-1]


def _text(numbers: Iterable[int]) -> str:
    return " ".join(map(str, numbers))


def load(document: dict[str, Any], source: str) -> Iterator[Row]:
    """The calls of a validated record; raises BadRecord when its columns do not fit together."""
    for entry in document["groups"]:
        yield from _rows(entry, document["day"], source)


def _rows(entry: dict[str, Any], day: str, source: str) -> Iterator[Row]:
    facts: dict[str, Any] = {name: entry.get(name, default) for name, default in _NOTHING._asdict().items()}
    group = Group(**facts)
    times = list(accumulate(_numbers(entry["times"])))
    number = len(times)
    columns = [_numbers(entry[name]) if name in entry else [0] * number for name in (*KINDS, "web_search")]
    keys: list[int | None] = [None] * number
    calls = [1] * number
    if "keys" in entry:
        packed = base64.b64decode(entry["keys"])
        keys = [int.from_bytes(packed[at : at + _KEY_BYTES]) for at in range(0, len(packed), _KEY_BYTES)]
        if len(packed) % _KEY_BYTES:
            raise BadRecord(source, ["a key that is cut off"])
    else:
        calls = _numbers(entry["calls"])
    if {*map(len, columns), len(keys), len(calls)} != {number}:
        raise BadRecord(source, ["columns of different lengths"])
    expected = 0
    for at in range(number):
        columns[_READ][at] += expected
        expected = columns[_READ][at] + sum(columns[write][at] for write in _WRITES)
    if not all(0 <= time < DAY for time in times):
        raise BadRecord(source, ["a time outside the day"])
    if any(value < 0 for column in columns for value in column):
        raise BadRecord(source, ["a negative count"])
    if any(value >= _MOST for column in columns for value in column):
        raise BadRecord(source, ["a count that cannot be"])
    start = _start(day, source)
    timed = min(entry["timed"], sum(calls))
    average = entry["seconds"] / timed if timed else 0.0
    left = timed
    for at in range(number):
        here = min(calls[at], left)
        left -= here
        counts = tuple(column[at] for column in columns)
        yield Row(group, keys[at], start + times[at], counts, average * here, here, calls[at])


_NOTHING = Group("", "", "", "", "", "", "", 0, 0, 0)


def _numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(" ")]


def _start(day: str, source: str) -> int:
    try:
        return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp())
    except ValueError:
        raise BadRecord(source, [f"'{day}' is no day"]) from None
