"""The ledger, `usage.db`: every billed message of this PC's transcripts once, and what was logged by a caller.

One row per (message id, request id), the largest of several lines of one message wins. A row stays when its transcript is
gone: the client deletes transcripts after 30 days. Times are epoch seconds (UTC), tokens are counts.

Readers use the views. `message` has one row per billed message: message_id request_id time model service_tier speed
session_id agent_id project account task input output cache_read cache_write_5m cache_write_1h web_search web_fetch tools
seconds. `summed` has the same sums per quarter of an hour (`time` is its start; every time zone's day begins with one):
messages, the tokens, and `seconds` over `timed` messages. `error` and `call` are tables. `project` is the folder in which
the client ran, `agent_id` a subagent's or NULL, `tools` names joined by commas, `seconds` from the question to the answer.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trinity.errors import Busy, NewerRecord
from trinity.home import Home

VERSION = 6
SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS file (
    id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, device INTEGER, inode INTEGER, size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL, offset INTEGER NOT NULL, head BLOB NOT NULL, tail BLOB NOT NULL,
    state TEXT NOT NULL, gone INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS origin (
    id INTEGER PRIMARY KEY, session_id TEXT NOT NULL, agent_id TEXT NOT NULL, project TEXT NOT NULL, account TEXT NOT NULL,
    task TEXT NOT NULL, UNIQUE (session_id, agent_id, project, account, task)
);
CREATE TABLE IF NOT EXISTS kind (
    id INTEGER PRIMARY KEY, model TEXT NOT NULL, service_tier TEXT NOT NULL, speed TEXT NOT NULL,
    UNIQUE (model, service_tier, speed)
);
CREATE TABLE IF NOT EXISTS billed (
    message_id TEXT NOT NULL, request_id TEXT NOT NULL, time REAL NOT NULL, origin INTEGER NOT NULL, kind INTEGER NOT NULL,
    input INTEGER NOT NULL, output INTEGER NOT NULL, cache_read INTEGER NOT NULL, cache_write_5m INTEGER NOT NULL,
    cache_write_1h INTEGER NOT NULL, web_search INTEGER NOT NULL, web_fetch INTEGER NOT NULL, tools TEXT NOT NULL,
    seconds REAL, since REAL NOT NULL, PRIMARY KEY (message_id, request_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS brought (message_id TEXT PRIMARY KEY, session_id TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS total (
    time INTEGER NOT NULL, origin INTEGER NOT NULL, kind INTEGER NOT NULL, messages INTEGER NOT NULL,
    input INTEGER NOT NULL, output INTEGER NOT NULL, cache_read INTEGER NOT NULL, cache_write_5m INTEGER NOT NULL,
    cache_write_1h INTEGER NOT NULL, web_search INTEGER NOT NULL, web_fetch INTEGER NOT NULL, seconds REAL NOT NULL,
    timed INTEGER NOT NULL, PRIMARY KEY (time, origin, kind)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS error (
    uuid TEXT PRIMARY KEY, time REAL NOT NULL, kind TEXT NOT NULL, session_id TEXT NOT NULL, project TEXT NOT NULL,
    account TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS call (
    id TEXT PRIMARY KEY, time REAL NOT NULL, seconds REAL, first_token_seconds REAL, model TEXT NOT NULL,
    task TEXT, outcome TEXT NOT NULL, input INTEGER, output INTEGER, cache_read INTEGER, cache_write_5m INTEGER,
    cache_write_1h INTEGER, account TEXT NOT NULL, project TEXT, session_id TEXT, request_id TEXT, message_id TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS aside (reason TEXT PRIMARY KEY, lines INTEGER NOT NULL, last TEXT NOT NULL) WITHOUT ROWID;
-- LEFT: a join whose columns are not asked for is then not made.
CREATE VIEW IF NOT EXISTS message AS
    SELECT message_id, request_id, time, model, NULLIF(service_tier, '') AS service_tier, NULLIF(speed, '') AS speed,
        session_id, NULLIF(agent_id, '') AS agent_id, project, account, NULLIF(task, '') AS task, input, output,
        cache_read, cache_write_5m, cache_write_1h, web_search, web_fetch, tools, seconds
    FROM billed LEFT JOIN origin ON origin.id = billed.origin LEFT JOIN kind ON kind.id = billed.kind;
CREATE VIEW IF NOT EXISTS summed AS
    SELECT time, model, NULLIF(service_tier, '') AS service_tier, NULLIF(speed, '') AS speed,
        session_id, NULLIF(agent_id, '') AS agent_id, project, account, NULLIF(task, '') AS task, messages, input, output,
        cache_read, cache_write_5m, cache_write_1h, web_search, web_fetch, seconds, timed
    FROM total LEFT JOIN origin ON origin.id = total.origin LEFT JOIN kind ON kind.id = total.kind;
"""
# Made with the first call, or whatever asks for a message's task looks at all calls for each.
CALLS_BY_MESSAGE = "CREATE INDEX IF NOT EXISTS call_message ON call (message_id)"
NAME = "usage.db"


@contextmanager
def opened(home: Home) -> Iterator[sqlite3.Connection]:
    """The ledger of `home`, made when there is none; what the block does is committed, or undone when it raises.

    One that is damaged, or of an older version, is put into quarantine, with what can be read of it saved into a new one.
    """
    connection = connect(home)
    try:
        with connection:
            yield connection
    finally:
        connection.close()


def connect(home: Home) -> sqlite3.Connection:
    """An open ledger with all tables; raises Busy when another process holds it for half a minute."""
    path = home.root / NAME
    try:
        return _connected(path)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError) and not damaged(error):
            raise Busy(f"'{path}' is in use: {error}", "try again in a moment") from None
        from trinity.usage import repair

        repair.renew(home, str(error))
        return _connected(path)


def damaged(error: sqlite3.Error) -> bool:
    """Is this what SQLite says of a file that is no sound database?"""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or (
        "malformed" in str(error) or "disk I/O" in str(error) or "no such column" in str(error)
    )


def _connected(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=30)
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise NewerRecord(str(path), version, VERSION)
        if 0 < version < VERSION:
            raise sqlite3.DatabaseError(f"malformed: tables of version {version}")
        if not version:
            prepare(connection)
            path.chmod(0o600)
        connection.execute("PRAGMA synchronous=NORMAL")
    except BaseException:
        connection.close()
        raise
    return connection


def prepare(connection: sqlite3.Connection) -> None:
    """Make all tables."""
    connection.executescript(f"PRAGMA journal_mode=WAL; {SCHEMA} PRAGMA user_version={VERSION};")
