"""Budgets: how much of an amount that a person set for a day, week or month is spent, and when to say so.

Spent is what the ledger says, priced as in every report. A part without a known price makes it `at least` so much: such a
budget may be used up without anybody knowing, and whoever decides by it must treat it so (`Spent.sure`).
Periods are the calendar's, in this PC's time zone; weeks begin on Monday.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from trinity import clock, files, locks, program
from trinity.config import Budget, Config
from trinity.errors import BadRecord
from trinity.home import Home
from trinity.usage import periods, sums
from trinity.usage.periods import Zone
from trinity.usage.prices import Book
from trinity.usage.rows import Source, last_part
from trinity.usage.sums import Sum

ALERTS = (75, 90, 95)
_FILE = "usage_alerts.json"


@dataclass(frozen=True)
class Spent:
    """What is spent of a budget, `amount` in its unit: `percent` may exceed 100; `sure` is False when a part has no known
    price."""

    budget: Budget
    amount: float
    since: float
    until: float
    percent: float
    sure: bool
    text: str

    def document(self) -> dict[str, Any]:
        return {
            "name": self.budget.name,
            "since": clock.iso(self.since),
            "until": clock.iso(self.until),
            "percent": round(self.percent, 1),
            "sure": self.sure,
            "text": self.text,
        }


def spent(source: Source, config: Config, book: Book, now: float) -> list[Spent]:
    """Every budget of the configuration with what is spent of it."""
    zone = Zone()
    return [of(source, budget, config, book, zone, now) for budget in config.budgets]


def of(source: Source, budget: Budget, config: Config, book: Book, zone: Zone, now: float) -> Spent:
    """One budget: of an account or project when it names one, else of this PC."""
    span = periods.current(zone, budget.period, now)
    if budget.account is not None:
        parts = sums.sums(source, span, book, "account")
        names = {budget.account} | ({config.account.id} if budget.account == config.account.label else set())
        whole = _together(part for name, part in parts.items() if name in names)
    elif budget.project is not None:
        parts = sums.sums(source, span, book, "project")
        whole = _together(part for name, part in parts.items() if budget.project in (name, last_part(name)))
    else:
        whole = sums.total(source, span, book)
    return _judged(budget, whole, span.start, span.end)


def _judged(budget: Budget, whole: Sum, since: float, until: float) -> Spent:
    if budget.usd is not None:
        amount, limit = float(whole.money.usd), budget.usd
        sure = whole.money.quality != "lower bound"
        text = f"{whole.money.text()} of ${limit:,.2f}"
    else:
        amount, limit = float(whole.tokens.total), float(budget.tokens or 0)
        sure = not whole.unknown  # searches without a price are no tokens
        text = f"{amount:,.0f} of {limit:,.0f} tokens"
    percent = 100 * amount / limit if limit else 100.0
    told = f"budget '{budget.name}' {percent:.0f} % spent ({text} a {budget.period})"
    return Spent(budget, amount, since, until, percent, sure, told)


def _together(parts: Iterable[Sum]) -> Sum:
    whole = Sum()
    for part in parts:
        whole.add(part)
    return whole


def alert(home: Home, found: list[Spent], now: float) -> list[str]:
    """Tell in `logs/alarms.log` which of ALERTS were passed since they were last told; each is told once a period."""
    due = [(entry, max((step for step in ALERTS if entry.percent >= step), default=0)) for entry in found]
    if not any(step for _, step in due):
        return []
    lines = []
    with locks.hold(home.locks / "alerts.lock"):
        told = _told(home)
        kept = {key: value for key, value in told.items() if value[1] > now}
        for entry, step in due:
            key = f"{entry.budget.name} {clock.iso(entry.since)}"
            if step > kept.get(key, (0, 0.0))[0]:
                kept[key] = (step, entry.until)
                lines.append(f"{entry.text}: {step} % is passed")
        if lines:
            files.write_json(home.root / _FILE, {key: list(value) for key, value in kept.items()})
    for line in lines:
        program.log(home, "alarms", line)
    return lines


def _told(home: Home) -> dict[str, tuple[int, float]]:
    try:
        document = files.read_or(home.root / _FILE, dict)
        return {str(key): (int(step), float(until)) for key, (step, until) in document.items()}
    except (BadRecord, AttributeError, TypeError, ValueError) as error:
        files.quarantine(home, home.root / _FILE, f"not a list of alerts: {error}")
        return {}
