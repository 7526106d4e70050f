"""Handing a conversation to another PC: its parts first, then the record that names them, then the fence here.

A conversation that waits here already is claimed for a moment: only its holder may say which parts belong to it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trinity import clock, files, locks, program
from trinity.errors import BadRecord, Busy, Offline, TrinityError
from trinity.fleet import journal, operations
from trinity.home import Home
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
    waited = known["state"] in ("parked", "queued")
    if waited and (known["to_pc"] != pc or is_elsewhere(link, known)):
        # Its parts lie in the remote, and what is left here is older: it is only pointed elsewhere.
        operation = operations.reroute(pc, known["id"], to, reason=reason, parked_until=parked_until)
        closing.leaves(link.home, known, operation)
        _done(link, operation)
        closing.close_here(link.home, known, to)
        return rounds.find(link, link.state.last(), known["id"]), []
    if waited:
        # Packing takes its time: whoever finds it claimed after a kill must not start it here.
        before = {"epoch": known["epoch"] + 1, "state": known["state"], "parked_until": known["parked_until"]}
        files.write_json(_mark(link.home, known["id"]), before)
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
        operation = operations.pass_on(pc, held["id"], held["epoch"], to, reason, until, *given)
        closing.leaves(link.home, held, operation)
        _done(link, operation)
    except TrinityError as error:
        if waited:
            why = f"not sent to {to}: {error.message}"
            link.submit(operations.repark(pc, held["id"], held["epoch"], known["parked_until"], why, {}))
            _mark(link.home, held["id"]).unlink(missing_ok=True)
        raise
    _mark(link.home, held["id"]).unlink(missing_ok=True)
    closing.let_go(link.home, {**held, **news}, to)
    for note in sent.notes:
        program.log(link.home, "handoff", f"{held['id']} {note}")
    return rounds.find(link, link.state.last(), known["id"]), sent.notes


def is_elsewhere(link: Link, known: Record) -> bool:
    """Has this PC not got the newest state of this work? Then what lies here of the conversation is of an earlier visit, and
    must not be sent in place of the parts that the record names."""
    first = (rounds.here(known, link.config.pc)["sessions"] or [{}])[0]
    entry = journal.read(link.home, known["id"], known["epoch"]) or {}
    return bool(first.get("foreign")) and not entry.get("session")


def cut_off(made: Round, record: Record) -> bool:
    """Was this one claimed only to be sent on, by a program that was killed then? Nothing was started: it waits as it did
    before, and is sent by whoever wants to. Also one that is claimed under a limit in force, and by nobody knows whom."""
    session = (record.get("sessions") or [{}])[0]
    if record["state"] != "claimed" or session.get("foreign"):
        return False
    if journal.read(made.home, record["id"], record["epoch"]) is not None:
        return False
    if _moves_on(made, record):
        made.waiting.append((record, "is just being sent"))
        made.due(made.now + rounds.LATER_SECONDS)
        return True
    until = (record.get("limit") or {}).get("resets_at")
    before = _marked(made.home, record)
    if before is None and (not until or clock.parse(until) <= made.now):
        return False
    before = before or {"state": "parked", "parked_until": until}
    pc, why = made.config.pc, "its sending was cut off"
    if before["state"] == "queued":
        operation = operations.release(pc, record["id"], record["epoch"], None, why)
    else:
        operation = operations.repark(pc, record["id"], record["epoch"], before["parked_until"], why, {})
    if made.link.submit(operation).visible:
        made.note(record, why)
    return True  # also when somebody was faster: it is not what this round has seen


def _moves_on(made: Round, record: Record) -> bool:
    """Is a program of this PC sending it now, or did it change since this round looked?"""
    try:
        with locks.hold(made.home.locks / "save.lock", timeout=0):
            pass
    except Busy:
        return True
    now = rounds.find(made.link, made.link.refresh(), record["id"])
    return any(now[key] != record[key] for key in ("state", "owner", "epoch"))


def _mark(home: Home, handoff_id: str) -> Path:
    return home.journal / f"{handoff_id}.sending"


def _marked(home: Home, record: Record) -> dict[str, Any] | None:
    """How it waited before it was claimed in this epoch to be sent; None when it was not."""
    try:
        found = files.read_json(_mark(home, record["id"]))
    except (BadRecord, FileNotFoundError):
        return None
    return found if isinstance(found, dict) and found.get("epoch") == record["epoch"] else None


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
    if made.refused:
        raise TrinityError(f"the handoff was not sent: {made.refused}")
    if not made.visible:
        # Whoever sends by itself tries again when it answers; otherwise the work would stay here until its reset.
        raise Offline("the handoff was not sent: the fleet remote does not answer")
