"""Folding what happened into the picture: events of the log and facts of the transcripts, each exactly once.

One failure is one incident, whichever of StopFailure, the transcript's error line and a caller's record saw it: key
(session, prompt, kind). A subagent's failure joins its parent's; alone it is evidence of a limit, but no session stopped. A
session is stopped by an error of its main thread, and no longer once anything later happened in it.
"""

from __future__ import annotations

from typing import Any

from trinity.config import Ladder
from trinity.credit import event_log, limits, transcripts
from trinity.credit.limits import Limit, Verdict
from trinity.credit.picture import Incident, Picture, Session, Stop
from trinity.credit.status import Allowance

# Which source is believed about a limit: the server's own numbers first.
_RANK = {"stream": 4, "transcript": 3, "hook": 2, "program": 1}
_LATER = 1.0
_PROGRESS = {"UserPromptSubmit", "PreToolUse", "PostToolUse", "PostToolUseFailure", "Stop"}
_WINDOWS = ("five_hour", "seven_day")
# An error line and its StopFailure are written within moments; their prompt ids may differ or lack.
_SAME_MOMENT = 20.0


class Folder:
    """Folds into `picture` by the numbers of `ladder`."""

    def __init__(self, picture: Picture, ladder: Ladder) -> None:
        self.picture = picture
        self.ladder = ladder

    def event(self, event: dict[str, Any]) -> None:
        """One line of the event log; what has no time or an unknown kind is skipped."""
        t = event_log.moment_of(event)
        if t is None:
            self.picture.damaged += 1
            return
        kind = event.get("event")
        if kind == "hook":
            self._hook(event, t)
        elif kind == "window":
            for name in _WINDOWS:
                self._allowance(name, event.get(name), t)
        elif kind in ("success", "slow", "error", "rate_limit"):
            self._program(kind, event, t)

    def fact(self, path: str, fact: transcripts.Fact) -> None:
        """One fact of the transcript at `path`."""
        if isinstance(fact, transcripts.ApiCall):
            self._call(path, fact)
        elif isinstance(fact, transcripts.ApiError):
            self._error_line(path, fact)
        elif isinstance(fact, transcripts.Progress):
            if fact.session_id and not fact.sidechain:
                self._progress(self._seen(fact.session_id, fact.time), fact.time)
        else:
            self._seen(fact.session_id, fact.time).own_wait = fact.state

    # events

    def _hook(self, event: dict[str, Any], t: float) -> None:
        session_id = event.get("session_id")
        if not isinstance(session_id, str):
            return
        session = self._seen(session_id, t)
        name = event.get("name")
        main = not event.get("agent_id")
        if main:
            for key, value in (
                ("transcript", event.get("transcript_path")),
                ("cwd", event.get("cwd")),
                ("entrypoint", event.get("entrypoint")),
                ("permission_mode", event.get("permission_mode")),
            ):
                if isinstance(value, str):
                    setattr(session, key, value)
            if isinstance(event.get("pid"), int):
                session.pid = event["pid"]
        if name == "SessionEnd":
            session.ended_at = t
        elif name == "SessionStart":
            session.ended_at = None
            session.own_wait = None
        elif name in _PROGRESS and main:
            self._progress(session, t)
        elif name == "StopFailure":
            verdict = limits.classify(
                event.get("error"),
                event.get("text"),
                None,
                t,
                source="hook",
                transient_seconds=self.ladder.transient_reset_seconds,
            )
            self._failure(session, event.get("prompt_id"), t, verdict, event.get("error"), event.get("text"), main)

    def _program(self, kind: str, event: dict[str, Any], t: float) -> None:
        window = self.picture.window
        seconds = event.get("seconds")
        slow = isinstance(seconds, int | float) and seconds > self.ladder.slow_seconds
        if kind == "success":
            window.add_call(t, seconds, slow)
            self._ended_by_success(t, None, None)
        elif kind == "slow" and isinstance(seconds, int | float):
            window.add_time(t, float(seconds), slow)
        else:
            window.add_error(t, rate_limit=kind == "rate_limit")
            self.picture.errors.append((str(event.get("error") or kind), t))
        if isinstance(seconds, int | float):
            window.recorded.add(t, slow)

    def _allowance(self, name: str, value: Any, t: float) -> None:
        if not isinstance(value, dict) or not isinstance(value.get("used_percentage"), int | float):
            return
        used = float(value["used_percentage"])
        resets_at = value.get("resets_at")
        resets_at = float(resets_at) if isinstance(resets_at, int | float) else None
        self.picture.allowances.setdefault(name, Allowance()).add(t, used, resets_at)
        for limit in list(self.picture.limits):
            if limit.type != name or t <= limit.seen_at or resets_at is None or limit.resets_at is None:
                continue
            if abs(resets_at - limit.resets_at) <= 90:
                continue
            # The provider names another reset than the limit did: the reset was moved, or a new window has begun.
            self.picture.limits.remove(limit)
            if used >= self.ladder.window_used[-1]:
                self.picture.limits.append(
                    Limit(limit.type, limit.scope, limit.model, resets_at, "status_line", t, limit.confidence)
                )

    # facts

    def _call(self, path: str, call: transcripts.ApiCall) -> None:
        slow = call.latency_seconds is not None and call.latency_seconds > self.ladder.slow_seconds
        self.picture.window.add_call(call.time, call.latency_seconds, slow)
        if call.latency_seconds is not None:
            self.picture.window.transcripts.add(call.time, slow)
        session = next((s for s in self.picture.sessions.values() if s.transcript == path), None)
        self._ended_by_success(call.time - (call.latency_seconds or 0.0), call.model, session)

    def _error_line(self, path: str, fact: transcripts.ApiError) -> None:
        if not fact.session_id or not fact.time:
            return
        session = self._seen(fact.session_id, fact.time)
        main = not fact.sidechain
        if main:
            session.transcript = path
        verdict = limits.classify(
            fact.error,
            fact.text,
            fact.line,
            fact.time,
            source="transcript",
            transient_seconds=self.ladder.transient_reset_seconds,
        )
        error = "rate_limit" if fact.status == 429 else fact.error
        self._failure(session, fact.turn, fact.time, verdict, error, fact.text, main)

    # what they have in common

    def _seen(self, session_id: str, t: float) -> Session:
        session = self.picture.session(session_id)
        session.seen_at = max(session.seen_at, t)
        return session

    def _progress(self, session: Session, t: float) -> None:
        session.progress_at = max(session.progress_at, t)
        if session.stop is not None and t > session.stop.time:
            session.stop = None
            session.own_wait = None

    def _failure(
        self, session: Session, turn: Any, t: float, verdict: Verdict, error: Any, text: Any, main: bool
    ) -> None:
        key = self._key(session.id, turn if isinstance(turn, str) else "", t, verdict.kind)
        rank = _RANK.get(verdict.limit.source if verdict.limit else "hook", 1)
        incident = self.picture.incidents.get(key)
        if incident is None:
            incident = self.picture.incidents[key] = Incident(t, verdict.kind, 0)
        if not incident.counted and verdict.kind in ("hard", "transient", "other"):
            incident.counted = True
            self.picture.window.add_error(t, rate_limit=error == "rate_limit")
        if not incident.best:
            self.picture.errors.append((verdict.limit.type if verdict.limit else verdict.kind, t))
        if rank > incident.best:
            incident.best = rank
            if verdict.limit is not None and verdict.kind in ("hard", "auth"):
                self._limit(verdict.limit, key)
        if main and t >= session.progress_at and (session.stop is None or session.stop.incident != key):
            session.stop = Stop(t, key, verdict.kind, str(text or "")[:600])
        stop = session.stop
        if stop is not None and stop.incident == key and verdict.limit is not None and rank >= incident.best:
            stop.limit = verdict.limit.document()

    def _key(self, session_id: str, turn: str, t: float, kind: str) -> str:
        key = f"{session_id}|{turn}|{kind}"
        if key in self.picture.incidents:
            return key
        for known, incident in self.picture.incidents.items():
            owner, _, rest = known.partition("|")
            if owner == session_id and rest.endswith(f"|{kind}") and abs(incident.time - t) < _SAME_MOMENT:
                known_turn = rest.rpartition("|")[0]
                if not turn or not known_turn:
                    return known
        return key

    def _limit(self, limit: Limit, incident: str) -> None:
        same = [
            known
            for known in self.picture.limits
            if (known.type, known.scope, known.model) == (limit.type, limit.scope, limit.model)
        ]
        if any(known.seen_at > limit.seen_at + _SAME_MOMENT for known in same):
            return  # older news of a limit that was seen again since
        self.picture.limits = [known for known in self.picture.limits if known not in same]
        self.picture.limits.append(limit)

    def _ended_by_success(self, asked_at: float, model: str | None, session: Session | None) -> None:
        """An answer to a question asked after the limit was seen ends it.

        A limit with a known reset is ended only by the session that it stopped: another session may work under another
        login or provider, and its success says nothing about this account.
        """
        for limit in list(self.picture.limits):
            if asked_at <= limit.seen_at + _LATER or not (limit.scope == "account" or limit.applies_to(model)):
                continue
            if limit.resets_at is None or (session is not None and self._was_stopped_by(session, limit)):
                self.picture.limits.remove(limit)

    def _was_stopped_by(self, session: Session, limit: Limit) -> bool:
        return any(
            key.startswith(f"{session.id}|") and abs(incident.time - limit.seen_at) < _SAME_MOMENT
            for key, incident in self.picture.incidents.items()
        )
