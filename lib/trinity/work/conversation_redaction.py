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

from trinity.work import redaction

_KEPT = re.compile(
    r"(agentId|cwd|id|leafUuid|logicalParentUuid|messageId|model|name|parentToolUseID|parentUuid|promptId|requestId|role"
    r"|sessionId|session_id|signature|sourceToolAssistantUUID|sourceToolUseID|subtype|timestamp|toolUseID|tool_use_id"
    r"|type|uuid|version)$"
)
# Below these the keys are a tool's, not the client's: any of them may hold a secret.
_FREE = ("input", "toolUseResult")
_SIGNED = ("thinking", "redacted_thinking")
_TAG = re.compile(r"\[REDACTED-([a-z-]+)-[0-9a-f]{6}\]")
_ENCODED = re.compile(r"[A-Za-z0-9+/\s]{1000,}={0,2}\s*$")
_LONE = re.compile(r"[\ud800-\udfff]")


@dataclass
class Findings:
    """How many secrets of each kind were replaced, how many stand in signed blocks, and what could not be looked into."""

    redacted: Counter[str] = field(default_factory=Counter)
    signed: int = 0
    encoded: int = 0


def lines(data: bytes, findings: Findings) -> bytes:
    """The complete lines of a transcript, redacted."""
    return b"".join(_line(line, findings) for line in data.splitlines(keepends=True))


def document(data: bytes, findings: Findings) -> bytes:
    """One JSON document (a task, a description of a subagent), redacted."""
    return _line(data, findings)


def text(data: bytes, findings: Findings) -> bytes | None:
    """Plain text, redacted; None for bytes that are no text and hold a token."""
    if not redaction.suspicious(data):
        return data
    try:
        return _redacted(data.decode("utf-8"), findings).encode("utf-8")
    except UnicodeDecodeError:
        return None if redaction.first_token(data) else data


def _line(line: bytes, findings: Findings) -> bytes:
    if not redaction.suspicious(line):
        return line
    try:
        entry = json.loads(line)
        changed = _value(entry, findings, free=False)
        if changed == entry:
            return line
        made = json.dumps(changed, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except (ValueError, RecursionError):
        # No JSON: nobody reads structure from it.
        return _redacted(line.decode("utf-8", "surrogateescape"), findings).encode("utf-8", "surrogateescape")
    ending = line[len(line.rstrip(b"\r\n")) :]
    return _LONE.sub(lambda match: f"\\u{ord(match.group()):04x}", made).encode("utf-8") + ending


def _value(value: Any, findings: Findings, free: bool) -> Any:
    if isinstance(value, str):
        if _ENCODED.match(value):
            findings.encoded += 1
            return value
        return _redacted(value, findings)
    if isinstance(value, list):
        return [_value(item, findings, free) for item in value]
    if not isinstance(value, dict):
        return value
    if not free and value.get("type") in _SIGNED:
        findings.signed += _hits(value)
        return value
    made = {}
    for key, item in value.items():
        if free:
            made[_redacted(key, findings)] = _value(item, findings, free)
        elif _KEPT.match(key) and isinstance(item, str):
            made[key] = item
        else:
            made[key] = _value(item, findings, key in _FREE)
    return made


def _redacted(value: str, findings: Findings) -> str:
    made = redaction.redact(value)
    if made != value:
        findings.redacted.update(_TAG.findall(made))
        findings.redacted.subtract(_TAG.findall(value))
    return made


def _hits(block: dict[str, Any]) -> int:
    thought = block.get("thinking")
    if not isinstance(thought, str):
        return 0
    return len(_TAG.findall(redaction.redact(thought))) - len(_TAG.findall(thought))
