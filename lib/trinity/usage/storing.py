"""What was read goes into the ledger: each message once, the largest row wins, sums of quarters follow.

The order in which files are read changes nothing. Of several copies the one counts that stands in the file that began first:
its session asked, the others were forked from it.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from operator import itemgetter
from typing import Any

from trinity.usage import brought

_COLUMNS = (
    "message_id, request_id, time, origin, kind, input, output, cache_read, cache_write_5m, cache_write_1h, web_search, "
    "web_fetch, tools, seconds, since"
)
_SIZE = "input + output + cache_read + cache_write_5m + cache_write_1h"
_LARGER = "excluded." + _SIZE.replace(" + ", " + excluded.") + f" > billed.{_SIZE.replace(' + ', ' + billed.')}"
_KEPT = ("time", "input", "output", "cache_read", "cache_write_5m", "cache_write_1h", "web_search", "web_fetch")
_UPSERT = (
    f"INSERT INTO billed ({_COLUMNS}) VALUES ({', '.join('?' * 15)}) ON CONFLICT (message_id, request_id) DO UPDATE SET "
    # A copy in a fork says another session; the one that began first is the one that asked.
    "origin = CASE WHEN excluded.since < billed.since THEN excluded.origin ELSE billed.origin END, "
    "since = MIN(billed.since, excluded.since), "
    "tools = CASE WHEN LENGTH(excluded.tools) > LENGTH(billed.tools) THEN excluded.tools ELSE billed.tools END, "
    f"seconds = CASE WHEN {_LARGER} AND billed.seconds >= 0 THEN billed.seconds + excluded.time - billed.time "
    "ELSE COALESCE(billed.seconds, excluded.seconds) END, "
    + ", ".join(f"{name} = CASE WHEN {_LARGER} THEN excluded.{name} ELSE billed.{name} END" for name in _KEPT)
)
_SUMMED = ("messages", "input", "output", "cache_read", "cache_write_5m", "cache_write_1h", "web_search", "web_fetch")
_PLACE = "CAST(time / 900 AS INTEGER) * 900, origin, kind"
SUMS = (
    f"INSERT INTO total SELECT {_PLACE}, COUNT(*), {', '.join(f'SUM({name})' for name in _SUMMED[1:])}, "
    "COALESCE(SUM(seconds), 0), COUNT(seconds) FROM billed GROUP BY 1, 2, 3"
)
_EACH = f"{_PLACE}, 1, {', '.join(_SUMMED[1:])}, COALESCE(seconds, 0), seconds IS NOT NULL"
_COUNTED = f"SELECT {_EACH} FROM billed WHERE message_id = ?"
_ADD = f"INSERT INTO total VALUES ({', '.join('?' * 13)}) ON CONFLICT DO UPDATE SET " + ", ".join(
    f"{name} = {name} + excluded.{name}" for name in (*_SUMMED, "seconds", "timed")
)
_BATCH = 8192

# Files that began in the same millisecond are told apart by their session's name: any order will do, but always the same.
_SHARE = float(1 << 44)
_COPIED = 1e10  # marked by the client as copied from elsewhere: later than any time


class Store:
    """Takes readings into one open transaction. `first` says that the ledger was empty; `rebuild` that what is read now
    replaces what is known of a message, whichever is larger."""

    def __init__(self, connection: sqlite3.Connection, account: str, first: bool, rebuild: bool) -> None:
        self.connection = connection
        self.account = account
        self.first = first
        self.rebuild = rebuild
        self.aside = self.errors = 0
        self._origins: dict[tuple[str, ...], int] = {
            tuple(row[1:]): row[0]
            for row in connection.execute("SELECT id, session_id, agent_id, project, account, task FROM origin")
        }
        self._kinds: dict[tuple[str, ...], int] = {
            tuple(row[1:]): row[0] for row in connection.execute("SELECT id, model, service_tier, speed FROM kind")
        }
        self._waiting: list[list[Any]] = []
        self._before: dict[str, list[tuple[Any, ...]]] = {}
        self._loose: list[list[Any]] = []
        self._again: set[str] = set()
        self._brought = dict(connection.execute("SELECT message_id, session_id FROM brought"))
        self._foreign: dict[str, str] = {}
        self._copies: list[tuple[str, list[Any]]] = []
        self._paid: dict[str, str] = {}
        if rebuild:
            self._paid = dict(
                connection.execute("SELECT message_id, account FROM billed JOIN origin ON origin.id = billed.origin")
            )

    def take(self, reading: dict[str, Any]) -> None:
        """One file's reading."""
        name = brought.name_of(reading["path"])
        kinds = [self._kind(kind) for kind in reading["kinds"]]
        origins = reading["origins"]
        places: list[int] = [] if self._paid else [self._origin(one, self.account) for one in origins]
        rows = []
        asker, share = "", 0.0
        for row in reading["rows"]:
            if not row[16]:
                continue  # a copy that the client emptied
            if row[15]:
                self._foreign.setdefault(row[0], name)
                continue
            session = origins[row[3]][0]
            if session != asker:
                asker, share = session, zlib.crc32(session.encode()) / _SHARE
            row[14] = reading["began"] + share + (_COPIED if row[14] else 0)
            row[3] = places[row[3]] if places else self._origin(origins[row[3]], self._paid.get(row[0], self.account))
            row[4] = kinds[row[4]]
            if row[0] in self._brought or row[0] in self._foreign:
                self._copies.append((name, row[:15]))
            elif not row[1]:
                self._loose.append(row[:15])
            else:
                rows.append(row[:15])
        self._write(rows)
        account = self.account
        self.connection.executemany(
            "INSERT OR IGNORE INTO error VALUES (?, ?, ?, ?, ?, ?)", [(*error, account) for error in reading["errors"]]
        )
        self.errors += len(reading["errors"])
        for why, lines in reading["aside"].items():
            self.aside += lines
            self.connection.execute(
                "INSERT INTO aside VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET "
                "lines = lines + excluded.lines, last = excluded.last",
                (why, lines, reading["path"]),
            )
        self.connection.execute(
            "INSERT INTO file (path, device, inode, size, mtime_ns, offset, head, tail, state) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (path) DO UPDATE SET device = excluded.device, inode = excluded.inode, size = excluded.size, "
            "mtime_ns = excluded.mtime_ns, offset = excluded.offset, head = excluded.head, tail = excluded.tail, "
            "state = excluded.state, gone = 0",
            (
                *(reading[key] for key in ("path", "device", "inode", "size", "mtime_ns", "offset", "head", "tail")),
                json.dumps(reading["state"], ensure_ascii=True),
            ),
        )

    def _write(self, rows: list[list[Any]]) -> None:
        self._waiting += rows
        if len(self._waiting) >= _BATCH:
            self._flush()

    def _flush(self) -> None:
        # In the order of the table, which makes neighbours land on one page.
        rows, self._waiting = sorted(self._waiting, key=itemgetter(0)), []
        if not self.first:
            for key in {row[0] for row in rows}:
                if key not in self._before:
                    self._before[key] = self.connection.execute(_COUNTED, (key,)).fetchall()
            if self.rebuild:
                # What is read now replaces it; what no transcript holds any more, or only a copy in a fork, stays.
                again = {row[0] for row in rows if row[14] < _COPIED} - self._again
                self.connection.executemany("DELETE FROM billed WHERE message_id = ?", [(key,) for key in again])
                self._again |= again
        self.connection.executemany(_UPSERT, rows)

    def finish(self) -> None:
        """What needs all files: copies, rows without a request, sums."""
        self._own_again()
        self._flush()
        for row in self._loose:
            known = self.connection.execute(
                "SELECT request_id FROM billed WHERE message_id = ? ORDER BY request_id DESC", (row[0],)
            ).fetchone()
            row[1] = known[0] if known else ""
        self._write(self._loose)
        self._flush()
        self._replayed()
        self._sum()

    def _own_again(self) -> None:
        """What came from another PC is not billed here, unless the same session's file had it before it went away."""
        rows = [row for name, row in self._copies if name in (self._brought.get(row[0]), self._foreign.get(row[0]))]
        self._write(rows)
        self._flush()
        own = {row[0] for row in rows}
        new = [(key, name) for key, name in self._foreign.items() if key not in own and not self._billed(key)]
        self.connection.executemany("INSERT OR IGNORE INTO brought VALUES (?, ?)", new)
        self.connection.executemany("DELETE FROM brought WHERE message_id = ?", [(key,) for key in own])

    def _billed(self, message_id: str) -> bool:
        found = self.connection.execute("SELECT 1 FROM billed WHERE message_id = ? LIMIT 1", (message_id,))
        return found.fetchone() is not None

    def _replayed(self) -> None:
        """The same id and moment under another request id: the client wrote one answer down twice."""
        if self.first:
            twice = self.connection.execute("SELECT message_id FROM billed GROUP BY message_id HAVING COUNT(*) > 1")
            keys = [key for (key,) in twice.fetchall()]
        else:
            keys = list(self._before)
        for key in keys:
            known = self.connection.execute(
                f"SELECT request_id, time, {_SIZE} FROM billed WHERE message_id = ? "
                "ORDER BY request_id = '', 3 DESC, request_id",
                (key,),
            ).fetchall()
            for request, time, _ in known[1:]:
                if not request or any(time == other[1] for other in known if other[0] < request or other == known[0]):
                    self.connection.execute(
                        "DELETE FROM billed WHERE (message_id, request_id) = (?, ?)", (key, request)
                    )

    def _sum(self) -> None:
        if self.first or self.rebuild:
            self.connection.execute("DELETE FROM total")
            self.connection.execute(SUMS)
            return
        changed: dict[tuple[int, int, int], list[float]] = {}
        for key, before in self._before.items():
            after = self.connection.execute(_COUNTED, (key,)).fetchall()
            for sign, some in ((-1, before), (1, after)):
                for quarter, origin, kind, *counts in some:
                    sums = changed.setdefault((quarter, origin, kind), [0] * len(counts))
                    sums[:] = [one + sign * other for one, other in zip(sums, counts, strict=True)]
        self.connection.executemany(_ADD, [(*place, *sums) for place, sums in changed.items()])
        self.connection.execute("DELETE FROM total WHERE messages = 0")

    def _origin(self, one: list[str] | tuple[str, ...], account: str) -> int:
        session, agent, folder, task = one
        return self._number(self._origins, "origin", (session, agent, folder, account, task))

    def _kind(self, one: list[str] | tuple[str, ...]) -> int:
        return self._number(self._kinds, "kind", tuple(one))

    def _number(self, known: dict[tuple[str, ...], int], table: str, values: tuple[str, ...]) -> int:
        number = known.get(values)
        if number is None:
            number = known[values] = len(known) + 1
            self.connection.execute(
                f"INSERT INTO {table} VALUES (?, {', '.join('?' * len(values))})", (number, *values)
            )
        return number
