"""What the scripted API answers: plans of steps, one plan for all sessions or one for each.

Plans are plain dicts, so they can come from a JSON file and over the control endpoints alike:

    {"steps": [STEP, …], "default": STEP, "side": STEP, "headers": {…}}

Each main request (one that offers tools) takes the next step; when none is left, `default` is served (text "done").
`side` answers requests without tools, such as the one for a title. `headers` are added to every reply of the plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypedDict, cast


class Tool(TypedDict):
    name: str
    input: dict[str, Any]


class Step(TypedDict, total=False):
    """One reply. Without `error`, `drop` and `sse_error` it is a whole message of `thinking`, `text` and `tools`.

    error        HTTP status of an error reply with `type`, `message` and `details`
    drop         the connection ends "before" any byte, at the "start" of the stream or in the "mid"dle of the text
    sse_error    type of an error event in the middle of the stream
    delay, hang  seconds before the reply (the same thing; `hang` is for more than a client waits)
    times        how often the step is served, -1 for ever
    """

    text: str
    tools: list[Tool]
    thinking: str
    error: int
    type: str
    message: str
    details: dict[str, Any]
    drop: Literal["before", "start", "mid"]
    sse_error: str
    delay: float
    hang: float
    headers: dict[str, str]
    usage: dict[str, Any]
    stop_reason: str
    model: str
    chunks: int
    chunk_delay: float
    times: int


class Plan(TypedDict, total=False):
    steps: list[Step]
    default: Step
    side: Step
    headers: dict[str, str]


def bash(command: str, **more: Any) -> Step:
    """A step that has the client run one shell command."""
    tool: Tool = {"name": "Bash", "input": {"command": command, "description": command[:40]}}
    return cast(Step, {"tools": [tool], **more})


class Script:
    """A plan and how far it has been played. Not thread-safe: its holder locks."""

    def __init__(self, plan: Mapping[str, Any] | Plan | None = None) -> None:
        self.plan = cast(Plan, dict(plan or {}))
        self._left: list[tuple[Step, int]] = [(step, step.get("times", 1)) for step in self.plan.get("steps", [])]

    @property
    def headers(self) -> dict[str, str]:
        return self.plan.get("headers", {})

    def next(self, main: bool) -> Step:
        """The step for the next request; only a main request moves the plan on."""
        if not main:
            return self.plan.get("side", Step(text="Side reply"))
        while self._left:
            step, times = self._left[0]
            if times == 0:
                self._left.pop(0)
                continue
            self._left[0] = (step, times - 1 if times > 0 else times)
            return step
        return self.plan.get("default", Step(text="done"))
