"""From a stopped session, or a task queue, to a handoff in the fleet's state.

One conversation has at most one open handoff. If it is stopped again while its handoff is claimed or running, that handoff
is parked again; if it is parked already, only its time is moved. So however many programs notice one limit, the work waits
in one place.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trinity import clock, files, locks, program
from trinity.config import Config
from trinity.credit import sessions, transcript_lines, transcript_tail
from trinity.credit.limits import Limit
from trinity.credit.picture import Session
from trinity.errors import Offline, TrinityError
from trinity.fleet import operations
from trinity.fleet.snapshot import Snapshot
from trinity.home import Home
from trinity.relay import carrying, closing, company, dealt, rounds, rousing, sending
from trinity.relay.link import Link, Record
from trinity.work import handoff, prompt

# A wait whose end nobody knows: tried again by a person, by a success, or with the next limit that has a reset.
NEVER = None
_HEAD_BYTES = 256_000


@dataclass(frozen=True)
class Saved:
    """The handoff, what was done about it ("created", "moved", "parked again", "kept"), whether the fleet has it, and what
    a person should know of what travels and what does not. `refused`: why the remote does not take it, if it does not."""

    record: Record
    action: str
    visible: bool
    notes: tuple[str, ...] = ()
    refused: str = ""

    def text(self) -> str:
        """One line for a person."""
        record = self.record
        until = f" until {record['parked_until']}" if record["parked_until"] else ""
        where = "" if self.visible or self.action.startswith("would") else "; safe here, not yet visible to the fleet"
        where += f": {self.refused}" if self.refused else ""
        way = f"{record['from_pc']} → {record['to_pc']}"
        return f"handoff {record['id']} {self.action}: {way}, {record['state']}{until}{where}"


def save(
    home: Home,
    config: Config,
    *,
    session: Session | None,
    limit: Limit | None,
    reason: str,
    to: str | None = None,
    excerpts: Sequence[str] = (),
    incident: str = "",
    choosing: bool = False,
    stopped_at: float | None = None,
    dry_run: bool = False,
) -> Saved:
    """Hand over `session` (None: the task queue alone) to PC `to`, or park it here until the limit's reset.

    `choosing`: to the PC of the fleet that may and can go on with it, if there is one; the record says why not. It raises
    Offline when the fleet cannot be asked. `stopped_at` (epoch seconds): when a limit stopped the session; what was started
    since is left alone.

    Raises TrinityError when there is nothing to hand over, Busy when another program saves for too long.
    """
    with locks.hold(home.locks / "save.lock", timeout=30):
        link = Link(home, config)
        snapshot = link.refresh()
        known = link.of_session(snapshot, session.id) if session else _queue_handoff(link.handoffs(snapshot), limit)
        if session and known is None and (waits := dealt.unseen(link, snapshot, session.id)):
            if choosing and link.offline:
                raise Offline(link.offline)
            return Saved(waits, "kept", False)
        if session and known is None:
            if not link.offline and not dry_run:
                closing.close_left(link, snapshot)
            ended = dealt.ended(link, snapshot, session.id, stopped_at)
            if ended is not None:
                return Saved(ended, "kept", True)
        if known and stopped_at is not None and dealt.started_since(home, known, stopped_at):
            return Saved(known, "kept", True)
        if known is not None and choosing and known["state"] in ("queued", "parked") and known["to_pc"] != config.pc:
            # It was sent already, by one that was killed before it could say so; others move it on if they must.
            return Saved(known, "kept", True)
        if known is not None and known["owner"] == config.pc and sending.is_elsewhere(link, known):
            return Saved(known, "kept", True)  # accepted, and not unpacked yet
        record = _record(home, config, session, limit, reason, to, excerpts)
        there: str | None = None
        if choosing and to is None:
            to, there, why = _chosen(link, snapshot, {**(known or {}), **record})
            waits = {"state": "parked", "parked_until": there} if there else {"state": "queued", "parked_until": None}
            record |= {"to_pc": to, **waits} if to else {}
            record["outcome"] = why if there or not to else None
        if known is not None:
            record = {**record, "sessions": rounds.been(known, record["sessions"], config.pc)}
            if to and to not in (config.pc, known["to_pc"]) and not dry_run:
                record, notes = sending.send_on(link, known, record, to, record["outcome"] or reason, there)
                link.beat("handoff_initiated", to_pc=to, reason=reason)
                rousing.for_sent(link, link.state.last(), to)
                return Saved(record, f"sent on to {to}", True, tuple(notes))
            return _again(link, known, record, to, dry_run)
        if dry_run:
            return Saved(record, "would be created", False)
        sent = carrying.send(link, record) if record["to_pc"] != config.pc else carrying.Sent(None, [])
        if sent.parts:
            record["parts"], record["touches"] = sent.parts, sent.touches
        record = handoff.with_notes(record, sent.notes, "logs/handoff.log")
        operation = operations.create(config.pc, record)
        if incident:
            # The same incident noticed twice is the same operation, and counts once.
            operation["id"] = hashlib.sha256(f"{config.pc} {incident}".encode()).hexdigest()[:32]
        if record["to_pc"] != config.pc:
            closing.leaves(home, record, operation)
        done = link.submit(operation)
        if done.refused and not done.kept:
            raise TrinityError(f"the handoff was refused: {done.refused}")
        if done.kept:
            program.log(home, "alarms", f"handoff {record['id']} is safe here only: {done.refused}")
        program.log(home, "handoff", f"{record['id']} created, {record['state']}, {reason}")
        if record["to_pc"] != config.pc and not done.kept:
            # Refused by the remote it goes nowhere yet: closed here, nobody could go on with it. A later round closes it.
            closing.close_here(home, record, record["to_pc"])
        link.beat("handoff_initiated", to_pc=record["to_pc"], reason=reason)
        for note in sent.notes:
            program.log(home, "handoff", f"{record['id']} {note}")
        if record["state"] == "queued":
            rousing.for_sent(link, link.state.last(), record["to_pc"])
        return Saved(record, "created", done.visible, tuple(sent.notes), done.refused)


def _chosen(link: Link, snapshot: Snapshot, record: Record) -> tuple[str | None, str | None, str | None]:
    """Who goes on with it (None: this PC, after the reset), from when on (None: now), and why not the others."""
    found = company.choose(link, snapshot, record)
    if found is None:
        return None, None, None
    why = company.in_words(found)
    if found.to_pc is None and found.likeliest != link.config.pc and found.until is not None:
        return found.likeliest, clock.iso(found.until), why
    return found.to_pc, None, why


def _queue_handoff(records: Sequence[Record], limit: Limit | None) -> Record | None:
    waiting = [r for r in records if not r.get("sessions") and r["state"] == "parked"]
    return waiting[-1] if waiting and limit is not None else None


def _record(
    home: Home,
    config: Config,
    session: Session | None,
    limit: Limit | None,
    reason: str,
    to: str | None,
    excerpts: Sequence[str],
) -> Record:
    parked = to is None or to == config.pc
    described, work, queue = _described(session, config.pc)
    return handoff.build(
        now=clock.now(),
        from_pc=config.pc,
        to_pc=to or config.pc,
        reason=reason,
        account=config.account.id,
        credit_state=files.read_or(home.credit_state_file, dict),
        limit=limit.fields() if limit else None,
        sessions=described,
        current_work=work,
        task_queue=[*queue, *spawn_queue(home)],
        excerpts=excerpts,
        parked=parked,
        parked_until=limit.resets_at if limit else NEVER,
    )


def _described(
    session: Session | None, pc: str
) -> tuple[list[dict[str, Any]], Mapping[str, Any], Sequence[Mapping[str, Any]]]:
    """The session as the record holds it, its current work and its task queue."""
    if session is None:
        return [], {}, []
    if session.transcript is None or not Path(session.transcript).is_file():
        raise TrinityError(f"session '{session.id}' has no transcript", "handoffs of a task queue need no --session")
    path = Path(session.transcript)
    tail = transcript_tail.tail_facts(path)
    config_dir = config_dir_of(path)
    found = sessions.work_of(config_dir, path, session.id, ignore=prompt.is_ours)
    described = {
        "session_id": session.id,
        "pc": pc,
        "cwd": started_in(path, session.cwd or tail.cwd or ""),
        "transcript_path": str(path),
        "transcript_bytes": tail.size,
        "last_uuid": tail.last_uuid,
        "interactive": (session.entrypoint or tail.entrypoint) != "sdk-cli",
        "permission_mode": session.permission_mode or tail.permission_mode,
        "model": tail.model,
        "client_version": tail.version,
        "config_dir": str(config_dir),
    }
    return [described], found["current_work"], found["task_queue"]


def started_in(transcript: Path, cwd: str) -> str:
    """The folder in which the session was started, when it stands in `cwd` now; `cwd` when that cannot be seen.

    The client names the transcript's folder after it. Elsewhere 2.1.197 does not find the conversation, and 2.1.328 goes
    on, but may no longer write in the rest of the project.
    """
    with transcript.open("rb") as stream:
        lines = stream.read(_HEAD_BYTES).splitlines()
    entries = [entry for line in lines if (entry := transcript_lines.parse(line)) is not None]
    first = [str(entry["cwd"]) for entry in entries if isinstance(entry.get("cwd"), str)]
    for folder in [*first, *map(str, (Path(cwd), *Path(cwd).parents))]:
        if re.sub(r"[^A-Za-z0-9]", "-", folder) == transcript.parent.name:
            return folder
    return cwd


def config_dir_of(transcript: Path) -> Path:
    """The profile a transcript belongs to: `<config>/projects/<slug>/<session>.jsonl`."""
    return transcript.parents[2]


def spawn_queue(home: Home) -> list[dict[str, Any]]:
    """The unclaimed tasks of the spawn queue, as the view shows them."""
    from trinity import schema

    waiting = []
    for path in sorted(home.spawn_queue.glob("*.json")):
        try:
            task = schema.read("task", path.read_bytes(), str(path))
        except (TrinityError, OSError):
            continue  # the sweep of the spawn queue reports it
        if task["status"] == "pending":
            waiting.append({"id": task["id"], "priority": task["priority"], "description": task["description"][:300]})
    return waiting


def _again(link: Link, known: Record, fresh: Record, to: str | None, dry_run: bool) -> Saved:
    """The conversation has an open handoff: bring it up to date instead of making a second one."""
    pc = link.config.pc
    until = fresh["parked_until"]
    if to and to != known["to_pc"]:
        return Saved(known, f"would be sent on to {to}", True)
    if known["state"] in ("claimed", "running") and known["owner"] == pc:
        news = {key: fresh[key] for key in sending.NEWS}
        why = fresh.get("outcome") or "stopped again by a limit"
        news["resumes"] = int(known.get("resumes") or 0) + 1
        parts = None if dry_run else sending.newest_parts(link, {**known, **news})
        operation = operations.repark(pc, known["id"], known["epoch"], until, why, news, parts)
        action = "parked again"
    elif known["state"] == "parked" and until and until != known["parked_until"]:
        operation, action = operations.park(pc, known["id"], until), "moved"
    else:
        return Saved(known, "kept", True)
    if dry_run:
        return Saved(known, f"would be {action}", True)
    done = link.submit(operation)
    if done.refused:
        # Somebody else changed it in this moment; what they did is newer than what we saw.
        return Saved(known, f"kept ({done.refused})", True)
    changed = {**known, "parked_until": until}
    if action == "parked again":
        changed["state"] = "parked"
    program.log(link.home, "handoff", f"{known['id']} {action}")
    return Saved(changed, action, done.visible)
