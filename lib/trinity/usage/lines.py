"""One line of a transcript in full: what it says was billed, as JSON says it. The slow and exact way.

A line is a list of `Message`s (an advisor's and a compaction's share of one answer are billed beside it), an `Error`, or
why it was put aside. Sources: the client's own lines (2.1.197 to 2.1.332) and the Messages API's `usage`.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

# id, request, time, (session, agent, folder, task), (model, tier, speed), input, output, cache read, 5-minute and 1-hour
# cache writes, web searches, web fetches, tools, seconds, copied: the order of the table `billed`.
Message = list[Any]
MOST = 1 << 53
_BESIDE = {"advisor_message": "advisor", "compaction": "compaction"}


class Aside(Exception):
    """The line is not counted; the text says why."""


def parse(line: bytes) -> dict[str, Any]:
    """The object that a line is; raises Aside."""
    try:
        # What is no UTF-8 stands in a text: the numbers are what they are.
        entry = json.loads(line.decode("utf-8", "replace"))
    except RecursionError:
        raise Aside("nested too deeply") from None
    except ValueError:
        # A line that a killed client left half and a later one continued.
        at = line.rfind(b'{"parentUuid":')
        if at <= 0:
            raise Aside("not JSON") from None
        return parse(line[at:])
    if not isinstance(entry, dict):
        raise Aside("no object")
    return entry


def is_error(entry: dict[str, Any]) -> bool:
    message = entry.get("message")
    synthetic = isinstance(message, dict) and message.get("model") == "<synthetic>"
    return entry.get("isApiErrorMessage") is True or (synthetic and "error" in entry)


def error(entry: dict[str, Any]) -> tuple[str, float, str, str, str] | None:
    """uuid, time, kind, session id and folder of an API error's line; None for a note that is no error."""
    if entry.get("isApiErrorMessage") is not True:
        return None
    name = _text(entry, "error") or "unknown"
    return _text(entry, "uuid"), time_of(entry), name, _text(entry, "sessionId"), _text(entry, "cwd")


def messages(entry: dict[str, Any], task: str) -> list[Message]:
    """What an assistant's line bills; empty where it bills nothing. Raises Aside."""
    message = entry.get("message")
    usage = message.get("usage") if isinstance(message, dict) else None
    if not isinstance(message, dict) or not isinstance(usage, dict):
        return []
    model = message.get("model")
    if model == "<synthetic>":
        return []
    if not isinstance(model, str) or not model:
        raise Aside("no model")
    time = time_of(entry)
    session = _text(entry, "sessionId")
    origin = (session, _text(entry, "agentId"), _text(entry, "cwd"), task)
    own = _text(message, "id") or "uuid:" + _text(entry, "uuid")
    if own == "uuid:":
        raise Aside("no id")
    request = _text(entry, "requestId")
    copied = int(_text(entry, "requestSessionId") not in ("", session) or isinstance(entry.get("forkedFrom"), dict))
    kind = (model, _text(usage, "service_tier"), _text(usage, "speed"))
    found = []
    counts = tokens(usage)
    if any(counts):
        found.append([own, request, time, origin, kind, *counts, tools(message), None, copied])
    iterations = usage.get("iterations")
    for number, one in enumerate(iterations if isinstance(iterations, list) else ()):
        word = _BESIDE.get(one.get("type", "")) if isinstance(one, dict) else None
        if word:
            beside = (_text(one, "model") or model, *kind[1:])
            found.append([f"{own}:{word}:{number}", request, time, origin, beside, *tokens(one), "", None, copied])
    return found


def tokens(usage: dict[str, Any]) -> tuple[int, ...]:
    """Input, output, cache read, 5-minute and 1-hour cache writes, web searches and fetches. Raises Aside."""
    split = usage.get("cache_creation")
    split = split if isinstance(split, dict) else {}
    long = _count(split, "ephemeral_1h_input_tokens")
    written = _count(usage, "cache_creation_input_tokens")
    if usage.get("cache_creation_input_tokens") is None:
        written = long + _count(split, "ephemeral_5m_input_tokens")
    # The client empties the counts of what it copies into a fork behind a compaction, and forgets the split.
    long = min(long, written)
    asked = usage.get("server_tool_use")
    asked = asked if isinstance(asked, dict) else {}
    return (
        _count(usage, "input_tokens"),
        _count(usage, "output_tokens"),
        _count(usage, "cache_read_input_tokens"),
        written - long,
        long,
        _count(asked, "web_search_requests"),
        _count(asked, "web_fetch_requests"),
    )


def tools(message: dict[str, Any]) -> str:
    """Names of the tools that a message calls, each once."""
    content = message.get("content")
    blocks = content if isinstance(content, list) else []
    names = [b.get("name") for b in blocks if isinstance(b, dict) and b.get("type") in ("tool_use", "server_tool_use")]
    return ",".join(dict.fromkeys(name for name in names if isinstance(name, str)))


def time_of(entry: dict[str, Any]) -> float:
    """Epoch seconds of a line; raises Aside."""
    try:
        moment = datetime.fromisoformat(entry["timestamp"])
        seconds = moment.timestamp() if moment.tzinfo else 0.0
    except (KeyError, TypeError, ValueError, OverflowError):
        seconds = 0.0
    if seconds <= 0:
        raise Aside("no time")
    return seconds


def _count(values: dict[str, Any], key: str) -> int:
    count = values.get(key)
    if count is None:
        return 0
    if type(count) is not int or not 0 <= count < MOST:
        raise Aside("a count that is none")
    return count


def _text(values: dict[str, Any], key: str) -> str:
    text = values.get(key)
    if not isinstance(text, str):
        return ""
    # A lone surrogate is no text for the database.
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
