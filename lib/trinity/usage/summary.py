"""The numbers of today, written whenever the ledger was brought up to date, by the same sums as every report.

The status line and the status read them (`today`) and add nothing up, so all of them say the same.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from trinity import clock, files
from trinity.config import Config
from trinity.errors import BadRecord
from trinity.home import Home
from trinity.usage import budgets, periods, report, rows, sums, today, updating
from trinity.usage.amounts import count
from trinity.usage.budgets import Spent
from trinity.usage.periods import Zone
from trinity.usage.prices import Book
from trinity.usage.rows import Source
from trinity.usage.sums import Sum

_LINE = "usage"  # below status_line/; the status line reads it


def write(
    home: Home, config: Config, source: Source, book: Book, now: float | None = None, shared: list[Spent] | None = None
) -> dict[str, Any]:
    """Add up today, write the summary and the status line's part, tell budgets that pass a step; returns the summary.

    `shared`: the fleet's budgets of this PC's account, added up over all PCs; None keeps what was known of them.
    """
    moment = clock.now() if now is None else now
    span = periods.today(Zone(), moment)
    whole = sums.total(source, span, book)
    kinds = accounts(config)
    spent = budgets.spent(source, config, book, moment)
    document: dict[str, Any] = {
        "kind": "usage_summary",
        "version": 1,
        "pc": config.pc,
        "timestamp": clock.iso(moment),
        "until": clock.iso(span.end),
        "today": report.line(whole, kinds),
        "text": text(whole, kinds),
        "budgets": [
            *(entry.document() for entry in spent),
            *(_kept(home, moment) if shared is None else [{**entry.document(), "shared": True} for entry in shared]),
        ],
    }
    _write(today.path(home), files.dump_json(document))
    near = [entry["text"] for entry in document["budgets"] if entry["percent"] >= budgets.ALERTS[0]]
    shown = "; ".join([document["text"], *near])
    _write(home.status_line / _LINE, f"{span.end:.0f}\t{shown}\n".encode())
    budgets.alert(home, [*spent, *(shared or [])], moment)
    return document


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all, but not fsynced: it is written anew at every update, and a lost one costs a minute."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.{time.monotonic_ns()}")
    temporary.write_bytes(data)
    temporary.chmod(0o600)
    files.replace(temporary, path)


def _kept(home: Home, now: float) -> list[dict[str, Any]]:
    # Not by `today`: whoever reads what is written here checks it, and a report need not import the schemas.
    try:
        document = files.read_json(today.path(home))
        return [entry for entry in document["budgets"] if entry.get("shared") and clock.parse(entry["until"]) > now]
    except (OSError, BadRecord, KeyError, TypeError, ValueError, AttributeError):
        return []


def refresh(home: Home, config: Config, shared: list[Spent] | None = None) -> dict[str, Any]:
    """Bring the ledger up to date, then the summary (`shared` as for `write`); raises Busy, BadRecord."""
    updating.update(home, config)
    book = Book(home)
    with rows.own(home, config.pc) as source:
        return write(home, config, source, book, shared=shared)


def accounts(config: Config) -> report.Kinds:
    """This PC's own account, for names and labels."""
    account = config.account
    return {account.id: (account.label, account.kind)}


def text(whole: Sum, kinds: report.Kinds) -> str:
    """`today 12.3k tokens, 14 calls, $1.23 (API-equivalent)`."""
    named = report.label(whole.accounts, kinds)
    money = whole.money.text() + ("" if named == "cost" else f" ({named})")
    calls = f"{whole.calls} call{'' if whole.calls == 1 else 's'}"
    return f"today {count(whole.tokens.total)} tokens, {calls}, {money}"
