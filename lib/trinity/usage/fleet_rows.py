"""The calls of the whole fleet in one table, `fleet_usage.db`: a cache of what every PC has published, this one among them.

Of a call that several PCs have, one counts: copies that came with a handoff are left out by the ledger already, so what
remains are folders that were copied by hand, and there the first PC by name is it, for every reader the same. What a PC
published last stays when it is offline or its new word cannot be read.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from trinity import clock, files
from trinity.errors import Busy
from trinity.home import Home
from trinity.usage import ledger
from trinity.usage.amounts import KINDS
from trinity.usage.day_record import DAY, Group, Row
from trinity.usage.prices import band_of

FILE = "fleet_usage.db"
_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS source (pc TEXT PRIMARY KEY, told REAL NOT NULL, seen REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS day (
    pc TEXT NOT NULL, day INTEGER NOT NULL, mark TEXT NOT NULL, PRIMARY KEY (pc, day)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS row (
    pc TEXT NOT NULL, day INTEGER NOT NULL, key INTEGER, time INTEGER NOT NULL, model TEXT NOT NULL,
    session_id TEXT NOT NULL, project TEXT NOT NULL, account TEXT NOT NULL, task TEXT NOT NULL, service_tier TEXT NOT NULL,
    speed TEXT NOT NULL, long INTEGER NOT NULL, input INTEGER NOT NULL, output INTEGER NOT NULL,
    cache_read INTEGER NOT NULL, cache_write_5m INTEGER NOT NULL, cache_write_1h INTEGER NOT NULL,
    web_search INTEGER NOT NULL, seconds REAL NOT NULL, timed INTEGER NOT NULL, calls INTEGER NOT NULL,
    errors INTEGER NOT NULL, unknown INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS sent (day INTEGER PRIMARY KEY, mark TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS row_key ON row (key, pc);
CREATE INDEX IF NOT EXISTS row_day ON row (pc, day);
"""
_COLUMNS = (
    "pc, time, model, session_id, project, account, NULLIF(task, '') AS task, NULLIF(speed, '') AS speed, "
    "NULLIF(service_tier, '') AS service_tier, long, "
    + ", ".join((*KINDS, "web_search"))
    + ", seconds, timed, calls, errors, unknown"
)
_COPY = "EXISTS (SELECT 1 FROM row AS other WHERE other.key = row.key AND other.pc < row.pc)"


@dataclass(frozen=True)
class Seen:
    """A PC of the table: when it wrote, by its own clock, and when this PC first saw that; epoch seconds."""

    pc: str
    told: float
    seen: float


class Fleet:
    """The table, as a source of rows for reports."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def models(self) -> list[str]:
        return [str(model) for (model,) in self.connection.execute("SELECT DISTINCT model FROM row")]

    def select(self, single: Sequence[str] | None, tasks: bool = False) -> tuple[str, list[object]]:
        """Rows are single calls but for days long past, whichever is asked for."""
        return f"SELECT {_COLUMNS} FROM row WHERE key IS NULL OR NOT {_COPY}", []

    def seen(self) -> list[Seen]:
        return [Seen(*row) for row in self.connection.execute("SELECT pc, told, seen FROM source ORDER BY pc")]

    def marks(self, pc: str) -> dict[int, str]:
        """By day (days since 1970) what is known of it: the object it was read from."""
        return dict(self.connection.execute("SELECT day, mark FROM day WHERE pc = ?", (pc,)))

    def put(self, pc: str, day: int, mark: str, rows: Iterable[Row]) -> None:
        """Replace a day of a PC; nothing is changed when `rows` raises."""
        ready = [_values(pc, day, row) for row in rows]
        self.drop(pc, day)
        self.connection.executemany(f"INSERT INTO row VALUES ({', '.join('?' * 23)})", ready)
        self.connection.execute("INSERT INTO day VALUES (?, ?, ?)", (pc, day, mark))

    def mark(self, pc: str, day: int, mark: str) -> None:
        """Remember that an object was looked at; the rows of the day stay."""
        self.connection.execute("INSERT OR REPLACE INTO day VALUES (?, ?, ?)", (pc, day, mark))

    def rows(self, pc: str, day: int) -> list[Row]:
        """What is known of a day of a PC, as it was put."""
        asked = (
            "SELECT key, time, model, session_id, project, account, task, service_tier, speed, long, errors, unknown, "
            "seconds, timed, calls, " + ", ".join((*KINDS, "web_search")) + " FROM row WHERE (pc, day) = (?, ?)"
        )
        found = []
        for row in self.connection.execute(asked, (pc, day)):
            key, time, model, session, project, account, task, tier, speed, long, errors, unknown = row[:12]
            group = Group(
                session, project, model, account, task, tier, speed, band_of(long), int(errors > 0), int(unknown > 0)
            )
            found.append(Row(group, key, time, tuple(row[15:]), *row[12:15]))
        return found

    def sent(self) -> dict[int, str]:
        """By day the mark of what this PC published last."""
        return dict(self.connection.execute("SELECT day, mark FROM sent"))

    def has_sent(self, marks: dict[int, str]) -> None:
        self.connection.execute("DELETE FROM sent")
        self.connection.executemany("INSERT INTO sent VALUES (?, ?)", marks.items())

    def drop(self, pc: str, day: int) -> None:
        self.connection.execute("DELETE FROM row WHERE (pc, day) = (?, ?)", (pc, day))
        self.connection.execute("DELETE FROM day WHERE (pc, day) = (?, ?)", (pc, day))

    def saw(self, pc: str, told: float) -> None:
        """A PC's word was read; `seen` stays when it is the word known already, for that is how old it is here."""
        known = self.connection.execute("SELECT told FROM source WHERE pc = ?", (pc,)).fetchone()
        if known is None or known[0] != told:
            self.connection.execute("INSERT OR REPLACE INTO source VALUES (?, ?, ?)", (pc, told, clock.now()))

    def copies(self, pc: str, keys: Iterable[int]) -> set[int]:
        """Which of these calls of `pc` count on another PC."""
        asked = "SELECT 1 FROM row WHERE key = ? AND pc < ? LIMIT 1"
        return {key for key in keys if self.connection.execute(asked, (key, pc)).fetchone()}


@contextmanager
def opened(home: Home) -> Iterator[Fleet]:
    """The table of `home`; what the block does is committed, or undone when it raises. Damaged, it is built anew."""
    path = home.root / FILE
    try:
        connection = _connect(path)
    except sqlite3.OperationalError as error:
        raise Busy(f"'{path}' is in use: {error}", "try again in a moment") from None
    except sqlite3.DatabaseError as error:
        files.quarantine(home, path, f"not a table of this version; read anew from the fleet: {error}")
        connection = _connect(path)
    try:
        with connection:
            yield Fleet(connection)
    except sqlite3.DatabaseError as error:
        if not ledger.damaged(error):
            raise
        connection.close()
        files.quarantine(home, path, f"damaged; read anew from the fleet: {error}")
        raise Busy(f"'{path}' was damaged ({error}) and is put aside", "type it again: it is read anew") from None
    finally:
        connection.close()


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=30)
    try:
        # A cache: a power cut costs a new reading, so nothing is synced.
        connection.execute("PRAGMA synchronous=OFF")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version not in (0, _VERSION):
            raise sqlite3.DatabaseError("another version")
        if not version:
            connection.executescript(f"{_SCHEMA} PRAGMA user_version={_VERSION};")
            path.chmod(0o600)
    except BaseException:
        connection.close()
        raise
    return connection


def _values(pc: str, day: int, row: Row) -> tuple[object, ...]:
    group = row.group
    if row.time // DAY != day:
        raise ValueError(f"a call of another day than {day}")
    long = sum(row.counts[at] for at in (0, 2, 3, 4)) if row.key is not None else group.band + (1 if group.band else 0)
    errors = row.calls if group.failed else 0
    unknown = row.calls if group.unknown else 0
    names = (group.model, group.session, group.project, group.account, group.task, group.tier, group.speed)
    return (pc, day, row.key, row.time, *names, long, *row.counts, row.seconds, row.timed, row.calls, errors, unknown)


def summed(rows: Iterable[Row], quarter: int) -> list[Row]:
    """Sums of `quarter` seconds, without keys."""
    found: dict[tuple[Group, int], Row] = {}
    for row in rows:
        place = (row.group, row.time - row.time % quarter)
        known = found.get(place)
        counts = row.counts if known is None else tuple(a + b for a, b in zip(known.counts, row.counts, strict=True))
        seconds, timed, calls = (known.seconds, known.timed, known.calls) if known else (0.0, 0, 0)
        found[place] = Row(
            row.group, None, place[1], counts, seconds + row.seconds, timed + row.timed, calls + row.calls
        )
    return list(found.values())
