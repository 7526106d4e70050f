"""A transcript's new lines, read fast: a line is told by how it begins, an answer's numbers are cut out where they stand.

The fast way takes a line only when its beginning, its `usage` and its end are as the client writes them; any other line that
could bill something goes to `lines`, which parses it. It runs as a process of its own too: standard library only, no
imports of the rest, results are what `marshal` takes.
"""

from __future__ import annotations

from typing import Any

from trinity.usage import answers, lines, moments, shapes, tasks
from trinity.usage.answers import Answer

_AROUND = 500
_PLACES = 1000
_TASK_TOOLS = frozenset(name.encode() for name in tasks.TOOLS)
_LONGEST_WAIT = 3600.0  # behind a longer silence was a sleeping machine, not a thinking model


class _Numbers(dict[tuple[Any, ...], int]):
    """Numbers what is asked for, from 0 on."""

    def __missing__(self, key: tuple[Any, ...]) -> int:
        number = self[key] = len(self)
        return number


class _Places(dict[bytes, "tuple[bytes, ...] | None"]):
    """What follows a line's time: folder, session and session that asked; None when it is not as the client writes it."""

    def __missing__(self, text: bytes) -> tuple[bytes, ...] | None:
        found = shapes.PLACE.fullmatch(text)
        if len(self) > _PLACES:
            self.clear()
        place = self[text] = None if found is None else found.groups(b"")
        return place


class Reading:
    """What one file's new lines say. `origins` and `kinds` are what the rows' numbers stand for."""

    def __init__(self, state: dict[str, Any], foreign: int) -> None:
        self.rows: dict[str, list[Any]] = {}
        self.errors: list[tuple[str, float, str, str, str]] = []
        self.aside: dict[str, int] = {}
        self.origins = _Numbers()
        self.kinds = _Numbers()
        self.tasks = tasks.Tasks(state)
        self.asked: float = state.get("asked", 0.0)
        self.began: float = state.get("began", 0.0)
        self.question: tuple[int, int] | None = None
        self.foreign = foreign
        self.slow = self.fast = 0
        self._places = _Places()

    def state(self) -> dict[str, Any]:
        return {**self.tasks.state(), "asked": self.asked, "began": self.began}

    def put_aside(self, why: str) -> None:
        self.aside[why] = self.aside.get(why, 0) + 1

    def piece(self, data: bytes, end: int, offset: int) -> None:
        """The whole lines of `data[:end]`, which stand at `offset` of the file."""
        if not self.began:
            self.began = moments.moment(data, data.find(shapes.TIMESTAMP, 0, end))
        find, rfind, starts = data.find, data.rfind, data.startswith
        begin, parent, ends, behind = shapes.BEGIN.match, shapes.PARENT.match, shapes.PARENT_ENDS, shapes.BEHIND
        tool, tool_types = shapes.TOOL.match, shapes.TOOLS
        found: list[Answer] = []
        run: Answer | None = None
        head = b""
        start = fast = 0
        while start < end:
            stop = find(b"\n", start, end) + 1
            match, content, key = None, 0, b""
            if head and starts(head, start + ends) and parent(data, start):
                content = start + ends + len(head)
            else:
                match = begin(data, start)
                if match is not None:
                    key = match[3] or match[4]
                    content = match.end() if key else 0
            at = rfind(behind, content, stop) if content else 0
            calls = at > 0 and starts(tool_types, content)
            named = tool(data, content) if calls else None
            if at > 0 and (named is not None or not calls):
                fast += 1
                same = match is None or (run is not None and key == run.key)
                if not same or run is None or not run.takes(data, content, start, at, stop):
                    run = Answer(data, match or begin(data, start), start, at, stop)
                    head = run.head
                    found.append(run)
                    run.asked, self.asked = (self.moment(data) if self.question else 0.0) or self.asked, 0.0
                    run.task = self.tasks.current
                if named is not None:
                    run.tools.append(named[1])
                    if named[1] in _TASK_TOOLS:
                        self.tasks.called(data[start:stop])
            elif match is None or content or rfind(shapes.TYPE, max(start, stop - shapes.NEAR_THE_END), stop) > 0:
                # In their order: of lines of the same size the first one counts.
                self._answered(data, offset, found)
                found, run, head = [], None, b""
                self.slowly(data[start:stop], offset + start)
            elif match[6] is not None:
                run, head = None, b""
                self.question = (match.end(), stop)
                if self.tasks.wanted and find(b'"toolUseResult":{"task":{', start, stop) > 0:
                    self.tasks.made(data[start:stop])
            start = stop
        self.fast += fast
        self._answered(data, offset, found)
        self.asked = self.moment(data) or self.asked

    def _answered(self, data: bytes, offset: int, found: list[Answer]) -> None:
        """Rows of answers, each from its largest line, if that is as it looks."""
        rows, origins, kinds, places, foreign = self.rows, self.origins, self.kinds, self._places, self.foreign
        for one, said in zip(found, answers.behind(data, found), strict=True):
            place = places[said[14]] if said is not None and answers.is_single(data, one, said[9]) else None
            minute = moments.of_minute(said[12]) if said is not None else -1
            if said is None or place is None or minute <= 0:
                self.fast -= len(one.lines)
                for start, stop in one.lines:
                    self.slowly(data[start:stop], offset + start, one.task)
                continue
            given, written, read, long, out, search, fetch, tier, long_too, _, speed, request, _, second, _ = said
            cwd, session, other = place
            time = minute + float(second)
            count, created, cached, told = int(given), int(written), int(read), int(out)
            hour = min(int(long or long_too or 0), created)
            key = one.key.decode()
            row = [
                key, request.decode(), time, origins[session, one.agent, cwd, one.task], kinds[one.model, tier, speed],
                count, told, cached, created - hour, hour, int(search or 0), int(fetch or 0), "",
                time - one.asked if one.asked and 0 <= time - one.asked <= _LONGEST_WAIT else None,
                1 if other and other != session else 0, offset + one.start < foreign, count + told + cached + created,
            ]  # fmt: skip
            if key in rows:
                row = self.add(row)
            else:
                rows[key] = row
            for name in one.tools:
                _name_tool(row, name.decode("utf-8", "replace"))

    def moment(self, data: bytes) -> float:
        """When the question was asked that stands in `data`; 0 where there is none."""
        if self.question is None:
            return 0.0
        begun, ended = self.question
        self.question = None
        # What a tool said stands twice in its line, the time between: there it is looked for first.
        at = -1
        if ended - begun > 4 * _AROUND:
            middle = (begun + ended) // 2
            at = data.find(shapes.TIMESTAMP, middle - 2 * _AROUND, middle + _AROUND)
        return moments.moment(data, at if at >= 0 else data.find(shapes.TIMESTAMP, begun, ended))

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

    def slowly(self, line: bytes, offset: int, task: str | None = None) -> None:
        """A line that the fast way does not take; `task` when what it does to the tasks is known already."""
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
            found = lines.messages(entry, self.tasks.current if task is None else task)
        except lines.Aside as why:
            self.put_aside(str(why))
            return
        for one in found:
            one[3], one[4] = self.origins[one[3]], self.kinds[one[4]]
            self.add([*one, offset < self.foreign, sum(one[5:10])])
        if task is None and any(name.encode() in line for name in tasks.TOOLS):
            self.tasks.called(line)


def _name_tool(row: list[Any], name: str) -> None:
    if not row[12]:
        row[12] = name
    elif name != row[12] and name not in row[12].split(","):
        row[12] = f"{row[12]},{name}"
