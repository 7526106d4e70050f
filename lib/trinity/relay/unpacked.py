"""Work of another PC, unpacked for a start: noted in the journal before it counts as whole, so that it is known whose it is.

What was unpacked for a start that never came about is taken away: the next epoch unpacks its own. Left lying it would be a
second copy of the work and of its conversation, and nobody could tell which is the one. A copy that anybody has used since
is nobody's to take away: it stays.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from trinity.fleet import journal
from trinity.home import Home
from trinity.relay import closing, starting, unpacking
from trinity.relay.link import Record
from trinity.relay.rounds import Round
from trinity.work import guard, projects, unfinished


def arrive(made: Round, record: Record, mode: str) -> tuple[Record, dict[str, Any]]:
    """Unpack work that came from another PC; the record with this PC's paths, and the journal's entry for its start."""
    session = (record.get("sessions") or [{}])[0]
    if not session.get("foreign"):
        if session:
            # It was sent away and comes back before anybody took it.
            closing.open_here(made.home, session["session_id"])
        return record, starting.prepare(record, mode)
    entry: dict[str, Any] = {}

    def noted(arrived: unpacking.Arrived) -> None:
        entry.update(
            starting.prepare({"sessions": [arrived.session]}, mode),
            session=arrived.session,
            note=arrived.note,
            arguments=guard.client_arguments(arrived.old_roots, arrived.new_root),
            told=arrived.told,
            lacking=arrived.lacking,
            root=arrived.new_root,
        )
        journal.note(made.home, record["id"], record["epoch"], **entry)

    arrived = unpacking.receive(made.link, made.config, record, noted)
    made.note(record, unpacking.dumped(arrived))
    for text in arrived.told:
        made.note(record, text)
    guard.raise_guard(made.home, session["session_id"], arrived.old_roots, arrived.new_root)
    # Here the conversation is at home now: a fence of an earlier visit must not close it.
    closing.open_here(made.home, session["session_id"])
    return {**record, "sessions": [arrived.session]}, entry


def clear(home: Home, record: Record, entry: dict[str, Any]) -> None:
    """Take away what the journal's `entry` says was unpacked here for this claimed record, if it is as it was then."""
    root, session, cursor = entry.get("root"), entry.get("session"), entry.get("cursor")
    if record["state"] != "claimed" or not root or not session or not cursor or entry.get("new"):
        return
    target, transcript = Path(root), Path(cursor["path"])
    noted = (home.journal / f"{record['id']}.e{record['epoch']}").stat().st_mtime_ns
    if starting.process_of(session["session_id"]) or not _is_as_placed(transcript, cursor["size"]):
        return
    if target.is_dir() and not _used_since(target, noted):
        unfinished.give_up(target, _clone(target), transcript, transcript.with_suffix(""))


def _is_as_placed(transcript: Path, size: int) -> bool:
    try:
        return transcript.stat().st_size == size
    except OSError:
        return False


def _used_since(target: Path, moment: int) -> bool:
    """Was any file written, or a folder changed, after `moment` (nanoseconds of the same disk's clock)? Yes, too, where that
    cannot be seen."""
    try:
        for where, _, names in os.walk(target, onerror=_raise):
            paths = (where, *(os.path.join(where, name) for name in names))
            if any(os.lstat(path).st_mtime_ns > moment for path in paths):
                return True
    except OSError:
        return True
    return False


def _raise(error: OSError) -> None:
    raise error


def _clone(target: Path) -> Path | None:
    """Whose linked worktree it is."""
    common = projects.common_folder(target)
    return common if (target / ".git").is_file() and (common / "HEAD").is_file() else None
