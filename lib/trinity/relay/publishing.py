"""What a PC has made of carried work goes to the fleet's remote while it works: at every Stop, at a limit, at the end.

Parts first, then the change of the state that names them (R6); a PC that has lost its epoch meanwhile publishes nothing.
What the remote has is the newest that anybody else can go on with, or take back. Sets that nobody needs are removed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trinity import program
from trinity.credit import transcript_tail
from trinity.errors import Busy, TrinityError
from trinity.fleet import operations, parts
from trinity.home import Home
from trinity.relay import carrying, rounds, starting
from trinity.relay.link import Link, Record
from trinity.relay.rounds import Round
from trinity.work import lease

# So many sets are removed in one round: each is a push.
_REMOVED = 20
_RESTS = ("answer", "error")


def session_of(made: Round, record: Record) -> dict[str, Any] | None:
    """The session of work that came from another PC, with this PC's paths: of this start, or of an earlier one here.
    None for work that was never anywhere else."""
    entry = starting.journal_entry(made.home, record) or {}
    if entry.get("session"):
        session = dict(entry["session"])
    else:
        session = dict((record.get("sessions") or [{}])[0])
        if not _carried(record, session, made.config.pc):
            return None
    if entry.get("new"):
        # The client did not take the conversation: from here on the work is this one.
        session["session_id"] = entry["session_id"]
    transcript = starting.transcript_of(entry) or Path(session.get("transcript_path") or "")
    session.pop("transcript_path", None)
    return {**session, "transcript_path": str(transcript)} if transcript.is_file() else session


def _carried(record: Record, session: dict[str, Any], pc: str) -> bool:
    return session.get("pc") == pc and (record["from_pc"] != pc or bool(session.get("been")))


def at_rest(made: Round, record: Record, entry: dict[str, Any]) -> dict[str, Any]:
    """Publish what is new when the running session rests, at the end of a turn; the journal's entry, noting it."""
    session = session_of(made, record)
    if record["state"] != "running" or session is None or "transcript_path" not in session:
        return entry
    tail = transcript_tail.tail_facts(Path(session["transcript_path"]))
    mark = f"{tail.size} {tail.last_uuid}"
    if tail.ends_with not in _RESTS or entry.get("published") == mark:
        return entry
    first = (record.get("parts") or {}).get("epoch") != record["epoch"]
    try:
        sent = _sent(made, record, session)
        if sent.parts is not None:
            pc, handoff_id, epoch = made.config.pc, record["id"], record["epoch"]
            news = {"sessions": starting.as_it_stands({"sessions": [session]}), "touches": sent.touches}
            done = made.link.submit(operations.publish(pc, handoff_id, epoch, sent.parts, news), keep=False)
            if done.refused or not done.visible:
                raise TrinityError(done.refused or "the fleet remote does not answer")
            made.note(record, f"published as number {sent.parts['number']} of epoch {epoch}")
    except TrinityError as error:
        # The next round tries again; what was published before stays.
        program.log(made.home, "fleet", f"handoff {record['id']} was not published: {error.message}")
        return entry
    if first:
        tidy(made.link, [rounds.find(made.link, made.link.state.last(), record["id"])], set())
    return {**entry, "published": mark}


def last(made: Round, record: Record, session: dict[str, Any]) -> dict[str, Any] | None:
    """Bring the state at the end of carried work to the remote; its parts, or None when it cannot be packed, which is
    told then. Raises Busy: what cannot be sent now is sent later."""
    try:
        sent = _sent(made, record, session)
    except Busy:
        raise
    except TrinityError as error:
        # It is safe where it lies, and the record says where; only the way home has to wait for a person.
        program.log(made.home, "alarms", f"handoff {record['id']}: the result was not sent home: {error.message}")
        return None
    for note in sent.notes:
        made.note(record, note)
    return sent.parts


def give_back(home: Home, record: Record, session: dict[str, Any] | None) -> None:
    """This PC works on it no longer: after the fleet was told, so that a crash in between leaves too much.

    The guard stays: whoever resumes the conversation here by hand has the same old paths in it.
    """
    for each in [*(record.get("sessions") or []), session] if session is not None else []:
        lease.give_back(home, each["session_id"])


def _sent(made: Round, record: Record, session: dict[str, Any]) -> carrying.Sent:
    return carrying.send(made.link, {**record, "sessions": [session]})


def tidy(link: Link, records: list[Record], seen: set[str]) -> None:
    """Remove the sets that nobody needs: of older epochs, and of ended work whose ids are in `seen`."""
    try:
        listed = parts.list_parts(link.state)
        for handoff_id, epoch in parts.unneeded(records, listed, seen)[:_REMOVED]:
            if parts.remove_parts(link.state, handoff_id, epoch):
                program.log(link.home, "handoff", f"{handoff_id} the parts of epoch {epoch} were removed")
    except TrinityError as error:
        program.log(link.home, "fleet", f"old parts stay for now: {error.message}")
