"""Limits: what an error frame means, how long it holds, and for whom.

`classify` is given the fields of one error frame and returns one Verdict. Best evidence first: the numbers in the frame
(`quotaLimits` of a transcript line, `rate_limit_info` of a stream event), then the error's kind, then its text,
read loosely (`wordings`). Text that is not an error frame's own must never be given.

When the reset is unknown: a transient trouble ends after five minutes (an argument); any other limit has `resets_at`
None, which means until a success proves otherwise, or a person acts (`needs_person`). Auth trouble alarms and moves
nothing. A request that cannot work (too long, unknown model) is no limit at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

from trinity import clock
from trinity.credit import wordings

TYPES = (
    "five_hour",
    "seven_day",
    "model_weekly",
    "spend_cap",
    "credits",
    "organisation",
    "usage",
    "transient",
    "auth",
)
TRANSIENT_SECONDS = 300.0
_FAR = 400 * 86400.0
_AUTH_ERRORS = frozenset({"authentication_failed", "oauth_org_not_allowed"})
_REQUEST_ERRORS = frozenset({"invalid_request", "model_not_found", "max_output_tokens"})
_TRANSIENT_ERRORS = frozenset({"rate_limit", "overloaded", "server_error"})
_PERSON = frozenset({"credits", "spend_cap", "organisation"})
_WINDOW_TYPES = {"five_hour": "five_hour", "seven_day": "seven_day", "overage": "credits"}
_NO_MODEL = frozenset({"oauth", "apps", "all", "total"})


@dataclass(frozen=True)
class Limit:
    """A reason why no work is possible; times are epoch seconds, `model` a family name in lower case."""

    type: str
    scope: str
    model: str | None
    resets_at: float | None
    source: str
    seen_at: float
    confidence: float

    def in_force(self, now: float) -> bool:
        """True until the reset; without one until a success or a person ends it."""
        return self.resets_at is None or self.resets_at > now

    def applies_to(self, model: str | None) -> bool:
        """Whether work with `model` (a full id or a family name) is stopped by this; an unknown model is not."""
        return self.scope == "account" or bool(self.model and model and self.model in model.lower())

    def document(self) -> dict[str, Any]:
        """The record of schemas/limit.schema.json."""
        return {"kind": "limit", "version": 1, **self.fields()}

    def fields(self) -> dict[str, Any]:
        """The same inside another record."""
        return {
            "type": self.type,
            "scope": self.scope,
            "model": self.model,
            "resets_at": None if self.resets_at is None else clock.iso(self.resets_at),
            "source": self.source,
            "seen_at": clock.iso(self.seen_at, milliseconds=True),
            "confidence": self.confidence,
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Limit:
        """A validated record, also the one inside a handoff."""
        resets_at = document.get("resets_at")
        return cls(
            type=document["type"],
            scope=document.get("scope", "account"),
            model=document.get("model"),
            resets_at=None if resets_at is None else clock.parse(resets_at),
            source=document.get("source", ""),
            seen_at=clock.parse(document["seen_at"]),
            confidence=float(document.get("confidence", 0.5)),
        )


@dataclass(frozen=True)
class Verdict:
    """What one error frame means.

    kind: "hard" (a usage limit), "transient" (burst, overload, 5xx, network), "auth", "request" (this request cannot
    work), "other". retryable: the same again can work without a person, at once or after the reset.
    """

    kind: str
    limit: Limit | None
    retryable: bool
    needs_person: bool
    why: str


def classify(
    error: str | None,
    text: str | None,
    line: Mapping[str, Any] | None = None,
    seen_at: float = 0.0,
    zone: tzinfo | str | None = None,
    *,
    model: str | None = None,
    source: str | None = None,
    transient_seconds: float = TRANSIENT_SECONDS,
) -> Verdict:
    """The meaning of an error frame said at `seen_at`.

    `error` is the client's kind (`rate_limit` …), `text` what it showed, `line` the frame itself: a transcript line, a
    StopFailure payload, a stream event or a -p result. `zone` holds for times without a zone (default: this machine's).
    `model` is the session's, for texts that say "this model".
    """
    line = line or {}
    text = text or ""
    error = error or _word(line, "error")
    frame = _Frame(line, text, seen_at, zone, model, source or _source(line), transient_seconds)
    info = _quota(line)
    if info is not None:
        return _of_numbers(frame, info)
    status = _number(line, "apiErrorStatus", "api_error_status")
    api_error = _word(line, "apiError", "api_error")
    strong = error in ("rate_limit", "billing_error") or api_error == "usage_limit_reached"
    if error in _AUTH_ERRORS or api_error == "org_disabled_credential":
        return frame.auth(0.95, error or "api error")
    wording = wordings.read(text, strong)
    if error in _REQUEST_ERRORS and (wording is None or wording.type not in ("auth", "spend_cap")):
        return Verdict("request", None, False, False, error or "")
    if wording is not None and wording.type == "notice":
        return Verdict("other", None, True, False, "a notice, not a stop")
    if wording is not None and wording.type in TYPES:
        return _of_wording(frame, wording, error)
    if wording is not None and wording.type == "request":
        return Verdict("request", None, False, False, "text")
    return _of_kind(frame, error, api_error, status)


@dataclass(frozen=True)
class _Frame:
    line: Mapping[str, Any]
    text: str
    seen_at: float
    zone: tzinfo | str | None
    model: str | None
    source: str
    transient_seconds: float

    def stated_reset(self) -> float | None:
        from trinity.credit import resets  # dateutil and zoneinfo are loaded only when there is a text to read

        return resets.parse_reset(self.text, self.seen_at, self.zone)

    def hard(self, type_: str, resets_at: float | None, confidence: float, why: str, model: str | None) -> Verdict:
        scope = "account+model" if model else "account"
        if resets_at is not None and resets_at <= self.seen_at:
            # Refused after the reset it names: one of the clocks is off. Without a pause work would be started again and
            # again until it counts as hopeless.
            resets_at, confidence = self.seen_at + self.transient_seconds, min(confidence, 0.5)
        limit = Limit(type_, scope, model, resets_at, self.source, self.seen_at, confidence)
        person = type_ in _PERSON and resets_at is None
        return Verdict("hard", limit, not person, person, why)

    def transient(self, resets_at: float | None, confidence: float, why: str) -> Verdict:
        until = self.seen_at + self.transient_seconds if resets_at is None else resets_at
        limit = Limit("transient", "account", None, until, self.source, self.seen_at, confidence)
        return Verdict("transient", limit, True, False, why)

    def auth(self, confidence: float, why: str) -> Verdict:
        limit = Limit("auth", "account", None, None, self.source, self.seen_at, confidence)
        return Verdict("auth", limit, False, True, why)


def _of_numbers(frame: _Frame, info: Mapping[str, Any]) -> Verdict:
    """`quotaLimits` or `rate_limit_info`: the server's own words (epoch seconds, window names)."""
    if info.get("status") != "rejected":
        return Verdict("other", None, True, False, f"status {info.get('status')}")
    resets_at = _epoch(info.get("resetsAt"), frame.seen_at)
    window = info.get("rateLimitType")
    said = wordings.read(frame.text, True) if frame.text else None
    if info.get("errorCode") == "credits_required":
        model = said.model if said and said.type == "credits" else None
        return frame.hard("credits", resets_at, 0.95, "credits_required", model)
    if info.get("dailyCapPaused"):
        return frame.hard(
            "spend_cap", resets_at or _epoch(info.get("overageResetsAt"), frame.seen_at), 0.9, "cap", None
        )
    if not isinstance(window, str) or not window:
        if resets_at is None and info.get("overageStatus") != "rejected":
            if said and said.type in TYPES and said.type != "transient":
                return _of_wording(frame, said, "rate_limit")
            return frame.transient(None, 0.9, "rejected, no window named")
        if info.get("overageStatus") == "rejected" and resets_at is None:
            return frame.hard("credits", _epoch(info.get("overageResetsAt"), frame.seen_at), 0.8, "overage", None)
        return frame.hard("usage", resets_at, 0.9, "rejected until a reset", None)
    if str(info.get("overageDisabledReason") or "").startswith("org_level_disabled_until"):
        # The organisation's spend limit closes the way past the window; the window itself still opens again at its own
        # reset, and then work is possible whatever the admin does. So: the organisation's limit, until that reset.
        return frame.hard("organisation", resets_at or frame.stated_reset(), 0.85, f"{window}, spend limit", None)
    if window in _WINDOW_TYPES:
        return frame.hard(_WINDOW_TYPES[window], resets_at or frame.stated_reset(), 1.0, window, None)
    model = _model_of(window, said)
    type_ = "model_weekly" if model else "usage"
    return frame.hard(type_, resets_at or frame.stated_reset(), 0.95 if model else 0.85, window, model)


def _of_wording(frame: _Frame, wording: wordings.Wording, error: str | None) -> Verdict:
    if wording.type == "auth":
        return frame.auth(wording.confidence, "text")
    resets_at = frame.stated_reset()
    if wording.type == "transient":
        # A burst that names its own end is believed; more than an hour is no burst.
        near = resets_at is not None and resets_at - frame.seen_at <= 3600
        return frame.transient(resets_at if near else None, wording.confidence, "text")
    confidence = wording.confidence
    if wording.type == "five_hour" and resets_at is not None and resets_at - frame.seen_at > 5.1 * 3600:
        confidence = min(confidence, 0.6)  # later than the window is long: the zone or a clock is off
    if wording.type == "usage" and resets_at is None and error not in ("rate_limit", "billing_error"):
        confidence = min(confidence, 0.6)
    return frame.hard(wording.type, resets_at, confidence, "text", wording.model)


def _of_kind(frame: _Frame, error: str | None, api_error: str | None, status: int | None) -> Verdict:
    """No usable text: the error's kind, then the HTTP status."""
    if api_error == "usage_limit_reached":
        return frame.hard("usage", frame.stated_reset(), 0.8, api_error, None)
    if error == "billing_error" or status == 402:
        return frame.hard("credits", frame.stated_reset(), 0.8, error or "HTTP 402", None)
    if error == "rate_limit":
        resets_at = frame.stated_reset()
        if resets_at is not None and resets_at - frame.seen_at > 600:
            return frame.hard("usage", resets_at, 0.6, "a reset far ahead", None)
        return frame.transient(resets_at, 0.5, error)
    if status in (401, 403):
        return frame.auth(0.8, f"HTTP {status}")
    if error in _TRANSIENT_ERRORS or api_error == "connection_failed" or (status is not None and status >= 500):
        return frame.transient(None, 0.9, error or api_error or f"HTTP {status}")
    if status == 429:
        return frame.transient(None, 0.5, "HTTP 429")
    if status in (404, 413):
        return Verdict("request", None, False, False, f"HTTP {status}")
    return Verdict("other", None, False, False, error or "unknown")


def _quota(line: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The server's numbers, wherever this kind of frame keeps them; None when it has none or they refuse nothing."""
    info = line.get("rate_limit_info")
    if isinstance(info, Mapping):
        return info
    for key in ("apiErrorParams", "api_error_params"):
        params = line.get(key)
        info = params.get("rate_limit_info") if isinstance(params, Mapping) else None
        if isinstance(info, Mapping) and info.get("status") == "rejected":
            return info
    info = line.get("quotaLimits")
    # An error line can carry the last known quota of an earlier answer: only a refusal speaks about this error.
    return info if isinstance(info, Mapping) and info.get("status") == "rejected" else None


def _model_of(window: str, said: wordings.Wording | None) -> str | None:
    if said is not None and said.type == "model_weekly":
        return said.model
    if window == "seven_day_overage_included":
        return "fable"  # the header's name since 2.1.197; the text, where there is one, has the better word
    name = window.removeprefix("seven_day_").removeprefix("five_hour_").removeprefix("weekly_")
    return name if name != window and name.isalpha() and name not in _NO_MODEL else None


def _epoch(value: object, seen_at: float) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if seen_at - _FAR <= value <= seen_at + _FAR else None


def _source(line: Mapping[str, Any]) -> str:
    if line.get("type") == "rate_limit_event" or "rate_limit_info" in line or line.get("type") == "result":
        return "stream"
    return "transcript" if "isApiErrorMessage" in line else "hook"


def _word(line: Mapping[str, Any], *keys: str) -> str | None:
    return next((line[key] for key in keys if isinstance(line.get(key), str)), None)


def _number(line: Mapping[str, Any], *keys: str) -> int | None:
    return next((line[key] for key in keys if isinstance(line.get(key), int)), None)
