"""Single lines of a transcript: which fact each one is. Unknown types and fields are ignored.

An error line is recognised by its fields alone (`type` and `isApiErrorMessage`), and only its text is ever read:
prompts, tool output, prose and recorded hook commands may say what they like.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

_TEXT = 600

# The kinds that make up most bytes of a transcript of 2.1.300+ and say nothing here; the rest is parsed.
SKIPPED = re.compile(
    rb'\{"type":"(?!user"|assistant"|system")'
    rb'|\{"parentUuid":(?:null|"[^"]*"),"isSidechain":(?:true|false),(?:"agentId":"[^"]*",)?"attachment":\{'
)
_KEPT = (
    "quotaLimits",
    "apiError",
    "apiErrorParams",
    "apiErrorStatus",
    "apiErrorType",
    "apiErrorIsTransient",
    "resendCannotCure",
    "isApiErrorMessage",
    "error",
)
# An account that mixes models uses its allowance about so much slower or faster with one; the rest is learned.
_FAMILIES = (("haiku", 0.33), ("opus", 1.67))
# What the client writes as user lines without a person or a tool having said anything.
_NOISE = re.compile(
    r"\s*(?:<(?:command-|local-command|bash-|user-memory|task-notification|system-reminder)|Caveat: "
    r"|\[Request interrupted)"
)


@dataclass(frozen=True, slots=True)
class ApiError:
    """An error line. `line` holds the fields `limits.classify` reads; `turn` is the prompt id it belongs to."""

    uuid: str
    time: float
    session_id: str
    turn: str | None
    error: str | None
    text: str
    status: int | None
    line: Mapping[str, Any]
    agent_id: str | None
    sidechain: bool
    request_id: str | None


@dataclass(frozen=True, slots=True)
class ApiCall:
    """An answered request: once per message id, whatever the number of its blocks. Latency in seconds, if known;
    `weight` as in `weight()`."""

    message_id: str
    request_id: str | None
    time: float
    model: str | None
    latency_seconds: float | None
    sidechain: bool
    weight: float = 0.0


@dataclass(frozen=True, slots=True)
class Spent:
    """A later block of an answer names more tokens than the first did: by so much more it weighs."""

    time: float
    weight: float


@dataclass(frozen=True, slots=True)
class Progress:
    """The last real user or assistant line of a piece; `kind` "auto-continuation" for the client's own prompts."""

    time: float
    uuid: str
    session_id: str
    kind: str
    sidechain: bool


@dataclass(frozen=True, slots=True)
class OwnWait:
    """The client says what it does about a limit by itself: "armed", "fired" or "off"; `text` states the time."""

    time: float
    session_id: str
    state: str
    text: str


Fact = ApiError | ApiCall | Spent | Progress | OwnWait


def parse(line: bytes) -> dict[str, Any] | None:
    """One line as an object; None for anything else."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) else None


def timestamp(entry: Mapping[str, Any]) -> float | None:
    try:
        moment = datetime.fromisoformat(entry["timestamp"])
        return moment.timestamp() if moment.tzinfo else None
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def texts(entry: Mapping[str, Any]) -> str:
    """The text blocks of a user or assistant line, joined; tool results and calls are not text."""
    message = entry.get("message")
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    blocks = (b.get("text") for b in content if isinstance(b, dict) and b.get("type") == "text")
    return "\n".join(b for b in blocks if isinstance(b, str))


def has_block(entry: Mapping[str, Any], kind: str) -> bool:
    """Whether a content block of a user or assistant line is of this type."""
    message = entry.get("message")
    content = message.get("content") if isinstance(message, dict) else None
    return isinstance(content, list) and any(isinstance(b, dict) and b.get("type") == kind for b in content)


def weight(message: Mapping[str, Any]) -> float:
    """The tokens of an answer, weighed by what they cost beside an input token of the middle model: a measure of how
    much of an allowance is used, not a price. 0 when the line names none."""
    usage = message.get("usage")
    if not isinstance(usage, dict):
        return 0.0
    written = usage.get("cache_creation")
    hour = _tokens(written.get("ephemeral_1h_input_tokens")) if isinstance(written, dict) else 0
    found = (
        _tokens(usage.get("input_tokens"))
        + 5 * _tokens(usage.get("output_tokens"))
        + 0.1 * _tokens(usage.get("cache_read_input_tokens"))
        + 1.25 * max(0, _tokens(usage.get("cache_creation_input_tokens")) - hour)
        + 2 * hour
    )
    model = message.get("model")
    name = model if isinstance(model, str) else ""
    return found * next((factor for family, factor in _FAMILIES if family in name), 1.0)


def _tokens(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**9 else 0


def is_auto_continuation(entry: Mapping[str, Any]) -> bool:
    """A prompt that the client wrote itself after a reset (2.1.234+)."""
    origin = entry.get("origin")
    kind = origin.get("kind") if isinstance(origin, dict) else None
    return kind == "auto-continuation" or entry.get("turnOrigin") == "auto_continuation"


def is_noise(entry: Mapping[str, Any]) -> bool:
    """A user line that nobody typed and no tool returned: slash commands, their output, hidden and automatic notes.

    A background agent's notification is written even behind the limit that ended the session (2.1.328), and stays
    unanswered there; where it is answered, the answer is what counts.
    """
    if is_auto_continuation(entry):
        return False
    if entry.get("isMeta") is True or entry.get("isCompactSummary") is True:
        return True
    origin = entry.get("origin")
    if isinstance(origin, dict) and origin.get("kind") not in (None, "human"):
        return True
    return not has_block(entry, "tool_result") and bool(_NOISE.match(texts(entry)))


def is_error(entry: Mapping[str, Any]) -> bool:
    return entry.get("type") == "assistant" and entry.get("isApiErrorMessage") is True


def role(entry: Mapping[str, Any]) -> str:
    """What a line is in the conversation: "error", "prompt", "tool_result", "tool_use", "answer", or "" for nothing."""
    if is_error(entry):
        return "error"
    if entry.get("type") == "user":
        if is_noise(entry):
            return ""
        return "tool_result" if has_block(entry, "tool_result") else "prompt"
    message = entry.get("message")
    if entry.get("type") != "assistant" or not isinstance(message, dict) or message.get("model") == "<synthetic>":
        return ""
    return "tool_use" if has_block(entry, "tool_use") else "answer"


def api_error(entry: Mapping[str, Any], turn: str | None) -> ApiError:
    """The facts of an error line."""
    line = {key: entry[key] for key in _KEPT if key in entry}
    details = text_of(entry, "errorDetails")
    if details:
        line["errorDetails"] = details[:_TEXT]
    status = entry.get("apiErrorStatus")
    return ApiError(
        uuid=text_of(entry, "uuid") or "",
        time=timestamp(entry) or 0.0,
        session_id=text_of(entry, "sessionId") or "",
        turn=text_of(entry, "promptId") or turn,
        error=text_of(entry, "error"),
        text=texts(entry).encode("utf-8", "replace").decode()[:_TEXT],
        status=status if isinstance(status, int) else None,
        line=line,
        agent_id=text_of(entry, "agentId"),
        sidechain=entry.get("isSidechain") is True,
        request_id=text_of(entry, "requestId"),
    )


def own_wait(entry: Mapping[str, Any]) -> OwnWait | None:
    """What an informational line says about the client's own wait for the reset (2.1.234 and later)."""
    text = text_of(entry, "content") or ""
    lowered = text.lower()
    if "automatic" not in lowered or "continu" not in lowered:
        return None
    if re.search(r"cancel(?:l?ed)\b|turned off|did not run|stopped|disabled|blocked|will not", lowered):
        state = "off"
    else:
        state = "armed" if re.search(r"automatically (?:at|in|shortly|when|once|after)\b", lowered) else "fired"
    return OwnWait(timestamp(entry) or 0.0, text_of(entry, "sessionId") or "", state, text[:_TEXT])


def text_of(entry: Mapping[str, Any], key: str) -> str | None:
    """A field that is text, else None."""
    value = entry.get(key)
    return value if isinstance(value, str) else None
