"""Closing a conversation on this PC while it goes on elsewhere, and opening it again when it is back.

The fence refuses what is typed and what the client types by itself. A client that waits for its reset is asked to leave
beside that: it would show its person a refusal in the middle of the night. Where it does not leave, its wait is switched
off by the settings of its project; the fence remembers that, and opening takes it out again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trinity import clock, program
from trinity.credit import transcript_tail
from trinity.errors import TrinityError
from trinity.home import Home
from trinity.relay.rounds import Round
from trinity.work import ending, fence

Record = dict[str, Any]


def close_here(home: Home, record: Record, to_pc: str) -> None:
    """Fence the record's conversations on this PC: they go on at `to_pc`; end the clients that wait with them."""
    for session in record.get("sessions") or []:
        facts = {
            "handoff_id": record["id"],
            "to_pc": to_pc,
            "since": clock.iso(),
            "take_back": f"trinity accept_handoff {record['id']} --take-back",
        }
        fence.raise_fence(home, session["session_id"], **facts)
        if not _waits(session):
            continue
        ended = ending.end_client(Path(session["config_dir"]), session["session_id"])
        if ended.left:
            program.log(home, "handoff", f"{record['id']} the client that waited for its reset was ended {ended.left}")
        if ended.switched_off:
            fence.raise_fence(home, session["session_id"], **facts, switched_off=map(str, ended.switched_off))


def _waits(session: Record) -> bool:
    path = Path(session.get("transcript_path") or "")
    return bool(session.get("config_dir")) and path.is_file() and transcript_tail.tail_facts(path).waiting


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
                open_here(home, session["session_id"])
        elif raised is None and _was_here(made, record):
            close_here(home, record, here)


def _was_here(made: Round, record: Record) -> bool:
    ids = made.home.journal.glob(f"{record['id']}.e*")
    return record["from_pc"] == made.config.pc or next(ids, None) is not None


def open_here(home: Home, session_id: str) -> bool:
    """Open the conversation here again; was it closed?"""
    if not fence.is_raised(home, session_id):
        return False
    for path in fence.switched_off(home, session_id):
        try:
            ending.switch_wait_on(path.parents[1])
        except (OSError, TrinityError) as error:
            program.log(home, "fleet", f"the client's own wait stays switched off by '{path}': {error}")
    return fence.lower_fence(home, session_id)
