"""What reports add up: this PC's ledger, or the whole fleet, as a SELECT with the same columns.

A message counts once. A call that a program logged counts too, unless a transcript has the same message: then that is it.
Every error line is a call without tokens. Where it changes nothing the rows are sums of a quarter of an hour, which keeps a
report over years as fast as one over a day.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from trinity.errors import Busy
from trinity.home import Home
from trinity.usage import ledger
from trinity.usage.prices import BANDS

QUARTER = 900
_BAND = " ".join(f"WHEN long > {start} THEN {start}" for start in sorted(BANDS, reverse=True))
_LONG = "input + cache_read + cache_write_5m + cache_write_1h"
_COUNTS = "input, output, cache_read, cache_write_5m, cache_write_1h, web_search"
_NAMES = "time, model, session_id, project, account"
# What a call of a transcript was logged for, when the session itself had no task.
_TASK = "COALESCE(task, (SELECT task FROM call WHERE call.message_id = message.message_id))"

_SUMMED = f"""
SELECT ? AS pc, {_NAMES}, task, speed, service_tier, 0 AS long, {_COUNTS}, seconds, timed,
    messages AS calls, 0 AS errors, 0 AS unknown
FROM summed WHERE {{models}}"""
_MESSAGES = f"""
SELECT ? AS pc, {_NAMES}, {{task}} AS task, speed, service_tier, {_LONG} AS long, {_COUNTS}, COALESCE(seconds, 0) AS seconds,
    seconds IS NOT NULL AS timed, 1 AS calls, 0 AS errors, 0 AS unknown
FROM message WHERE {{models}}"""
_OTHERS = """
SELECT ?, time, model, COALESCE(session_id, ''), COALESCE(project, ''), account, task, NULL, NULL,
    COALESCE(input, 0) + COALESCE(cache_read, 0) + COALESCE(cache_write_5m, 0) + COALESCE(cache_write_1h, 0),
    COALESCE(input, 0), COALESCE(output, 0), COALESCE(cache_read, 0), COALESCE(cache_write_5m, 0),
    COALESCE(cache_write_1h, 0), 0, COALESCE(seconds, 0), seconds IS NOT NULL, 1, outcome <> 'success',
    outcome = 'success' AND (input IS NULL OR output IS NULL)
FROM call
WHERE message_id IS NULL OR NOT EXISTS (SELECT 1 FROM billed WHERE billed.message_id = call.message_id)
UNION ALL
SELECT ?, time, '', session_id, project, account, NULL, NULL, NULL, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0 FROM error"""

BAND = f"CASE {_BAND} ELSE 0 END"


class Source(Protocol):
    """Where rows come from: `models` are those in it, `select` gives the rows and their parameters.

    The columns are pc, time, model, session_id, project, account, task, speed, service_tier, long (tokens of input of one
    request), the kinds of tokens, web_search, seconds, timed, calls, errors, unknown (calls of unknown tokens).
    """

    connection: sqlite3.Connection

    def models(self) -> list[str]: ...

    def select(self, single: Sequence[str] | None, tasks: bool = False) -> tuple[str, list[object]]:
        """Messages of the models `single` (None: all) one by one, the others perhaps summed; with `tasks` also the task
        for which a program logged the same call."""


class Own:
    """This PC's ledger."""

    def __init__(self, connection: sqlite3.Connection, pc: str) -> None:
        self.connection = connection
        self.pc = pc

    def models(self) -> list[str]:
        return [str(model) for (model,) in self.connection.execute("SELECT DISTINCT model FROM kind")]

    def select(self, single: Sequence[str] | None, tasks: bool = False) -> tuple[str, list[object]]:
        task = _TASK if tasks else "task"
        if single is None:
            messages, models = [_MESSAGES.format(models="1", task=task)], []
        else:
            marks = ", ".join("?" * len(single))
            messages, models = [_SUMMED.format(models=f"model NOT IN ({marks})")], list(single)
            if single:
                messages.append(_MESSAGES.format(models=f"model IN ({marks})", task=task))
        parameters: list[object] = []
        for _ in messages:
            parameters += [self.pc, *models]
        return " UNION ALL ".join([*messages, _OTHERS]), [*parameters, self.pc, self.pc]


@contextmanager
def own(home: Home, pc: str) -> Iterator[Own]:
    """The rows of this PC's ledger, read in one transaction; raises Busy when it was damaged, and is renewed."""
    try:
        with ledger.opened(home) as connection:
            connection.execute("BEGIN")
            yield Own(connection, pc)
    except sqlite3.DatabaseError as error:
        if not ledger.damaged(error):
            raise
        from trinity.usage import repair

        repair.renew(home, str(error))
        raise Busy(
            f"the ledger was damaged ({error}), and what could be read of it is saved", "type it again"
        ) from None


def last_part(project: str) -> str:
    """The folder's own name, of a path of any system."""
    return project.rstrip("/\\").rpartition("\\" if "\\" in project else "/")[2]
