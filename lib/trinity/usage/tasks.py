"""Which task of a session's list is being worked on, as the transcript tells it: by the model's own tool calls."""

from __future__ import annotations

from typing import Any

from trinity.usage import lines

TOOLS = ("TaskCreate", "TaskUpdate", "TodoWrite")
_LONGEST = 200


class Tasks:
    """`current` is the subject of the task in progress, or empty. `state` goes on from where a file was left."""

    def __init__(self, state: dict[str, Any]) -> None:
        self.current: str = str(state.get("task", ""))
        self.wanted = bool(state.get("wanted"))
        known = state.get("tasks")
        self._subjects: dict[str, str] = dict(known) if isinstance(known, dict) else {}

    def state(self) -> dict[str, Any]:
        return {"task": self.current, "wanted": self.wanted, "tasks": self._subjects}

    def called(self, line: bytes) -> None:
        """An assistant's line that may change the list."""
        try:
            content = lines.parse(line)["message"]["content"]
        except (lines.Aside, KeyError, TypeError):
            return
        for block in content if isinstance(content, list) else ():
            given = block.get("input") if isinstance(block, dict) else None
            if isinstance(given, dict):
                self._call(block.get("name"), given)

    def _call(self, name: object, given: dict[str, Any]) -> None:
        if name == "TaskCreate":
            self.wanted = True  # its number stands in the result
        elif name == "TaskUpdate":
            task, status = _label(given.get("taskId")), given.get("status")
            subject = self._subjects.get(task) or f"#{task}"
            if status == "in_progress":
                self.current = subject
            elif status in ("completed", "deleted") and self.current == subject:
                self.current = ""
        elif name == "TodoWrite":
            todos = given.get("todos")
            listed = todos if isinstance(todos, list) else []
            doing = [t.get("content") for t in listed if isinstance(t, dict) and t.get("status") == "in_progress"]
            self.current = _label(doing[0]) if doing else ""

    def made(self, line: bytes) -> None:
        """A user's line with the result of TaskCreate."""
        try:
            task = lines.parse(line)["toolUseResult"]["task"]
            self._subjects[_label(task["id"])] = _label(task["subject"])
        except (lines.Aside, KeyError, TypeError):
            return


def _label(value: object) -> str:
    return str(value or "").encode("utf-8", "replace").decode()[:_LONGEST]
