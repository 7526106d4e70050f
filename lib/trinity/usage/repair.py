"""A damaged ledger, or one of an older version: put into quarantine, and what can still be read of it saved into a new one.

The transcripts that exist fill the rest at the next update; only what is in neither is lost, and nothing is deleted.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from trinity import files, locks, program
from trinity.home import Home
from trinity.usage import ledger, storing

_KEPT = ("origin", "kind", "billed", "brought", "error", "call", "aside")


def renew(home: Home, why: str) -> Path | None:
    """Replace the ledger by a new one with what was saved; returns where the damaged one lies now.

    None when another process has just done so.
    """
    path = home.root / ledger.NAME
    with locks.hold_inherited(home.locks / "usage_repair.lock", timeout=60):
        if _sound(path):
            return None
        fresh = path.with_name(f"{ledger.NAME}.saved")
        _remove(fresh)
        saved, told = _salvage(path, fresh)
        aside = files.quarantine(home, path, why)
        for suffix in ("-wal", "-shm"):
            beside = path.with_name(ledger.NAME + suffix)
            if beside.exists():
                files.replace(beside, aside.with_name(aside.name + suffix))
        files.replace(fresh, path)
    said = f"usage.db was replaced ({why}): {saved} rows saved, the rest is read anew; see '{aside}'{told}"
    program.log(home, "usage", said)
    return aside


def _sound(path: Path) -> bool:
    try:
        with closing(_read_only(path)) as found:
            (version,) = found.execute("PRAGMA user_version").fetchone()
            (said,) = found.execute("PRAGMA quick_check(1)").fetchone()
            return bool(version == ledger.VERSION and said == "ok")
    except sqlite3.Error:
        return False


def _salvage(path: Path, fresh: Path) -> tuple[int, str]:
    new = sqlite3.connect(fresh)
    saved, told = 0, ""
    try:
        ledger.prepare(new)
        new.execute("PRAGMA journal_mode=DELETE")
        for table in _KEPT:
            there = _columns(path, table)
            columns = [row[1] for row in new.execute(f"PRAGMA table_info({table})") if row[1] in there]
            if not columns:
                continue
            insert = f"INSERT OR IGNORE INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
            for row in _rows(path, table, columns):
                try:
                    new.execute(insert, row)
                    saved += 1
                except sqlite3.Error:
                    told = "; some rows were no rows"
        # What is billed must have an origin and a kind: a row without them cannot be counted.
        new.execute(
            "DELETE FROM billed WHERE origin NOT IN (SELECT id FROM origin) OR kind NOT IN (SELECT id FROM kind)"
        )
        new.execute(storing.SUMS)
        new.execute(ledger.CALLS_BY_MESSAGE)
        new.commit()
    finally:
        new.close()
    fresh.chmod(0o600)
    return saved, told


def _columns(path: Path, table: str) -> set[str]:
    try:
        with closing(_read_only(path)) as old:
            return {row[1] for row in old.execute(f"PRAGMA table_info({table})")}
    except sqlite3.Error:
        return set()


def _read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{path.as_posix()}?mode=ro", uri=True, timeout=5)


def _rows(path: Path, table: str, columns: list[str]) -> Iterator[tuple[Any, ...]]:
    """What can be read of a table, from its start and, behind a damaged page, from its end."""
    for order in ("ASC", "DESC"):
        try:
            with closing(_read_only(path)) as old:
                old.text_factory = lambda data: data.decode("utf-8", "replace")
                yield from old.execute(f"SELECT {', '.join(columns)} FROM {table} ORDER BY 1 {order}")
                return
        except sqlite3.Error:
            continue


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
