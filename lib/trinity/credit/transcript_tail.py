"""How a session's transcript ends: is it stopped, by what, and with which settings would it go on."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path

from trinity.credit import limits, transcript_lines
from trinity.credit.transcript_lines import ApiError, OwnWait, text_of

# Model and permission mode stand in lines that may lie far back in a long turn; so far they are looked for.
_ENOUGH = 16_000_000


@dataclass(frozen=True, slots=True)
class Tail:
    """How a session's transcript ends.

    `ends_with` is "error", "prompt", "tool_result", "tool_use", "answer" or "" for the last line of the main thread
    that counts. `error` and `verdict` are set only when that is an error: then nothing real stands behind it and the
    session is stopped by it. `waiting`: the client has armed its own wait and not given it up (a killed client cannot
    say so: check that it lives); `waiting_until` is None where the text names no time.
    """

    ends_with: str
    error: ApiError | None
    verdict: limits.Verdict | None
    waiting: bool
    waiting_until: float | None
    last_uuid: str | None
    last_time: float | None
    size: int
    session_id: str | None
    version: str | None
    entrypoint: str | None
    permission_mode: str | None
    model: str | None
    cwd: str | None

    @property
    def stopped(self) -> bool:
        return self.error is not None


def tail_facts(path: Path, limit_bytes: int = 1_000_000, zone: tzinfo | str | None = None) -> Tail:
    """How the transcript ends, from its last `limit_bytes`; from more when these do not say what is asked.

    A torn last line is ignored, as the client ignores it. Raises FileNotFoundError and other OSErrors.
    """
    with path.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        while True:
            start = max(0, size - limit_bytes)
            stream.seek(start)
            data = stream.read(size - start)
            lines = data[: data.rfind(b"\n") + 1].split(b"\n")
            tail = _tail(lines if start == 0 else lines[1:], size, zone)
            enough = tail.ends_with and ((tail.model and tail.permission_mode) or limit_bytes >= _ENOUGH)
            if start == 0 or enough:
                return tail
            limit_bytes *= 4


def _tail(lines: list[bytes], size: int, zone: tzinfo | str | None) -> Tail:
    ends_with, last_uuid, last_time, turn = "", None, None, None
    seen: dict[str, str] = {}
    error: ApiError | None = None
    wait: OwnWait | None = None
    for line in lines:
        if transcript_lines.SKIPPED.match(line) and not line.startswith(b'{"type":"permission-mode"'):
            continue
        entry = transcript_lines.parse(line)
        if entry is None or entry.get("isSidechain") is True:
            continue
        for key in ("sessionId", "version", "entrypoint", "permissionMode", "cwd"):
            if isinstance(entry.get(key), str):
                seen[key] = entry[key]
        turn = text_of(entry, "promptId") or turn
        if entry.get("type") == "system":
            wait = transcript_lines.own_wait(entry) or wait if entry.get("subtype") == "informational" else wait
        last_uuid = text_of(entry, "uuid") or last_uuid
        kind = transcript_lines.role(entry)
        if not kind:
            continue
        ends_with, last_time = kind, transcript_lines.timestamp(entry) or last_time
        error = transcript_lines.api_error(entry, turn) if kind == "error" else None
        message = entry.get("message")
        if kind in ("answer", "tool_use") and isinstance(message, dict) and isinstance(message.get("model"), str):
            seen["model"] = message["model"]
        wait = None  # what was said about an earlier stop is over
    verdict = None
    if error is not None:
        verdict = limits.classify(
            error.error, error.text, error.line, error.time, zone, model=seen.get("model"), source="transcript"
        )
    waiting = error is not None and wait is not None and wait.state == "armed"
    return Tail(
        ends_with=ends_with,
        error=error,
        verdict=verdict,
        waiting=waiting,
        waiting_until=_waiting_until(wait, verdict, zone) if waiting and wait is not None else None,
        last_uuid=last_uuid,
        last_time=last_time,
        size=size,
        session_id=seen.get("sessionId"),
        version=seen.get("version"),
        entrypoint=seen.get("entrypoint"),
        permission_mode=seen.get("permissionMode"),
        model=seen.get("model"),
        cwd=seen.get("cwd"),
    )


def _waiting_until(wait: OwnWait, verdict: limits.Verdict | None, zone: tzinfo | str | None) -> float | None:
    if verdict is not None and verdict.limit is not None and verdict.limit.resets_at is not None:
        return verdict.limit.resets_at
    from trinity.credit import resets

    return resets.parse_reset(wait.text, wait.time, zone)
