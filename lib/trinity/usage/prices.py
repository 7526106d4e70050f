"""Prices: what a token of a model cost on a day, from `genai-prices`, or from the user's own `prices.json`.

A model without a price is said to have none; nothing falls back to 0 or to a model of a similar name. The package takes
half a second to import, so what it said is kept in `price_cache.json` and asked again only for a new model or when the
package itself changed. Without the package (`--minimal`) everything but money works, and `missing` says so.

Rates are USD per million tokens; `web_search` is USD per thousand searches. Some prices rise with the length of the
request (`BANDS`); sums must keep such requests apart.
"""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

from trinity import files, schema
from trinity.errors import BadRecord
from trinity.home import Home
from trinity.usage.amounts import KINDS, Money, Tokens

# Requests with more tokens of input than one of these are summed apart: there prices have changed so far.
BANDS = (100_000, 200_000)
FIVE_MINUTES, ONE_HOUR = Decimal("1.25"), Decimal(2)
_PACKAGE = "genai_prices"
_MILLION, _THOUSAND = Decimal(1_000_000), Decimal(1_000)
# How clouds name the same models: `us.anthropic.claude-…-v1:0`.
_CLOUD = re.compile(r"^(?:[a-z-]+\.)?anthropic\.|-v\d+:\d+$")
_FIELDS = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cache_read": "cache_read_mtok",
    "cache_write_5m": "cache_write_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
    "web_search": "web_searches_kcount",
}
_ORDINARY: Mapping[str, str] = {}
Rates = dict[str, list[tuple[int, Decimal]]]


@dataclass(frozen=True)
class Tariff:
    """The rates from a day on: by kind `(from so many tokens of input, rate)`, ascending; `derived` kinds are computed."""

    since: str
    rates: Rates
    derived: frozenset[str] = frozenset()

    def price(self, tokens: Tokens, band: int, model: str) -> Money:
        """The cost of tokens that were sent in requests of this band."""
        money = Money()
        for kind, number in zip((*KINDS, "web_search"), tokens, strict=True):
            if not number:
                continue
            steps = self.rates.get(kind)
            if not steps:
                money.unpriced += number if kind in KINDS else 0
                money.unknown += 0 if kind in KINDS else number
                money.models.add(model)
                continue
            rate = max(step for step in steps if step[0] <= band)[1]
            money.usd += rate * number / (_MILLION if kind in KINDS else _THOUSAND)
            money.estimated |= kind in self.derived or any(start and start not in BANDS for start, _ in steps)
        return money


class Book:
    """All prices of this PC. `missing` is empty, or why there are no prices but the user's own."""

    def __init__(self, home: Home) -> None:
        self._file = home.root / "price_cache.json"
        self._own = _own(home)
        self._source = _fingerprint()
        self._known: dict[str, list[Tariff]] = _cached(self._file, self._source)
        self._changed = False
        self.missing = "" if self._source else "no prices: genai-prices is not installed (./install.sh installs it)"

    def price(
        self, tokens: Tokens, model: str, day: date, band: int = 0, speed: str | None = None, tier: str | None = None
    ) -> Money:
        """What these tokens cost; `band` is the highest of BANDS below the requests' input, or 0."""
        tariff = self._tariff(model, day, speed, tier)
        if tariff is None:
            return Money(unpriced=tokens.total, models={model} if tokens.total else set())
        return tariff.price(tokens, band, model)

    def tiered(self, model: str) -> bool:
        """Does the price of this model depend, or did it ever, on the length of a request?"""
        if model in self._own or not self._source:
            return False
        tariffs = self._of(model)
        return any(len(steps) > 1 for tariff in tariffs for steps in tariff.rates.values())

    def save(self) -> None:
        """Keep what was learned for the next process."""
        if self._changed and self._source:
            models = {key: [_written(tariff) for tariff in tariffs] for key, tariffs in self._known.items()}
            files.write_json(self._file, {"source": self._source, "models": models})
            self._changed = False

    def _tariff(self, model: str, day: date, speed: str | None, tier: str | None) -> Tariff | None:
        context = {}
        if speed not in (None, "", "standard"):
            context["speed"] = str(speed)
        if tier not in (None, "", "standard"):
            context["processing"] = str(tier)
        own = self._own.get(model) or next(
            (self._own[name] for name in self._own if name.endswith("*") and model.startswith(name[:-1])), None
        )
        if own is not None:
            return _on(own, day) if not context else None
        if not self._source:
            return None
        return _on(self._of(model, context), day)

    def _of(self, model: str, context: Mapping[str, str] = _ORDINARY) -> list[Tariff]:
        key = " ".join([model, *(f"{name}={value}" for name, value in sorted(context.items()))])
        if key not in self._known:
            self._known[key] = _ask(model, context)
            self._changed = True
        return self._known[key]


def band_of(tokens: int) -> int:
    """The band of a request with so many tokens of input, cached ones included."""
    return max((start for start in BANDS if tokens > start), default=0)


def _on(tariffs: list[Tariff], day: date) -> Tariff | None:
    return next((tariff for tariff in reversed(tariffs) if tariff.since <= day.isoformat()), None)


def _fingerprint() -> str | None:
    """The installed package, without importing it; None when there is none."""
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or found.origin is None:
        return None
    data = Path(found.origin).with_name("data.py")
    try:
        status = os.stat(data if data.exists() else found.origin)
    except OSError:
        return None
    return f"{status.st_size} {status.st_mtime_ns}"


def _ask(model: str, context: Mapping[str, str]) -> list[Tariff]:
    """Every tariff the package knows for a model, oldest first; empty when it knows none."""
    import genai_prices
    from genai_prices import types

    name = _CLOUD.sub("", model)

    def at(day: date) -> types.PriceCalculation:
        moment = datetime.combine(day, time(12), UTC)
        return genai_prices.calc_price(
            genai_prices.Usage(), name, provider_id="anthropic", genai_request_timestamp=moment, price_context=context
        )

    try:
        found = at(date(2000, 1, 1)).model
    except LookupError:
        return []
    variants = [variant for variant in found.price_variants or [] if variant.when == dict(context)]
    if context and not variants:
        return []
    conditions: list[Any] = list(found.prices) if isinstance(found.prices, list) else []
    constraints = [condition.constraint for condition in (*conditions, *variants)]
    starts = {c.start_date for c in constraints if isinstance(c, types.StartDateConstraint)}
    hourly = any(isinstance(c, types.TimeOfDateConstraint) for c in constraints)
    first = date.min
    if variants and all(isinstance(variant.constraint, types.StartDateConstraint) for variant in variants):
        # Before that day the package would answer with the price of an ordinary request.
        first = min(variant.constraint.start_date for variant in variants)  # type: ignore[union-attr]
    days = sorted({first, *(start for start in starts if start > first)})
    return [
        _tariff(at(day if day > date.min else date(2000, 1, 1)).model_price, day, hourly or name != model)
        for day in days
    ]


def _tariff(prices: Any, since: date, unsure: bool) -> Tariff:
    rates: Rates = {}
    for kind, field in _FIELDS.items():
        value = getattr(prices, field, None)
        if value is None:
            continue
        tiers = [(tier.start, tier.price) for tier in getattr(value, "tiers", [])]
        rates[kind] = [(0, getattr(value, "base", value)), *tiers]
    return _complete(since.isoformat(), rates, unsure)


def _complete(since: str, rates: Rates, unsure: bool = False) -> Tariff:
    """With the documented price of cache writes where none is published: 1.25 times the input's for five minutes, twice
    for an hour."""
    derived = set(rates) if unsure else set()
    for kind, factor in (("cache_write_5m", FIVE_MINUTES), ("cache_write_1h", ONE_HOUR)):
        if kind not in rates and "input" in rates and "cache_read" in rates:
            rates[kind] = [(start, rate * factor) for start, rate in rates["input"]]
            derived.add(kind)
    return Tariff(since, rates, frozenset(derived))


def _own(home: Home) -> dict[str, list[Tariff]]:
    """The user's `prices.json`; raises BadRecord."""
    path = home.root / "prices.json"
    try:
        document = schema.read("prices", path.read_bytes(), str(path))
    except FileNotFoundError:
        return {}
    return {
        model: [_complete(date.min.isoformat(), {kind: [(0, Decimal(str(rate)))] for kind, rate in rates.items()})]
        for model, rates in document["models"].items()
    }


def _cached(path: Path, source: str | None) -> dict[str, list[Tariff]]:
    try:
        document = files.read_json(path, 10_000_000)
        if document["source"] != source:
            return {}
        return {key: [_read(entry) for entry in entries] for key, entries in document["models"].items()}
    except (FileNotFoundError, BadRecord, KeyError, TypeError, ValueError, ArithmeticError, AttributeError):
        return {}  # a cache: the package is asked again


def _written(tariff: Tariff) -> dict[str, Any]:
    rates = {kind: [[start, str(rate)] for start, rate in steps] for kind, steps in tariff.rates.items()}
    return {"since": tariff.since, "rates": rates, "derived": sorted(tariff.derived)}


def _read(entry: Mapping[str, Any]) -> Tariff:
    rates = {kind: [(int(start), Decimal(rate)) for start, rate in steps] for kind, steps in entry["rates"].items()}
    return Tariff(str(entry["since"]), rates, frozenset(entry["derived"]))
