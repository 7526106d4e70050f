"""The other PCs of the fleet: telling them about this one, choosing among them, and moving on what one of them lets lie.

A fleet of one has no company: nothing here is asked or sent then.
"""

from __future__ import annotations

from typing import Any

from trinity import clock, files, program
from trinity.credit.evaluation import Evaluation
from trinity.errors import BadRecord, TrinityError
from trinity.fleet import choice, heartbeats, lease, rescue
from trinity.fleet.choice import Choice
from trinity.fleet.snapshot import Snapshot
from trinity.relay import ability, rousing, spending
from trinity.relay.link import OPEN_STATES, Link, Record
from trinity.relay.rounds import Round
from trinity.work import lease as leases

_MARK = "beat.json"


def choose(link: Link, snapshot: Snapshot, record: Record) -> Choice | None:
    """Who should go on with this work; None in a fleet of one. Raises Offline, Busy."""
    fleet = link.fleet(snapshot)
    if fleet is None:
        return None
    beats, _ = heartbeats.read_all(link.state)
    silent = lease.silence(link.home, heartbeats.marks(link.state))
    spent = spending.of(link.home, fleet)
    return choice.choose(fleet, beats, link.config.pc, record, clock.now(), silent=silent, spent=spent)


def in_words(found: Choice) -> str:
    """Why the others do not take it, for a person."""
    return "; ".join(f"{pc}: {why}" for pc, why in sorted(found.why.items()))[:600]


def round_of(link: Link, snapshot: Snapshot, answer: Evaluation, paused: bool, busy: bool) -> float | None:
    """Beat when it is time and, unless paused, look after what others let lie; returns when to come again (None: a fleet
    of one). `busy`: as much work runs here as may at a time."""
    fleet = link.fleet(snapshot)
    if fleet is None:
        return None
    every = lease.heartbeat_seconds(len(fleet["rotation"]))
    last = _last(link)
    unable = ability.unable(link.home, link.config)
    news = [answer.status, unable, busy]
    if clock.now() - last < every and news == _mark(link).get("news"):
        return last + every
    began = clock.boottime()
    version = ability.client_version(link.home, link.config)
    link.beat("alive", unable=unable, busy=busy, client_version=version)
    if not link.offline:
        lease.renew(link.home, began)
        for record in link.handoffs(snapshot):
            if record["state"] in ("claimed", "running") and record["owner"] == link.config.pc:
                hold_on(link, record, began)
        files.write_json(link.home.root / _MARK, {"at": clock.now(), "news": news})
        if not paused:
            _look_after(link, snapshot, fleet)
    return clock.now() + every


def hold_on(link: Link, record: Record, since: float) -> None:
    """Allow the tools of accepted work until its lease here ends; `since`: when the fleet was told."""
    session = (record.get("sessions") or [{}])[0]
    # What was carried once can be taken over by others, so even at home it is worked on under a lease.
    if session and (record["from_pc"] != link.config.pc or record.get("parts")):
        leases.grant(
            link.home,
            session["session_id"],
            handoff_id=record["id"],
            epoch=record["epoch"],
            seconds=lease.FENCE_SECONDS,
            since=since,
        )


def _last(link: Link) -> float:
    at = _mark(link).get("at")
    return float(at) if isinstance(at, int | float) and at <= clock.now() else 0.0


def _mark(link: Link) -> dict[str, Any]:
    try:
        mark = files.read_or(link.home.root / _MARK, dict)
    except BadRecord:
        return {}
    return mark if isinstance(mark, dict) else {}


def _look_after(link: Link, snapshot: Snapshot, fleet: Record) -> None:
    beats, _ = heartbeats.read_all(link.state)
    silent = lease.silence(link.home, heartbeats.marks(link.state))
    records = [r for r in link.handoffs(snapshot) if r["state"] in OPEN_STATES and _movable(r)]
    waited = lease.silence(link.home, lease.waiting(records, clock.now()), "handoffs")
    rousing.for_waiting(link, fleet, records, silent, waited)
    for late in lease.overdue(records, silent, waited, link.config.pc):
        spent = spending.of(link.home, fleet)
        found = rescue.propose(link.config.pc, fleet, beats, late, silent, clock.now(), spent)
        program.log(link.home, "fleet", found.text)
        if found.operation is not None:
            try:
                link.submit(found.operation)
            except TrinityError as error:
                program.log(link.home, "fleet", error.message)


def passed_by(made: Round, record: Record) -> bool:
    """Has a handoff that waits for a person here waited too long? Then it is offered elsewhere, or parked where it goes on
    by itself; True when it was."""
    held = record.get("held") or {}
    minutes = made.config.hold_minutes
    if held.get("pc") != made.config.pc or not held.get("since") or not _movable(record):
        return False
    end = clock.parse(held["since"]) + minutes * 60
    if made.now < end:
        made.due(end)
        return False
    fleet = made.link.fleet(made.link.state.last())
    if fleet is None or record["from_pc"] == made.config.pc:
        return False
    beats, _ = heartbeats.read_all(made.link.state)
    silent = lease.silence(made.home, heartbeats.marks(made.link.state))
    why = f"nobody accepted it on {made.config.pc} within {minutes:g} min: {held['why']}"
    late = lease.Overdue(record, why[:900], False)
    found = rescue.propose(made.config.pc, fleet, beats, late, silent, made.now, spending.of(made.home, fleet))
    if found.operation is None or made.link.submit(found.operation, keep=False).refused:
        return False
    made.note(record, found.text)
    return True


def _movable(record: Record) -> bool:
    """Can another PC go on with it? A conversation whose parts never travelled lies only where it is."""
    return bool(record.get("parts")) or not record.get("sessions")
