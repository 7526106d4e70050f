"""Rows for a ledger whose sums can be computed by hand."""

from __future__ import annotations

from typing import Any

from trinity.home import Home
from trinity.usage import ledger

NOON = 1_763_640_000.0  # 2025-11-20T12:00:00Z
OPUS, SONNET = "claude-opus-4-5", "claude-sonnet-4-5"


def bill(home: Home, message_id: str, tokens: tuple[int, ...], **facts: Any) -> None:
    """One billed message: tokens are input, output, cache read, 5-minute and 1-hour writes, web searches."""
    counts = [*tokens, *[0] * (6 - len(tokens))]
    time = facts.get("time", NOON)
    seconds = facts.get("seconds")
    origin = [facts.get(name, "") for name in ("session", "agent", "project", "account", "task")]
    kind = [facts.get("model", OPUS), facts.get("tier", ""), facts.get("speed", "")]
    with ledger.opened(home) as connection:
        connection.execute(
            "INSERT OR IGNORE INTO origin (session_id, agent_id, project, account, task) VALUES (?, ?, ?, ?, ?)", origin
        )
        connection.execute("INSERT OR IGNORE INTO kind (model, service_tier, speed) VALUES (?, ?, ?)", kind)
        keys = connection.execute(
            "SELECT origin.id, kind.id FROM origin, kind WHERE (session_id, agent_id, project, account, task) "
            "= (?, ?, ?, ?, ?) AND (model, service_tier, speed) = (?, ?, ?)",
            (*origin, *kind),
        ).fetchone()
        connection.execute(
            "INSERT INTO billed VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, '', ?, 0)",
            (message_id, f"req_{message_id}", time, *keys, *counts, seconds),
        )
        connection.execute(
            "INSERT INTO total VALUES (?, ?, ?, 1, ?, ?, ?, ?, ?, ?, 0, ?, ?) ON CONFLICT DO UPDATE SET "
            "messages = messages + 1, input = input + excluded.input, output = output + excluded.output, "
            "cache_read = cache_read + excluded.cache_read, cache_write_5m = cache_write_5m + excluded.cache_write_5m, "
            "cache_write_1h = cache_write_1h + excluded.cache_write_1h, web_search = web_search + excluded.web_search, "
            "seconds = seconds + excluded.seconds, timed = timed + excluded.timed",
            (int(time // 900) * 900, *keys, *counts, seconds or 0, seconds is not None),
        )
