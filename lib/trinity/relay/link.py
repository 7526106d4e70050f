"""This PC's way to its fleet: the remote it uses, and one call to change the state durably.

`submit` keeps a change in the outbox before anything is told, tries to deliver it at once, and refreshes the view. When the
remote does not answer, the change is safe here and goes out with a later round: that is no error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from trinity import clock, files
from trinity.config import Config
from trinity.errors import BadRecord, Busy
from trinity.fleet import embedded, handoffs, heartbeats, names, outbox, rotation, view
from trinity.fleet.outbox import Delivered
from trinity.fleet.snapshot import Refusal, Snapshot
from trinity.fleet.state import State, open_state
from trinity.home import Home

Record = dict[str, Any]
_FOLDERS = (names.HANDOFF, names.PROCESSED, names.DEAD)
OPEN_STATES = ("queued", "parked", "claimed", "running")


@dataclass(frozen=True)
class Submitted:
    """`visible`: the fleet has it; else it waits in the outbox. `refused` says why the state did not take it, and with
    `kept` why the remote did not: it is safe in the outbox and tried again."""

    visible: bool
    refused: str = ""
    kept: bool = False


class Link:
    """The fleet of one PC; for one thread."""

    def __init__(self, home: Home, config: Config) -> None:
        self.home = home
        self.config = config
        url = config.fleet_url or str(embedded.make(home))
        self.state: State = open_state(home, url, config.pc)
        self.offline = ""
        self._held_up: dict[str, str] = {}

    def refresh(self) -> Snapshot:
        """Deliver what waits, fetch, and bring the view up to date; offline, the last state seen."""
        self.offline = ""
        try:
            self.report(outbox.deliver(self.home, self.state))
            snapshot = self.state.fetch()
        except Busy as error:
            self.offline = error.message
            snapshot = self.state.last()
        view.write(self.home, snapshot)
        return snapshot

    def submit(self, operation: Record, keep: bool = True) -> Submitted:
        """Make one change of `fleet.operations`; raises what makes it impossible to keep it (a full disk).

        Without `keep` a change that cannot be delivered now is given up: the next round decides anew. Kept, there would be
        one more each minute, and work that was refused to a person would start hours later.
        """
        kept = outbox.put(self.home, operation, self.state)
        try:
            delivered = outbox.deliver(self.home, self.state)
        except Busy as error:
            self.offline = error.message
            if not keep:
                outbox.drop(self.home, kept)
            return Submitted(False)
        self.report(delivered)
        view.write(self.home, self.state.last())
        mine = next((entry for entry in delivered if entry.id == kept), None)
        if mine is None:
            # Another process of this PC delivered it in between; or, offline, had a newer word about the same.
            return Submitted(not self.offline)
        if mine.outcome == "applied":
            return Submitted(True)
        if mine.outcome == "waiting":
            self.offline = self.offline or mine.reason
        if mine.outcome in ("waiting", "rejected") and not keep:
            outbox.drop(self.home, kept)
        refused = mine.reason if mine.outcome in ("refused", "rejected", "quarantined") else ""
        return Submitted(False, refused, kept=keep and mine.outcome == "rejected")

    def report(self, delivered: list[Delivered]) -> None:
        """Keep in the log what a person may have to know."""
        from trinity import program

        for entry in delivered:
            if entry.outcome in ("waiting", "rejected"):
                self._held_up[entry.id] = entry.reason
            if entry.outcome != "applied":
                program.log(self.home, "fleet", f"{entry.type} {entry.id}: {entry.outcome}: {entry.reason}")

    def handoffs(self, snapshot: Snapshot) -> list[Record]:
        """All handoffs that can be read, buried ones too, oldest first; the others are in the log."""
        from trinity import program

        found, problems = handoffs.listing(snapshot, *_FOLDERS)
        for path, why in problems.items():
            program.log(self.home, "fleet", f"skipped {path}: {why}")
        return sorted((entry.record for entry in found), key=lambda record: str(record["timestamp"]))

    def unreadable(self, snapshot: Snapshot) -> dict[str, str]:
        """The handoffs that cannot be read, with the reason: damaged, or written by a newer Trinity."""
        return handoffs.listing(snapshot, *_FOLDERS)[1]

    def unseen(self, known: list[Record]) -> list[tuple[Record, str]]:
        """New handoffs that are safe here and that the fleet does not have yet (`known`: what it has), each with why."""
        there = {record["id"] for record in known}
        made = [o for o in outbox.pending(self.home) if o["type"] == "create" and o["record"]["id"] not in there]
        return [(each["record"], self._held_up.get(each["id"]) or self.offline) for each in made]

    def of_session(self, snapshot: Snapshot, session_id: str) -> Record | None:
        """The open handoff of a conversation; there is never more than one."""
        return _last(
            self.handoffs(snapshot), lambda record: record["state"] in OPEN_STATES and is_of(record, session_id)
        )

    def rotation(self, snapshot: Snapshot) -> list[str]:
        """The fleet's rotation; this PC alone when there is no fleet file that can be read."""
        fleet = rotation.read(snapshot)
        if fleet is None or isinstance(fleet, Refusal):
            return [self.config.pc]
        return list(fleet["rotation"])

    def fleet(self, snapshot: Snapshot) -> Record | None:
        """The fleet's document when it has more than one PC."""
        found = rotation.read(snapshot)
        if found is None or isinstance(found, Refusal) or len(found["rotation"]) < 2:
            return None
        return found

    def beat(self, status: str, **facts: Any) -> None:
        """Tell the fleet about this PC and its credit, and show it in the view; offline it is only not told."""
        facts = {**self._credit(), **facts}
        record: Record = {
            "kind": "heartbeat",
            "version": 1,
            "pc": self.config.pc,
            "timestamp": clock.iso(),
            "status": status,
            **{key: value for key, value in facts.items() if value is not None},
        }
        try:
            heartbeats.beat(self.state, record)
            everyone, _ = heartbeats.read_all(self.state)
        except Busy as error:
            self.offline = error.message
            return
        view.write(self.home, self.state.last(), everyone)

    def _credit(self) -> Record:
        """What others need to know of this PC's credit, as it was evaluated last: each beat is this PC's whole word."""
        try:
            known = files.read_or(self.home.credit_state_file, dict)
        except BadRecord:
            return {}
        if not isinstance(known, dict) or "status" not in known:
            return {}
        told = {key: known[key] for key in ("windows", "ahead") if known.get(key)}
        return {"credit_status": known["status"], "limits": known.get("limits", [])[:20], **told}


def is_of(record: Record, session_id: str) -> bool:
    """Does the handoff carry this conversation?"""
    return any(session["session_id"] == session_id for session in record.get("sessions") or [])


def _last(records: list[Record], fits: Callable[[Record], bool]) -> Record | None:
    return next((record for record in reversed(records) if fits(record)), None)
