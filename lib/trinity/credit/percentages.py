"""The provider's own percentages, folded into the picture: from the status line, and from a headless run's stream.

They also move and end a limit: when another reset is named than the limit did, it was moved or a new window has begun; when
something was given back, it is over.
"""

from __future__ import annotations

import math
from typing import Any

from trinity.config import Ladder
from trinity.credit.allowance import LENGTHS, SAME_RESET, Allowance
from trinity.credit.limits import Limit
from trinity.credit.picture import Picture


def of_status_line(picture: Picture, ladder: Ladder, event: dict[str, Any], t: float) -> None:
    """An event `window` of the time `t`: `{five_hour, seven_day}`, each `{used_percentage, resets_at}`."""
    for name in LENGTHS:
        value = event.get(name)
        if isinstance(value, dict):
            _take(picture, ladder, name, value.get("used_percentage"), value.get("resets_at"), t, _session(event))


def of_stream(picture: Picture, ladder: Ladder, event: dict[str, Any], t: float) -> bool:
    """An event with a stream's `rate_limit_info`: shares from 0 to 1, of both windows (2.1.300+) or of the one it warns of.

    Returns whether the frame only informs: then nothing was refused.
    """
    info = event.get("rate_limit_info")
    if not isinstance(info, dict):
        return False
    windows = info.get("unifiedWindows")
    told = {str(info.get("rateLimitType")): info, **(windows if isinstance(windows, dict) else {})}
    for name in LENGTHS:
        value = told.get(name)
        share = number(value.get("utilization"), 10) if isinstance(value, dict) else None
        if isinstance(value, dict) and share is not None:
            _take(picture, ladder, name, round(share * 100, 4), value.get("resetsAt"), t, _session(event))
    return event.get("source") == "stream" and info.get("status") != "rejected"


def _take(picture: Picture, ladder: Ladder, name: str, used: Any, resets_at: Any, t: float, session: str) -> None:
    used, resets_at = number(used, 1000), number(resets_at, t + 40 * 86400.0)
    if used is None:
        return
    known = picture.sessions.get(session)
    answered_at = known.asked_at if known is not None else 0.0
    back = picture.allowances.setdefault(name, Allowance()).add(t, used, resets_at, session, answered_at)
    for limit in list(picture.limits):
        if limit.type != name or limit.scope != "account" or t <= limit.seen_at:
            continue
        if resets_at is None or resets_at <= t:
            continue
        if limit.resets_at is not None and abs(resets_at - limit.resets_at) <= SAME_RESET and not back:
            continue
        if used >= ladder.window_used[-1]:
            moved = Limit(name, "account", None, resets_at, "status_line", t, limit.confidence)
            picture.limits[picture.limits.index(limit)] = moved
        elif limit.resets_at is not None:
            picture.end(limit, t)


def _session(event: dict[str, Any]) -> str:
    session = event.get("session_id")
    return session if isinstance(session, str) else ""


def number(value: Any, highest: float) -> float | None:
    """`value` when it is a number from 0 to `highest`; others wrote it."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= highest:
        return None
    return float(value) if math.isfinite(value) else None
