"""The rolling window: how many calls, errors and rate limits there were lately.

Counts are kept in buckets of ten seconds, so that an evaluation costs the same for a thousand events in the window as for
a hundred thousand. A bucket counts while any part of it lies inside the window. Nothing from before the last reset
counts, nor the rest of the bucket it falls into: a new allowance starts with a clean slate.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

BUCKET_SECONDS = 10
_CALLS, _ERRORS, _RATE_LIMITS, _SLOW, _TIMED = range(5)


@dataclass(frozen=True)
class Counts:
    """What lies in the window; `average_seconds` is of the calls whose time is known, `newest` epoch seconds."""

    calls: int = 0
    errors: int = 0
    rate_limits: int = 0
    slow: int = 0
    average_seconds: float = 0.0
    newest_error: float = 0.0
    newest_rate_limit: float = 0.0

    @property
    def error_rate(self) -> float:
        """Errors by calls, 0 to 1; a call is a success or an error."""
        return self.errors / self.calls if self.calls else 0.0


@dataclass
class Streak:
    """Consecutive responses slower than the limit, the last one at `last`; a fast one ends it."""

    count: int = 0
    last: float = 0.0

    def add(self, t: float, slow: bool) -> None:
        if t < self.last:
            return  # an older response says nothing about now
        self.count = self.count + 1 if slow else 0
        self.last = t


@dataclass
class Window:
    """Buckets by number; each holds calls, errors, rate limits, slow ones, timed ones and their seconds."""

    buckets: dict[int, list[float]] = field(default_factory=dict)
    recorded: Streak = field(default_factory=Streak)
    transcripts: Streak = field(default_factory=Streak)
    since: float = 0.0

    def _bucket(self, t: float) -> list[float]:
        return self.buckets.setdefault(int(t // BUCKET_SECONDS), [0, 0, 0, 0, 0, 0.0])

    def add_call(self, t: float, seconds: float | None = None, slow: bool = False) -> None:
        """A call that was answered, in `seconds` when that is known."""
        bucket = self._bucket(t)
        bucket[_CALLS] += 1
        if seconds is not None:
            self._timed(bucket, seconds, slow)

    def add_time(self, t: float, seconds: float, slow: bool) -> None:
        """A response time that somebody measured; the call itself is counted elsewhere."""
        self._timed(self._bucket(t), seconds, slow)

    def _timed(self, bucket: list[float], seconds: float, slow: bool) -> None:
        bucket[_SLOW] += slow
        bucket[_TIMED] += 1
        bucket[_TIMED + 1] += seconds

    def add_error(self, t: float, rate_limit: bool = False) -> None:
        """A call that failed; a refused one (429) is an error and a rate limit."""
        bucket = self._bucket(t)
        bucket[_CALLS] += 1
        bucket[_ERRORS] += 1
        bucket[_RATE_LIMITS] += rate_limit

    def add_rate_limit(self, t: float) -> None:
        """An error that was added before was a refusal that counts."""
        self._bucket(t)[_RATE_LIMITS] += 1

    def restart(self, t: float) -> None:
        """Forget everything before `t`."""
        self.since = max(self.since, t)

    def counts(self, now: float, seconds: float) -> Counts:
        """What lies within `seconds` before `now`; older buckets are dropped."""
        start = max(now - seconds, self.since)
        oldest = (now - seconds) // BUCKET_SECONDS
        clean = self.since / BUCKET_SECONDS
        self.buckets = {n: b for n, b in self.buckets.items() if n >= oldest and n >= clean}
        for streak in (self.recorded, self.transcripts):
            if streak.last <= start:
                streak.count = 0
        inside = [(n, b) for n, b in self.buckets.items() if n * BUCKET_SECONDS <= now]
        sums = [sum(b[i] for _, b in inside) for i in range(6)]
        return Counts(
            calls=int(sums[_CALLS]),
            errors=int(sums[_ERRORS]),
            rate_limits=int(sums[_RATE_LIMITS]),
            slow=int(sums[_SLOW]),
            average_seconds=sums[_TIMED + 1] / sums[_TIMED] if sums[_TIMED] else 0.0,
            newest_error=_newest(inside, _ERRORS, now),
            newest_rate_limit=_newest(inside, _RATE_LIMITS, now),
        )

    def document(self) -> dict[str, Any]:
        return {
            "buckets": {str(n): bucket for n, bucket in self.buckets.items()},
            "recorded": [self.recorded.count, self.recorded.last],
            "transcripts": [self.transcripts.count, self.transcripts.last],
            "since": self.since,
        }


def _newest(buckets: list[tuple[int, list[float]]], column: int, now: float) -> float:
    found = [n for n, bucket in buckets if bucket[column]]
    return min(now, (max(found) + 1) * BUCKET_SECONDS) if found else 0.0


def from_document(document: dict[str, Any]) -> Window:
    """The reverse of `Window.document`; raises KeyError, TypeError or ValueError for anything else."""
    return Window(
        buckets={int(n): [float(value) for value in bucket] for n, bucket in document["buckets"].items()},
        recorded=Streak(int(document["recorded"][0]), float(document["recorded"][1])),
        transcripts=Streak(int(document["transcripts"][0]), float(document["transcripts"][1])),
        since=float(document["since"]),
    )
