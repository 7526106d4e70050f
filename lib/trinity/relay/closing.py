"""Closing a conversation on this PC while it goes on elsewhere, and opening it again when it is back.

The fence refuses what is typed and what the client types by itself. A client that waits for its reset is asked to leave
beside that: it would show its person a refusal in the middle of the night. Where it does not leave, its wait is switched
off by the settings of its project; the fence remembers that, and opening takes it out again.

The fence is raised when the handoff has left, because one that did not leave must stay open. In between a mark says what
is to be closed: a program that is killed there may be the last of this PC for hours, until the work is done elsewhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trinity import clock, files, program
from trinity.credit import transcript_tail
from trinity.errors import TrinityError
from trinity.fleet.snapshot import Snapshot
from trinity.home import Home
from trinity.relay.link import OPEN_STATES, Link
from trinity.relay.rounds import Round
from trinity.work import ending, fence, lease

Record = dict[str, Any]


_LEAVING = ".leaving"
_FORGOTTEN_SECONDS = 86400.0


def leaves(home: Home, record: Record, operation: Record) -> None:
    """Say durably that `operation` is about to send the record away from this PC; `close_here` is to follow."""
    mark = {"kind": "leaving", "version": 1, "operation": operation["id"], "epoch": record["epoch"]}
    files.write_json(_leaving(home, record["id"]), mark)


def _leaving(home: Home, handoff_id: str) -> Path:
    return home.journal / f"{handoff_id}{_LEAVING}"


def close_left(link: Link, snapshot: Snapshot) -> None:
    """Close what has left without being closed, in whatever state it is by now in the state just fetched.

    Any program may call it while another one is just sending.
    """
    marks = sorted(link.home.journal.glob(f"*{_LEAVING}"))
    known = {record["id"]: record for record in link.handoffs(snapshot)} if marks else {}
    for mark in marks:
        record = known.get(mark.name.removesuffix(_LEAVING))
        try:
            said, age = files.read_json(mark), clock.now() - mark.stat().st_mtime
            if not isinstance(said, dict) or (record is None and age > _FORGOTTEN_SECONDS):
                mark.unlink(missing_ok=True)
            elif record is not None:
                _close_left(link, snapshot, record, said, mark)
        except FileNotFoundError:
            continue  # closed meanwhile
        except (TrinityError, OSError) as error:
            program.log(link.home, "fleet", f"{mark.name}: not closed yet: {error}")


def _close_left(link: Link, snapshot: Snapshot, record: Record, said: Record, mark: Path) -> None:
    here = record["owner"] or record["to_pc"]
    withdrawn = record["state"] == "done" and record["owner"] is None
    if here == link.config.pc or withdrawn:
        # It may be on its way at this very moment, as long as nothing has happened to it since.
        if withdrawn or record["state"] not in OPEN_STATES or record["epoch"] > said.get("epoch", 0):
            mark.unlink(missing_ok=True)
        return
    # Sent away by this PC; else it was lost, see `lost`.
    sent = link.state.find(str(said.get("operation")), snapshot)
    (let_go if sent else close_here)(link.home, record, here)


def let_go(home: Home, record: Record, to_pc: str) -> None:
    """This PC has sent the record to `to_pc`: it holds nothing of it any more, and closes it."""
    for session in record.get("sessions") or []:
        lease.give_back(home, session["session_id"])
    close_here(home, record, to_pc)


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
    _leaving(home, record["id"]).unlink(missing_ok=True)


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
