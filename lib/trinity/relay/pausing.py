"""Whether acting is paused: a file `paused.json` that a person wrote. A damaged one counts as paused: a person who once
asked for silence must not be overruled by a torn file."""

from __future__ import annotations

from dataclasses import dataclass

from trinity import clock, files
from trinity.errors import BadRecord
from trinity.home import Home


@dataclass(frozen=True)
class Pause:
    """Acting rests `until` epoch seconds, or until a person ends it."""

    until: float | None


def pause(home: Home, until: float | None) -> None:
    """No acting from now on."""
    files.write_json(home.paused_file, {"until": clock.iso(until) if until else None})


def resume(home: Home) -> None:
    """Acting again; without a pause nothing happens."""
    home.paused_file.unlink(missing_ok=True)


def read(home: Home) -> Pause | None:
    """The pause in force, if any."""
    try:
        document = files.read_json(home.paused_file)
    except FileNotFoundError:
        return None
    except BadRecord:
        return Pause(None)
    try:
        until = clock.parse(document["until"])
    except (KeyError, TypeError, ValueError):
        return Pause(None)
    return Pause(until) if until > clock.now() else None
