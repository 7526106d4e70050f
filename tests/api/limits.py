"""The rate limit headers of the Messages API, as Claude Code 2.1.197 to 2.1.328 read them.

Only OAuth sessions look at them. A rejected reply names its limit by `representative-claim`; a served reply carries the
shares used, which the status line shows. Times are epoch seconds, shares are 0 to 1.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

PREFIX = "anthropic-ratelimit-unified-"
FIVE_HOURS = 5 * 3600.0
THREE_DAYS = 3 * 86400.0

# A claim as tests name it -> the claim in the header and the words only this limit adds.
CLAIMS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "five_hour": ("five_hour", {}),
    "seven_day": ("seven_day", {}),
    "seven_day_opus": ("seven_day_opus", {}),
    "seven_day_sonnet": ("seven_day_sonnet", {}),
    "seven_day_overage_included": ("seven_day_overage_included", {}),
    "overage": ("overage", {"overage-disabled-reason": "out_of_credits"}),
    "org_spend": ("five_hour", {"overage-disabled-reason": "org_level_disabled_until"}),
    "member_disabled": ("five_hour", {"overage-disabled-reason": "member_level_disabled"}),
}


def used_headers(
    five_hour: float,
    seven_day: float,
    five_hour_resets_at: float | None = None,
    seven_day_resets_at: float | None = None,
    status: str = "allowed",
) -> dict[str, str]:
    """Headers of a served reply: how much of both windows is used, and when each starts anew."""
    now = time.time()
    resets_5h = _seconds(five_hour_resets_at or now + FIVE_HOURS)
    resets_7d = _seconds(seven_day_resets_at or now + THREE_DAYS)
    return _named(
        {
            "status": status,
            "representative-claim": "five_hour",
            "reset": resets_5h,
            "5h-utilization": f"{five_hour:g}",
            "5h-reset": resets_5h,
            "5h-status": status,
            "7d-utilization": f"{seven_day:g}",
            "7d-reset": resets_7d,
            "7d-status": "allowed",
            "fallback-percentage": "0.5",
            "overage-status": "rejected",
            "overage-disabled-reason": "org_level_disabled",
        }
    )


def limit_headers(claim: str, resets_at: float) -> dict[str, str]:
    """Headers of the 429 that says `claim` is used up until `resets_at`."""
    name, extra = CLAIMS[claim]
    short = name == "five_hour"
    now = time.time()
    resets_5h = resets_at if short else now + 3600
    resets_7d = now + THREE_DAYS if short else resets_at
    words = {
        "status": "rejected",
        "representative-claim": name,
        "reset": _seconds(resets_at),
        "5h-utilization": "1" if short else "0.3",
        "5h-reset": _seconds(resets_5h),
        "5h-status": "rejected" if short else "allowed",
        "7d-utilization": {"five_hour": "0.62", "seven_day": "1"}.get(name, "0.7"),
        "7d-reset": _seconds(resets_7d),
        "7d-status": "allowed" if short else "rejected",
        "fallback-percentage": "0.5",
        "overage-status": "rejected",
        "overage-disabled-reason": "org_level_disabled",
    }
    if name == "seven_day_overage_included":
        words |= {"7d_oi-utilization": "1", "7d_oi-status": "rejected", "7d_oi-reset": _seconds(resets_at)}
    return _named({**words, **extra})


@dataclass
class Limit:
    """No service until `until` (which may be moved at any time) for the requests it applies to.

    The first `after` main requests of each session are still served, so that a limit can fall in the middle of a turn.
    `session`, `account` (the token or key) and `model` (a part of its name) narrow it; None applies to all. With `lasts`
    it begins at the first refusal and ends so many seconds later: a slow machine then waits no less than a fast one.
    """

    until: float
    claim: str = "five_hour"
    after: int = 0
    session: str | None = None
    account: str | None = None
    model: str | None = None
    lasts: float | None = None
    served: dict[str, int] = field(default_factory=dict)

    def applies(self, session: str, account: str, model: str) -> bool:
        return self.session in (None, session) and self.account in (None, account) and (self.model or "") in model

    def rejects(self, session: str, main: bool) -> bool:
        """Whether this request is refused now; a main request that is not refused counts as served."""
        if time.time() >= self.until:
            return False
        served = self.served.get(session, 0)
        if served < self.after:
            self.served[session] = served + main
            return False
        if self.lasts is not None:
            self.until, self.lasts = time.time() + self.lasts, None
        return True

    def reply_headers(self) -> dict[str, str]:
        """What a served reply says beside this limit: nearly used up before it, a fresh window after it."""
        if time.time() < self.until:
            return used_headers(0.9, 0.6, five_hour_resets_at=min(self.until, time.time() + 3600))
        return used_headers(0.01, 0.6)


def _seconds(moment: float) -> str:
    return str(math.ceil(moment))


def _named(words: Mapping[str, str]) -> dict[str, str]:
    return {PREFIX + key: value for key, value in words.items()}
