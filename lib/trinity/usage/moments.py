"""Times as transcripts write them, many of them within the same minutes."""

from __future__ import annotations

from datetime import date

from trinity.usage import shapes

_MINUTES = 20_000
_EPOCH = date(1970, 1, 1).toordinal()
_minutes: dict[bytes, int] = {}


def moment(data: bytes, at: int) -> float:
    """Epoch seconds of the `"timestamp":"…"` that stands at `at`; 0 where there is none."""
    found = shapes.MOMENT.match(data, at) if at >= 0 else None
    if found is None:
        return 0.0
    minute, second = found.groups()
    return max(0, of_minute(minute)) + float(second)


def of_minute(text: bytes) -> int:
    """Epoch seconds of `2026-11-29T20:24`; -1 where there is no such minute."""
    known = _minutes.get(text)
    if known is not None:
        return known
    hour, minute = int(text[11:13]), int(text[14:16])
    try:
        days = date(int(text[:4]), int(text[5:7]), int(text[8:10])).toordinal() - _EPOCH
        made = days * 86400 + hour * 3600 + minute * 60 if hour < 24 and minute < 60 else -1
    except ValueError:
        made = -1
    if len(_minutes) > _MINUTES:
        _minutes.clear()
    _minutes[text] = made
    return made
