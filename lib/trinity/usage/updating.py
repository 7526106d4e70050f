"""The ledger brought up to date: what is new in the transcripts of all profiles since the last time, read once.

A file is known by device, inode and its first bytes. One that only grew is read from where reading stopped; one that was
cut, replaced or written anew is read from its start, which counts nothing twice, because each message has one row. A file
that is gone keeps its rows. One process updates at a time; a killed one leaves the ledger as it was.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from trinity import locks
from trinity.config import Config
from trinity.home import Home
from trinity.usage import finding, ledger
from trinity.usage.finding import Found

_PATIENCE = 300.0
_CACHE_KB = 48_000


@dataclass(frozen=True, slots=True)
class Updated:
    """What an update found: files there are and files read, messages and errors that are new, lines put aside."""

    files: int
    read: int
    messages: int
    errors: int
    aside: int


def update(home: Home, config: Config, rebuild: bool = False) -> Updated:
    """Read what is new; with `rebuild` all that is there, keeping what no transcript holds any more.

    Raises Busy when another update runs and does not end.
    """
    return bring(home, config.profiles, config.account.id, rebuild)


def bring(home: Home, profiles: Sequence[str], account: str, rebuild: bool = False) -> Updated:
    """`update` for a caller that has not read the whole configuration."""
    found = finding.transcripts(profiles)
    try:
        if not rebuild and (home.root / ledger.NAME).exists():
            with ledger.opened(home) as connection:
                if not _due(connection, found) and not _gone(connection, found):
                    return Updated(len(found), 0, 0, 0, 0)
    except sqlite3.DatabaseError as error:
        if not ledger.damaged(error):
            raise
    with locks.hold_inherited(home.locks / "usage.lock", timeout=_PATIENCE):
        try:
            with ledger.opened(home) as connection:
                return _update(home, connection, found, account, rebuild)
        except sqlite3.DatabaseError as error:
            if not ledger.damaged(error):
                raise
            from trinity.usage import repair

            repair.renew(home, str(error))
        with ledger.opened(home) as connection:
            return _update(home, connection, found, account, rebuild)


def _update(home: Home, connection: sqlite3.Connection, found: list[Found], account: str, rebuild: bool) -> Updated:
    # Only where something is new: nothing of it is needed to see that nothing is.
    from trinity.usage import brought, crew, storing

    connection.execute(f"PRAGMA cache_size=-{_CACHE_KB}")
    connection.execute("BEGIN IMMEDIATE")
    (before,) = connection.execute("SELECT COUNT(*) FROM billed").fetchone()
    if rebuild:
        (sound,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if sound != "ok":
            raise sqlite3.DatabaseError(f"malformed: {sound}")
        connection.execute("DELETE FROM file")
        connection.execute("DELETE FROM aside")
    due = _due(connection, found)
    carried = brought.carried(home)
    store = storing.Store(connection, account, first=not before, rebuild=rebuild)
    # First what came from elsewhere: whatever copies it then is known as a copy.
    jobs: tuple[list[crew.Job], list[crew.Job]] = ([], [])
    for one, known in due:
        offset, state = _from(one, known)
        came = carried.get(brought.name_of(one.path), [])
        jobs[not came].append((one.path, one.size - offset, offset, state, came))
    read = 0
    for answer in (answer for some in jobs for answer in crew.read_all(some)):
        store.take(answer)
        read += 1
    store.finish()
    connection.executemany("UPDATE file SET gone = 1 WHERE path = ?", [(path,) for path in _gone(connection, found)])
    (after,) = connection.execute("SELECT COUNT(*) FROM billed").fetchone()
    return Updated(len(found), read, after - before, store.errors, store.aside)


def _due(connection: sqlite3.Connection, found: list[Found]) -> list[tuple[Found, dict[str, Any] | None]]:
    """The files that are not as they were, with what is known of them."""
    names = ("device", "inode", "size", "mtime_ns", "offset", "head", "tail", "state", "gone")
    known = {row[0]: row[1:] for row in connection.execute(f"SELECT path, {', '.join(names)} FROM file")}
    due: list[tuple[Found, dict[str, Any] | None]] = []
    for one in found:
        row = known.get(one.path)
        if row is None:
            due.append((one, None))
        elif row[:4] != one[1:]:
            due.append((one, dict(zip(names, row, strict=True))))
    return due


def _gone(connection: sqlite3.Connection, found: list[Found]) -> list[str]:
    there = {one.path for one in found}
    return [path for (path,) in connection.execute("SELECT path FROM file WHERE NOT gone") if path not in there]


def _from(one: Found, known: dict[str, Any] | None) -> tuple[int, dict[str, Any]]:
    """Where to read on, and with which memory: only a file that grew is not read from its start."""
    if known is None or (known["device"], known["inode"]) != (one.device, one.inode) or one.size <= known["size"]:
        return 0, {}
    from trinity.usage import transcript

    try:
        handle = os.open(one.path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        try:
            same = transcript.marks(handle, known["offset"]) == (known["head"], known["tail"])
        finally:
            os.close(handle)
        return (known["offset"], json.loads(known["state"])) if same else (0, {})
    except (OSError, ValueError):
        return 0, {}
