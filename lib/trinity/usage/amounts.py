"""Amounts: tokens by kind, and what they cost with how sure that is.

Money is exact decimal arithmetic in USD; it is never rounded but where it is shown. What has no known price is counted in
tokens beside the sum, so a sum that lacks something can never pass for the whole.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

KINDS = ("input", "output", "cache_read", "cache_write_5m", "cache_write_1h")


class Tokens(NamedTuple):
    """Counts of tokens by kind, and of web searches, which are paid by the piece."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    web_search: int = 0

    @property
    def total(self) -> int:
        """All tokens, of whatever kind."""
        return self.input + self.output + self.cache_read + self.cache_write_5m + self.cache_write_1h

    def plus(self, other: Tokens) -> Tokens:
        return Tokens(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


@dataclass
class Money:
    """`usd`, of which `estimated` says that a rate was derived rather than published; `unpriced` tokens and
    `unknown` calls (of unknown tokens) or searches are not in it."""

    usd: Decimal = Decimal(0)
    estimated: bool = False
    unpriced: int = 0
    unknown: int = 0
    models: set[str] = field(default_factory=set)

    def add(self, other: Money) -> None:
        self.usd += other.usd
        self.estimated |= other.estimated
        self.unpriced += other.unpriced
        self.unknown += other.unknown
        self.models |= other.models

    @property
    def quality(self) -> str:
        """`exact`, `estimated`, or `lower bound` when a part has no known price."""
        if self.unpriced or self.unknown:
            return "lower bound"
        return "estimated" if self.estimated else "exact"

    def document(self) -> dict[str, Any]:
        return {
            "usd": float(round(self.usd, 6)),
            "quality": self.quality,
            "unpriced_tokens": self.unpriced,
            "unpriced_models": sorted(self.models),
            "calls_without_price": self.unknown,
        }

    def text(self) -> str:
        """For a person: `$1.23`, `about $1.23`, `at least $1.23 + unpriced: 500 tokens`, or what has no price alone."""
        missing = [f"unpriced: {self.unpriced:,} tokens"] if self.unpriced else []
        if self.unknown:
            missing.append(f"{self.unknown:,} calls of unknown price")
        if missing and not self.usd:
            return " + ".join(missing)
        sign = {"exact": "", "estimated": "about ", "lower bound": "at least "}[self.quality]
        return " + ".join([f"{sign}{dollars(self.usd)}", *missing])


def dollars(usd: Decimal) -> str:
    """`$12.34`; a sum below a cent keeps its first digits."""
    if 0 < usd < Decimal("0.01"):
        return f"${usd:.4f}" if usd >= Decimal("0.0001") else "below $0.0001"
    return f"${usd:,.2f}"


def count(tokens: int) -> str:
    """`950`, `12.3k`, `4.5M`, for a line that must be short."""
    for unit, size in (("G", 1_000_000_000), ("M", 1_000_000), ("k", 1_000)):
        if tokens >= size:
            return f"{tokens / size:.1f}{unit}"
    return str(tokens)
