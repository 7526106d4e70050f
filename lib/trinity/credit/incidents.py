"""One incident, however many sources saw it.

A limit shows up as a stream event, an error line, a StopFailure, and perhaps a caller's record. What is one: the same
session, the same prompt (or, where a source does not know the prompt, close in time), the same kind and type. Two sources
that disagree about the type at the same moment saw one incident too, and the better source is believed. A subagent's error
joins its parent's; alone it stops no session. A source that speaks again much later tells of something new. News may come
in any order and twice; a failure without a session is for its recorder to count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
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

    @property
    def stops(self) -> bool:
        """Does this alone say that the session itself was stopped?"""
        return self.agent_id is None and self.ends_turn


@dataclass(frozen=True)
class Witness:
    """What is kept of a sighting: enough to know whether another one is of the same incident."""

    source: str
    main: bool
    turn: str | None
    time: float
    kind: str
    type: str | None


@dataclass
class Incident:
    """What the sightings together say; `kind`, `source` and `limit` are of the best source so far."""

    id: str
    session_id: str
    time: float
    kind: str = ""
    source: str = ""
    said_at: float = 0.0
    limit: Limit | None = None
    counted: bool = False
    seen: list[Witness] = field(default_factory=list)

    def add(self, sighting: Sighting) -> None:
        """Take one more source's word; the better source is believed, and a reset it lacks comes from the other."""
        witness = _witness(sighting)
        self.time = min(self.time, sighting.time)
        said = sighting.verdict.limit
        better = _rank(self.source) - _rank(sighting.source)
        if not self.seen or better > 0 or (better == 0 and sighting.time > self.said_at):
            worse, self.limit = self.limit, said
            self.kind, self.source, self.said_at = sighting.verdict.kind, sighting.source, sighting.time
            said = worse
        known = self.limit
        if known and said and known.resets_at is None and said.resets_at is not None and known.type == said.type:
            self.limit = replace(known, resets_at=said.resets_at)
        if witness not in self.seen:
            self.seen.append(witness)

    def document(self) -> dict[str, Any]:
        return {**asdict(self), "limit": self.limit.document() if self.limit else None}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Incident:
        """The reverse of `document`; raises KeyError, TypeError or ValueError for anything else."""
        limit = Limit.from_document(document["limit"]) if document["limit"] else None
        seen = [Witness(**entry) for entry in document["seen"]]
        return cls(**{**document, "limit": limit, "seen": seen})


def of_error_line(fact: ApiError, zone: tzinfo | str | None = None, **how: Any) -> Sighting:
    """An error line of a transcript, a subagent's too; `how` are further arguments of `limits.classify`."""
    verdict = limits.classify(fact.error, fact.text, fact.line, fact.time, zone, source="transcript", **how)
    agent = fact.agent_id or ("unknown" if fact.sidechain else None)
    error = "rate_limit" if fact.status == 429 else fact.error
    return Sighting(fact.session_id, fact.turn, fact.time, "transcript", verdict, error, fact.text, agent)


def of_event(event: Mapping[str, Any], zone: tzinfo | str | None = None, **how: Any) -> Sighting | None:
    """A line of the event log: StopFailure, or an error or rate_limit of a caller or a stream; None for other lines.

    A stream's `rate_limit_info` may only inform, which is no failure. The client may retry behind one that refuses
    without naming a window, so only a hard one ends the turn.
    """
    name, kind = event.get("name"), event.get("event")
    stopped = kind == "hook" and name == "StopFailure"
    if not stopped and kind not in ("error", "rate_limit"):
        return None
    error, text = _text(event, "error"), _text(event, "text") or ""
    frame: dict[str, Any] = {}
    if isinstance(event.get("status"), int):
        frame["apiErrorStatus"] = event["status"]
        error = error or ("rate_limit" if event["status"] == 429 else None)
    if kind == "rate_limit":
        error = error or "rate_limit"
    try:
        time = clock.parse(event["time"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    said = event.get("source")
    source = said if isinstance(said, str) and said in SOURCES else "hook"
    informed = source == "stream" and isinstance(event.get("rate_limit_info"), Mapping)
    if informed:
        frame["rate_limit_info"] = event["rate_limit_info"]
    verdict = limits.classify(error, text, frame, time, zone, source=source, **how)
    if informed and verdict.limit is None:
        return None
    session_id, turn, agent = _text(event, "session_id"), _text(event, "prompt_id"), _text(event, "agent_id")
    ends_turn = stopped or (informed and verdict.kind == "hard")
    return Sighting(session_id or "", turn, time, source, verdict, error, text, agent, ends_turn)


def of(known: list[Incident], sighting: Sighting) -> Incident:
    """The one of `known` (incidents of one session) that the sighting is about, else a new one, added to them.

    The sighting itself is left to be added, so that a caller can see what it changes.
    """
    witness = _witness(sighting)
    found = [incident for incident in known if _holds(incident, witness)]
    if found:
        return min(found, key=lambda incident: _distance(incident, witness))
    made = Incident(_new_id(known, sighting), sighting.session_id, sighting.time)
    known.append(made)
    return made


def _holds(incident: Incident, new: Witness) -> bool:
    return not any(_again(old, new) for old in incident.seen) and any(_same(old, new) for old in incident.seen)


def _again(old: Witness, new: Witness) -> bool:
    """Does the same source tell of a second failure? Callers count: each of their records is one."""
    if (old.source, old.main) != (new.source, new.main):
        return False
    if old.source == "program":
        return True
    return abs(old.time - new.time) > (_NO_PROMPT if old.turn and new.turn else _SAME_END)


def _same(old: Witness, new: Witness) -> bool:
    apart = abs(old.time - new.time)
    if old.turn and new.turn:
        if old.turn != new.turn:
            return False
    elif apart > _NO_PROMPT:
        return False
    if (old.kind, old.type) == (new.kind, new.type):
        return True
    return old.source != new.source and old.main == new.main and apart <= _SAME_END


def _distance(incident: Incident, new: Witness) -> tuple[bool, float]:
    alike = any((old.kind, old.type) == (new.kind, new.type) for old in incident.seen)
    return not alike, min(abs(old.time - new.time) for old in incident.seen)


def _new_id(known: Sequence[Incident], sighting: Sighting) -> str:
    """Said again after the incidents were forgotten it comes out the same: a handoff made of it is known by it."""
    plain = f"{sighting.session_id}|{sighting.turn or ''}"
    if sighting.turn and all(incident.id != plain for incident in known):
        return plain
    return f"{plain}|{clock.iso(sighting.time, milliseconds=True)}"


def _witness(sighting: Sighting) -> Witness:
    verdict = sighting.verdict
    kind = verdict.limit.type if verdict.limit else sighting.error
    main = sighting.agent_id is None
    return Witness(sighting.source, main, sighting.turn, sighting.time, verdict.kind, kind)


def _rank(source: str) -> int:
    return SOURCES.index(source) if source in SOURCES else len(SOURCES)


def _text(event: Mapping[str, Any], key: str) -> str | None:
    value = event.get(key)
    return value if isinstance(value, str) else None
