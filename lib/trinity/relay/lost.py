"""Work that another PC took over while this one was away: it ends here, and what it made stays and is named.

The lease's file says which session works on which handoff in which epoch. Once the fleet is in a later epoch, nothing of
this one can be published; the conversation is closed, its client ended, and a person is told where the result lies.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trinity import clock, files, program
from trinity.errors import BadRecord
from trinity.fleet import journal
from trinity.home import Home
from trinity.relay import closing
from trinity.relay.link import Record
from trinity.work import ending, lease

_FILE = "kept.json"
_SHOWN = 20


def look(home: Home, pc: str, records: Sequence[Record]) -> list[str]:
    """Compare what this PC works on with the state, just fetched; one line for each epoch that was lost."""
    known = {record["id"]: record for record in records}
    lines = []
    for held in lease.all_granted(home):
        record = known.get(held.handoff_id)
        if record is None or (record["owner"] == pc and record["state"] in ("claimed", "running")):
            continue  # nothing is known against it, or it is ours, perhaps in an epoch whose lease is just coming
        if record["epoch"] == held.epoch or (record["to_pc"] == pc and record["owner"] in (None, pc)):
            lease.give_back(home, held.session_id)  # given up by this PC itself, which was cut short
        else:
            lines.append(_lost(home, record, held))
    return lines


def _lost(home: Home, record: Record, held: lease.Held) -> str:
    where = record["owner"] or record["to_pc"]
    entry = journal.read(home, held.handoff_id, held.epoch) or {}
    session = dict(entry.get("session") or {"session_id": held.session_id})
    # First closed, then ended: in between it is refused, not running.
    closing.close_here(home, {"id": record["id"], "sessions": [{"session_id": held.session_id}]}, where)
    profile = Path(session.get("config_dir") or Path.home() / ".claude")
    ending.end_client(profile, held.session_id, pid=entry.get("pid") or None)
    kept = {
        "handoff_id": record["id"],
        "epoch": held.epoch,
        "session_id": held.session_id,
        "cwd": session.get("cwd"),
        "went_to": where,
        "at": clock.iso(),
    }
    others = [one for one in of(home) if (one["handoff_id"], one["epoch"]) != (record["id"], held.epoch)]
    files.write_json(home.root / _FILE, {"kind": "kept", "version": 1, "results": [*others, kept][-_SHOWN:]})
    lease.give_back(home, held.session_id)
    text = in_words(kept)
    program.log(home, "alarms", text)
    return text


def of(home: Home) -> list[dict[str, Any]]:
    """The results of lost epochs on this PC, oldest first."""
    try:
        document = files.read_or(home.root / _FILE, dict)
    except BadRecord:
        return []
    results = document.get("results") if isinstance(document, dict) else None
    return [one for one in results or [] if isinstance(one, dict) and {"handoff_id", "epoch", "went_to"} <= set(one)]


def in_words(kept: dict[str, Any]) -> str:
    """One line for a person."""
    return (
        f"handoff {kept['handoff_id']}: {kept['went_to']} has it now; what this PC made of it in epoch {kept['epoch']} is"
        f" kept in '{kept.get('cwd') or 'no folder'}' and was not published"
    )
