"""Prices: what a token of a model cost on a day, from `genai-prices`, or from the user's own `prices.json`.

A model without a price is said to have none; nothing falls back to 0 or to a model of a similar name. Without the package
(`--minimal`) everything but money works, and `missing` says so.

Rates are USD per million tokens; `web_search` is USD per thousand searches. Some prices rise with the length of the
request (`BANDS`); sums must keep such requests apart.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from trinity import schema
from trinity.home import Home
from trinity.usage import catalogue
from trinity.usage.amounts import KINDS, Money, Tokens

# Requests with more tokens of input than one of these are summed apart: there prices have changed so far.
BANDS = (100_000, 200_000)
FIVE_MINUTES, ONE_HOUR = Decimal("1.25"), Decimal(2)
_MILLION, _THOUSAND = Decimal(1_000_000), Decimal(1_000)
# How clouds name the same models: `us.anthropic.claude-…-v1:0`.
_CLOUD = re.compile(r"^(?:[a-z-]+\.)?anthropic\.|-v\d+:\d+$")
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
        self._own = _own(home)
        self._models = catalogue.load(home.root / "price_cache.json")
        self._known: dict[tuple[str, str], list[Tariff]] = {}
        installed = self._models is not None
        self.missing = "" if installed else "no prices: genai-prices is not installed (./install.sh installs it)"

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
        if self._set_by_user(model) is not None:
            return False
        return any(len(steps) > 1 for tariff in self._of(model, {}) for steps in tariff.rates.values())

    def _tariff(self, model: str, day: date, speed: str | None, tier: str | None) -> Tariff | None:
        context = {}
        if speed not in (None, "", "standard"):
            context["speed"] = str(speed)
        if tier not in (None, "", "standard"):
            context["processing"] = str(tier)
        own = self._set_by_user(model)
        if own is not None:
            return _on(own, day) if not context else None
        return _on(self._of(model, context), day)

    def _set_by_user(self, model: str) -> list[Tariff] | None:
        # Of several names that fit the longest says most.
        named = [name for name in self._own if name.endswith("*") and model.startswith(name[:-1])]
        return self._own.get(model) or self._own.get(max(named, key=len, default=""))

    def _of(self, model: str, context: Mapping[str, str]) -> list[Tariff]:
        key = (model, catalogue.key_of(context))
        if key not in self._known:
            name = _CLOUD.sub("", model)
            found = catalogue.find(self._models or [], name, context)
            # A cloud may take more for the same model.
            self._known[key] = [_tariff(record, name != model) for record in found]
        return self._known[key]


def band_of(tokens: int) -> int:
    """The band of a request with so many tokens of input, cached ones included."""
    return max((start for start in BANDS if tokens > start), default=0)


def _on(tariffs: list[Tariff], day: date) -> Tariff | None:
    return next((tariff for tariff in reversed(tariffs) if tariff.since <= day.isoformat()), None)


def _tariff(record: Mapping[str, Any], unsure: bool) -> Tariff:
    rates = {kind: [(int(start), Decimal(rate)) for start, rate in steps] for kind, steps in record["rates"].items()}
    return _complete(str(record["since"]), rates, unsure or bool(record["hourly"]))


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
