"""Folding what happened into the picture: events of the log and facts of the transcripts, each exactly once.

One failure is one incident, whichever of StopFailure, the transcript's error line and a caller's record saw it
(`incidents`). A subagent's failure is evidence of a limit, but stops no session. A session is stopped by an error of its
main thread, and no longer once anything later happened in it. What others wrote is taken with care: a line that makes no
sense is counted as damaged, never an error.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from trinity import clock
from trinity.config import Ladder
from trinity.credit import event_log, incidents, percentages, transcripts
from trinity.credit.allowance import LENGTHS
from trinity.credit.incidents import Incident, Sighting
from trinity.credit.limits import Limit
from trinity.credit.percentages import number
from trinity.credit.picture import DRAINED, Picture, Session, Stop

_LATER = 1.0
_WEEK = 8 * 86400.0
_PROGRESS = ("UserPromptSubmit", "PreToolUse", "PostToolUse", "PostToolUseFailure", "Stop")
# A limit was seen by its session's incident, give or take the clocks' rounding and the sources' order.
_SAME_MOMENT = 20.0
# A time further ahead than this was written while the clock was wrong.
_AHEAD = 300.0


class Folder:
    """Folds into `picture` by the numbers of `ladder`; `now` is the time of the evaluation."""

    def __init__(self, picture: Picture, ladder: Ladder, now: float) -> None:
        self.picture = picture
        self.ladder = ladder
        self.latest = now + _AHEAD
        # Tokens of an earlier time are not counted: they were used elsewhere, or are counted already.
        self.spent_since = 0.0
        self._asked: list[float] = [picture.asked_at]
        self._refused: list[float] = []

    def settle(self) -> None:
        """Count the passing refusals that were folded, in the order of time: sources are read one after the other, so
        what was answered between two refusals is known only when all of them are read."""
        for t in sorted(self._refused):
            if self._counts(t):
                self.picture.window.add_rate_limit(t)
        self._refused.clear()

    def event(self, event: dict[str, Any]) -> None:
        """One line of the event log; what has no time is counted as damaged, an unknown kind is skipped."""
        t = event_log.moment_of(event)
        if t is None or not 0 < t <= self.latest:
            self.picture.damaged += 1
            return
        kind = event.get("event")
        if kind == "hook":
            self._hook(event, t)
        elif kind == "window":
            percentages.of_status_line(self.picture, self.ladder, event, t)
        elif kind == "drain":
            self._drained(event, t)
        elif kind in ("success", "slow", "error", "rate_limit"):
            self._recorded(str(kind), event, t)

    def fact(self, path: str, fact: transcripts.Fact) -> None:
        """One fact of the transcript at `path`."""
        if not 0 < fact.time <= self.latest:
            return
        if isinstance(fact, transcripts.ApiCall):
            self._call(path, fact)
        elif isinstance(fact, transcripts.Spent):
            self._spent(fact)
        elif isinstance(fact, transcripts.ApiError):
            self._error_line(path, fact)
        elif isinstance(fact, transcripts.Progress) and fact.session_id and not fact.sidechain:
            self._progress(self._seen(fact.session_id, fact.time), fact.time)

    # events

    def _hook(self, event: dict[str, Any], t: float) -> None:
        session_id = event.get("session_id")
        if not isinstance(session_id, str):
            self.picture.damaged += 1
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
            pid = number(event.get("pid"), 2**31)
            session.pid = int(pid) if pid else session.pid
        if name == "SessionEnd":
            session.ended_at = t
        elif name == "SessionStart":
            session.ended_at = None
        elif name in _PROGRESS and main and event.get("refused") is not True:
            self._progress(session, t, late=0.0 if name == "UserPromptSubmit" else _SAME_MOMENT)
        elif name == "StopFailure":
            self._failure(incidents.of_event(event, transient_seconds=self.ladder.transient_reset_seconds))

    def _recorded(self, kind: str, event: dict[str, Any], t: float) -> None:
        """What a caller of the API recorded, or a headless run's stream told."""
        window = self.picture.window
        if percentages.of_stream(self.picture, self.ladder, event, t):
            return
        seconds = number(event.get("seconds"), 1e6)
        slow = seconds is not None and seconds > self.ladder.slow_seconds
        if kind == "success":
            window.add_call(t, seconds, slow)
            self._answered(t, None, None)
        elif kind == "slow":
            if seconds is None:
                self.picture.damaged += 1
                return
            window.add_time(t, seconds, slow)
        elif isinstance(event.get("session_id"), str) and event["session_id"]:
            self._failure(incidents.of_event(event, transient_seconds=self.ladder.transient_reset_seconds))
        else:
            window.add_error(t, rate_limit=kind == "rate_limit" or event.get("status") == 429)
            self.picture.errors.append((str(event.get("error") or kind)[:200], t))
        if seconds is not None:
            window.recorded.add(t, slow)

    def _drained(self, event: dict[str, Any], t: float) -> None:
        """Its hook has stopped an unattended session between two tools, until the reset of a window."""
        session_id, window, until = event.get("session_id"), event.get("window"), number(event.get("until"), t + _WEEK)
        if not isinstance(session_id, str) or window not in LENGTHS or until is None:
            self.picture.damaged += 1
            return
        session = self._seen(session_id, t)
        if t <= session.progress_at - _SAME_MOMENT or (session.stop is not None and session.stop.kind != DRAINED):
            return
        limit = Limit(str(window), "account", None, until, DRAINED, t, 0.95)
        text = f"{number(event.get('used'), 1000) or 0:g} % of the {str(window).replace('_', '-')} window used"
        incident = f"{session_id}|drain|{clock.iso(t, milliseconds=True)}"
        session.stop = Stop(t, incident, DRAINED, text, limit.document())

    # facts

    def _call(self, path: str, call: transcripts.ApiCall) -> None:
        slow = call.latency_seconds is not None and call.latency_seconds > self.ladder.slow_seconds
        self._spent(call)
        self.picture.window.add_call(call.time, call.latency_seconds, slow)
        if call.latency_seconds is not None:
            self.picture.window.transcripts.add(call.time, slow)
        # The client names a transcript after its session; a subagent's answers are nobody's here.
        session = self.picture.sessions.get(Path(path).stem)
        self._answered(call.time - (call.latency_seconds or 0.0), call.model, session)

    def _spent(self, fact: transcripts.ApiCall | transcripts.Spent) -> None:
        if fact.weight > 0 and fact.time >= self.spent_since:
            self.picture.pace.add(fact.time, fact.weight)

    def _error_line(self, path: str, fact: transcripts.ApiError) -> None:
        if not fact.session_id:
            return
        session = self._seen(fact.session_id, fact.time)
        if not fact.sidechain:
            session.transcript = path
        self._failure(incidents.of_error_line(fact, transient_seconds=self.ladder.transient_reset_seconds))

    # what they have in common

    def _seen(self, session_id: str, t: float) -> Session:
        session = self.picture.session(session_id)
        session.seen_at = max(session.seen_at, t)
        return session

    def _progress(self, session: Session, t: float, late: float = _SAME_MOMENT) -> None:
        session.progress_at = max(session.progress_at, t)
        # The client may still write down the tools that ran before the turn was ended.
        if session.stop is not None and t > session.stop.time + (late if session.stop.kind == DRAINED else 0.0):
            session.stop = None

    def _failure(self, sighting: Sighting | None) -> None:
        if sighting is None:
            return  # a stream that only informs
        incident = incidents.of(self.picture.incidents.setdefault(sighting.session_id, []), sighting)
        before = incident.limit if incident.kind in ("hard", "auth") else None
        incident.add(sighting)
        self._count(incident, sighting)
        limit = incident.limit if incident.kind in ("hard", "auth") else None
        if limit != before:
            # A better source has spoken: what the worse one said is withdrawn.
            self.picture.limits = [known for known in self.picture.limits if before is None or not _is(known, before)]
            if limit is not None:
                self._limit(limit, sighting.session_id)
        self._stopped(self._seen(sighting.session_id, sighting.time), incident, sighting)

    def _count(self, incident: Incident, sighting: Sighting) -> None:
        limit = incident.limit
        if len(incident.seen) == 1:
            self.picture.errors.append((limit.type if limit else sighting.error or incident.kind, sighting.time))
        if incident.counted or incident.kind not in ("hard", "transient", "other"):
            return
        incident.counted = True
        if limit is None or limit.scope == "account":
            # A model's own limit says nothing about how near the account is to one.
            passing = sighting.error == "rate_limit" and incident.kind == "transient"
            if passing:
                self._refused.append(sighting.time)
            self.picture.window.add_error(sighting.time, rate_limit=sighting.error == "rate_limit" and not passing)

    def _counts(self, t: float) -> bool:
        """Does this refusal bring the account nearer to its end? One burst refuses several sessions, and the same ones
        again: it counts once for twice the pause after which a new try is made. One that follows an answer is another
        burst, and no worse than the one before: the account works."""
        before = self.picture.burst_at
        if abs(t - before) < 2 * self.ladder.transient_reset_seconds:
            return False
        self.picture.burst_at = max(t, before)
        answered = any(before + _LATER < asked <= t for asked in self._asked)
        return t - before > self.ladder.window_minutes * 60 or not answered

    def _stopped(self, session: Session, incident: Incident, sighting: Sighting) -> None:
        stop, t = session.stop, sighting.time
        if stop is None or (stop.incident != incident.id and t > stop.time):
            if not sighting.stops or t < session.progress_at:
                return
            stop = session.stop = Stop(t, incident.id, incident.kind, sighting.text[:600])
        if stop.incident == incident.id:
            stop.kind = incident.kind
            stop.limit = incident.limit.document() if incident.limit is not None else None

    def _limit(self, limit: Limit, session_id: str) -> None:
        if limit.scope == "account":
            self.picture.pace.meet(limit.type, limit.resets_at, limit.seen_at)
        same = [known for known in self.picture.limits if _key(known) == _key(limit)]
        if any(known.seen_at > limit.seen_at + _SAME_MOMENT for known in same) or self._is_over(limit, session_id):
            return  # older news of a limit that was seen again since, or that has ended
        resets = [known.resets_at for known in same if known.resets_at is not None]
        if limit.resets_at is None and resets:
            limit = replace(limit, resets_at=max(resets))
        self.picture.limits = [known for known in self.picture.limits if known not in same]
        self.picture.limits.append(limit)

    def _is_over(self, limit: Limit, session_id: str) -> bool:
        """Was a question answered that was asked after this limit was seen? Sources are not read in the order of time."""
        session = self.picture.sessions.get(session_id)
        asked_at = session.asked_at if session else 0.0
        if limit.resets_at is None:
            asked_at = max(asked_at, self.picture.asked_at)
        return limit.scope == "account" and asked_at > limit.seen_at + _LATER

    def _answered(self, asked_at: float, model: str | None, session: Session | None) -> None:
        """An answer to a question asked after the limit was seen ends it.

        A limit with a known reset is ended only by the session that it stopped: another session may work under another
        login or provider, and its success says nothing about this account.
        """
        self._asked.append(asked_at)
        self.picture.asked_at = max(self.picture.asked_at, asked_at)
        if session is not None:
            session.asked_at = max(session.asked_at, asked_at)
        for limit in list(self.picture.limits):
            if asked_at <= limit.seen_at + _LATER or not (limit.scope == "account" or limit.applies_to(model)):
                continue
            if limit.resets_at is None or (session is not None and self._was_stopped_by(session, limit)):
                self.picture.end(limit, asked_at)

    def _was_stopped_by(self, session: Session, limit: Limit) -> bool:
        """Also when the limit's reset was moved since: the session met one of this kind that reached to it."""
        return any(
            met.limit is not None
            and _key(met.limit) == _key(limit)
            and (met.limit.resets_at is None or met.limit.resets_at > limit.seen_at)
            for met in self.picture.incidents.get(session.id, [])
        )


def _key(limit: Limit) -> tuple[str, str, str | None]:
    return limit.type, limit.scope, limit.model


def _is(known: Limit, other: Limit) -> bool:
    # Records keep milliseconds.
    return _key(known) == _key(other) and abs(known.seen_at - other.seen_at) < 0.01
