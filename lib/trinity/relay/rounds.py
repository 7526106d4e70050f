"""One round over the handoffs of this PC: what is known in it, what was done, and when the next one is due."""

from __future__ import annotations

from dataclasses import dataclass, field

from trinity import program
from trinity.config import Config
from trinity.credit.evaluation import Evaluation
from trinity.errors import TrinityError
from trinity.fleet.snapshot import Snapshot
from trinity.home import Home
from trinity.relay.link import Link, Record

# The ways of starting that need no person.
AUTOMATIC = ("headless", "tmux", "terminal")
# So many places of a conversation stand in its record.
PLACES = 8
# How soon a started session is looked at again: often at first, when it fails or answers, then seldom.
YOUNG_SECONDS = 60.0
SOON_SECONDS = 2.0
LATER_SECONDS = 20.0


@dataclass
class Round:
    """One round: `next_at` is when the next one is due at the latest, `lines` what was done, `waiting` where work is."""

    home: Home
    config: Config
    link: Link
    evaluation: Evaluation
    now: float
    paused: bool
    next_at: float | None = None
    lines: list[str] = field(default_factory=list)
    waiting: list[tuple[Record, str]] = field(default_factory=list)
    running: int = 0

    def due(self, t: float | None) -> None:
        """Another round is due at `t`."""
        if t is not None:
            self.next_at = t if self.next_at is None else min(self.next_at, t)

    def note(self, record: Record, text: str) -> None:
        self.lines.append(f"handoff {record['id']}: {text}")
        program.log(self.home, "handoff", f"{record['id']} {text}")


def find(link: Link, snapshot: Snapshot, handoff_id: str) -> Record:
    """The one handoff whose id begins so; raises TrinityError."""
    records = link.handoffs(snapshot)
    found = [record for record in records if record["id"].startswith(handoff_id)]
    if len(found) != 1:
        what = f"{len(found)} handoffs begin with" if found else "there is no handoff"
        raise TrinityError(f"{what} '{handoff_id}'", "trinity handoffs list")
    return here(found[0], link.config.pc)


def here(record: Record, pc: str) -> Record:
    """The record as this PC may use it: paths of another PC mean nothing here, even where something lies at them."""
    sessions = []
    for session in record.get("sessions") or []:
        if session.get("pc", record["from_pc"]) != pc:
            session = {**session, "foreign": True, "transcript_path": None, "config_dir": None}
        sessions.append(session)
    return {**record, "sessions": sessions}


def places(record: Record, session: Record) -> list[dict[str, str]]:
    """Where the conversation of a record was so far, as `{pc, cwd}`, this session's own place last."""
    last = {"pc": session.get("pc", record["from_pc"]), "cwd": session["cwd"]}
    return [*session.get("been", []), last]


def been(record: Record, sessions: list[Record], pc: str) -> list[Record]:
    """The sessions, told anew by `pc`, with the places that the record knows of them."""
    known = {session["session_id"]: places(record, session) for session in record.get("sessions") or []}
    found = []
    for session in sessions:
        before = known.get(session["session_id"], [])
        before = [place for at, place in enumerate(before) if place["pc"] != pc or at + 1 < len(before)]
        found.append({**session, "been": before[-PLACES:]} if before else session)
    return found
