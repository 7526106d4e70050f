"""Reset times in people's words: "resets Nov 23, 9:24am (UTC)", "try again in 2 hours", "tomorrow at 3pm".

`parse_reset` promises: the answer is stated in the text (never guessed: None otherwise), is not before `seen_at`, and
is the *end* of the minute that the text names. The client cuts the seconds off (a reset at 10:24:33 is shown as
"10:24am"), so only the minute's last second is surely not too early, and it is still shown as that minute.
A time without a day is its next occurrence. A wall time that a clock change skips is moved past the gap, one that
occurs twice is the later one: a little late costs minutes, too early costs a failed start.
"""

from __future__ import annotations

import calendar
import re
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo

_ROUNDING = 120.0  # a named minute may just have passed when the text is read
_FARTHEST = 32 * 86400.0  # beyond it only a date that is written out is believed
_HALF_YEAR = 183 * 86400.0  # a date without a year further ahead than this is one that has just passed

_ANCHOR = re.compile(
    r"\b(?:resets?|resetting|regain|try(?:ing)? again|retry[- ]after|retry(?:ing)?|available|renews?|refresh(?:es)?"
    r"|restored?|unlocks?|unblocks?|returns?|resumes?|comes? back|back (?=at|on|in|by)|lifts?|lifted|expires?|ends"
    r"|until|wait|automatically)\b",
    re.I,
)
_CLAUSE = re.compile(r"[·∙•|\n]|(?<![ap]\.m)\.\s+(?=[A-Z])|\.\s*$")
_EPOCH = re.compile(r"(?:\||\bat\s+|\bresets?\s+|:\s*)(1[6-9]\d{8}|2\d{9})\b")
_UNITS = {"w": 604800.0, "d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
_WORDS = {"a": 1.0, "an": 1.0, "one": 1.0, "half an": 0.5}
_UNIT = r"(?:weeks?|days?|hours?|hrs?|minutes?|mins?|seconds?|secs?|[wdhms])(?![a-z])"
_COUNT = r"(?:\d+(?:\.\d+)?(?=\s*[wdhms])|(?:half an|an?|one)(?=\s))"
_ONE = rf"{_COUNT}\s*{_UNIT}"
_SPAN = re.compile(
    rf"^\W*(?:(?:again|in|after|within|for|another|about|approximately|around|roughly)\W+)*({_ONE}(?:\W*(?:and\s+)?{_ONE})*)",
    re.I,
)
_PART = re.compile(rf"({_COUNT})\s*({_UNIT})", re.I)
_BARE_SECONDS = re.compile(r"^\s*[:=]\s*(\d{1,6})\s*$")  # the header "retry-after: 30"
_ISO = re.compile(
    r"\b(\d{4})-(\d{2})-(\d{2})(?:(?:T|,?\s+(?:at\s+)?)(\d{2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?\s*(Z\b|[+-]\d{2}:?\d{2}\b)?)?"
)
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_MONTH = (
    r"(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)\.?"
)
_YEAR = r"(?:,?\s+(20\d{2})\b)?"
_MONTH_DAY = re.compile(rf"\b{_MONTH}\s+(\d{{1,2}})(?:st|nd|rd|th)?\b(?!:){_YEAR}", re.I)
_DAY_MONTH = re.compile(rf"\b(\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?{_MONTH}(?![a-z]){_YEAR}", re.I)
_WEEKDAY = re.compile(r"\b(mon|tue|wed|thu|fri|sat|sun)(?:day|s|sday|nesday|rs|rsday|urday)?\b", re.I)
_WEEKDAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_DAY = re.compile(r"\b(today|tonight|tomorrow)\b", re.I)
_HALVES = re.compile(r"(?<![\d:.])(\d{1,2})(?::(\d{2}))?(?::(\d{2}))?\s*([ap])\.?m\b\.?", re.I)
_CLOCK = re.compile(r"(?<![\d:.-])(\d{1,2}):(\d{2})(?::(\d{2}))?(?![\d:])")
_NAMED = re.compile(r"\b(noon|midnight)\b", re.I)
_SLASHED = re.compile(r"\b\d{1,2}[/.]\d{1,2}(?:[/.]\d{2,4})?\b")
_ZONE = re.compile(r"\(\s*([A-Za-z][A-Za-z0-9_+\-]*(?:/[A-Za-z0-9_+\-]+)*)\s*\)|\b([A-Z][A-Za-z_]+/[A-Za-z0-9_+\-/]+)")
_OFFSET = re.compile(r"(?:\b(?:UTC|GMT)\s*|(?<=\s))([+-])(\d{1,2})(?::?(\d{2}))?\b")
_SHORT = re.compile(r"\b(UTC|GMT|UT|Z|EST|EDT|CST|CDT|MST|MDT|PST|PDT|CET|CEST|ET|CT|MT|PT)\b")
# Only abbreviations with one accepted meaning: those of RFC 2822, Central European time, and the American short forms.
_HOURS = {"UTC": 0, "GMT": 0, "UT": 0, "Z": 0, "EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6}
_HOURS |= {"PST": -8, "PDT": -7, "CET": 1, "CEST": 2}
_CITIES = {"ET": "America/New_York", "CT": "America/Chicago", "MT": "America/Denver", "PT": "America/Los_Angeles"}


def parse_reset(text: str, seen_at: float, default_zone: tzinfo | str | None = None) -> float | None:
    """Epoch seconds of the first reset that `text` states, or None.

    `seen_at` is when the text was said (epoch seconds). `default_zone` holds where the text names no zone: a tzinfo, an
    IANA name, or None for the zone of this machine. A zone that is named but unknown gives None.
    """
    text = " ".join(text[:2000].split())  # a narrow no-break space before "am" too
    epoch = _EPOCH.search(text)
    if epoch:
        moment = float(epoch[1])
        return max(moment, seen_at) if seen_at - _ROUNDING <= moment <= seen_at + 400 * 86400 else None
    for anchor in _ANCHOR.finditer(text):
        rest = text[anchor.end() : anchor.end() + 120]
        end = _CLAUSE.search(rest)
        found = _stated(rest[: end.start()] if end else rest, seen_at, default_zone)
        if found is not None:
            return found
    if len(text) <= 60 and not _ANCHOR.search(text):  # nothing but the time itself
        return _stated(text, seen_at, default_zone)
    return None


def _stated(clause: str, seen_at: float, default_zone: tzinfo | str | None) -> float | None:
    span = _SPAN.match(clause)
    if span:
        seconds = 0.0
        for number, unit in _PART.findall(span[1]):
            count = _WORDS.get(number.lower())
            seconds += (float(number) if count is None else count) * _UNITS[unit[0].lower()]
        return seen_at + seconds if seconds <= _FARTHEST else None
    header = _BARE_SECONDS.match(clause)
    if header:
        return seen_at + int(header[1])
    zone = _zone(clause, default_zone)
    if zone is None:
        return None
    try:
        return _on_the_calendar(clause, seen_at, zone)
    except (ValueError, OverflowError):  # "Feb 30", "13:75", "0:30pm"
        return None


def _on_the_calendar(clause: str, seen_at: float, zone: tzinfo) -> float | None:
    seen = datetime.fromtimestamp(seen_at, zone)
    iso = _ISO.search(clause)
    if iso:
        day = date(int(iso[1]), int(iso[2]), int(iso[3]))
        clock = (int(iso[4]), int(iso[5]), int(iso[6]) if iso[6] else None) if iso[4] else _clock(clause)
        if iso[7]:
            zone = datetime.fromisoformat(f"2000-01-01T00:00:00{iso[7]}").tzinfo or UTC
        return _not_past(day, clock or (0, 0, None), zone, seen_at)
    clock = _clock(clause)
    dated = _MONTH_DAY.search(clause)
    month, number, year = (dated[1], dated[2], dated[3]) if dated else ("", "", "")
    if not dated and (dated := _DAY_MONTH.search(clause)):
        month, number, year = dated[2], dated[1], dated[3]
    if dated:
        return _month_and_day(month, int(number), year, clock or (0, 0, None), seen_at, seen.year, zone)
    if _SLASHED.search(clause):
        return None  # 3/4: the fourth of March or the third of April
    relative = _DAY.search(clause)
    if relative:
        ahead = 1 if relative[1].lower() == "tomorrow" else 0
        if clock is None and not ahead:
            return None
        return _not_past(seen.date() + timedelta(days=ahead), clock or (0, 0, None), zone, seen_at)
    weekday = _WEEKDAY.search(clause)
    if weekday:
        ahead = (_WEEKDAYS.index(weekday[1].lower()) - seen.weekday()) % 7
        return _first(seen.date(), (ahead, ahead + 7), clock or (0, 0, None), zone, seen_at)
    if clock is None:
        return None
    return _first(seen.date(), (0, 1, 2), clock, zone, seen_at)


def _month_and_day(
    month: str, number: int, year: str | None, clock: _Clock, seen_at: float, this_year: int, zone: tzinfo
) -> float | None:
    index = _MONTHS.index(month.lower()[:3]) + 1
    if year:
        return _not_past(date(int(year), index, number), clock, zone, seen_at)
    for candidate in (this_year - 1, this_year, this_year + 1):  # the zone may still be in the old year
        if (index, number) == (2, 29) and not calendar.isleap(candidate):
            continue
        found = _not_past(date(candidate, index, number), clock, zone, seen_at)
        if found is not None:
            return found if found - seen_at <= _HALF_YEAR else None
    return None


_Clock = tuple[int, int, int | None]


def _clock(clause: str) -> _Clock | None:
    """Hour, minute, second (None: not stated) of the first time of day; raises ValueError for an impossible one."""
    halves = _HALVES.search(clause)
    if halves:
        hour = int(halves[1])
        if not 1 <= hour <= 12:
            raise ValueError(clause)
        hour = hour % 12 + (12 if halves[4].lower() == "p" else 0)
        return hour, int(halves[2] or 0), int(halves[3]) if halves[3] else None
    plain = _CLOCK.search(clause)
    if plain:
        return int(plain[1]), int(plain[2]), int(plain[3]) if plain[3] else None
    named = _NAMED.search(clause)
    if named:
        return (12 if named[1].lower() == "noon" else 0), 0, None
    return None


def _first(today: date, ahead: tuple[int, ...], clock: _Clock, zone: tzinfo, seen_at: float) -> float | None:
    for days in ahead:
        found = _not_past(today + timedelta(days=days), clock, zone, seen_at)
        if found is not None:
            return found
    return None


def _not_past(day: date, clock: _Clock, zone: tzinfo, seen_at: float) -> float | None:
    """The end of that minute, or None when it passed; one that is just passing is now."""
    from dateutil import tz

    hour, minute, second = clock
    wall = datetime(day.year, day.month, day.day, hour, minute, 59 if second is None else second, tzinfo=zone)
    moment = tz.resolve_imaginary(wall).replace(fold=1).timestamp()
    if moment < seen_at - (_ROUNDING if second is None else 1.0):
        return None
    return max(moment, seen_at)


def _zone(clause: str, default_zone: tzinfo | str | None) -> tzinfo | None:
    for named in _ZONE.finditer(clause):
        name = named[1] or named[2]
        if name.upper() in _HOURS or name.upper() in _CITIES:
            break
        if _OFFSET.match(name):
            break
        return _by_name(name)
    offset = _OFFSET.search(clause)
    if offset and not _ISO.search(clause):
        span = timedelta(hours=int(offset[2]), minutes=int(offset[3] or 0))
        return timezone(span if offset[1] == "+" else -span) if span < timedelta(hours=15) else None
    short = _SHORT.search(clause)
    if short:
        return _by_name(_CITIES[short[1]]) if short[1] in _CITIES else timezone(timedelta(hours=_HOURS[short[1]]))
    if isinstance(default_zone, str):
        return _by_name(default_zone)
    if default_zone is None:
        from dateutil import tz

        return tz.tzlocal()
    return default_zone


def _by_name(name: str) -> tzinfo | None:
    import zoneinfo

    if name.upper() in ("UTC", "GMT"):
        return UTC
    try:
        return zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        pass  # Windows without tzdata: dateutil carries a copy of the zones
    if "/" not in name:
        return None
    from dateutil import tz

    return tz.gettz(name)
