"""A transcript's new lines, read fast: a line is told by how it begins, an answer's numbers are cut out where they stand.

The fast way takes a line only when its beginning, its `usage` and its end are as the client writes them; any other line that
could bill something goes to `lines`, which parses it. It runs as a process of its own too: standard library only, no
imports of the rest, results are what `marshal` takes.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from trinity.usage import lines, shapes, tasks

_MINUTES = 20_000
_EPOCH = date(1970, 1, 1).toordinal()
_NEAR = 80
_AROUND = 500
_TASK_TOOLS = frozenset(name.encode() for name in tasks.TOOLS)
_LONGEST_WAIT = 3600.0  # behind a longer silence was a sleeping machine, not a thinking model


# How a line begins and what stands behind its content, as matches, and where it begins and ends.
Line = tuple[Any, Any, int, int]


class _Numbers(dict[tuple[Any, ...], int]):
    """Numbers what is asked for, from 0 on."""

    def __missing__(self, key: tuple[Any, ...]) -> int:
        number = self[key] = len(self)
        return number


class Reading:
    """What one file's new lines say. `origins` and `kinds` are what the rows' numbers stand for."""

    def __init__(self, state: dict[str, Any], foreign: int) -> None:
        self.rows: dict[str, list[Any]] = {}
        self.errors: list[tuple[str, float, str, str, str]] = []
        self.brought: list[str] = []
        self.aside: dict[str, int] = {}
        self.origins = _Numbers()
        self.kinds = _Numbers()
        self.tasks = tasks.Tasks(state)
        self.asked: float = state.get("asked", 0.0)
        self.began: float = state.get("began", 0.0)
        self.question: tuple[int, int] | None = None
        self.foreign = foreign
        self.slow = self.fast = 0

    def state(self) -> dict[str, Any]:
        return {**self.tasks.state(), "asked": self.asked, "began": self.began}

    def put_aside(self, why: str) -> None:
        self.aside[why] = self.aside.get(why, 0) + 1

    def piece(self, data: bytes, end: int, offset: int) -> None:
        """The whole lines of `data[:end]`, which stand at `offset` of the file."""
        if not self.began:
            self.began = _moment(data, data.find(shapes.TIMESTAMP, 0, end))
        find, rfind = data.find, data.rfind
        begin, usage_of = shapes.BEGIN.match, shapes.USAGE.match
        start = fast = 0
        # An answer is a run of lines, one a block: the largest of them is looked at in full, when the run is over.
        best: Line | None = None
        counts: tuple[Any, ...]
        run, counts = b"", ()
        tools: list[tuple[bytes, int, int]] = []
        while start < end:
            stop = find(b"\n", start, end) + 1
            match = begin(data, start)
            own = None if match is None else match[3] or match[4]
            if match is not None and own is not None:
                at = rfind(shapes.BEHIND, match.end(), stop)
                used = usage_of(data, at) if at > 0 else None
                if used is not None:
                    fast += 1
                    here = (match, used, start, stop)
                    if best is None or own != run or not _same_request(data, best, here):
                        if best is not None:
                            self.answer(data, offset, best, tools)
                        best, run, tools = here, own, []
                        counts = used.group(1, 2, 3, 5)
                    elif used.group(1, 2, 3, 5) != counts and _total(here) > _total(best):
                        best = here
                        counts = used.group(1, 2, 3, 5)
                    if match[6] is not None:
                        tools.append((match[6], start, stop))
                    start = stop
                    continue
                match = None
            if match is None or match[7] is not None:
                if best is not None:
                    self.answer(data, offset, best, tools)
                    best = None
                if match is None:
                    self.slowly(data[start:stop], offset + start)
                else:
                    self.question = (match.end(), stop)
                    if self.tasks.wanted and find(b'"toolUseResult":{"task":{', start, stop) > 0:
                        self.tasks.made(data[start:stop])
            start = stop
        if best is not None:
            self.answer(data, offset, best, tools)
        self.asked = self.moment(data) or self.asked
        self.fast += fast

    def answer(self, data: bytes, offset: int, line: Line, tools: list[tuple[bytes, int, int]]) -> None:
        """The largest line of an answer: a row, if it is as it looks."""
        match, used, start, stop = line
        behind, at = match.end(), used.start()
        find = data.find
        tail = shapes.TAIL.match(data, used.end())
        if (
            tail is None
            or tail.end() != stop
            # A second block, or a line that a killed client left half and another continued.
            or find(b'},{"type":"', behind, at) > 0
            or find(b'{"parentUuid":', behind, at) > 0
            or (match[2] or match[5]) == b"<synthetic>"
            or (used[10] and used[10].count(b'"type":') != used[10].count(b'"type":"message"'))
            or (base := _minutes.get(tail[2]) or _minute(tail[2])) < 0
        ):
            self.fast -= 1
            self.slowly(data[start:stop], offset + start)
            return
        request, _, second, cwd, session, other_session = tail.groups()
        agent, model, own, own_too, model_too, _, _ = match.groups()
        given, written, read, long, out, search, fetch, tier, long_too, _, speed = used.groups()
        time = base + float(second)
        asked = self.asked if self.question is None else self.moment(data)
        self.asked = 0.0
        given, written, read, out = int(given), int(written), int(read), int(out)
        long = min(int(long or long_too or 0), written)
        key = (own or own_too).decode()
        row = [
            key, request.decode() if request else "", time,
            self.origins[session, agent, cwd, self.tasks.current], self.kinds[model or model_too, tier, speed],
            given, out, read, written - long, long, int(search or 0), int(fetch or 0), "",
            time - asked if asked and 0 <= time - asked <= _LONGEST_WAIT else None,
            1 if other_session and other_session != session else 0, offset + start < self.foreign,
            given + out + read + written,
        ]  # fmt: skip
        if key in self.rows:
            row = self.add(row)
        else:
            self.rows[key] = row
        for name, begun, ended in tools:
            _name_tool(row, name.decode("utf-8", "replace"))
            if name in _TASK_TOOLS:
                self.tasks.called(data[begun:ended])

    def moment(self, data: bytes) -> float:
        """When the question was asked that stands in `data`; 0 where there is none."""
        if self.question is None:
            return 0.0
        begun, ended = self.question
        self.question = None
        # What a tool said stands twice in its line, the time between: there it is looked for first.
        middle = (begun + ended) // 2
        at = data.find(shapes.TIMESTAMP, max(begun, middle - 2 * _AROUND), min(ended, middle + _AROUND))
        return _moment(data, at if at >= 0 else data.find(shapes.TIMESTAMP, begun, ended))

    def add(self, row: list[Any]) -> list[Any]:
        """Keep the largest row of a message; the row that is kept."""
        known = self.rows.get(row[0])
        if known is None:
            self.rows[row[0]] = row
            return row
        if row[1] != known[1] and row[1] and known[1] and row[2] != known[2]:
            # The same id for another request: both are billed.
            known = self.rows.setdefault(f"{row[0]} {row[1]}", row)
        if row[16] > known[16]:
            if known[13] is not None:
                known[13] += row[2] - known[2]
            known[2], known[5:12], known[16] = row[2], row[5:12], row[16]
        known[1] = known[1] or row[1]
        known[14] = min(known[14], row[14])
        known[15] = known[15] and row[15]
        if known[13] is None:
            known[13] = row[13]
        for name in row[12].split(",") if row[12] else ():
            _name_tool(known, name)
        return known

    def slowly(self, line: bytes, offset: int) -> None:
        """A line that the fast way does not take."""
        if b'"usage"' not in line and b'"isApiErrorMessage"' not in line:
            return
        self.slow += 1
        try:
            entry = lines.parse(line)
            if entry.get("type") != "assistant":
                return
            if lines.is_error(entry):
                error = lines.error(entry)
                if error is not None and offset >= self.foreign:
                    self.errors.append(error)
                return
            found = lines.messages(entry, self.tasks.current)
        except lines.Aside as why:
            self.put_aside(str(why))
            return
        for one in found:
            one[3], one[4] = self.origins[one[3]], self.kinds[one[4]]
            self.add([*one, offset < self.foreign, sum(one[5:10])])
        if any(name.encode() in line for name in tasks.TOOLS):
            self.tasks.called(line)


def _same_request(data: bytes, one: Line, other: Line) -> bool:
    """Two lines of one message id: of one request too? Mostly the bytes behind their usage are the same."""
    here, there = one[1].end(), other[1].end()
    if data[here : here + _NEAR] == data[there : there + _NEAR]:
        return True
    first, second = shapes.REQUEST.search(data, here, one[3]), shapes.REQUEST.search(data, there, other[3])
    return first is None or second is None or first[1] == second[1]


def _total(line: Line) -> int:
    used = line[1]
    return int(used[1]) + int(used[2]) + int(used[3]) + int(used[5])


def _name_tool(row: list[Any], name: str) -> None:
    if not row[12]:
        row[12] = name
    elif name != row[12] and name not in row[12].split(","):
        row[12] = f"{row[12]},{name}"


def _moment(data: bytes, at: int) -> float:
    found = shapes.MOMENT.match(data, at) if at >= 0 else None
    if found is None:
        return 0.0
    minute, second = found.groups()
    return max(0, _minutes.get(minute) or _minute(minute)) + float(second)


_minutes: dict[bytes, int] = {}


def _minute(text: bytes) -> int:
    """Epoch seconds of `2026-11-29T20:24`; -1 where there is no such minute."""
    hour, minute = int(text[11:13]), int(text[14:16])
    try:
        days = date(int(text[:4]), int(text[5:7]), int(text[8:10])).toordinal() - _EPOCH
        made = days * 86400 + hour * 3600 + minute * 60 if hour < 24 and minute < 60 else -1
    except ValueError:
        made = -1
    if len(_minutes) > _MINUTES:
        _minutes.clear()
    _minutes[text] = made
    return made
