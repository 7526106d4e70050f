"""Which PCs a handoff was on, so that it comes to each at most once in a credit window.

A visit begins with the claim. It ends with the limit that stopped it there: until that one's reset the PC has nothing left
for this work. A visit whose end or reset nobody knows counts for as long as the shortest window of the plans.
"""

from __future__ import annotations

from typing import Any

from trinity import clock

WINDOW_SECONDS = 5 * 3600.0
_KEPT = 20

Visit = dict[str, Any]


def begun(record: dict[str, Any], pc: str, at: str) -> list[Visit]:
    """The visits of a record that `pc` claims at an ISO time."""
    return [*_visits(record), {"pc": pc, "at": at}][-_KEPT:]


def ended(record: dict[str, Any], pc: str, until: str | None) -> list[Visit]:
    """The visits of a record that a limit stops at `pc`; `until`: its reset, None when unknown."""
    listed = _visits(record)
    for at in range(len(listed) - 1, -1, -1):
        if listed[at]["pc"] == pc:
            return [*listed[:at], {**listed[at], "until": until}, *listed[at + 1 :]]
    return listed


def bars_until(record: dict[str, Any], pc: str) -> float | None:
    """Until when (epoch seconds) its visits keep a handoff from a PC; None when it was never there."""
    ends = [
        clock.parse(visit["until"]) if visit.get("until") else clock.parse(visit["at"]) + WINDOW_SECONDS
        for visit in _visits(record)
        if visit["pc"] == pc
    ]
    return max(ends, default=None)


def last_pc(record: dict[str, Any]) -> str:
    """The PC on which a handoff was last worked on: its account is the one that stopped."""
    listed = _visits(record)
    return str(listed[-1]["pc"] if listed else record["from_pc"])


def _visits(record: dict[str, Any]) -> list[Visit]:
    return list(record.get("visits") or [])
