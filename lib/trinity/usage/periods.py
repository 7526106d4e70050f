"""Spans of days in a time zone: what `today`, `the last 7 days` or `this month` mean in epoch seconds.

A span is half open, `[start, end)`, and begins at a midnight of its zone; across a change of the clocks a day has 23 or 25
hours.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo

from trinity import clock
from trinity.errors import UsageError


class Zone:
    """A time zone by its IANA name, or (None) the one of this PC."""

    def __init__(self, name: str | None = None) -> None:
        self._zone = _named(name) if name else None
        self.name = name or "local"

    def start(self, day: date) -> float:
        """Midnight at the beginning of a day."""
        return datetime(day.year, day.month, day.day, tzinfo=self._zone).timestamp()

    def day(self, t: float) -> date:
        """The day of an instant."""
        return datetime.fromtimestamp(t, self._zone).date()

    def text(self, t: float) -> str:
        return datetime.fromtimestamp(t, self._zone).strftime("%Y-%m-%d %H:%M:%S")

    def instant(self, text: str) -> tuple[float, bool]:
        """`2026-11-29` or `2026-11-29T10:00`, with an offset or in this zone; and whether it is a whole day."""
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise UsageError(f"'{text}' is no date", "a date is 2026-11-29, a time 2026-11-29T10:00") from None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=self._zone)
        try:
            return moment.timestamp(), _is_day(text)
        except (OverflowError, OSError, ValueError):
            raise UsageError(f"'{text}' is no date of this age") from None


def _is_day(text: str) -> bool:
    """Also of `20261129` and `2026-W48-7`."""
    try:
        return bool(date.fromisoformat(text))
    except ValueError:
        return False


def _named(name: str) -> tzinfo:
    # Imported here: most reports are in the zone of this PC.
    import zoneinfo

    try:
        return zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        raise UsageError(f"'{name}' is no time zone", "such names are UTC, Europe/Berlin, America/New_York") from None


@dataclass(frozen=True)
class Span:
    """`start` and `end` are epoch seconds; `before` is the start of the span of the same length just before."""

    start: float
    end: float
    before: float
    text: str


def days(zone: Zone, first: date, last: date, text: str = "") -> Span:
    """From the first day to the last, both whole."""
    number = (last - first).days + 1
    try:
        return Span(
            zone.start(first),
            zone.start(last + timedelta(days=1)),
            zone.start(first - timedelta(days=number)),
            text or (f"{first}" if number == 1 else f"{first} to {last}"),
        )
    except (OverflowError, OSError, ValueError):
        raise UsageError(f"'{first}' to '{last}' is no span of time") from None


def today(zone: Zone, now: float | None = None) -> Span:
    day = zone.day(clock.now() if now is None else now)
    return days(zone, day, day, f"today, {day}")


def last(zone: Zone, number: int, now: float | None = None) -> Span:
    """The last so many days, today included."""
    day = zone.day(clock.now() if now is None else now)
    first = day - timedelta(days=number - 1)
    return days(zone, first, day, f"the last {number} days, {first} to {day}")


def current(zone: Zone, period: str, now: float | None = None) -> Span:
    """The calendar `day`, `week` (from Monday) or `month` that now is in."""
    day = zone.day(clock.now() if now is None else now)
    if period == "day":
        return days(zone, day, day)
    if period == "week":
        first = day - timedelta(days=day.weekday())
        return days(zone, first, first + timedelta(days=6))
    first = day.replace(day=1)
    following = (first + timedelta(days=32)).replace(day=1)
    return days(zone, first, following - timedelta(days=1))


def between(zone: Zone, since: str | None, until: str | None, now: float | None = None) -> Span:
    """From `since` (default: everything) to `until` (default: now); a date as `until` is meant with that day."""
    moment = clock.now() if now is None else now
    start = zone.instant(since)[0] if since else 0.0
    # Without an end nothing is cut off, and a whole quarter of an hour is added up faster than a part of one.
    end, whole = zone.instant(until) if until else (moment + -moment % 900, False)
    if whole:
        end = zone.start(zone.day(end) + timedelta(days=1))
    if start >= end:
        raise UsageError(f"nothing lies between '{since}' and '{until or 'now'}'")
    text = f"{zone.text(start) if since else 'the beginning'} to {zone.text(end) if until else 'now'}"
    return Span(start, end, max(0.0, start - (end - start)) if since else 0.0, text)
