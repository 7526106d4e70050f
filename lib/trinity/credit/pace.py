"""What an account's windows hold, learned where nobody shows percentages: API keys, and headless sessions of old clients.

Every answer's tokens are weighed (`transcript_lines.weight`) and kept by the time of day. When a limit with a known reset is
met, the weight of its window so far is what such a window holds; the next windows are measured by that. It counts what
this PC used: where others share the account, what is learned is this PC's part, and that moves with theirs. So a capacity
comes with a range, with a confidence, and warns, but never says that an account is exhausted. An account that has met no
limit yet has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from statistics import median
from typing import Any

from trinity.credit import ahead
from trinity.credit.ahead import Ahead, Points
from trinity.credit.allowance import LENGTHS, SAME_RESET

SPEND_CAP = "spend_cap"  # ends with the calendar month, UTC
NAMES = (*LENGTHS, SPEND_CAP)
_BUCKET = 600
_HOURS_AFTER = 8 * 86400.0  # older than a week: by the hour
_KEPT_SECONDS = 35 * 86400.0
_KEPT_WALLS = 24
_USED_WALLS = 6
# A share below this says little about the whole.
_CALIBRATED_FROM = 30.0
_COUNTED_FROM = 5.0
_CONFIDENCE = (0.4, 0.55, 0.65)
# How far one window may be from another of the same account; less where several were met.
_SPREAD = (0.25, 0.12)


@dataclass
class Wall:
    """A window of `account` that was met: it ended at `resets_at` and held `weight`; `by` "limit" or "percentages"."""

    name: str
    account: str
    resets_at: float
    seen_at: float
    weight: float
    by: str = "limit"


@dataclass
class Pace:
    """Weights by ten-minute bucket since `since`, walls met, and for each window a reset that is known for sure.

    `met` are limits whose weight is still to be taken, when all that was read is in. `early` as in `Allowance`.
    """

    account: str = ""
    since: float = 0.0
    spent: dict[int, float] = field(default_factory=dict)
    walls: list[Wall] = field(default_factory=list)
    resets: dict[str, float] = field(default_factory=dict)
    met: list[tuple[str, float, float]] = field(default_factory=list)
    early: dict[str, bool] = field(default_factory=dict)

    def add(self, t: float, weight: float) -> None:
        """An answer of the time `t` weighed so much."""
        bucket = int(t // _BUCKET)
        self.spent[bucket] = self.spent.get(bucket, 0.0) + weight

    def meet(self, name: str, resets_at: float | None, seen_at: float) -> None:
        """A limit of the whole account was met; only one whose reset is known and can be right teaches anything."""
        if name in NAMES and resets_at is not None and _start(name, resets_at) < seen_at < resets_at:
            self.met.append((name, resets_at, seen_at))

    def total(self, start: float, end: float) -> float:
        """What was used from `start` to `end`; of a bucket that is cut, its part."""
        newest = max(self.spent, default=0) * _BUCKET
        return sum(weight * _part(bucket * _BUCKET, start, end, newest) for bucket, weight in self.spent.items())

    def settle(self, account: str, percentages: Mapping[str, Ahead], now: float) -> None:
        """Learn from what was met since the last time; another account's use is not this one's."""
        if account != self.account:
            if self.account:
                self.spent, self.resets, self.since = {}, {}, now
            self.account = account
        for name, resets_at, seen_at in self.met:
            self._learn(Wall(name, account, resets_at, seen_at, self.total(_start(name, resets_at), seen_at)))
        self.met = []
        for name, known in percentages.items():
            if known.resets_at is None:
                continue
            self.resets[name] = known.resets_at
            if known.used >= _CALIBRATED_FROM:
                weight = self.total(_start(name, known.resets_at), known.seen_at) / known.used * 100
                self._learn(Wall(name, account, known.resets_at, known.seen_at, weight, "percentages"))
        self._forget(now)

    def _learn(self, wall: Wall) -> None:
        self.resets[wall.name] = max(self.resets.get(wall.name, 0.0), wall.resets_at)
        if wall.weight <= 0 or _start(wall.name, wall.resets_at) < self.since:
            return  # nothing, or only the end of it, was used by this PC
        same = [
            known
            for known in self.walls
            if (known.name, known.account) == (wall.name, wall.account)
            and abs(known.resets_at - wall.resets_at) <= SAME_RESET
        ]
        if any(known.by == "limit" for known in same):
            return  # met by several sessions: the first to be refused knew best
        self.walls = [known for known in self.walls if known not in same] + [wall]

    def _forget(self, now: float) -> None:
        self.walls = sorted(self.walls, key=lambda wall: wall.seen_at)[-_KEPT_WALLS:]
        kept: dict[int, float] = {}
        for bucket, weight in self.spent.items():
            if bucket * _BUCKET < now - _HOURS_AFTER:
                bucket -= bucket % 6
            if bucket * _BUCKET > now - _KEPT_SECONDS:
                kept[bucket] = kept.get(bucket, 0.0) + weight
        self.spent = kept

    def ahead(self, name: str, now: float) -> Ahead | None:
        """The window that runs now, measured by those that were met; None when none was met, or nothing is used."""
        walls = [wall for wall in self.walls if (wall.name, wall.account) == (name, self.account)][-_USED_WALLS:]
        found = self._window(name, now) if walls else None
        if found is None:
            return None
        start, resets_at, sure = found
        holds = [wall.weight for wall in walls]
        capacity = median(holds)
        margin = _SPREAD[len(holds) > 1]
        spread = (capacity / max(holds) * (1 - margin), capacity / min(holds) * (1 + margin))
        confidence = _CONFIDENCE[min(len(holds), len(_CONFIDENCE)) - 1] * (1.0 if sure else 0.7)
        if max(holds) > 2 * min(holds):
            confidence *= 0.6
        points, used, newest = [(start, 0.0)], 0.0, max(self.spent, default=0) * _BUCKET
        for bucket in sorted(self.spent):
            weight = self.spent[bucket] * _part(bucket * _BUCKET, start, now, newest)
            if weight > 0:
                used += weight / capacity * 100
                points.append((min(now, (bucket + 1) * _BUCKET), used))
        if len(points) == 1:
            return None
        one = ahead.project(
            name, points, now, resets_at, source="learned", seen_at=now, confidence=confidence,
            early=self.early.get(name, False), spread=spread,
        )  # fmt: skip
        self.early[name] = one.early
        return one

    def counted(self, known: Ahead, samples: Points, now: float) -> Ahead | None:
        """`known` by percentages that are older than what was used since, in sessions that show none; None when nothing
        was, or when it cannot be told how much that is of the window."""
        since = self.total(known.seen_at, now)
        if since <= 0 or known.resets_at is None:
            return None
        start = _start(known.name, known.resets_at)
        if known.used >= _COUNTED_FROM and start >= self.since:
            holds = [self.total(start, known.seen_at) / known.used * 100]
        else:
            holds = [w.weight for w in self.walls if (w.name, w.account) == (known.name, self.account)][-_USED_WALLS:]
        if not holds or min(holds) <= 0:
            return None
        grown = since / median(holds) * 100
        if grown < 1:
            return None
        used = known.used + grown
        one = ahead.project(
            known.name, [*samples, (now, used)], now, known.resets_at, source="counted", seen_at=now, confidence=0.6,
            early=self.early.get(known.name, False), spread=((known.used + grown / 2) / used, (used + grown / 2) / used),
        )  # fmt: skip
        self.early[known.name] = one.early
        return one

    def _window(self, name: str, now: float) -> tuple[float, float, bool] | None:
        """Start and reset of the window that runs now, and whether they are sure; None while none runs."""
        known = self.resets.get(name)
        if name == SPEND_CAP:
            return _month(now)[0], _month(now)[1], True
        length = LENGTHS[name]
        if known is not None and known - length <= now < known:
            return known - length, known, True
        if name == "seven_day":
            if known is None:
                return None
            known += ((now - known) // length + 1) * length
            return known - length, known, True
        return self._five_hours(known, length, now)

    def _five_hours(self, known: float | None, length: float, now: float) -> tuple[float, float, bool] | None:
        """Such a window begins with the first use behind the last one; so they are counted on from the last known."""
        ended, sure = (known, True) if known is not None and known <= now else (self.since, False)
        start = None
        for bucket in sorted(self.spent):
            first = float(bucket * _BUCKET)
            if first + _BUCKET <= ended or first > now:
                continue
            if start is None or first >= start + length:
                # After five hours without any use the next one is a beginning, whatever was before.
                sure = sure or first - ended >= length
                start = max(first, ended)
                ended = start + length
        if start is None or now >= start + length:
            return None
        return start, start + length, sure

    def document(self) -> dict[str, Any]:
        return {**asdict(self), "spent": {str(bucket): round(weight) for bucket, weight in self.spent.items()}}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Pace:
        """The reverse of `document`; raises KeyError, TypeError or ValueError for anything else."""
        return cls(
            account=str(document["account"]),
            since=float(document["since"]),
            spent={int(bucket): float(weight) for bucket, weight in document["spent"].items()},
            walls=[Wall(**wall) for wall in document["walls"]],
            resets={str(name): float(t) for name, t in document["resets"].items()},
            met=[(str(name), float(reset), float(seen)) for name, reset, seen in document["met"]],
            early={str(name): early is True for name, early in document["early"].items()},
        )


def walls_from(documents: Any) -> list[Wall]:
    """What was learned, out of a state file that others may have written: what makes no sense is left out."""
    found = []
    for one in documents if isinstance(documents, list) else []:
        try:
            wall = Wall(**one)
            if wall.name in NAMES and float(wall.weight) > 0 and float(wall.resets_at) > 0 and float(wall.seen_at) > 0:
                found.append(wall)
        except (TypeError, ValueError):
            continue
    return found[-_KEPT_WALLS:]


def _part(first: float, start: float, end: float, newest: float) -> float:
    """How much of the bucket that begins at `first` lies between the two. The newest one is filled only until now."""
    if first >= end:
        return 0.0
    begin = max(start, first)
    finish = first + _BUCKET if first >= newest else min(end, first + _BUCKET)
    return max(0.0, finish - begin) / _BUCKET


def _start(name: str, resets_at: float) -> float:
    if name == SPEND_CAP:
        return _month(resets_at - 1.0)[0]
    return resets_at - LENGTHS[name]


def _month(t: float) -> tuple[float, float]:
    """The calendar month around `t`, UTC: its start and its end."""
    day = datetime.fromtimestamp(t, UTC)
    start = datetime(day.year, day.month, 1, tzinfo=UTC)
    following = datetime(day.year + day.month // 12, day.month % 12 + 1, 1, tzinfo=UTC)
    return start.timestamp(), following.timestamp()
