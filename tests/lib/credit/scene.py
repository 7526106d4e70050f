"""A PC whose hooks and clients wrote what a test says, at the seconds it says; evaluations look at it from outside."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from trinity import clock, files
from trinity.config import Config
from trinity.credit import evaluation, event_log
from trinity.credit.evaluation import Evaluation
from trinity.credit.limits import Limit
from trinity.home import Home
from trinity.relay import act
from trinity.relay.act import Step

START = clock.parse("2026-11-20T10:00:00Z")
FIVE_HOURS = "You've hit your 5-hour limit · resets 12:00pm (UTC)"
FIVE_HOURS_RESET = clock.parse("2026-11-20T12:00:59Z")
OVERLOADED = "API Error: 529 Overloaded. This is a server-side issue, usually temporary."


class Scene:
    """All times are seconds after `start`."""

    def __init__(self, home: Home, folder: Path, start: float = START) -> None:
        self.home = home
        self.start = start
        self.projects = folder / "claude" / "projects" / "-home-user-project"
        self.projects.mkdir(parents=True)
        self.config = Config(profiles=(str(folder / "claude"),))
        self.number = 0

    # the event log

    def event(self, second: float, **members: Any) -> None:
        t = self.start + second
        line = {"kind": "event", "version": 1, "time": clock.iso(t, milliseconds=True), **members}
        self.raw(second, json.dumps(line, separators=(",", ":")).encode() + b"\n")

    def raw(self, second: float, data: bytes) -> None:
        with event_log.path_of(self.home, event_log.day_of(self.start + second)).open("ab") as stream:
            stream.write(data)

    def hook(self, second: float, name: str, session: str = "s", prompt: str | None = "p", **more: Any) -> None:
        ids = {"session_id": session} | ({"prompt_id": prompt} if prompt else {})
        self.event(second, event="hook", source="hook", name=name, **ids, **more)

    def stop_failure(self, second: float, text: str = FIVE_HOURS, error: str = "rate_limit", **more: Any) -> None:
        self.hook(second, "StopFailure", error=error, text=text, **more)

    def record(self, second: float, event: str, **more: Any) -> None:
        """What `record_event.py` writes."""
        self.event(second, event=event, source="program", **more)

    def window(self, second: float, used: float, resets_at: float | None, name: str = "five_hour") -> None:
        """What the status line writes."""
        value = {"used_percentage": used} | ({"resets_at": resets_at} if resets_at is not None else {})
        self.event(second, event="window", source="status_line", **{name: value})

    # transcripts

    def transcript(self, session: str = "s", agent: str | None = None) -> Path:
        if agent is None:
            return self.projects / f"{session}.jsonl"
        return self.projects / session / "subagents" / f"agent-{agent}.jsonl"

    def line(self, second: float, session: str = "s", agent: str | None = None, **members: Any) -> None:
        self.number += 1
        line = {"isSidechain": agent is not None, "sessionId": session, "uuid": f"u{self.number}", **members}
        line |= {"timestamp": clock.iso(self.start + second, milliseconds=True)} | ({"agentId": agent} if agent else {})
        path = self.transcript(session, agent)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as stream:
            stream.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")
        os.utime(path, (self.start + second, self.start + second))

    def prompt(self, second: float, text: str = "go on", prompt: str = "p", **more: Any) -> None:
        self.line(second, type="user", promptId=prompt, message={"role": "user", "content": text}, **more)

    def answer(self, second: float, text: str = "done", model: str = "claude-sonnet-5", **more: Any) -> None:
        content = [{"type": "text", "text": text}]
        message = {"id": f"msg_{self.number}", "role": "assistant", "model": model, "content": content}
        self.line(second, type="assistant", message=message, **more)

    def error_line(self, second: float, text: str = FIVE_HOURS, error: str = "rate_limit", **more: Any) -> None:
        content = [{"type": "text", "text": text}]
        message = {"id": f"err_{self.number}", "role": "assistant", "model": "<synthetic>", "content": content}
        self.line(second, type="assistant", isApiErrorMessage=True, error=error, message=message, **more)

    # looking

    def look(self, second: float) -> Evaluation:
        return evaluation.evaluate(self.home, self.config, self.start + second)

    def plan(self, answer: Evaluation, born: float = 0.0) -> list[Step]:
        return act.plan(self.config, answer, born)

    def actions(self, answer: Evaluation) -> dict[str, str]:
        return {step.session.id: step.action for step in self.plan(answer)}

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = files.read_json(self.home.credit_state_file)
        return found


def signals(answer: Evaluation) -> dict[str, str]:
    """The status by signal."""
    return {signal.name: signal.status for signal in answer.signals}


def limits(answer: Evaluation) -> list[tuple[str, str | None, float | None]]:
    """Type, model and reset (seconds after `START`) of each limit in force."""

    def after(limit: Limit) -> float | None:
        return None if limit.resets_at is None else round(limit.resets_at - START, 3)

    return [(limit.type, limit.model, after(limit)) for limit in answer.limits]
