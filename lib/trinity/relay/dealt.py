"""Has a stopped conversation been dealt with already? What the fleet and this PC know of it says so.

A stop is noticed by several programs, and by some of them late: nothing is handed over twice.
"""

from __future__ import annotations

from trinity import clock
from trinity.errors import TrinityError
from trinity.fleet import journal
from trinity.fleet.snapshot import Snapshot
from trinity.home import Home
from trinity.relay.link import Link, Record, is_of
from trinity.work import fence


def ended(link: Link, snapshot: Snapshot, session_id: str, stopped_at: float | None) -> Record | None:
    """The handoff by which a stopped conversation was dealt with, though it is at its end; None when there is none. Raises
    TrinityError for a person who wants to hand over what has gone elsewhere."""
    found = [record for record in link.handoffs(snapshot) if is_of(record, session_id)]
    if fence.is_raised(link.home, session_id):
        # It went on elsewhere, to its end, and was not taken back: what lies here is older.
        if found and stopped_at is not None:
            return found[-1]
        last = f"trinity handoffs show {found[-1]['id']}" if found else "trinity handoffs list --all"
        raise TrinityError(f"conversation {session_id} went to another PC and is closed here", last)
    since = [record for record in found if stopped_at is not None and _made(record) > stopped_at - 1]
    return since[-1] if since else None


def unseen(link: Link, snapshot: Snapshot, session_id: str) -> Record | None:
    """The handoff of a conversation that is on its way to the fleet."""
    for record, _ in link.unseen(link.handoffs(snapshot)):
        if is_of(record, session_id):
            return record
    return None


def started_since(home: Home, known: Record, stopped_at: float) -> bool:
    """Was the conversation started for this handoff after it stopped then?"""
    entry = journal.read(home, known["id"], known["epoch"]) if known["state"] in ("claimed", "running") else None
    return entry is not None and "made_at" in entry and clock.parse(entry["made_at"]) > stopped_at


def _made(record: Record) -> float:
    return clock.parse(record["timestamp"])
