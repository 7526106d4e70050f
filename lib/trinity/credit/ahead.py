"""Limits ahead: when a window will be full at the pace of late, as a range, before the wall is met.

The pace is taken over three stretches, a twentieth, a fifth and the whole of the window so far: the fastest gives the
earliest moment, the second the likely one, the slowest the latest. A moment behind the reset is none: the window starts
anew before. What is known is a list of points (time, percent used); between two of them nothing is assumed to have been
used until the later one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from trinity import clock
from trinity.credit.allowance import LENGTHS, Allowance

Points = Sequence[tuple[float, float]]

# How an estimate was made, for a person.
HOW = {"learned": "learned from earlier limits", "counted": "counted on from the last percentage"}
# Percentages come rounded; a rise of one point may have been half of one, or one and a half.
_ROUNDED = 0.5
_LEAST_SECONDS = 600.0
# Below this share a high pace is the start of a busy hour, not the end of a window.
EARLY_FROM = 50.0
# It begins to count when the window would be full before its reset, and ends well below: a pace near the edge must not
# make the status change with every answer.
_EARLY_AT = 100.0
_EARLY_UNTIL = 90.0


@dataclass(frozen=True)
class Ahead:
    """One window: percent used (`used_low` to `used_high` where it is an estimate), percent an hour, percent at the
    reset, and when it will be full (epoch seconds; None: not before the reset, or not known).

    `source`: "percentages" (the provider's own), "counted" (on from the last of them) or "learned" (from what was used up
    to earlier limits). `early`: it counts one step earlier, because it will not last.
    """

    name: str
    used: float
    used_low: float
    used_high: float
    resets_at: float | None
    pace: float | None
    at_reset: float | None
    earliest: float | None
    likely: float | None
    latest: float | None
    source: str
    seen_at: float
    confidence: float
    early: bool = False

    def document(self) -> dict[str, Any]:
        """As it stands in `credit_state.json`, heartbeats and `--json`."""
        return {
            "used_percentage": round(self.used, 1),
            "used_low": round(self.used_low, 1),
            "used_high": round(self.used_high, 1),
            "resets_at": self.resets_at,
            "percent_per_hour": _rounded(self.pace),
            "percent_at_reset": _rounded(self.at_reset),
            "full_at": {
                name: None if t is None else clock.iso(t)
                for name, t in (("earliest", self.earliest), ("likely", self.likely), ("latest", self.latest))
            },
            "source": self.source,
            "seen_at": clock.iso(self.seen_at),
            "confidence": round(self.confidence, 2),
        }


def _rounded(value: float | None) -> float | None:
    # A window of which nothing is left an hour after its start has a pace that says no more than "fast".
    return None if value is None else round(min(value, 100_000.0), 1)


def of_allowance(name: str, allowance: Allowance, now: float) -> Ahead | None:
    """By the provider's percentages; None when there are none of this window. Keeps `allowance.early`."""
    if allowance.used(now) is None:
        return None
    found = project(
        name, allowance.samples, now, allowance.resets_at,
        source="percentages", seen_at=allowance.samples[-1][0], confidence=0.95, early=allowance.early,
    )  # fmt: skip
    allowance.early = found.early
    return found


def project(
    name: str,
    points: Points,
    now: float,
    resets_at: float | None,
    *,
    source: str,
    seen_at: float,
    confidence: float,
    early: bool = False,
    spread: tuple[float, float] = (1.0, 1.0),
) -> Ahead:
    """The projection of a window of which `points` (not empty, ascending) are known.

    `spread`: factors by which the true percentages may be lower and higher. `early`: whether it counted early before.
    """
    low, high = spread
    used = points[-1][1]
    length = LENGTHS.get(name)
    start = resets_at - length if resets_at is not None and length is not None else None
    short, middle, whole = (_pace(points, now, start, part, length) for part in (1 / 20, 1 / 5, 1))
    best = middle or whole or short
    if best is None:
        return Ahead(
            name, used, used * low, min(100.0, used * high), resets_at, None, None, None, None, None,
            source, seen_at, confidence,
        )  # fmt: skip
    known = [pace for pace in (short, middle, whole) if pace is not None]
    slowest, likely, fastest = min(pace[0] for pace in known), best[1], max(pace[2] for pace in known)
    at_reset = used + likely * (resets_at - now) if resets_at is not None else None
    counts = at_reset is not None and used >= EARLY_FROM and at_reset >= (_EARLY_UNTIL if early else _EARLY_AT)
    return Ahead(
        name=name,
        used=used,
        used_low=used * low,
        used_high=min(100.0, used * high),
        resets_at=resets_at,
        pace=likely * 3600,
        at_reset=at_reset,
        # What was used since the last word is not known: at the earliest it went on from there.
        earliest=_full(seen_at, now, used * high, fastest * high, resets_at),
        likely=_full(now, now, used, likely, resets_at),
        latest=_full(now, now, used * low, slowest * low, resets_at),
        source=source,
        seen_at=seen_at,
        confidence=confidence,
        early=counts,
    )


def _full(since: float, now: float, used: float, pace: float, resets_at: float | None) -> float | None:
    if used >= 100:
        return now
    if pace <= 0:
        return None
    moment = max(now, since + (100 - used) / pace)
    return None if resets_at is not None and moment >= resets_at else moment


def _pace(
    points: Points, now: float, start: float | None, part: float, length: float | None
) -> tuple[float, float, float] | None:
    """Percent a second over the last `part` of the window, at least, likely and at most; None when it is not known."""
    whole = part == 1
    since = start if whole else now - part * (length or LENGTHS["five_hour"])
    if since is not None and start is not None:
        since = max(since, start)
    base = _level(points, since, start) if since is not None else points[0]
    if base is None:
        return None
    seconds = now - base[0]
    if seconds < _LEAST_SECONDS:
        return None
    rise = max(0.0, points[-1][1] - base[1])
    return max(0.0, rise - _ROUNDED) / seconds, rise / seconds, (rise + _ROUNDED if rise else 0.0) / seconds


def _level(points: Points, t: float, start: float | None) -> tuple[float, float] | None:
    """The point to measure from: what was used at `t`, or the first known point behind it, or nothing at the start."""
    before = [point for point in points if point[0] <= t]
    if before:
        return t, before[-1][1]
    if t == start:
        return t, 0.0
    first = points[0]
    if points[-1][0] - first[0] >= _LEAST_SECONDS:
        return first
    # All that is known is from just now: it was used since the window began, nobody knows when.
    return (start, 0.0) if start is not None else None


def in_words(found: Ahead) -> str:
    """One window for a person: "five-hour window: 62 % used, resets 15:00, full about 14:20 (14:05 to 14:50)"."""
    text = f"{found.name.replace('_', '-')} window: "
    if found.source == "percentages":
        text += f"{found.used:.3g} % used"
    else:
        text += f"about {found.used:.0f} % used ({found.used_low:.0f} to {found.used_high:.0f}, {HOW[found.source]})"
    if found.resets_at is not None:
        text += f", resets {clock.local(found.resets_at)}"
    when = when_full(found)
    return f"{text}, {when}" if when else text


def when_full(found: Ahead) -> str:
    """When the window will be full, with the range; empty when nothing can be said yet."""
    if found.pace is None:
        return ""
    if found.used >= 100:
        return "full"
    unknown = "not before the reset"
    if found.likely is None and found.earliest is None:
        return f"{unknown} at this pace" if found.resets_at is not None else ""
    end = clock.local(found.latest) if found.latest is not None else unknown
    start = clock.local(found.earliest) if found.earliest is not None else "?"
    if found.likely is None:
        return f"full {unknown} at this pace (at the earliest {start})"
    return f"full about {clock.local(found.likely)} ({start} to {end})"
