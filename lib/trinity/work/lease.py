"""How long this PC may work on a handoff that it accepted, told to the PreToolUse hook of that session.

The holder renews the lease with each heartbeat that the fleet took. When it cannot, the hook refuses tools from
`until_boottime` on, whether the daemon still runs or not. Sessions that were not accepted have no lease and never
depend on the fleet.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trinity import clock, files
from trinity.errors import BadRecord, TrinityError
from trinity.home import Home
from trinity.hooks import lease as told
from trinity.work import session_notes


@dataclass(frozen=True)
class Held:
    """A lease that was granted, run out or not."""

    session_id: str
    handoff_id: str
    epoch: int


def all_granted(home: Home) -> list[Held]:
    """The leases of this PC; a damaged one is left out, and its session stays closed by it."""
    found = []
    for path in sorted(home.lease.glob("*.json")):
        try:
            document = files.read_json(path)
            found.append(Held(path.stem, str(document["handoff_id"]), int(document["epoch"])))
        except (BadRecord, FileNotFoundError, KeyError, TypeError, ValueError):
            continue
    return found


def grant(
    home: Home, session_id: str, *, handoff_id: str, epoch: int, seconds: float, since: float | None = None
) -> Path:
    """Grant or renew the lease for `seconds` from `since`, a `clock.boottime()` (default: now).

    `since` is when the heartbeat was *sent*: counted from its answer, a slow network would lengthen the lease.
    """
    if seconds <= 0:
        raise TrinityError(f"a lease of {seconds} s is none")
    begin = clock.boottime() if since is None else since
    document: dict[str, object] = {
        "kind": "lease",
        "version": 1,
        "handoff_id": handoff_id,
        "epoch": epoch,
        "boot": told.boot(),
        "granted_boottime": begin,
        "until_boottime": begin + seconds,
    }
    return session_notes.put(home.lease, session_id, document)


def give_back(home: Home, session_id: str) -> bool:
    """The session holds nothing any more and is an ordinary one; did it hold a lease?"""
    return session_notes.drop(home.lease, session_id)
