"""Handing a conversation to another PC: its parts first, then the record that names them, then the fence here.

A conversation that waits here already is claimed for a moment: only its holder may say which parts belong to it.
"""

from __future__ import annotations

from typing import Any

from trinity import clock, program
from trinity.errors import TrinityError
from trinity.fleet import journal, operations
from trinity.relay import carrying, closing, rounds
from trinity.relay.link import Link, Record
from trinity.relay.rounds import Round
from trinity.work import handoff, lease

# What a PC says anew about work that was stopped on it.
NEWS = ("limit", "current_work", "task_queue", "sessions", "excerpts")


def newest_parts(link: Link, record: Record) -> dict[str, Any] | None:
    """What was made on this PC of work that came from another one, brought to the remote; None when there is nothing of
    that kind, or no way now: then what was published before stays."""
    if not any(session.get("been") for session in record.get("sessions") or []):
        return None
    try:
        return carrying.send(link, record).parts
    except TrinityError as error:
        program.log(link.home, "fleet", f"handoff {record['id']} was not published: {error.message}")
        return None


def send_on(
    link: Link, known: Record, fresh: Record, to: str, reason: str, parked_until: str | None = None
) -> tuple[Record, list[str]]:
    """Send a handoff that waits or runs on this PC to `to`; returns it as it is then, and what a person should know.

    `fresh` is what this PC would say of the work now. With `parked_until` it waits there, because `to` has nothing left
    before. Raises TrinityError when another PC has it, Offline, Busy; the handoff then is where it was.
    """
    pc = link.config.pc
    if known["state"] in ("parked", "queued") and known["to_pc"] != pc:
        # It waits for another PC already, and so do its parts: it is only pointed elsewhere.
        _done(link, operations.reroute(pc, known["id"], to, reason=reason, parked_until=parked_until))
        closing.close_here(link.home, known, to)
        return rounds.find(link, link.state.last(), known["id"]), []
    waited = known["state"] in ("parked", "queued")
    if known["state"] == "parked":
        _done(link, operations.park(pc, known["id"], clock.iso()))
    if waited:
        _done(link, operations.claim(pc, known["id"]))
    held = rounds.find(link, link.state.last(), known["id"])
    if held["owner"] != pc:
        raise TrinityError(f"handoff {known['id']} is with {held['owner'] or held['to_pc']}", "trinity handoffs list")
    news = {key: fresh[key] for key in NEWS}
    until = fresh["limit"]["resets_at"] if fresh.get("limit") else None
    try:
        sent = carrying.send(link, {**held, **news})
        news["notes"] = handoff.with_notes({**held, **news}, sent.notes, "logs/handoff.log").get("notes", [])
        given = ({**news, "touches": sent.touches}, sent.parts, parked_until)
        _done(link, operations.pass_on(pc, held["id"], held["epoch"], to, reason, until, *given))
    except TrinityError as error:
        if waited:
            why = f"not sent to {to}: {error.message}"
            link.submit(operations.repark(pc, held["id"], held["epoch"], known["parked_until"], why, {}))
        raise
    for session in fresh.get("sessions") or []:
        lease.give_back(link.home, session["session_id"])
    for note in sent.notes:
        program.log(link.home, "handoff", f"{held['id']} {note}")
    closing.close_here(link.home, {**held, **news}, to)
    return rounds.find(link, link.state.last(), known["id"]), sent.notes


def cut_off(made: Round, record: Record) -> bool:
    """Was this one claimed only to be sent on, by a program that was killed then? Its limit is in force, and nothing was
    started: it is parked as it was, and sent by whoever wants to."""
    session = (record.get("sessions") or [{}])[0]
    until = (record.get("limit") or {}).get("resets_at")
    if record["state"] != "claimed" or session.get("foreign") or not until or clock.parse(until) <= made.now:
        return False
    if journal.read(made.home, record["id"], record["epoch"]) is not None:
        return False
    pc, why = made.config.pc, "its sending was cut off"
    parked = made.link.submit(operations.repark(pc, record["id"], record["epoch"], until, why, {}))
    if parked.visible:
        made.note(record, why)
    return not parked.refused


def back(made: Round, record: Record, reason: str) -> bool:
    """Work of another PC that cannot begin here goes back to where its newest state lies, and waits there for its reset;
    False when it is this PC's own, or the fleet does not answer."""
    pc, link = made.config.pc, made.link
    known = rounds.find(link, link.state.last(), record["id"])
    home = str((known.get("sessions") or [{}])[0].get("pc") or known["from_pc"])
    if home == pc:
        return False
    until = (known.get("limit") or {}).get("resets_at")
    waits = until if until and clock.parse(until) > made.now else None
    why = f"{pc} could not start it: {reason}"
    sent = link.submit(operations.pass_on(pc, known["id"], known["epoch"], home, why, parked_until=waits), keep=False)
    if sent.refused or not sent.visible:
        return False
    made.note(record, f"sent back to {home}: {reason}")
    for session in known.get("sessions") or []:
        lease.give_back(made.home, session["session_id"])
    return True


def _done(link: Link, operation: dict[str, Any]) -> None:
    # Not kept: the caller goes on without it, and it must not be done later all the same.
    made = link.submit(operation, keep=False)
    if made.refused or not made.visible:
        raise TrinityError(f"the handoff was not sent: {made.refused or 'the fleet remote does not answer'}")
