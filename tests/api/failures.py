"""Every way the real API has been seen to refuse work, as steps: the rows of the client's failure tables.

`FAILURES[name](resets_at)` is a step; the moment matters only where the reply names one. Names ending in a claim of
`limits.CLAIMS` are hard limits with unified headers; the other replies carry none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from tests.api.limits import CLAIMS, limit_headers
from tests.api.plan import Step

REFUSED = "This request would exceed your account's rate limit. Please try again later."


def limited(claim: str, resets_at: float) -> Step:
    """The 429 of a usage limit."""
    headers = limit_headers(claim, resets_at)
    return {"error": 429, "type": "rate_limit_error", "message": REFUSED, "headers": headers}


def _always(**step: Any) -> Callable[[float], Step]:
    return lambda resets_at: cast(Step, dict(step))


def _claimed(claim: str) -> Callable[[float], Step]:
    return lambda resets_at: limited(claim, resets_at)


def _error(status: int, kind: str, message: str, **more: Any) -> Callable[[float], Step]:
    return _always(error=status, type=kind, message=message, **more)


_CREDIT = "Your credit balance is too low to access the Anthropic API."
_SPENT = "You have reached your specified API usage limits. You will regain access on 2099-12-01 at 00:00 UTC."

FAILURES: Mapping[str, Callable[[float], Step]] = {
    **{claim: _claimed(claim) for claim in CLAIMS},
    "plain_429": _error(429, "rate_limit_error", REFUSED),
    "retry_after_429": _error(429, "rate_limit_error", REFUSED, headers={"retry-after": "120"}),
    "credits_required_429": _error(429, "rate_limit_error", REFUSED, details={"error_code": "credits_required"}),
    "credit_balance_400": _error(400, "invalid_request_error", _CREDIT + " Please go to Plans & Billing."),
    "credit_balance_402": _error(402, "billing_error", _CREDIT),
    "spend_cap_400": _error(400, "invalid_request_error", _SPENT),
    "overloaded_529": _error(529, "overloaded_error", "Overloaded"),
    "server_500": _error(500, "api_error", "Internal server error"),
    "server_503": _error(503, "api_error", "Service unavailable"),
    "authentication_401": _error(401, "authentication_error", "invalid x-api-key"),
    "permission_403": _error(403, "permission_error", "Your token may not use this model."),
    "organization_disabled_400": _error(400, "invalid_request_error", "This organization has been disabled."),
    "model_404": _error(404, "not_found_error", "model: claude-nope"),
    "too_long_400": _error(400, "invalid_request_error", "prompt is too long: 215000 tokens > 200000 maximum"),
    "other_400": _error(400, "invalid_request_error", "messages: bad thing"),
    "max_tokens": _always(text="cut off", stop_reason="max_tokens"),
    "dropped_before": _always(drop="before"),
    "dropped_start": _always(drop="start"),
    "dropped_mid": _always(text="this text will not be finished", drop="mid"),
    "stream_error": _always(text="this text will not be finished", sse_error="overloaded_error"),
}
