"""Changes on their way to the fleet: durable here before anyone is told "handed over" (docs/HANDOFF_PROTOCOL.md, R7).

An operation stays until a state fetched from the remote is known to contain it, so neither a crash between any two steps
nor a remote that forgets loses one, and its id keeps a second delivery from counting twice. Being offline is no error.
An operation that cannot be read is put into quarantine and the others go on (R10).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from trinity import clock, files, locks
from trinity.errors import BadRecord, Busy, NewerRecord, TrinityError
from trinity.fleet import operations
from trinity.fleet.clone import Rejected
from trinity.fleet.snapshot import Snapshot
from trinity.fleet.state import State
from trinity.home import Home

Operation = dict[str, Any]
_LAST_WORDS = ("done", "repark", "release")


@dataclass(frozen=True)
class Delivered:
    """What became of one operation: `applied`, `refused` (for `reason`, and taken out), `rejected` by the remote (kept;
    worth an alarm), `waiting` (offline or busy; kept), or `quarantined`. `oid` is the commit that carries it."""

    id: str
    type: str
    outcome: Literal["applied", "refused", "rejected", "waiting", "quarantined"]
    reason: str = ""
    oid: str | None = None


def put(home: Home, operation: Operation, state: State | None = None) -> str:
    """Keep an operation durably; returns its id. With `state`, the last state seen is noted as older than it."""
    kept = dict(operation)
    if state is not None and kept.get("since") is None:
        kept["since"] = state.last().oid
    operations.check(kept, f"operation {kept.get('id')}")
    # The names sort in the order of putting; the id keeps two of one instant apart.
    made = home.outbox / f"{time.time_ns():020d}-{kept['id']}.json"
    files.write_json(made, kept)
    if kept["type"] in _LAST_WORDS:
        _take_out_older(home, made, kept)
    return str(kept["id"])


def _take_out_older(home: Home, made: Path, kept: Operation) -> None:
    """Offline each round says anew how an epoch ended: the newest such word, with the newest parts, is enough. If the fleet
    has an older one all the same, that counts, and this one is refused."""
    try:
        with locks.hold(home.locks / "outbox.lock", timeout=0):
            for path in _paths(home):
                try:
                    other = _read(path)
                except (TrinityError, FileNotFoundError):
                    continue
                same = all(other.get(key) == kept.get(key) for key in ("type", "pc", "handoff_id", "epoch"))
                # One that names what was made here gives way only to one that does, too.
                if path != made and same and (kept.get("parts") or not other.get("parts")):
                    path.unlink(missing_ok=True)
    except Busy:
        pass  # they are being delivered


def drop(home: Home, operation_id: str) -> None:
    """Keep an operation no longer: whoever wanted it decides anew. If the remote has it all the same, it counts."""
    with locks.hold(home.locks / "outbox.lock"):
        for path in home.outbox.glob(f"*-{operation_id}.json"):
            path.unlink()


def pending(home: Home) -> list[Operation]:
    """The operations still kept, oldest first; what cannot be read is left for `deliver`."""
    kept = []
    for path in _paths(home):
        try:
            kept.append(_read(path))
        except (TrinityError, FileNotFoundError):
            continue
    return kept


def deliver(home: Home, state: State) -> list[Delivered]:
    """Bring every kept operation into the state, in order; raises Busy (another process delivers), Diverged.

    A remote that does not answer ends the round: this and all later operations are `waiting`. One that rejects an
    operation holds up only what concerns the same handoff.
    """
    with locks.hold(home.locks / "outbox.lock"):
        return _deliver(home, state)


def _deliver(home: Home, state: State) -> list[Delivered]:
    report: list[Delivered] = []
    applied: dict[Path, str] = {}
    blocked: set[str] = set()
    paths = _paths(home)
    if len(paths) > 1:
        # Left over from a round that was cut off: a process that never gets to the end of one must get on all the same.
        _forget_carried(state, paths)
        paths = _paths(home)
    for at, path in enumerate(paths):
        try:
            operation = _read(path)
        except BadRecord as error:
            report.append(_put_aside(home, path, error.message))
            continue
        except NewerRecord as error:
            # Written before a downgrade: it is kept for the newer Trinity.
            report.append(Delivered(path.stem, "unknown", "waiting", error.message))
            continue
        subject = _subject(operation)
        if subject in blocked:
            report.append(_waiting(path, f"an earlier change of {subject} was rejected"))
            continue
        try:
            result = _bring(home, state, path, operation)
        except BadRecord as error:
            report.append(_put_aside(home, path, error.message))
            continue
        except Rejected as error:
            blocked.add(subject)
            report.append(Delivered(operation["id"], operation["type"], "rejected", error.message))
            continue
        except Busy as error:
            report += [_waiting(later, error.message) for later in paths[at:]]
            break
        report.append(result)
        if result.oid:
            applied[path] = result.oid
    if applied:
        _forget_seen(state, applied)
    return report


def _subject(operation: Operation) -> str:
    record = operation.get("record") or {}
    return str(operation.get("handoff_id") or record.get("id") or operation["type"])


def _bring(home: Home, state: State, path: Path, operation: Operation) -> Delivered:
    about = (str(operation["id"]), str(operation["type"]))
    if operation["type"] == "create":
        operation = {**operation, "pushed": clock.iso(milliseconds=True)}
    decide = operations.decision(operation)
    change = state.change(about[0], operations.subject(operation), decide, operation.get("since"))
    if change.done:
        return Delivered(*about, "applied", oid=change.oid)
    if "record" in operation:
        # It carries content that stands nowhere else.
        files.quarantine(home, path, f"refused: {change.reason}")
    else:
        path.unlink()
    return Delivered(*about, "refused", change.reason)


def _forget_seen(state: State, applied: dict[Path, str]) -> None:
    """Remove what the fleet is known to have. What is not removed is delivered again, and counts once."""
    try:
        now = state.fetch()
    except Busy:
        return
    for path, oid in applied.items():
        if _is_safe(state, now, oid):
            path.unlink()


def _forget_carried(state: State, paths: list[Path]) -> None:
    try:
        now = state.fetch()
    except Busy:
        return
    for path in paths:
        try:
            operation = _read(path)
        except TrinityError:
            continue  # said in the round itself
        oid = state.find(operation["id"], now, operation.get("since"))
        if oid and _is_safe(state, now, oid):
            path.unlink()


def _is_safe(state: State, now: Snapshot, oid: str) -> bool:
    """Does losing this PC no longer lose the change? In a fleet of one: the remote's state, fetched, contains it."""
    return now.oid is not None and (now.oid == oid or state.contains(now.oid, oid))


def _read(path: Path) -> Operation:
    operation = files.read_json(path)
    if not isinstance(operation, dict):
        raise BadRecord(str(path), ["not an object"])
    operations.check(operation, str(path))
    return operation


def _put_aside(home: Home, path: Path, why: str) -> Delivered:
    files.quarantine(home, path, why)
    return Delivered(path.stem, "unknown", "quarantined", why)


def _waiting(path: Path, why: str) -> Delivered:
    return Delivered(path.stem.rpartition("-")[2], "unknown", "waiting", why)


def _paths(home: Home) -> list[Path]:
    return sorted(home.outbox.glob("*.json"))
