"""A step as the Messages API would send it: one JSON message, or the same message as server-sent events."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

from tests.api.plan import Step

_USAGE: dict[str, Any] = {
    "input_tokens": 10,
    "cache_creation_input_tokens": 200,
    "cache_read_input_tokens": 3000,
    "output_tokens": 1,
    "cache_creation": {"ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 0},
    "service_tier": "standard",
}


class Dropped(Exception):
    """The step wants the connection to end here."""


def error_body(kind: str, message: str, details: dict[str, Any] | None = None) -> dict[str, Any]:
    error: dict[str, Any] = {"type": kind, "message": message}
    if details:
        error["details"] = details
    return {"type": "error", "error": error, "request_id": new_id("req")}


def new_id(prefix: str) -> str:
    return f"{prefix}_{uuid.uuid4().hex[:20]}"


def message(step: Step, model: str) -> dict[str, Any]:
    """The complete message of a step."""
    given = step.get("usage", {})
    return {
        "id": new_id("msg"),
        "type": "message",
        "role": "assistant",
        "model": step.get("model", model),
        "content": _blocks(step),
        "stop_reason": step.get("stop_reason", "tool_use" if step.get("tools") else "end_turn"),
        "stop_sequence": None,
        "usage": {**_USAGE, "output_tokens": 42, **given},
    }


def _blocks(step: Step) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if "thinking" in step:
        blocks.append({"type": "thinking", "thinking": step["thinking"], "signature": "c2ln"})
    if "text" in step:
        blocks.append({"type": "text", "text": step["text"]})
    blocks += [{"type": "tool_use", "id": new_id("toolu"), **tool} for tool in step.get("tools", [])]
    return blocks or [{"type": "text", "text": "partial text before the end"}]


def events(step: Step, model: str) -> Iterator[dict[str, Any]]:
    """The events of a step in order; raises `Dropped` where the step ends the connection."""
    whole = message(step, model)
    started = {**whole, "content": [], "stop_reason": None, "usage": {**whole["usage"], "output_tokens": 1}}
    yield {"type": "message_start", "message": started}
    if step.get("drop") == "start":
        raise Dropped
    for index, block in enumerate(whole["content"]):
        yield {"type": "content_block_start", "index": index, "content_block": _opened(block)}
        for number, delta in enumerate(_deltas(block, step.get("chunks", 3))):
            yield {"type": "content_block_delta", "index": index, "delta": delta}
            if number and block["type"] == "text":
                if step.get("drop") == "mid":
                    raise Dropped
                if "sse_error" in step:
                    yield error_body(step["sse_error"], step.get("message", "Overloaded"))
                    return
        yield {"type": "content_block_stop", "index": index}
    ended = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    yield {"type": "message_delta", "delta": ended, "usage": whole["usage"]}
    yield {"type": "message_stop"}


def _opened(block: dict[str, Any]) -> dict[str, Any]:
    empty: dict[str, dict[str, Any]] = {
        "text": {"text": ""},
        "thinking": {"thinking": "", "signature": ""},
        "tool_use": {"input": {}},
    }
    return {**block, **empty[block["type"]]}


def _deltas(block: dict[str, Any], chunks: int) -> Iterator[dict[str, Any]]:
    if block["type"] == "text":
        text = block["text"]
        width = max(1, -(-len(text) // max(1, chunks)))
        for start in range(0, len(text), width):
            yield {"type": "text_delta", "text": text[start : start + width]}
    elif block["type"] == "thinking":
        yield {"type": "thinking_delta", "thinking": block["thinking"]}
        yield {"type": "signature_delta", "signature": block["signature"]}
    else:
        yield {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
