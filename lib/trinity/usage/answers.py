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
    line. `asked` is when the question was asked, 0 for unknown; `task` what was worked on then."""

    __slots__ = (
        "agent", "asked", "at", "content", "counts", "head", "key", "model", "out", "request", "start", "stop", "task",
        "tools",
    )  # fmt: skip

    def __init__(self, data: bytes, match: Any, start: int, at: int, stop: int) -> None:
        self.agent, model, key, key_too, model_too, _ = match.groups()
        self.model: bytes = model or model_too
        self.key: bytes = key or key_too
        self.start, self.content, self.at, self.stop = start, match.end(), at, stop
        # What the next line of this answer has there too.
        self.head = data[start + shapes.PARENT_ENDS : self.content] if shapes.PARENT.match(data, start) else b""
        self.counts = self.request = b""
        self.out = 0
        self.tools: list[bytes] = []
        self.asked, self.task = 0.0, ""

    def takes(self, data: bytes, content: int, start: int, at: int, stop: int) -> bool:
        """Take one more line of the same message; False when it is of another request, or used anything but more output."""
        find = data.find
        if not self.counts and not self._look(data):
            return False
        begin = find(shapes.USED, at, stop)
        if not data.startswith(self.counts, begin):
            return False
        end = begin + len(self.counts)
        found = shapes.OUT.match(data, end)
        request = find(shapes.REQUEST, end, stop)
        if found is None or (request > 0) != bool(self.request) or not data.startswith(self.request, request):
            return False
        out = int(found[1])
        if out > self.out:
            self.out, self.start, self.content, self.at, self.stop = out, start, content, at, stop
        return True

    def _look(self, data: bytes) -> bool:
        """What the first line says was used before its output, the output, and its request; False when it does not."""
        find = data.find
        begin = find(shapes.USED, self.at, self.stop)
        end = find(shapes.OUTPUT, begin, self.stop) + len(shapes.OUTPUT) if begin > 0 else 0
        found = shapes.OUT.match(data, end)
        if not end or found is None:
            return False
        request = find(shapes.REQUEST, end, self.stop)
        if request > 0:
            self.request = data[request : find(b'"', request + len(shapes.REQUEST), self.stop) + 1]
        self.counts, self.out = data[begin:end], int(found[1])
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
