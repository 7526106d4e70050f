"""The ladder: from what is known to HEALTHY, WARNING, CRITICAL or EXHAUSTED, each with the signal that made it.

| signal | WARNING | CRITICAL | EXHAUSTED |
|---|---|---|---|
| hard limit in force | | | until its reset |
| rate limits in the window | 1 | 2 | 3 |
| error rate, from 10 calls on | 10 % | 20 % | 30 % |
| consecutive slow responses | 3 | 5, recorded by a caller | |
| 5-hour or 7-day allowance used | 70 % | 85 % | 97 % |
| login trouble | | for an hour, or until a success | |

All numbers come from the configuration. An allowance counts one step earlier when its burn rate reaches 100 % before the
reset. Response times read from transcripts only warn: the model may simply think.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from trinity import clock
from trinity.config import Ladder
from trinity.credit.ahead import HOW, Ahead
from trinity.credit.limits import Limit
from trinity.credit.window import Counts, Streak

_CRITICAL_FROM = 0.5
STATUSES = ("HEALTHY", "WARNING", "CRITICAL", "EXHAUSTED")


@dataclass(frozen=True)
class Signal:
    """One reason for a status: `age` in seconds, `confidence` 0 to 1."""

    name: str
    status: str
    text: str
    age: float
    confidence: float
    value: float | None = None

    def document(self) -> dict[str, Any]:
        return {
            "signal": self.name,
            "status": self.status,
            "text": self.text,
            "age_seconds": round(max(0.0, self.age), 1),
            "confidence": round(self.confidence, 2),
            "value": self.value,
        }


def worst(statuses: Sequence[str]) -> str:
    """The highest of the statuses; HEALTHY of none."""
    return max(statuses, key=STATUSES.index, default="HEALTHY")


def signals(
    now: float,
    ladder: Ladder,
    counts: Counts,
    recorded: Streak,
    transcripts: Streak,
    limits: Sequence[Limit],
    aheads: Sequence[Ahead],
) -> list[Signal]:
    """Every signal that is not HEALTHY, the worst first."""
    found = [_of_limit(limit, now) for limit in limits]
    found += _of_counts(now, ladder, counts)
    found += _of_streaks(now, ladder, recorded, transcripts)
    for ahead in aheads:
        found += _of_window(now, ladder, ahead)
    return ordered(found)


def ordered(found: Sequence[Signal]) -> list[Signal]:
    """The worst first."""
    return sorted(found, key=lambda signal: (-STATUSES.index(signal.status), -signal.confidence))


def _of_limit(limit: Limit, now: float) -> Signal:
    until = f"until {clock.iso(limit.resets_at)}" if limit.resets_at else "until a call succeeds or a person says so"
    if limit.type == "auth":
        # No allowance is used up: somebody must log in again, and moving the work would only move the trouble.
        return Signal("auth", "CRITICAL", f"login trouble, by {limit.source}", now - limit.seen_at, limit.confidence)
    whose = f" of {limit.model}" if limit.model else ""
    # A model's own limit leaves the account usable with other models: it is shown, and decides for that model only.
    status = "EXHAUSTED" if limit.scope == "account" else "WARNING"
    text = f"{limit.type} limit{whose} {until}, by {limit.source}"
    return Signal("limit", status, text, now - limit.seen_at, limit.confidence)


def _step(value: float, steps: Sequence[float]) -> str:
    reached = sum(value >= step for step in steps)
    return STATUSES[reached]


def _of_counts(now: float, ladder: Ladder, counts: Counts) -> list[Signal]:
    found = []
    status = _step(counts.rate_limits, ladder.rate_limits)
    if status != "HEALTHY":
        text = f"{counts.rate_limits} rate limits in {ladder.window_minutes:g} min"
        found.append(
            Signal("rate_limits", status, text, now - counts.newest_rate_limit, 0.8, float(counts.rate_limits))
        )
    if counts.calls >= ladder.error_rate_from_calls:
        status = _step(counts.error_rate, ladder.error_rate)
        if status != "HEALTHY":
            text = f"{counts.error_rate:.0%} of {counts.calls} calls failed in {ladder.window_minutes:g} min"
            found.append(
                Signal("error_rate", status, text, now - counts.newest_error, 0.7, round(counts.error_rate, 4))
            )
    return found


def _of_streaks(now: float, ladder: Ladder, recorded: Streak, transcripts: Streak) -> list[Signal]:
    found = []
    for streak, who, confidence in ((recorded, "recorded", 0.7), (transcripts, "in transcripts", 0.3)):
        status = _step(streak.count, ladder.slow_streak)
        if who != "recorded" and status == "CRITICAL":
            status = "WARNING"
        if status != "HEALTHY":
            text = f"{streak.count} responses in a row slower than {ladder.slow_seconds:g} s, {who}"
            found.append(Signal("slow", status, text, now - streak.last, confidence, float(streak.count)))
    return found


def _of_window(now: float, ladder: Ladder, ahead: Ahead) -> list[Signal]:
    status = _step(ahead.used, ladder.window_used)
    how = HOW.get(ahead.source, "")
    about = f"about {ahead.used:.0f} % used, {how}" if how else f"{ahead.used:.3g} % used"
    text = f"{ahead.name.replace('_', '-')} window {about}"
    if ahead.early and status in ("HEALTHY", "WARNING"):
        status = STATUSES[STATUSES.index(status) + 1]
        text += f", {min(ahead.at_reset or 0.0, 999):.0f} % by the reset at this rate"
    if status == "HEALTHY":
        return []
    if how:
        # Nobody who knows has said so: it warns, and is critical where several windows agreed.
        status = "CRITICAL" if status != "WARNING" and ahead.confidence >= _CRITICAL_FROM else "WARNING"
    return [Signal(ahead.name, status, text, now - ahead.seen_at, ahead.confidence, ahead.used)]
