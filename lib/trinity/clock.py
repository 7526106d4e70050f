"""Time: UTC instants as epoch seconds inside, as ISO text with `Z` in records.

A record's time is never compared between PCs; leases and waits use `boottime`, which counts sleep where the system has
such a clock: a lease judged by a clock that stands still in sleep would outlive a closed laptop.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now() -> float:
    """Epoch seconds."""
    return time.time()


def iso(t: float | None = None, milliseconds: bool = False) -> str:
    """Epoch seconds (default: now) as `2026-11-20T10:00:00Z`."""
    moment = datetime.fromtimestamp(now() if t is None else t, UTC)
    text = moment.isoformat(timespec="milliseconds" if milliseconds else "seconds")
    return text.replace("+00:00", "Z")


def parse(text: str) -> float:
    """ISO text with `Z` or an offset to epoch seconds; raises ValueError when it names no instant."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"'{text}' has no time zone")
    return moment.timestamp()


def local(t: float) -> str:
    """Epoch seconds for a person here: `14:05` today, else `Nov 23 14:05`."""
    moment = datetime.fromtimestamp(t)
    same_day = moment.date() == datetime.fromtimestamp(now()).date()
    return moment.strftime("%H:%M" if same_day else "%b %d %H:%M")


def stamp(t: float | None = None) -> str:
    """Epoch seconds (default: now) as `YYYYmmdd_HHMMSS`, UTC, for file names."""
    return datetime.fromtimestamp(now() if t is None else t, UTC).strftime("%Y%m%d_%H%M%S")


def _boottime() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


# CLOCK_BOOTTIME exists on Linux; elsewhere the monotonic clock is the nearest there is (on Windows it counts sleep).
boottime = _boottime if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic
