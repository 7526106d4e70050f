"""Handoffs that this PC holds: claimed, started once per epoch, seen through to their end.

The journal is written before anything is started, so a PC that is killed anywhere finds out what it had started: nothing
(the same epoch goes on), something that runs (it is looked at), or something nobody knows about (a new epoch is taken).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trinity import clock, program
from trinity.credit import limits, transcript_tail
from trinity.errors import Busy, TrinityError
from trinity.fleet import journal, operations
from trinity.relay import company, consent, drain, publishing, rounds, sending, starting, unpacked
from trinity.relay.link import Record
from trinity.relay.rounds import AUTOMATIC, LATER_SECONDS, SOON_SECONDS, YOUNG_SECONDS, Round
from trinity.work import ending

_FIRST_LINE_SECONDS = 25.0
# How long after the first start without any answer the next one is tried; after the second twice as long.
_AGAIN_SECONDS = 60.0


def claim(made: Round, record: Record, mode: str, by_hand: bool) -> tuple[Record, str]:
    """Claim and start; returns the handoff and what became of it. Raises TrinityError when it cannot be claimed."""
    pc = made.config.pc
    operation = operations.claim(pc, record["id"], anyone=by_hand, seen=clock.iso(made.now, milliseconds=True))
    done = made.link.submit(operation, keep=False)
    if done.refused or not done.visible:
        raise TrinityError(f"cannot accept '{record['id']}': {done.refused or 'the fleet remote does not answer'}")
    claimed = rounds.find(made.link, made.link.state.last(), record["id"])
    if claimed["state"] == "dead":
        program.log(made.home, "alarms", f"handoff {record['id']} {claimed['outcome']}")
        return claimed, str(claimed["outcome"])
    made.note(claimed, f"accepted, epoch {claimed['epoch']}")
    began = clock.boottime()
    made.link.beat("handoff_accepted", from_pc=record["from_pc"], tasks_received=len(record["task_queue"]) or None)
    company.hold_on(made.link, claimed, began)
    return claimed, _begin(made, claimed, mode)


def _begin(made: Round, record: Record, mode: str) -> str:
    """Start the claimed work of this epoch, once, and wait a little for its first answer."""
    if not journal.start_once(made.home, record["id"], record["epoch"]):
        return _release(made, record, "this epoch was started before")
    went_on = starting.continued(record)
    if went_on:
        return finish(made, record, went_on)
    open_in = starting.open_in(record, mode)
    if open_in:
        return _release(made, record, open_in)
    try:
        record, entry = unpacked.arrive(made, record, mode)
    except consent.Needed as error:
        released = _release(made, record, "a person has to look at it first")
        consent.hold(made, record, error.reasons)
        return released
    except Busy as error:
        return _release(made, record, error.message)
    except TrinityError as error:
        return _put_off(made, record, error.message)
    except OSError as error:
        # A full disk, a folder that is closed to us: as below, it holds up this handoff alone.
        return _put_off(made, record, f"{error.strerror or error}: '{error.filename}'")
    if mode in ("tmux", "terminal"):
        for client in starting.live_elsewhere(record):
            ended = ending.end_client(Path(record["sessions"][0]["config_dir"]), str(client["session_id"]))
            if ended.switched_off:
                said = f"its client did not leave, so its wait was switched off in '{ended.switched_off[0]}'"
                program.log(made.home, "alarms", f"handoff {record['id']}: {said}")
    journal.note(made.home, record["id"], record["epoch"], **entry)
    return _start(made, record, entry)


def _start(made: Round, record: Record, entry: dict[str, Any]) -> str:
    try:
        entry = starting.start(made.home, made.config, record, entry)
    except TrinityError as error:
        return _put_off(made, record, error.message)
    except OSError as error:
        # A client that is no program, a full disk: it holds up this handoff, not the others of the round.
        return _put_off(made, record, f"{error.strerror or error}: '{error.filename or made.config.client}'")
    journal.note(made.home, record["id"], record["epoch"], **entry)
    if entry["mode"] not in AUTOMATIC:
        told = "handed to a person: " + entry["where"]
        # What came from another PC stays held until that person says that it is done: then its result goes home.
        return told if publishing.session_of(made, record) is not None else finish(made, record, told)
    made.running += entry["mode"] == "headless"
    return _judge(made, record, entry, starting.wait(entry, _FIRST_LINE_SECONDS))


def held(made: Round, record: Record, mode: str) -> None:
    """One step for a handoff that this PC has claimed; `mode` for one that was not started yet."""
    entry = starting.journal_entry(made.home, record)
    if entry is None:
        # Claimed, and killed before the journal: this epoch was not started.
        _begin(made, record, mode if mode in AUTOMATIC else "headless")
        return
    if "ended" in entry:
        finish(made, record, str(entry["ended"]))
        return
    if "mode" not in entry or "started_at" not in entry:
        _half_started(made, record, entry)
        return
    made.running += entry["mode"] == "headless" and starting.lives(entry)
    _judge(made, record, entry, starting.seen(entry))


def _half_started(made: Round, record: Record, entry: dict[str, Any]) -> None:
    """Killed between the journal and the note of the process: the client may run or not."""
    session_id = entry.get("session_id")
    found = starting.process_of(session_id) if session_id else None
    if found is not None:
        entry = {**entry, "pid": found[0], "born": starting.birth(found[0])}
        entry["started_at"] = clock.iso(found[1], milliseconds=True)
        entry["where"] = f"process {found[0]}"
        journal.note(made.home, record["id"], record["epoch"], **entry)
        _judge(made, record, entry, starting.seen(entry))
    elif session_id and starting.seen(entry).state == "answered":
        _judge(made, record, {**entry, "pid": 0, "started_at": entry.get("made_at")}, starting.seen(entry))
    else:
        unpacked.clear(made.home, record, entry)
        _release(made, record, "the start was interrupted")


def _judge(made: Round, record: Record, entry: dict[str, Any], found: starting.Seen) -> str:
    """One step for a started handoff, by what its conversation shows."""
    by_hand = entry["mode"] not in AUTOMATIC
    lives = by_hand or starting.lives(entry)
    where = str(entry.get("where", ""))
    if found.state == "answered":
        if record["state"] == "claimed":
            chain = {"started": entry["started_at"], "first_line": clock.iso(found.first_line, milliseconds=True)}
            made.link.submit(operations.running(made.config.pc, record["id"], record["epoch"], chain))
            record = {**record, "state": "running", "chain": {**record["chain"], **chain}}
            made.note(record, f"runs {where}")
            starting.take_back_note(made.home, entry)
        if lives:
            published = publishing.at_rest(made, record, entry)
            if published is not entry:
                journal.note(made.home, record["id"], record["epoch"], **published)
            _look_again(made, entry)
            said = f"runs until a person ends it: trinity accept_handoff {record['id']} --done"
            made.waiting.append((record, said if by_hand else f"runs {where}"))
            return f"runs {where}"
        return _ended(made, record, _tail(entry))
    if by_hand:
        made.waiting.append((record, f"waits for a person to start it: {where}"))
        return where
    if found.state == "limit" and found.verdict is not None:
        return _limited(made, record, found.verdict, found.text)
    if lives:
        _look_again(made, entry)
        made.waiting.append((record, f"started, no answer yet, {where}"))
        return f"started, no answer yet, {where}"
    if not entry.get("new"):
        # The client did not take the conversation, or an error no reset cures: from the text, in a new session.
        made.note(record, f"the client refused the conversation: {found.text or 'it ended without a word'}")
        told: dict[str, Any] = {key: entry[key] for key in ("session", "note", "arguments") if key in entry}
        fresh = {**told, **starting.new_conversation(entry["mode"])}
        journal.note(made.home, record["id"], record["epoch"], **fresh)
        return _start(made, record, fresh)
    # Not at once: a client that is just being updated, or a machine without network, needs its minute.
    until = made.now + _AGAIN_SECONDS * record["attempts"]
    return _release(made, record, f"the new session ended without an answer: {found.text or 'no word'}", until)


def _ended(made: Round, record: Record, tail: transcript_tail.Tail | None) -> str:
    """The started client is gone and had answered: was the work finished, or stopped in the middle?"""
    error = tail.error if tail is not None else None
    verdict = tail.verdict if tail is not None else None
    drained = tail is not None and tail.ends_with != "answer" and drain.has_stopped(made, tail.session_id)
    if drained or (verdict is not None and verdict.kind == "hard"):
        # The evaluation parks this handoff again.
        made.waiting.append((record, "stopped again"))
        made.due(made.now + made.config.interval_seconds)
        return "stopped again"
    if error is not None and verdict is not None:
        if verdict.kind in ("transient", "auth"):
            return _limited(made, record, verdict, error.text)
        text = f"the resumed session has ended by an error: {error.text}"
        program.log(made.home, "alarms", f"handoff {record['id']}: {text}")
        return finish(made, record, text)
    if tail is not None and tail.ends_with in ("prompt", "tool_use", "tool_result"):
        # Killed, or the machine went down. A person may have meant it, so a person says that it shall go on.
        text = "the resumed session ended in the middle of its work"
        program.log(made.home, "alarms", f"handoff {record['id']}: {text}")
        _park_again(made, record, None, text, {"limit": None, "sessions": starting.as_it_stands(record)})
        return text
    return finish(made, record, "the resumed session has ended")


def _look_again(made: Round, entry: dict[str, Any]) -> None:
    young = made.now - clock.parse(entry["started_at"]) < YOUNG_SECONDS
    made.due(made.now + (SOON_SECONDS if young else LATER_SECONDS))


def _tail(entry: dict[str, Any]) -> transcript_tail.Tail | None:
    path = starting.transcript_of(entry)
    return transcript_tail.tail_facts(path) if path is not None else None


def _limited(made: Round, record: Record, verdict: limits.Verdict, said: str) -> str:
    limit = verdict.limit
    until = clock.iso(limit.resets_at) if limit and limit.resets_at else None
    text = f"still at the limit, parked until {until or 'a success'}"
    if verdict.kind == "transient":
        text = f"{said}; tried again at {until}"
    elif verdict.kind == "auth":
        text = f"login trouble: {said}"
        program.log(made.home, "alarms", f"handoff {record['id']}: {text}")
    _park_again(made, record, until, text, {"limit": limit.fields() if limit else None})
    made.due(limit.resets_at if limit else None)
    return text


def _put_off(made: Round, record: Record, reason: str) -> str:
    """It cannot be started on this PC as it is: back to where it came from, else a person has to mend that."""
    program.log(made.home, "alarms", f"handoff {record['id']} was not started: {reason}")
    if not sending.back(made, record, reason):
        _park_again(made, record, None, reason, {"limit": None})
    return f"not started: {reason}"


def _park_again(made: Round, record: Record, until: str | None, reason: str, news: dict[str, Any]) -> None:
    session = publishing.session_of(made, record)
    parts = None
    if session is not None:
        # From here on it goes on with what lies here, not with what was sent.
        news = {**news, "sessions": starting.as_it_stands({"sessions": [session]})}
        try:
            parts = publishing.last(made, record, session)
        except Busy as error:
            made.note(record, f"what was done here is not published yet: {error.message}")
    operation = operations.repark(made.config.pc, record["id"], record["epoch"], until, reason, news, parts)
    made.link.submit(operation)
    publishing.give_back(made.home, record, session)
    made.note(record, reason)


def finish(made: Round, record: Record, outcome: str) -> str:
    """The work has ended; what came from another PC goes home first, and until it can the handoff stays held."""
    session = publishing.session_of(made, record)
    parts, news = None, {}
    if session is not None:
        news = {"sessions": starting.as_it_stands({"sessions": [session]})}
        try:
            parts = publishing.last(made, record, session)
        except Busy as error:
            if starting.journal_entry(made.home, record) is not None:
                journal.note(made.home, record["id"], record["epoch"], ended=outcome)
            made.waiting.append((record, f"has ended; its result goes home later: {error.message}"))
            made.due(made.now + made.config.interval_seconds)
            return outcome
    made.link.submit(operations.done(made.config.pc, record["id"], record["epoch"], outcome, parts, news))
    publishing.give_back(made.home, record, session)
    made.note(record, f"done: {outcome}")
    return outcome


def _release(made: Round, record: Record, reason: str, until: float | None = None) -> str:
    later = clock.iso(until) if until is not None else None
    made.link.submit(operations.release(made.config.pc, record["id"], record["epoch"], later, reason))
    made.note(record, f"released: {reason}")
    made.due(until or made.now + SOON_SECONDS)
    return f"not started: {reason}"
