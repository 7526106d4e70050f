"""What a person should know of the other PCs when work waits for one of them: from the view and this PC's memory, no git."""

from __future__ import annotations

from typing import Any

from trinity import schema
from trinity.errors import TrinityError
from trinity.fleet import lease
from trinity.home import Home

# Less is no news: a beat may be late.
_SILENT_SECONDS = 180.0


def in_words(home: Home) -> dict[str, str]:
    """By PC, for those that may keep work waiting: since when it is silent, else why it takes no work."""
    found = {}
    for path in sorted(home.heartbeat.glob("*.json")):
        beat = _read(path.read_bytes(), str(path))
        if beat.get("unable"):
            found[path.stem] = str(beat["unable"])
        elif beat.get("busy"):
            found[path.stem] = "other work runs there"
    for pc, seconds in lease.remembered(home).items():
        if seconds >= _SILENT_SECONDS:
            found[pc] = f"silent for {seconds / 60:.0f} min"
    return found


def _read(data: bytes, source: str) -> dict[str, Any]:
    try:
        return schema.read("heartbeat", data, source)
    except TrinityError:
        return {}  # the round that fetched it has reported it
