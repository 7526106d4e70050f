"""Answers as they are found in a piece of a transcript: runs of lines, one a block, of which the largest counts.

What stands behind the contents is matched in one call for all of a piece. It runs as a process of its own too: standard
library only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trinity.usage import shapes

# The strings of `shapes.BEHIND_ALL`, empty where there is nothing.
Behind = tuple[bytes, ...]


class Answer:
    """`start`, `content`, `at`, `stop`: where the largest line so far begins, its content, what is behind that, and the next
    line; `lines`: where each of them begins and ends. `asked` is when the question was asked, 0 for unknown; `task` what was
    worked on then."""

    __slots__ = (
        "agent", "asked", "at", "content", "counts", "head", "key", "lines", "model", "out", "rest", "start", "stop", "task",
        "tools",
    )  # fmt: skip

    def __init__(self, data: bytes, match: Any, start: int, at: int, stop: int) -> None:
        self.agent, model, key, key_too, model_too, _ = match.groups()
        self.model: bytes = model or model_too
        self.key: bytes = key or key_too
        self.start, self.content, self.at, self.stop = start, match.end(), at, stop
        # What the next line of this answer has there too.
        self.head = data[start + shapes.PARENT_ENDS : self.content] if shapes.PARENT.match(data, start) else b""
        self.counts = self.rest = b""
        self.out = 0
        self.lines = [(start, stop)]
        self.tools: list[bytes] = []
        self.asked, self.task = 0.0, ""

    def takes(self, data: bytes, content: int, start: int, at: int, stop: int) -> bool:
        """Take one more line of the same message; False when it says another request, or more than another output."""
        if not self.counts and not self._look(data):
            return False
        begin = data.find(shapes.USED, at, stop)
        found = shapes.OUT.match(data, begin + len(self.counts)) if data.startswith(self.counts, begin) else None
        if found is None or not data.startswith(self.rest, found.end()):
            return False
        self.lines.append((start, stop))
        out = int(found[1])
        if out > self.out:
            self.out, self.start, self.content, self.at, self.stop = out, start, content, at, stop
        return True

    def _look(self, data: bytes) -> bool:
        """What the first line says was used before its output, the output, and the rest to its type: all else that was used,
        and the request. False when it does not say it as expected."""
        begin = data.find(shapes.USED, self.at, self.stop)
        end = data.find(shapes.OUTPUT, begin, self.stop) + len(shapes.OUTPUT) if begin > 0 else 0
        found = shapes.OUT.match(data, end)
        rest = data.find(shapes.TYPE, end, self.stop)
        if not end or found is None or rest < 0:
            return False
        self.counts, self.out, self.rest = data[begin:end], int(found[1]), data[found.end() : rest + len(shapes.TYPE)]
        return True


def behind(data: bytes, found: Sequence[Answer]) -> Sequence[Behind | None]:
    """What stands behind each answer's content; None where that is not as the client writes it."""
    pattern = shapes.BEHIND_ALL
    # A line has one match at most, up to its end: as many matches as lines are one for each.
    parsed: list[Behind] = pattern.findall(b"".join([data[one.at : one.stop] for one in found]))
    if len(parsed) == len(found):
        return parsed
    each = [pattern.fullmatch(data, one.at, one.stop) for one in found]
    return [None if match is None else match.groups(b"") for match in each]


def is_single(data: bytes, one: Answer, iterations: bytes) -> bool:
    """Is the line one block of an answer that was billed, with nothing billed beside it?"""
    return (
        # A second block, or a line that a killed client left half and another continued.
        data.find(b'},{"type":"', one.content, one.at) < 0
        and data.find(b'{"parentUuid":', one.content, one.at) < 0
        and one.model != b"<synthetic>"
        and (not iterations or iterations.count(b'"type":') == iterations.count(b'"type":"message"'))
    )
