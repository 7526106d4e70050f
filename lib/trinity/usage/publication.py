"""What this PC tells the fleet of its ledger: which days have changed, and the calls of a day."""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Iterator
from datetime import UTC, date, datetime

from trinity.usage import day_record
from trinity.usage.amounts import KINDS
from trinity.usage.day_record import DAY, Group, Row
from trinity.usage.prices import band_of
from trinity.usage.rows import last_part

_TASK = 200
_COUNTS = ", ".join((*KINDS, "web_search"))
# Whatever changes a day's record changes one of these sums.
_MARKS = f"""
SELECT day, GROUP_CONCAT(mark, ' ') FROM (
    SELECT time / {DAY} AS day, 'm' || SUM(messages) || ' ' || SUM(input + 3 * output + 5 * cache_read
        + 7 * cache_write_5m + 11 * cache_write_1h + 13 * web_search) || ' ' || SUM(origin * messages) || ' '
        || SUM(kind * messages) || ' ' || SUM(timed) AS mark FROM total GROUP BY 1
    UNION ALL SELECT CAST(time / {DAY} AS INTEGER), 'e' || COUNT(*) FROM error GROUP BY 1
    UNION ALL SELECT CAST(time / {DAY} AS INTEGER), 'c' || COUNT(*) || ' ' || TOTAL(seconds) FROM call GROUP BY 1
) GROUP BY day"""


def marks(connection: sqlite3.Connection, now: float) -> dict[int, str]:
    """By day (days since 1970) a mark that changes with what is to be told of it."""
    detailed = int(now // DAY) - day_record.DETAIL_DAYS
    return {
        day: f"{'calls' if day > detailed else 'sums'} {mark}"
        for day, mark in connection.execute(_MARKS)
        if 0 <= day <= now // DAY + 1
    }


def name(day: int) -> str:
    """`2026-11-20`, of a number of days since 1970."""
    return str(datetime.fromtimestamp(day * DAY, UTC).date())


def number(day: str) -> int:
    """The reverse of `name`."""
    return (date.fromisoformat(day) - date(1970, 1, 1)).days


def day_of(path: str) -> int | None:
    """The day of a published file; None for one that is no day's."""
    try:
        return number(path.removeprefix("days/").removesuffix(".json"))
    except ValueError:
        return None


def rows(connection: sqlite3.Connection, day: int) -> Iterator[Row]:
    """Every call of a day, once."""
    span = (day * DAY, (day + 1) * DAY)
    messages = f"""
        SELECT message_id, request_id, time, model, service_tier, speed, session_id, project, account,
            COALESCE(task, (SELECT task FROM call WHERE call.message_id = message.message_id)), seconds, {_COUNTS}
        FROM message WHERE time >= ? AND time < ?"""
    for (
        message_id,
        request_id,
        time,
        model,
        tier,
        speed,
        session,
        project,
        account,
        task,
        seconds,
        *counts,
    ) in connection.execute(messages, span):
        long = sum(counts) - counts[1] - counts[5]
        group = _group(session, project, model, account, task, tier, speed, band_of(long), 0, 0)
        yield _row(group, day_record.key(message_id, request_id), time, counts, seconds)
    for call_id, time, model, session, project, account, task, outcome, seconds, *counts in connection.execute(
        f"""SELECT id, time, model, session_id, project, account, task, outcome, seconds, {", ".join(KINDS)} FROM call
        WHERE time >= ? AND time < ? AND (message_id IS NULL
            OR NOT EXISTS (SELECT 1 FROM billed WHERE billed.message_id = call.message_id))""",
        span,
    ):
        failed = int(outcome != "success")
        unknown = int(not failed and (counts[0] is None or counts[1] is None))
        whole = [count or 0 for count in counts] + [0]
        long = sum(whole) - whole[1]
        group = _group(session, project, model, account, task, None, None, band_of(long), failed, unknown)
        yield _row(group, day_record.key("call", call_id), time, whole, seconds)
    errors = "SELECT uuid, time, session_id, project, account FROM error WHERE time >= ? AND time < ?"
    for uuid, time, session, project, account in connection.execute(errors, span):
        group = _group(session, project, "", account, None, None, None, 0, 1, 0)
        yield _row(group, day_record.key("error", uuid), time, [0] * 6, None)


# Thousands of calls have the same facts.
@functools.lru_cache(maxsize=4096)
def _group(
    session: str | None,
    project: str | None,
    model: str,
    account: str,
    task: str | None,
    tier: str | None,
    speed: str | None,
    band: int,
    failed: int,
    unknown: int,
) -> Group:
    return Group(
        (session or "")[:200],
        last_part(project or "")[:255],
        model[:200],
        account[:64],
        (task or "")[:_TASK],
        (tier or "")[:40],
        (speed or "")[:40],
        band,
        failed,
        unknown,
    )


def _row(group: Group, key: int, time: float, counts: list[int], seconds: float | None) -> Row:
    return Row(group, key, int(time), tuple(counts), seconds or 0.0, int(seconds is not None))
