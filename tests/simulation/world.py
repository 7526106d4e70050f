"""A PC in a time of its own: what clients of either shape would have written, for the evaluation to read.

Everything goes through the files a real PC has: lines of the event log, transcripts with their times, and
`evaluation.evaluate` at the simulated moment. Error lines are those that real clients wrote (tests/lib/credit/cases), with
their times replaced.
"""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from trinity import clock
from trinity.config import Config, Ladder
from trinity.credit import evaluation, event_log
from trinity.credit.evaluation import Evaluation
from trinity.home import open_home

CHECKOUT = Path(__file__).resolve().parents[2]
SHAPES = ("2.1.197", "2.1.328")
START = clock.parse("2026-11-02T08:00:00Z")
_LIMIT_WORDS = {
    ("2.1.197", "five_hour"): "session",
    ("2.1.328", "five_hour"): "5-hour",
    ("2.1.197", "seven_day"): "weekly",
    ("2.1.328", "seven_day"): "weekly",
}
_CASES = {
    "five_hour": "rl429_unified-oauth",
    "seven_day": "weekly-oauth",
    "rate_limit": "rl429-oauth",
    "overloaded": "overloaded-key",
}


def in_utc() -> None:
    """Client texts name times in a zone; this process reads them as a PC in UTC would."""
    os.environ["TZ"] = "UTC"
    if hasattr(time, "tzset"):
        time.tzset()


class World:
    """One PC with clients of `shape`; times are epoch seconds. `asked` counts what was written, by kind."""

    def __init__(self, folder: Path, shape: str, ladder: Ladder | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.home = open_home(folder / "home", create=True)
        self.projects = folder / "claude" / "projects" / "-home-user-project"
        self.projects.mkdir(parents=True)
        self.config = Config(profiles=(str(folder / "claude"),), ladder=ladder or Ladder())
        self.shape = shape
        self.number = 0
        self.written: dict[str, int] = {}
        cases = json.loads((CHECKOUT / f"tests/lib/credit/cases/error_lines_{shape}.json").read_text(encoding="utf-8"))
        self.errors = {kind: next(c["line"] for c in cases if c["name"] == name) for kind, name in _CASES.items()}

    def _event(self, t: float, **members: Any) -> None:
        line = {"kind": "event", "version": 1, "time": clock.iso(t, milliseconds=True), **members}
        with event_log.path_of(self.home, event_log.day_of(t)).open("ab") as stream:
            stream.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")

    def hook(self, t: float, name: str, session: str, **more: Any) -> None:
        self._event(t, event="hook", source="hook", name=name, session_id=session, prompt_id=f"{session}-p", **more)

    def window(self, t: float, session: str, **windows: tuple[float, float]) -> None:
        """The status line's word: `five_hour=(percent, reset)`."""
        told = {name: {"used_percentage": used, "resets_at": resets} for name, (used, resets) in windows.items()}
        self._event(t, event="window", source="status_line", session_id=session, **told)

    def _line(self, t: float, session: str, line: dict[str, Any]) -> None:
        self.number += 1
        ids = {"sessionId": session, "uuid": f"u{self.number}", "timestamp": clock.iso(t, milliseconds=True)}
        path = self.projects / f"{session}.jsonl"
        with path.open("ab") as stream:
            stream.write(json.dumps({"isSidechain": False, **line, **ids}, separators=(",", ":")).encode() + b"\n")
        os.utime(path, (t, t))

    def prompt(self, t: float, session: str, tool_result: bool = False) -> None:
        """What is answered next: a person's words, or a tool's."""
        content: Any = [{"type": "tool_result", "content": "ok"}] if tool_result else "go on"
        prompt = {"type": "user", "promptId": f"{session}-p", "message": {"role": "user", "content": content}}
        self._line(t, session, prompt)

    def answer(self, t: float, session: str, tokens: dict[str, int], model: str = "claude-sonnet-5-5") -> None:
        """One answer, its lines one for each of two blocks as the client writes them."""
        self.written["answers"] = self.written.get("answers", 0) + 1
        message = {"id": f"msg_{session}_{self.number}", "role": "assistant", "model": model, "usage": tokens}
        for block in ({"type": "text", "text": "done"}, {"type": "tool_use", "id": "t", "name": "Bash", "input": {}}):
            self._line(t, session, {"type": "assistant", "message": {**message, "content": [block]}})

    def refused(self, t: float, session: str, kind: str, resets_at: float | None = None, hooked: bool = True) -> None:
        """The error line that ends a turn, and the hook that tells of it: a limit's kind, "rate_limit" or "overloaded"."""
        self.written[kind] = self.written.get(kind, 0) + 1
        line = json.loads(json.dumps(self.errors[kind]))
        text = line["message"]["content"][0]["text"]
        if resets_at is not None:
            text = f"You've hit your {_LIMIT_WORDS[self.shape, kind]} limit · resets {_said(resets_at, t)} (UTC)"
            for holder in (line.get("quotaLimits"), (line.get("apiErrorParams") or {}).get("rate_limit_info")):
                if holder is not None:
                    holder["resetsAt"] = int(resets_at)
        line["message"] = {**line["message"], "id": f"err_{self.number}", "content": [{"type": "text", "text": text}]}
        self._line(t, session, {**line, "promptId": f"{session}-p"})
        if hooked:
            self.hook(t, "StopFailure", session, error=line["error"], text=text)

    def look(self, t: float) -> Evaluation:
        return evaluation.evaluate(self.home, self.config, t)


def _said(resets_at: float, now: float) -> str:
    moment = datetime.fromtimestamp(resets_at, UTC)
    clock_ = moment.strftime("%I:%M%p").lstrip("0").lower()
    return clock_ if resets_at - now < 86400 else f"{moment.strftime('%b')} {moment.day}, {clock_}"
