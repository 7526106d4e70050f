"""One incident, however many sources saw it.

A limit shows up as a stream event, an error line, a StopFailure, and perhaps a caller's record. `merge` joins what is
one: the same session, the same prompt (or, where a source does not know the prompt, close in time), the same kind and
type. Two sources that disagree about the type at the same moment saw one incident too, and the better source is
believed. A subagent's error joins its parent's; alone it stops no session. A record without a session is one of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from typing import Any

from trinity import clock
from trinity.credit import limits
from trinity.credit.limits import Limit, Verdict
from trinity.credit.transcript_lines import ApiError

# Best first: the server's own numbers, the whole error line, the hook's text, percentages, a caller's word.
SOURCES = ("stream", "transcript", "hook", "status_line", "program")
_SAME_END = 30.0  # sources write about the same moment within seconds
_NO_PROMPT = 300.0  # a stream tells of a limit before the client's retries, which take up to 194 s


@dataclass(frozen=True)
class Sighting:
    """One source's word about one failure. `turn` is the prompt id; `ends_turn` False for news the turn survives."""

    session_id: str
    turn: str | None
    time: float
    source: str
    verdict: Verdict
    error: str | None = None
    text: str = ""
    agent_id: str | None = None
    ends_turn: bool = True
    uuid: str | None = None


@dataclass
class Incident:
    """What the sightings together say. `stops`: the session itself was stopped, not just a subagent of it."""

    session_id: str
    turn: str | None
    time: float
    last_time: float
    verdict: Verdict
    source: str
    error: str | None
    text: str
    stops: bool
    sightings: list[Sighting] = field(default_factory=list)

    @property
    def limit(self) -> Limit | None:
        return self.verdict.limit

    @property
    def sources(self) -> tuple[str, ...]:
        return tuple(s for s in SOURCES if any(seen.source == s for seen in self.sightings))


def of_error_line(fact: ApiError, zone: tzinfo | str | None = None, model: str | None = None) -> Sighting:
    """An error line of a transcript, a subagent's too."""
    verdict = limits.classify(fact.error, fact.text, fact.line, fact.time, zone, model=model, source="transcript")
    agent = fact.agent_id or ("unknown" if fact.sidechain else None)
    return Sighting(
        fact.session_id, fact.turn, fact.time, "transcript", verdict, fact.error, fact.text, agent, True, fact.uuid
    )


def of_event(event: Mapping[str, Any], zone: tzinfo | str | None = None) -> Sighting | None:
    """A line of the event log: StopFailure, or a caller's error or rate_limit; None for other lines."""
    name, kind = event.get("name"), event.get("event")
    if name != "StopFailure" and kind not in ("error", "rate_limit"):
        return None
    error, text = _text(event, "error"), _text(event, "text") or ""
    if kind == "rate_limit":
        error = error or "rate_limit"
    try:
        time = clock.parse(event["time"])
    except (KeyError, TypeError, ValueError):
        return None
    source = event.get("source") if event.get("source") in SOURCES else "hook"
    status = event.get("status")
    frame = {"apiErrorStatus": status} if isinstance(status, int) else {}
    if isinstance(event.get("rate_limit_info"), Mapping):
        frame["rate_limit_info"] = event["rate_limit_info"]
    verdict = limits.classify(error, text, frame, time, zone, source=str(source))
    session_id, turn, agent = _text(event, "session_id"), _text(event, "prompt_id"), _text(event, "agent_id")
    return Sighting(session_id or "", turn, time, str(source), verdict, error, text, agent, name == "StopFailure")


def of_stream(event: Mapping[str, Any], time: float) -> Sighting | None:
    """A `rate_limit_event` of stream-json that refuses; None for one that only informs.

    The client may retry behind a refusal that names no window, so only a hard one ends the turn.
    """
    verdict = limits.classify(None, None, event, time, source="stream")
    if verdict.limit is None:
        return None
    session_id = _text(event, "session_id") or ""
    ends = verdict.kind == "hard"
    return Sighting(session_id, None, time, "stream", verdict, "rate_limit", ends_turn=ends, uuid=_text(event, "uuid"))


def merge(sightings: Iterable[Sighting]) -> list[Incident]:
    """The incidents behind the sightings, in the order of their first time."""
    groups: list[list[Sighting]] = []
    # Main thread first: a subagent's sighting then finds its parent's incident, whichever was written first.
    for seen in sorted(sightings, key=lambda s: (s.agent_id is not None, s.time, _rank(s))):
        for group in reversed(groups):
            if any(_same(known, seen) for known in group):
                group.append(seen)
                break
        else:
            groups.append([seen])
    return sorted((_incident(group) for group in groups), key=lambda i: i.time)


def _same(a: Sighting, b: Sighting) -> bool:
    if not a.session_id or a.session_id != b.session_id:
        return False
    if a.uuid and a.uuid == b.uuid:
        return True
    apart = abs(a.time - b.time)
    if a.turn and b.turn:
        if a.turn != b.turn:
            return False
    elif apart > _NO_PROMPT:
        return False
    if (a.verdict.kind, _type(a)) == (b.verdict.kind, _type(b)):
        # Callers count: two records of the same source without a prompt are two failures.
        return not (a.source == b.source == "program" and not a.turn)
    same_thread = (a.agent_id is None) == (b.agent_id is None)
    return a.source != b.source and same_thread and apart <= _SAME_END


def _incident(group: list[Sighting]) -> Incident:
    ranked = sorted(group, key=lambda s: (s.agent_id is not None, _rank(s), s.time))
    # A subagent's line is as good a witness of the limit as its parent's hook: there the source alone decides.
    best = min(group, key=lambda s: (_rank(s), s.agent_id is not None, s.time))
    verdict = best.verdict
    if verdict.limit is not None:
        limit = replace(verdict.limit, seen_at=min(s.time for s in group))
        if limit.resets_at is None:
            limit = replace(limit, resets_at=_reset(limit.type, ranked))
        verdict = replace(verdict, limit=limit)
        if limit.resets_at is not None and verdict.kind == "hard":
            verdict = replace(verdict, retryable=True, needs_person=False)
    told = next((s for s in ranked if s.text), best)
    return Incident(
        session_id=best.session_id,
        turn=next((s.turn for s in ranked if s.turn), None),
        time=min(s.time for s in group),
        last_time=max(s.time for s in group),
        verdict=verdict,
        source=best.source,
        error=next((s.error for s in ranked if s.error), None),
        text=told.text,
        stops=any(s.agent_id is None and s.ends_turn and s.session_id for s in group),
        sightings=sorted(group, key=lambda s: (s.time, _rank(s))),
    )


def _reset(type_: str, ranked: list[Sighting]) -> float | None:
    for seen in ranked:
        limit = seen.verdict.limit
        if limit is not None and limit.type == type_ and limit.resets_at is not None:
            return limit.resets_at
    return None


def _rank(seen: Sighting) -> int:
    return SOURCES.index(seen.source) if seen.source in SOURCES else len(SOURCES)


def _type(seen: Sighting) -> str | None:
    return seen.verdict.limit.type if seen.verdict.limit else seen.error


def _text(event: Mapping[str, Any], key: str) -> str | None:
    value = event.get(key)
    return value if isinstance(value, str) else None
