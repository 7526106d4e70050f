"""A usage report as a document: the total of a span, its parts, and the trend against the span before.

`cost.label` says what the money is: `cost` where accounts are paid by use, `API-equivalent` where a subscription or seat
paid otherwise (it is what the same tokens would cost at the API's prices).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trinity.usage import sums
from trinity.usage.amounts import KINDS, Tokens
from trinity.usage.periods import Span, Zone
from trinity.usage.prices import Book
from trinity.usage.rows import QUARTER, Source
from trinity.usage.sums import Sum

BY = ("model", "project", "session", "pc", "account", "task", "day")
_PAID = ("api", "cloud")
NONE = "(none)"

Kinds = Mapping[str, tuple[str, str]]  # account id -> (label, kind)


def build(
    source: Source,
    span: Span,
    zone: Zone,
    book: Book,
    kinds: Kinds,
    by: Sequence[str] = ("model",),
    detail: bool = False,
) -> dict[str, Any]:
    """The report; `by` names the tables wanted, one at least, `detail` adds every call."""
    parts = {name: _parts(source, span, zone, book, name) for name in by}
    whole = Sum()
    for part in next(iter(parts.values()), {}).values():
        whole.add(part)
    earlier = sums.total(source, Span(span.before, span.start, span.before, ""), book)
    document: dict[str, Any] = {
        "kind": "usage_report",
        "version": 1,
        "period": {"since": span.start, "until": span.end, "text": span.text, "timezone": zone.name},
        "total": line(whole, kinds),
        "before": line(earlier, kinds),
        "trend": _trend(whole, earlier),
        "by": {name: _table(found, kinds, name) for name, found in parts.items()},
        "notes": [book.missing] if book.missing else [],
    }
    if detail:
        document["calls"] = [_call(call, zone) for call in sums.calls(source, span, book)]
    return document


def line(part: Sum, kinds: Kinds) -> dict[str, Any]:
    """A sum as a document."""
    return {
        "calls": part.calls,
        "errors": part.errors,
        "average_seconds": None if part.average_seconds is None else round(part.average_seconds, 3),
        "tokens": tokens(part.tokens),
        "cost": {**part.money.document(), "label": label(part.accounts, kinds), "text": part.money.text()},
    }


def tokens(counts: Tokens) -> dict[str, int]:
    """By kind, and the total."""
    return {**{kind: getattr(counts, kind) for kind in KINDS}, "total": counts.total, "web_searches": counts.web_search}


def label(accounts: set[str], kinds: Kinds) -> str:
    """What the money of these accounts is called; of no calls at all it is that of the accounts there are."""
    asked = accounts or set(kinds)
    if asked and all(kinds.get(account, ("", "unknown"))[1] in _PAID for account in asked):
        return "cost"
    return "API-equivalent"


def _trend(now: Sum, before: Sum) -> dict[str, float | None]:
    """By how much, as a share of the span before: 0.5 is half as much again; None when nothing was before."""

    def share(new: float, old: float) -> float | None:
        return round(new / old - 1, 4) if old else None

    return {
        "calls": share(now.calls, before.calls),
        "tokens": share(now.tokens.total, before.tokens.total),
        "usd": share(float(now.money.usd), float(before.money.usd)),
    }


def _parts(source: Source, span: Span, zone: Zone, book: Book, by: str) -> dict[str, Sum]:
    if by != "day":
        return sums.sums(source, span, book, by)
    days: dict[str, Sum] = {}
    for quarter, part in sums.sums(source, span, book, "quarter").items():
        days.setdefault(str(zone.day(int(quarter) * QUARTER)), Sum()).add(part)
    return days


def _table(found: dict[str, Sum], kinds: Kinds, by: str) -> list[dict[str, Any]]:
    rows = [{"name": _named(by, name, kinds), "id": name, **line(part, kinds)} for name, part in found.items()]
    if by == "day":
        return sorted(rows, key=lambda row: str(row["name"]))
    return sorted(rows, key=lambda row: (-row["cost"]["usd"], -row["tokens"]["total"], str(row["name"])))


def _named(by: str, name: str, kinds: Kinds) -> str:
    if by == "account":
        return kinds.get(name, ("", ""))[0] or name or NONE
    return name or NONE


def _call(call: sums.Call, zone: Zone) -> dict[str, Any]:
    return {
        "time": zone.text(call.time),
        "at": call.time,
        "pc": call.pc,
        "model": call.model,
        "project": call.project,
        "session": call.session,
        "account": call.account,
        "task": call.task,
        "seconds": call.seconds,
        "error": call.error,
        "tokens": tokens(call.tokens),
        "cost": {**call.money.document(), "text": call.money.text()},
    }
