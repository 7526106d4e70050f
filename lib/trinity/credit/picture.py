"""What this PC knows of its credit: kept between evaluations as a cache, `events/picture.json`.

It is built from the event log and the transcripts alone and holds positions in both, so an evaluation reads only what is
new. A damaged or missing cache is built anew from the last window of the log; limits in force come back from
`credit_state.json`. Whoever evaluates holds `locks/picture.lock`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from trinity import files
from trinity.config import Config
from trinity.credit import event_log, pace, window
from trinity.credit.allowance import Allowance
from trinity.credit.event_log import Position
from trinity.credit.incidents import Incident
from trinity.credit.limits import Limit
from trinity.credit.pace import Pace
from trinity.credit.transcripts import Cursor
from trinity.credit.window import Window
from trinity.errors import BadRecord
from trinity.home import Home

VERSION = 1
DRAINED = "drain"  # the kind of a stop that a hook made before the limit, and the source of its limit
_SESSION_SECONDS = 2 * 86400.0
_LONGEST_LIMIT = 8 * 86400.0  # the weekly ones, and a day more
_INCIDENT_SECONDS = 86400.0
# How far back the first sweep looks for sessions that stopped before anything was recorded.
FIRST_SWEEP = 6 * 3600.0
_CACHE_BYTES = 64_000_000


@dataclass
class Stop:
    """A session's main turn was ended by an API error, or drained, at `time`; `acted` once a handoff was made of it."""

    time: float
    incident: str
    kind: str
    text: str
    limit: dict[str, Any] | None = None
    acted: bool = False


@dataclass
class Session:
    """What events and transcripts said of one Claude Code session; times are epoch seconds.

    `asked_at` is when the newest question was asked that got an answer.
    """

    id: str
    seen_at: float = 0.0
    transcript: str | None = None
    cwd: str | None = None
    entrypoint: str | None = None
    permission_mode: str | None = None
    pid: int | None = None
    ended_at: float | None = None
    progress_at: float = 0.0
    asked_at: float = 0.0
    stop: Stop | None = None

    @property
    def interactive(self) -> bool:
        """Is a person expected at it? Unknown counts as yes: a person's session is never taken over by guess."""
        return self.entrypoint != "sdk-cli"


@dataclass
class Picture:
    """All of it; `born` is when this PC first looked, and nothing before that is acted upon.

    `incidents` are by session; `burst_at` is when the newest burst of passing refusals was counted, `asked_at` when the
    newest question was asked that any session or caller got answered.
    """

    born: float
    position: Position
    window: Window = field(default_factory=Window)
    limits: list[Limit] = field(default_factory=list)
    allowances: dict[str, Allowance] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    pace: Pace = field(default_factory=Pace)
    incidents: dict[str, list[Incident]] = field(default_factory=dict)
    cursors: dict[str, Cursor] = field(default_factory=dict)
    errors: list[tuple[str, float]] = field(default_factory=list)
    asked_at: float = 0.0
    burst_at: float = 0.0
    swept_at: float = 0.0
    damaged: int = 0

    def session(self, session_id: str) -> Session:
        return self.sessions.setdefault(session_id, Session(session_id))

    def end(self, limit: Limit, t: float) -> None:
        """The limit is over before its time; the errors that came with it are past as well."""
        self.limits.remove(limit)
        if limit.scope == "account" and limit.type != "auth":
            self.window.restart(t)

    def forget(self, now: float) -> None:
        """Drop what can no longer matter, so that the cache does not grow with the history."""
        self.sessions = {
            key: session
            for key, session in self.sessions.items()
            if session.seen_at > now - (_LONGEST_LIMIT if session.stop is not None else _SESSION_SECONDS)
        }
        for key, known in list(self.incidents.items()):
            kept = [i for i in known if i.time > now - (_LONGEST_LIMIT if i.kind == "hard" else _INCIDENT_SECONDS)]
            self.incidents[key] = kept
            if not kept:
                del self.incidents[key]
        self.errors = self.errors[-10:]


def load(home: Home, config: Config, now: float) -> Picture:
    """The cache, or a new picture that starts one window before now."""
    path = home.events / "picture.json"
    try:
        return _from_document(files.read_json(path, _CACHE_BYTES))
    except FileNotFoundError:
        pass
    except (BadRecord, KeyError, TypeError, ValueError, AttributeError):
        files.quarantine(home, path, "not a picture of this version; built anew from the log")
    since = now - config.ladder.window_minutes * 60
    known = _last_state(home)
    made = Picture(born=now, position=event_log.position_at(home, since), limits=_last_limits(known, now))
    # Transcripts are read anew from so far back; what was used before is not known any more.
    made.pace = Pace(since=now - FIRST_SWEEP, walls=pace.walls_from(known.get("learned")))
    return made


def save(home: Home, picture: Picture) -> None:
    """Keep the cache. Not fsynced: after a power cut it is built anew."""
    path = home.events / "picture.json"
    temporary = path.with_name("picture.json.tmp")
    text = json.dumps(_document(picture), separators=(",", ":"), ensure_ascii=False)
    # Half a character in a foreign text must not make the cache unreadable.
    temporary.write_bytes(text.encode("utf-8", "replace"))
    temporary.chmod(0o600)
    files.replace(temporary, path)


def _last_state(home: Home) -> dict[str, Any]:
    try:
        document = files.read_json(home.credit_state_file)
    except (FileNotFoundError, BadRecord):
        return {}
    return document if isinstance(document, dict) else {}


def _last_limits(document: Mapping[str, Any], now: float) -> list[Limit]:
    try:
        found = [Limit.from_document(entry) for entry in document.get("limits", [])]
    except (KeyError, TypeError, ValueError, AttributeError):
        return []
    return [limit for limit in found if limit.in_force(now)]


def _document(picture: Picture) -> dict[str, Any]:
    return {
        "version": VERSION,
        "born": picture.born,
        "position": picture.position,
        "window": picture.window.document(),
        "limits": [limit.document() for limit in picture.limits],
        "allowances": {name: allowance.document() for name, allowance in picture.allowances.items()},
        "sessions": [asdict(session) for session in picture.sessions.values()],
        "incidents": [incident.document() for known in picture.incidents.values() for incident in known],
        "cursors": [cursor.document() for cursor in picture.cursors.values()],
        "errors": picture.errors,
        "pace": picture.pace.document(),
        "asked_at": picture.asked_at,
        "burst_at": picture.burst_at,
        "swept_at": picture.swept_at,
        "damaged": picture.damaged,
    }


def _from_document(document: Mapping[str, Any]) -> Picture:
    if document["version"] != VERSION:
        raise ValueError("another version")
    cursors = [Cursor.from_document(entry) for entry in document["cursors"]]
    return Picture(
        born=float(document["born"]),
        position=_position(document["position"]),
        window=window.from_document(document["window"]),
        limits=[Limit.from_document(entry) for entry in document["limits"]],
        allowances={name: Allowance.from_document(entry) for name, entry in document["allowances"].items()},
        sessions={entry["id"]: _session(entry) for entry in document["sessions"]},
        incidents=_incidents(document["incidents"]),
        # A transcript that was removed is forgotten here: history is the ledger's task.
        cursors={cursor.path: cursor for cursor in cursors if Path(cursor.path).exists()},
        errors=[(str(kind), float(t)) for kind, t in document["errors"]],
        pace=Pace.from_document(document["pace"]) if "pace" in document else Pace(since=float(document["swept_at"])),
        asked_at=float(document["asked_at"]),
        burst_at=float(document.get("burst_at", 0.0)),
        swept_at=float(document["swept_at"]),
        damaged=int(document["damaged"]),
    )


def _position(document: Mapping[str, Any]) -> Position:
    if not document:
        raise ValueError("no position")
    return {str(day): int(offset) for day, offset in document.items()}


def _incidents(documents: Sequence[Mapping[str, Any]]) -> dict[str, list[Incident]]:
    found: dict[str, list[Incident]] = {}
    for document in documents:
        incident = Incident.from_document(document)
        found.setdefault(incident.session_id, []).append(incident)
    return found


def _session(entry: Mapping[str, Any]) -> Session:
    known = {f.name for f in fields(Session)}
    session = Session(**{key: value for key, value in entry.items() if key in known and key != "stop"})
    session.stop = Stop(**entry["stop"]) if entry.get("stop") else None
    return session
