"""Handing a conversation to another PC: its parts first, then the record that names them, then the fence here.

A conversation that waits here already is claimed for a moment: only its holder may say which parts belong to it.
"""

from __future__ import annotations

from typing import Any

from trinity import clock
from trinity.errors import TrinityError
from trinity.fleet import operations
from trinity.home import Home
from trinity.relay import carrying, rounds
from trinity.relay.link import Link, Record
from trinity.relay.rounds import Round
from trinity.work import fence, lease

# What a PC says anew about work that was stopped on it.
NEWS = ("limit", "current_work", "task_queue", "sessions", "excerpts")


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
        close_here(link.home, known, to)
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
        given = (news, sent.parts, parked_until)
        _done(link, operations.pass_on(pc, held["id"], held["epoch"], to, reason, until, *given))
    except TrinityError as error:
        if waited:
            why = f"not sent to {to}: {error.message}"
            link.submit(operations.repark(pc, held["id"], held["epoch"], known["parked_until"], why, {}))
        raise
    for session in fresh.get("sessions") or []:
        lease.give_back(link.home, session["session_id"])
    close_here(link.home, {**held, **news}, to)
    return rounds.find(link, link.state.last(), known["id"]), sent.notes


def keep_fences(made: Round, record: Record) -> None:
    """Close on this PC a conversation that others have moved on, and open one that came back without a start."""
    pc, home = made.config.pc, made.home
    here = record["owner"] or record["to_pc"]
    for session in record.get("sessions") or []:
        raised = fence.raised_at(home, session["session_id"])
        if here == pc:
            # One that was raised in this round belongs to a handoff that left since. What lies here of a conversation
            # that went on elsewhere stays closed until it has arrived.
            back = record["state"] in ("queued", "parked") and not session.get("foreign")
            if back and raised is not None and raised < made.now:
                fence.lower_fence(home, session["session_id"])
        elif raised is None and _was_here(made, record):
            close_here(home, record, here)


def _was_here(made: Round, record: Record) -> bool:
    ids = made.home.journal.glob(f"{record['id']}.e*")
    return record["from_pc"] == made.config.pc or next(ids, None) is not None


def close_here(home: Home, record: Record, to_pc: str) -> None:
    """Fence the record's conversations on this PC: they go on at `to_pc`."""
    for session in record.get("sessions") or []:
        fence.raise_fence(
            home,
            session["session_id"],
            handoff_id=record["id"],
            to_pc=to_pc,
            since=clock.iso(),
            take_back=f"trinity accept_handoff {record['id']} --take-back",
        )


def _done(link: Link, operation: dict[str, Any]) -> None:
    # Not kept: the caller goes on without it, and it must not be done later all the same.
    made = link.submit(operation, keep=False)
    if made.refused or not made.visible:
        raise TrinityError(f"the handoff was not sent: {made.refused or 'the fleet remote does not answer'}")
