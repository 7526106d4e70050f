"""Secrets in the lines of a conversation become tags, without breaking the conversation.

Text, tool input, tool results, attachments and what the client keeps for itself (`toolUseResult`) are redacted. Ids,
parents, times, the session and the folder are left: with one of them changed the client drops messages or finds no
conversation. Thinking is signed and is never altered, so a secret inside is counted, and the conversation should then not
travel at all. A line without a hit stays as it is, byte for byte.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from trinity import redaction

# What the client needs as it is, by where it stands; all other text may hold a secret.
_KEPT = {
    "entry": re.compile(
        r"(agentId|cwd|leafUuid|logicalParentUuid|messageId|parentToolUseID|parentUuid|promptId|requestId|sessionId|session_id"
        r"|sourceToolAssistantUUID|sourceToolUseID|subtype|timestamp|toolUseID|type|uuid|version|id|status)$"
    ),
    "message": re.compile(r"(id|model|role|type|stop_reason)$"),
    "block": re.compile(r"(id|name|tool_use_id|type|signature)$"),
}
# What lies below: the client's own structure, or text of tools and people.
_BELOW = {("entry", "message"): "message", ("message", "content"): "block", ("block", "content"): "block"}
_SIGNED = ("thinking", "redacted_thinking")
_TAG = re.compile(r"\[REDACTED-([a-z-]+)-[0-9a-f]{6}\]")
_ENCODED = re.compile(r"[A-Za-z0-9+/\n\r]{1000,}={0,2}\s*$")
_LONE = re.compile(r"[\ud800-\udfff]")


@dataclass
class Findings:
    """How many secrets of each kind were replaced, how many stand in signed blocks, and what could not be looked into."""

    redacted: Counter[str] = field(default_factory=Counter)
    signed: int = 0
    encoded: int = 0


def lines(data: bytes, findings: Findings) -> bytes:
    """The complete lines of a transcript, redacted."""
    marks = redaction.marks(data)
    return b"".join(_line(line, findings) if marks.in_line(line) else line for line in data.splitlines(keepends=True))


def document(data: bytes, findings: Findings) -> bytes:
    """One JSON document (a task, a description of a subagent), redacted."""
    return _line(data, findings) if redaction.suspicious(data) else data


def text(data: bytes, findings: Findings) -> bytes | None:
    """Plain text, redacted; None for bytes that are no text and hold a token."""
    if not redaction.suspicious(data):
        return data
    try:
        return _redacted(data.decode("utf-8"), findings).encode("utf-8")
    except UnicodeDecodeError:
        if redaction.first_token(data):
            return None
        return _redacted(data.decode("utf-8", "surrogateescape"), findings).encode("utf-8", "surrogateescape")


def _line(line: bytes, findings: Findings) -> bytes:
    try:
        entry = json.loads(line)
        changed = _value(entry, findings, "entry")
        if changed == entry:
            return line
        made = json.dumps(changed, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except (ValueError, RecursionError):
        # No JSON: nobody reads structure from it.
        return _redacted(line.decode("utf-8", "surrogateescape"), findings).encode("utf-8", "surrogateescape")
    ending = line[len(line.rstrip(b"\r\n")) :]
    return _LONE.sub(lambda match: f"\\u{ord(match.group()):04x}", made).encode("utf-8") + ending


def _value(value: Any, findings: Findings, place: str) -> Any:
    if isinstance(value, str):
        return _redacted(value, findings)
    if isinstance(value, list):
        return [_value(item, findings, place) for item in value]
    if not isinstance(value, dict):
        return value
    if place == "block" and value.get("type") in _SIGNED:
        findings.signed += _hits(value)
        return value
    kept = _KEPT.get(place)
    made = {}
    for key, item in value.items():
        if kept and kept.match(key) and isinstance(item, str):
            made[key] = item
        elif key == "data" and value.get("type") == "base64" and isinstance(item, str) and _ENCODED.match(item):
            findings.encoded += 1  # a picture: with a tag in it the whole request would be refused
            made[key] = item
        else:
            made[_redacted(key, findings)] = _value(item, findings, _BELOW.get((place, key), ""))
    return made


def _redacted(value: str, findings: Findings) -> str:
    made = redaction.redact(value)
    if made != value:
        findings.redacted.update(_TAG.findall(made))
        findings.redacted.subtract(_TAG.findall(value))
    return made


def _hits(block: dict[str, Any]) -> int:
    thought = block.get("thinking")
    return redaction.count(thought) if isinstance(thought, str) else 0
