"""The one place where usage is added up and priced: the status line, the status, budgets and reports all call `sums`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from trinity.usage.amounts import Money, Tokens
from trinity.usage.periods import Span
from trinity.usage.prices import Book
from trinity.usage.rows import BAND, QUARTER, Source

BY = ("model", "project", "session", "pc", "account", "task", "quarter")
_COLUMNS = {"session": "session_id", "quarter": f"CAST(time / {QUARTER} AS INTEGER)"}


@dataclass
class Sum:
    """One line of a report: calls (errors among them), tokens, money, and the seconds of the `timed` calls. Of `unknown`
    calls nobody knows the tokens."""

    calls: int = 0
    errors: int = 0
    tokens: Tokens = field(default_factory=Tokens)
    money: Money = field(default_factory=Money)
    seconds: float = 0.0
    timed: int = 0
    unknown: int = 0
    accounts: set[str] = field(default_factory=set)

    def add(self, other: Sum) -> None:
        self.calls += other.calls
        self.errors += other.errors
        self.tokens = self.tokens.plus(other.tokens)
        self.money.add(other.money)
        self.seconds += other.seconds
        self.timed += other.timed
        self.unknown += other.unknown
        self.accounts |= other.accounts

    @property
    def average_seconds(self) -> float | None:
        """From question to answer, of the calls whose time is known."""
        return self.seconds / self.timed if self.timed else None


def sums(
    source: Source, span: Span, book: Book, by: str | None = None, where: Mapping[str, str] | None = None
) -> dict[str, Sum]:
    """The sums of a span by one of BY; without `by` all of it under "". `where`: only rows with these values."""
    select, parameters = source.select(_single(source, span, book, by), by == "task")
    column = "''" if by is None else _COLUMNS.get(by, by)
    wanted = where or {}
    conditions = "".join(f" AND {_COLUMNS.get(name, name)} = ?" for name in wanted)
    rows = source.connection.execute(
        f"""
        SELECT {column}, model, speed, service_tier, CAST(time / 86400 AS INTEGER), {BAND}, account,
            SUM(calls), SUM(errors), SUM(unknown), SUM(seconds), SUM(timed),
            SUM(input), SUM(output), SUM(cache_read), SUM(cache_write_5m), SUM(cache_write_1h), SUM(web_search)
        FROM ({select}) WHERE time >= ? AND time < ?{conditions} GROUP BY 1, 2, 3, 4, 5, 6, 7
        """,
        (*parameters, span.start, span.end, *wanted.values()),
    )
    found: dict[str, Sum] = {}
    for name, model, speed, tier, day, band, account, number, errors, unknown, seconds, timed, *counts in rows:
        tokens = Tokens(*counts)
        money = book.price(tokens, model, _day(day), band, speed, tier)
        money.unknown += unknown
        part = Sum(number, errors, tokens, money, seconds, timed, unknown, {account})
        found.setdefault("" if name is None else str(name), Sum()).add(part)
    return found


def total(source: Source, span: Span, book: Book, where: Mapping[str, str] | None = None) -> Sum:
    """The sum of a span."""
    return sums(source, span, book, None, where).get("", Sum())


def _single(source: Source, span: Span, book: Book, by: str | None) -> list[str] | None:
    """Whose messages must be looked at one by one: prices may depend on their length, and spans may cut a quarter."""
    if span.start % QUARTER or span.end % QUARTER or by == "task":
        return None
    return [model for model in source.models() if book.tiered(model)]


def _day(number: int) -> date:
    return datetime.fromtimestamp(number * 86400, UTC).date()


@dataclass(frozen=True)
class Call:
    """One call as a detailed list shows it; `seconds` None: nobody knows."""

    pc: str
    time: float
    model: str
    session: str
    project: str
    account: str
    task: str
    tokens: Tokens
    seconds: float | None
    error: bool
    money: Money


def calls(source: Source, span: Span, book: Book) -> Iterator[Call]:
    """Every call of a span, oldest first."""
    select, parameters = source.select(None, True)
    rows = source.connection.execute(
        f"""
        SELECT pc, time, model, session_id, project, account, task, speed, service_tier, {BAND},
            seconds, timed, errors, unknown, input, output, cache_read, cache_write_5m, cache_write_1h, web_search
        FROM ({select}) WHERE time >= ? AND time < ? ORDER BY time
        """,
        (*parameters, span.start, span.end),
    )
    for row in rows:
        pc, time, model, session, project, account, task, speed, tier, band = row[:10]
        seconds, timed, errors, unknown = row[10:14]
        tokens = Tokens(*row[14:])
        money = book.price(tokens, model, _day(int(time // 86400)), band, speed, tier)
        money.unknown += unknown
        took = seconds if timed else None
        yield Call(pc, time, model, session, project, account, task or "", tokens, took, bool(errors), money)
