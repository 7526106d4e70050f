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
from trinity.work import fence, lease

# What a PC says anew about work that was stopped on it.
NEWS = ("limit", "current_work", "task_queue", "sessions", "excerpts")


def send_on(link: Link, known: Record, fresh: Record, to: str, reason: str) -> tuple[Record, list[str]]:
    """Send a handoff that waits or runs on this PC to `to`; returns it as it is then, and what a person should know.

    `fresh` is what this PC would say of the work now. Raises TrinityError when another PC has it, Offline, Busy.
    """
    pc = link.config.pc
    if known["state"] in ("parked", "queued") and known["to_pc"] != pc:
        # It waits for another PC already, and so do its parts: it is only pointed elsewhere.
        _done(link, operations.reroute(pc, known["id"], to))
        close_here(link.home, known, to)
        return rounds.find(link, link.state.last(), known["id"]), []
    if known["state"] == "parked":
        _done(link, operations.park(pc, known["id"], clock.iso()))
    if known["state"] in ("parked", "queued"):
        _done(link, operations.claim(pc, known["id"]))
    held = rounds.find(link, link.state.last(), known["id"])
    if held["owner"] != pc:
        raise TrinityError(f"handoff {known['id']} is with {held['owner'] or held['to_pc']}", "trinity handoffs list")
    news = {key: fresh[key] for key in NEWS}
    local = {**held, **news}
    sent = carrying.send(link, local)
    until = fresh["parked_until"]
    _done(link, operations.pass_on(pc, held["id"], held["epoch"], to, reason, until, news, sent.parts))
    for session in local.get("sessions") or []:
        lease.give_back(link.home, session["session_id"])
    close_here(link.home, local, to)
    return rounds.find(link, link.state.last(), known["id"]), sent.notes


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
    made = link.submit(operation)
    if made.refused or not made.visible:
        raise TrinityError(f"the handoff was not sent: {made.refused or 'the fleet remote does not answer'}")
