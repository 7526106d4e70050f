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
from trinity.errors import TrinityError
from trinity.fleet import operations
from trinity.home import Home
from trinity.relay.link import Link, Record
from trinity.work import handoff, prompt

# A wait whose end nobody knows: tried again by a person, by a success, or with the next limit that has a reset.
NEVER = None
_HEAD_BYTES = 256_000


@dataclass(frozen=True)
class Saved:
    """The handoff, what was done about it ("created", "moved", "parked again", "kept"), and whether the fleet has it."""

    record: Record
    action: str
    visible: bool

    def text(self) -> str:
        """One line for a person."""
        record = self.record
        until = f" until {record['parked_until']}" if record["parked_until"] else ""
        where = "" if self.visible or self.action.startswith("would") else "; safe here, not yet visible to the fleet"
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
    dry_run: bool = False,
) -> Saved:
    """Hand over `session` (None: the task queue alone) to PC `to`, or park it here until the limit's reset.

    Raises TrinityError when there is nothing to hand over, Busy when another program saves for too long.
    """
    with locks.hold(home.locks / "save.lock", timeout=30):
        link = Link(home, config)
        snapshot = link.refresh()
        known = link.of_session(snapshot, session.id) if session else _queue_handoff(link.handoffs(snapshot), limit)
        record = _record(home, config, session, limit, reason, to, excerpts)
        if known is not None:
            return _again(link, known, record, limit, to, dry_run)
        if dry_run:
            return Saved(record, "would be created", False)
        operation = operations.create(config.pc, record)
        if incident:
            # The same incident noticed twice is the same operation, and counts once.
            operation["id"] = hashlib.sha256(f"{config.pc} {incident}".encode()).hexdigest()[:32]
        done = link.submit(operation)
        if done.refused:
            raise TrinityError(f"the handoff was refused: {done.refused}")
        program.log(home, "handoff", f"{record['id']} created, {record['state']}, {reason}")
        link.beat("handoff_initiated", to_pc=record["to_pc"], reason=reason)
        return Saved(record, "created", done.visible)


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
    described, work, queue = _described(session)
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


def _described(session: Session | None) -> tuple[list[dict[str, Any]], Mapping[str, Any], Sequence[Mapping[str, Any]]]:
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


def _again(link: Link, known: Record, fresh: Record, limit: Limit | None, to: str | None, dry_run: bool) -> Saved:
    """The conversation has an open handoff: bring it up to date instead of making a second one."""
    pc = link.config.pc
    until = fresh["parked_until"]
    if to and to != known["to_pc"] and known["state"] in ("queued", "parked"):
        operation, action = operations.reroute(pc, known["id"], to), f"sent on to {to}"
    elif known["state"] in ("claimed", "running") and known["owner"] == pc:
        news = {key: fresh[key] for key in ("limit", "current_work", "task_queue", "sessions", "excerpts")}
        news["resumes"] = int(known.get("resumes") or 0) + 1
        operation = operations.repark(pc, known["id"], known["epoch"], until, "stopped again by a limit", news)
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
    changed = {**known, "parked_until": until if "sent" not in action else known["parked_until"]}
    if action == "parked again":
        changed["state"] = "parked"
    program.log(link.home, "handoff", f"{known['id']} {action}")
    return Saved(changed, action, done.visible)
