"""The prices of one provider as `genai-prices` has them, in a form that is read without importing it.

The package takes half a second to import, more than a whole report. So it is imported once for each version of it: the
catalogue made then is kept in `price_cache.json`. The one of the version that Trinity was tested with lies beside this
module, made anew by `python -c "from trinity.usage import catalogue; catalogue.ship()"`; it counts for exactly that
version. A document is `{"source": …, "models": [{"rule": …, "tariffs": {context: [tariff, …]}}, …]}`; rates are USD per
million tokens, or per thousand web searches, as texts.
"""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

from trinity import files
from trinity.errors import BadRecord

SHIPPED = Path(__file__).with_name("catalogue.json")
_PACKAGE = "genai_prices"
_PROVIDER = "anthropic"
_LIMIT = 10_000_000
_LONG_AGO = date(2000, 1, 1)
_FIELDS = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cache_read": "cache_read_mtok",
    "cache_write_5m": "cache_write_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
    "web_search": "web_searches_kcount",
}
Record = dict[str, Any]


def data_file() -> Path | None:
    """Where the installed package has its prices; None when it is not installed."""
    found = importlib.util.find_spec(_PACKAGE)
    path = Path(found.origin).with_name("data.py") if found and found.origin else None
    return path if path is not None and path.is_file() else None


def load(cache: Path) -> list[Record] | None:
    """The models of the installed package: from `cache`, else as shipped, else by importing it; None without it."""
    data = data_file()
    if data is None:
        return None
    status = data.stat()
    source = f"{status.st_size} {status.st_mtime_ns}"
    known = _read(cache)
    if known.get("source") == source:
        return list(known["models"])
    shipped = _read(SHIPPED)
    models = list(shipped["models"]) if shipped.get("source") == _digest(data) else build()
    files.write_atomic(cache, _dumped(source, models))
    return models


def ship() -> None:
    """Write the catalogue of the installed package beside this module."""
    data = data_file()
    if data is not None:
        files.write_atomic(SHIPPED, _dumped(_digest(data), build()), mode=0o644)


def _digest(data: Path) -> str:
    import hashlib  # slow to load, and a report does without

    return hashlib.sha256(data.read_bytes()).hexdigest()


def _dumped(source: str, models: list[Record]) -> bytes:
    """One model a line."""
    lines = ",\n".join(json.dumps(model, sort_keys=True) for model in models)
    return f'{{"source": {json.dumps(source)}, "models": [\n{lines}\n]}}\n'.encode()


def _read(path: Path) -> Record:
    try:
        document = files.read_json(path, _LIMIT)
        for model in document["models"]:
            _matches(model["rule"], "")
            tariffs = [tariff for some in model["tariffs"].values() for tariff in some]
            if not all({"since", "rates", "hourly"} <= tariff.keys() for tariff in tariffs):
                return {}
        return dict(document)
    except (OSError, BadRecord, KeyError, TypeError, ValueError, AttributeError, re.error):
        return {}  # a cache: it is made again


def find(models: list[Record], name: str, context: Mapping[str, str]) -> list[Record]:
    """The tariffs of the first model whose rule fits, oldest first; empty when there is none, or none for the context."""
    wanted = name.lower()
    model = next((model for model in models if _matches(model["rule"], wanted)), None)
    return list(model["tariffs"].get(key_of(context), [])) if model else []


def key_of(context: Mapping[str, str]) -> str:
    """`speed=fast`; empty for an ordinary request."""
    return " ".join(f"{name}={value}" for name, value in sorted(context.items()))


def _matches(rule: list[Any], name: str) -> bool:
    kind, sought = rule
    if kind in ("or", "and"):
        found = [_matches(part, name) for part in sought]
        return any(found) if kind == "or" else all(found)
    if kind == "regex":
        return re.search(sought, name) is not None
    sought = str(sought).lower()
    tests = {"starts_with": name.startswith, "ends_with": name.endswith, "contains": name.__contains__}
    return name == sought if kind == "equals" else bool(tests[kind](sought))


def build() -> list[Record]:
    """The models, from the package itself."""
    from genai_prices import data_snapshot

    provider = next(one for one in data_snapshot.get_snapshot().providers if one.id == _PROVIDER)
    return [{"rule": _rule(model.match), "tariffs": _tariffs(provider, model)} for model in provider.models]


def _rule(match: Any) -> list[Any]:
    ((name, value),) = vars(match).items()
    return [name.rstrip("_"), [_rule(part) for part in value] if isinstance(value, list) else value]


def _tariffs(provider: Any, model: Any) -> dict[str, list[Record]]:
    contexts: list[dict[str, str]] = [{}]
    for variant in model.price_variants or []:
        if dict(variant.when) not in contexts:
            contexts.append(dict(variant.when))
    return {key_of(context): _in_context(provider, model, context) for context in contexts}


def _in_context(provider: Any, model: Any, context: dict[str, str]) -> list[Record]:
    from genai_prices import Usage

    variants = [variant.constraint for variant in model.price_variants or [] if dict(variant.when) == context]
    ordinary = [price.constraint for price in model.prices] if isinstance(model.prices, list) else []
    starts = {constraint.start_date for constraint in (*ordinary, *variants) if hasattr(constraint, "start_date")}
    hourly = any(
        constraint is not None and not hasattr(constraint, "start_date") for constraint in (*ordinary, *variants)
    )
    first = date.min
    if context and all(hasattr(constraint, "start_date") for constraint in variants):
        # Before that day the package would answer with the price of an ordinary request.
        first = min(constraint.start_date for constraint in variants)
    made = []
    for day in sorted({first, *(start for start in starts if start > first)}):
        moment = datetime.combine(max(day, _LONG_AGO), time(12), UTC)
        answer = model.calc_price(Usage(), provider, genai_request_timestamp=moment, price_context=context)
        made.append({"since": day.isoformat(), "rates": _rates(answer.model_price), "hourly": hourly})
    return made


def _rates(prices: Any) -> dict[str, list[list[Any]]]:
    rates = {}
    for kind, field in _FIELDS.items():
        value = getattr(prices, field, None)
        if value is not None:
            tiers = [[tier.start, str(tier.price)] for tier in getattr(value, "tiers", [])]
            rates[kind] = [[0, str(getattr(value, "base", value))], *tiers]
    return rates
