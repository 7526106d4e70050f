"""Transcripts, read a piece at a time: the net for lost hooks, and where API errors, calls and latencies are found.

`read_new` gives the facts of the complete lines behind a Cursor and the Cursor to go on from. A half-written last line
is left for the next time. A file that was cut, replaced or written anew is read from its start. A line that is no JSON
object, and one longer than any the client writes, is counted and skipped, never an error; unknown line types are
skipped: every client version adds some. Calls are the distinct message ids and the error lines.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, BinaryIO

from trinity.credit import transcript_lines
from trinity.credit.transcript_lines import ApiCall, ApiError, Fact, OwnWait, Progress, Spent, text_of
from trinity.credit.transcript_tail import Tail, tail_facts

__all__ = [
    "ApiCall", "ApiError", "Cursor", "Fact", "OwnWait", "Progress", "Spent", "Tail", "find", "read_new", "tail_facts",
]  # fmt: skip

_MARKED = 256
_BLOCK = 1 << 20
_LONGEST_LINE = 64 * 1024 * 1024
_REMEMBERED = 32  # message ids: the blocks of one message stand close together
_WEIGHED = 4  # of these a further block may still come
_MAX_LATENCY = 3600.0  # behind a longer silence was a sleeping machine, not a thinking model


@dataclass(slots=True)
class Cursor:
    """Where reading stopped, and the little that must be known of the lines before. JSON both ways."""

    path: str
    device: int = 0
    inode: int = 0
    offset: int = 0
    size: int = 0
    head: str = ""
    tail: str = ""
    garbage: int = 0
    turn: str | None = None
    asked_at: float | None = None
    messages: list[str] = field(default_factory=list)
    weights: dict[str, float] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Cursor:
        """Unknown fields are ignored: a newer or older version's cursor only costs a second reading."""
        known = {f.name for f in fields(cls)}
        return cls(**{key: value for key, value in document.items() if key in known})


def read_new(path: Path, cursor: Cursor | None = None, first_bytes: int | None = None) -> tuple[list[Fact], Cursor]:
    """The facts of the complete lines since `cursor` (None: since the start), in order, and the next cursor.

    `first_bytes`: without a cursor begin at most so far before the end. Raises FileNotFoundError and other OSErrors.
    """
    with path.open("rb", buffering=_BLOCK) as stream:
        status = os.fstat(stream.fileno())
        known = cursor is not None and _continues(cursor, status, stream)
        now = _copy(cursor) if cursor is not None and known else Cursor(str(path))
        if not known and first_bytes is not None and status.st_size > first_bytes:
            stream.seek(status.st_size - first_bytes - 1)
            now.offset = stream.tell()
            now.offset += len(stream.readline())
        now.device, now.inode, now.size = status.st_dev, status.st_ino, status.st_size
        facts: list[Fact] = []
        reader = _Reader(now, facts)
        stream.seek(now.offset)
        for line in _complete_lines(stream, status.st_size - now.offset):
            now.offset += line if isinstance(line, int) else len(line)
            reader.take(b"" if isinstance(line, int) else line)
        reader.finish()
        now.head = _mark(stream, 0, min(_MARKED, now.offset))
        now.tail = _mark(stream, max(0, now.offset - _MARKED), now.offset)
    return facts, now


def find(config_dir: Path, since_mtime: float = 0.0) -> list[Path]:
    """Transcripts below `config_dir`/projects, subagents' too, written at or after `since_mtime`; oldest first."""
    found = []
    for folder, _, names in os.walk(config_dir / "projects"):
        for name in names:
            if name.endswith(".jsonl"):
                path = Path(folder, name)
                try:
                    written = path.stat().st_mtime
                except OSError:
                    continue  # removed since it was listed
                if written >= since_mtime:
                    found.append((written, path))
    return [path for _, path in sorted(found)]


def _continues(cursor: Cursor, status: os.stat_result, stream: BinaryIO) -> bool:
    """False when the file under this name is another one or was rewritten: then it is read from the start."""
    return (
        (cursor.device, cursor.inode) == (status.st_dev, status.st_ino)
        and status.st_size >= max(cursor.offset, cursor.size)
        and _mark(stream, 0, min(_MARKED, cursor.offset)) == cursor.head
        and _mark(stream, max(0, cursor.offset - _MARKED), cursor.offset) == cursor.tail
    )


def _mark(stream: BinaryIO, start: int, end: int) -> str:
    """A fingerprint of these bytes, not the bytes: they may be a prompt, and cursors are kept elsewhere."""
    stream.seek(start)
    return hashlib.sha256(stream.read(end - start)).hexdigest()[:16]


def _copy(cursor: Cursor) -> Cursor:
    return replace(cursor, messages=list(cursor.messages), weights=dict(cursor.weights))


def _complete_lines(stream: BinaryIO, length: int) -> Iterator[bytes | int]:
    """Lines with their newline; for one that is too long, its length. What lies behind the last newline is left."""
    while length > 0:
        line = stream.readline(min(length, _LONGEST_LINE))
        if line.endswith(b"\n"):
            length -= len(line)
            yield line
            continue
        skipped = len(line)
        while skipped < length and line and not line.endswith(b"\n"):
            line = stream.readline(min(length - skipped, _LONGEST_LINE))
            skipped += len(line)
        if not line.endswith(b"\n"):
            return
        length -= skipped
        yield skipped


class _Reader:
    """Turns lines into facts; keeps in the cursor what the next piece needs."""

    def __init__(self, cursor: Cursor, facts: list[Fact]) -> None:
        self.cursor = cursor
        self.facts = facts
        self.progress: dict[bool, Progress] = {}

    def take(self, line: bytes) -> None:
        if not line.strip():
            self.cursor.garbage += not line
            return
        if transcript_lines.SKIPPED.match(line):
            return
        entry = transcript_lines.parse(line)
        if entry is None:
            self.cursor.garbage += 1
            return
        kind = entry.get("type")
        if kind == "assistant":
            self._assistant(entry)
        elif kind == "user":
            self._user(entry)
        elif kind == "system" and entry.get("subtype") == "informational":
            wait = transcript_lines.own_wait(entry)
            if wait is not None:
                self.facts.append(wait)

    def finish(self) -> None:
        self.facts.extend(self.progress.values())
        self.cursor.messages = self.cursor.messages[-_REMEMBERED:]
        self.cursor.weights = {name: self.cursor.weights.get(name, 0.0) for name in self.cursor.messages[-_WEIGHED:]}

    def _assistant(self, entry: dict[str, Any]) -> None:
        time = transcript_lines.timestamp(entry)
        if transcript_lines.is_error(entry):
            self.facts.append(transcript_lines.api_error(entry, self.cursor.turn))
            self.cursor.asked_at = None
            return
        message = entry.get("message")
        if time is None or not isinstance(message, dict) or message.get("model") == "<synthetic>":
            return
        sidechain = entry.get("isSidechain") is True
        self._progress(entry, time, "assistant", sidechain)
        message_id = message.get("id")
        if not isinstance(message_id, str):
            return
        weight = transcript_lines.weight(message)
        if message_id in self.cursor.messages:
            more = weight - self.cursor.weights.get(message_id, weight)
            if more > 0:
                self.cursor.weights[message_id] = weight
                self.facts.append(Spent(time, more))
            return
        self.cursor.weights[message_id] = weight
        self.cursor.messages.append(message_id)
        if len(self.cursor.messages) > 4 * _REMEMBERED:
            del self.cursor.messages[:-_REMEMBERED]
        latency = None if self.cursor.asked_at is None else time - self.cursor.asked_at
        if latency is not None and not 0 <= latency <= _MAX_LATENCY:
            latency = None
        self.cursor.asked_at = None
        model = message.get("model")
        self.facts.append(
            ApiCall(
                message_id,
                text_of(entry, "requestId"),
                time,
                model if isinstance(model, str) else None,
                latency,
                sidechain,
                weight,
            )
        )

    def _user(self, entry: dict[str, Any]) -> None:
        turn = entry.get("promptId")
        if isinstance(turn, str):
            self.cursor.turn = turn
        time = transcript_lines.timestamp(entry)
        if time is None or transcript_lines.is_noise(entry):
            return
        self.cursor.asked_at = time
        kind = "auto-continuation" if transcript_lines.is_auto_continuation(entry) else "user"
        self._progress(entry, time, kind, entry.get("isSidechain") is True)

    def _progress(self, entry: dict[str, Any], time: float, kind: str, sidechain: bool) -> None:
        fact = Progress(time, text_of(entry, "uuid") or "", text_of(entry, "sessionId") or "", kind, sidechain)
        if kind == "auto-continuation":
            self.facts.append(fact)
        self.progress[sidechain] = fact
