"""The ledger, `usage.db`: every billed message of this PC's transcripts once, and what was logged by a caller.

One row per (message id, request id), the largest of several lines of one message wins. A row stays when its transcript is
gone: the client deletes transcripts after 30 days. Times are epoch seconds (UTC), tokens are counts.
"""

from __future__ import annotations

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS file (
    id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, device INTEGER, inode INTEGER, size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL, offset INTEGER NOT NULL, head BLOB NOT NULL, gone INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS message (
    message_id TEXT NOT NULL, request_id TEXT NOT NULL, time REAL NOT NULL, model TEXT NOT NULL,
    session_id TEXT NOT NULL, agent_id TEXT, project TEXT NOT NULL, account TEXT NOT NULL, task TEXT,
    input INTEGER NOT NULL, output INTEGER NOT NULL, cache_read INTEGER NOT NULL,
    cache_write_5m INTEGER NOT NULL, cache_write_1h INTEGER NOT NULL,
    web_search INTEGER NOT NULL DEFAULT 0, web_fetch INTEGER NOT NULL DEFAULT 0,
    service_tier TEXT, speed TEXT, tools TEXT, seconds REAL, file INTEGER,
    PRIMARY KEY (message_id, request_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS error (
    uuid TEXT PRIMARY KEY, time REAL NOT NULL, kind TEXT NOT NULL, session_id TEXT NOT NULL, project TEXT NOT NULL,
    account TEXT NOT NULL, file INTEGER
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS call (
    id TEXT PRIMARY KEY, time REAL NOT NULL, seconds REAL, first_token_seconds REAL, model TEXT NOT NULL,
    task TEXT, outcome TEXT NOT NULL, input INTEGER, output INTEGER, cache_read INTEGER, cache_write_5m INTEGER,
    cache_write_1h INTEGER, account TEXT NOT NULL, project TEXT, session_id TEXT, request_id TEXT, message_id TEXT
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS message_time ON message (time);
"""
