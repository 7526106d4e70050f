"""Home again: the result of work that went to another PC, and taking work back at any moment.

When the work is done its last parts are fetched to the PC it came from, a person there is told, and the fleet's remote is
rid of them. `take_back` unpacks them beside what is here: a new worktree and the conversation under it. Work that still
runs elsewhere is recalled first, which ends its epoch: the other PC learns that at its next contact and closes it there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trinity import clock, files, locks, program
from trinity.config import Config
from trinity.errors import BadRecord, Busy, Offline, TrinityError
from trinity.fleet import operations, parts
from trinity.home import Home
from trinity.relay import closing, publishing, rounds, unpacking
from trinity.relay.link import OPEN_STATES, Link, Record
from trinity.work import guard

_FOLDER = "results"


@dataclass(frozen=True)
class Taken:
    """`session` as it can be gone on with here; `differences` of what was unpacked, none when it lies where it was."""

    record: Record
    session: dict[str, Any]
    said: str
    equal: bool = True
    differences: tuple[str, ...] = ()


def fetch(link: Link, records: Sequence[Record]) -> list[str]:
    """Bring home what other PCs have finished of this PC's work; one line for each that arrived. Never raises for one."""
    lines = []
    for record in records:
        if not _comes_home(record, link.config.pc) or _file(link.home, record["id"]).exists():
            continue
        try:
            lines.append(_fetched(link, record))
        except Busy as error:
            program.log(link.home, "fleet", f"the result of handoff {record['id']} comes home later: {error.message}")
            break
    if lines:
        publishing.tidy(link, list(records), _seen(link.home, records, link.config.pc))
    return lines


def _comes_home(record: Record, pc: str) -> bool:
    return record["state"] == "done" and record["from_pc"] == pc and record["owner"] not in (None, pc)


def _fetched(link: Link, record: Record) -> str:
    into = _place(link.home, record)
    named = record.get("parts")
    state, said = "arrived", f"done on {record['owner']}, its result is here: {command(record['id'])}"
    try:
        if named is None or named["epoch"] != record["epoch"]:
            state, said = "stayed", f"done on {record['owner']}, where its result lies: it was not sent"
        elif not into.exists():
            parts.fetch_parts(link.state, record["id"], named["epoch"], into, named["oid"])
    except Busy:
        raise
    except TrinityError as error:
        state, said = "refused", f"done on {record['owner']}; its result cannot be used here: {error.message}"
    _note(link.home, record, state=state, said=said)
    program.log(link.home, "alarms", f"handoff {record['id']}: {said}")
    return f"handoff {record['id']}: {said}"


def _seen(home: Home, records: Sequence[Record], pc: str) -> set[str]:
    """Whose parts nobody waits for: fetched here, or ended at the PC it came from."""
    done = [record for record in records if record["state"] == "done" and record["from_pc"] == pc]
    return {r["id"] for r in done if r["owner"] in (None, pc) or (_read(home, r["id"]) or {}).get("state") == "arrived"}


def command(handoff_id: str) -> str:
    """What a person types to bring it home."""
    return f"trinity accept_handoff {handoff_id} --take-back"


def waiting(home: Home) -> list[dict[str, Any]]:
    """Results that are here and were not taken back yet, or could not come: `handoff_id`, `what`, `said`."""
    found = [_read(home, path.stem) for path in sorted((home.root / _FOLDER).glob("*.json"))]
    return [one for one in found if one is not None and one.get("state") in ("arrived", "refused", "stayed")]


def take_back(home: Home, config: Config, handoff_id: str) -> Taken:
    """Bring work that went to another PC home, whatever became of it; raises TrinityError, Offline."""
    with locks.hold(home.locks / "accept.lock", timeout=30):
        link = Link(home, config)
        record = rounds.find(link, link.refresh(), handoff_id)
        if not link.offline:
            closing.close_left(link, link.state.last())  # or a later round would close what is opened here
        if _taken_to(home, record) and record["state"] == "parked" and record["to_pc"] == config.pc:
            _close(link, record)  # it was cut short before it could say so
        _check(home, record, config.pc)
        recalled = False
        if record["state"] in OPEN_STATES:
            if link.offline:
                raise Offline(f"handoff {record['id']} is open, and the fleet does not answer: {link.offline}")
            here = _not_taken(link, record)
            if here is not None:
                return here
            record, recalled = _recalled(link, record), True
        arrived = _unpacked(link, config, record)
        _settle(link, record, arrived)
        # From here on it is here, whatever the fleet has heard of that.
        _note(home, record, state="taken", said="taken back", cwd=arrived.session["cwd"])
        if recalled:
            _close(link, record)
        program.log(home, "handoff", f"{record['id']} taken back: {unpacking.dumped(arrived)}")
        everything = link.handoffs(link.state.last())
        publishing.tidy(link, everything, _seen(home, everything, config.pc))
        equal = "equal to what was sent" if arrived.equal else f"not equal: {'; '.join(arrived.differences)}"
        said = f"taken back to {arrived.session['cwd']}, {equal}"
        return Taken(record, arrived.session, said, arrived.equal, tuple(arrived.differences))


def _check(home: Home, record: Record, pc: str) -> None:
    if not record.get("sessions"):
        raise TrinityError(f"handoff {record['id']} carries no conversation", f"trinity handoffs show {record['id']}")
    session = record["sessions"][0]
    taken = _taken_to(home, record)
    if taken:
        raise TrinityError(
            f"handoff {record['id']} was taken back already, to '{taken}'",
            f"cd '{taken}' && claude --resume {session['session_id']}",
        )
    if record["state"] in OPEN_STATES and pc in (record["owner"], record["to_pc"]) and not session.get("foreign"):
        raise TrinityError(f"handoff {record['id']} is on this PC", f"trinity accept_handoff {record['id']}")
    if record["owner"] == pc:
        raise TrinityError(f"handoff {record['id']} is on this PC already", f"trinity handoffs show {record['id']}")


def _taken_to(home: Home, record: Record) -> str:
    """The folder to which the work was taken back; empty when it was not, or when it is gone."""
    before = _read(home, record["id"]) or {}
    cwd = str(before.get("cwd") or "")
    return cwd if before.get("state") == "taken" and cwd and Path(cwd).is_dir() else ""


def _close(link: Link, record: Record) -> None:
    pc = link.config.pc
    link.submit(operations.withdraw(pc, record["id"], record["epoch"], f"taken back to {pc}"))


def _not_taken(link: Link, record: Record) -> Taken | None:
    """Work that still waits and never left: the offer is withdrawn, and all is where it was."""
    session = record["sessions"][0]
    if record["state"] not in ("queued", "parked") or session.get("foreign"):
        return None
    outcome = f"taken back to {link.config.pc} before anybody took it"
    _sure(link, record, operations.withdraw(link.config.pc, record["id"], record["epoch"], outcome))
    closing.open_here(link.home, session["session_id"])
    everything = link.handoffs(link.state.last())
    publishing.tidy(link, everything, _seen(link.home, everything, link.config.pc))
    return Taken(record, session, f"nobody had taken it; it goes on in {session['cwd']}")


def _recalled(link: Link, record: Record) -> Record:
    """The record once no other PC may go on with it."""
    pc = link.config.pc
    if record["state"] == "parked" and record["to_pc"] == pc and record["owner"] is None:
        return record  # recalled before, by a program that was cut short
    where = record["owner"] or record["to_pc"]
    if not record.get("parts"):
        raise TrinityError(
            f"handoff {record['id']} went to {where} in words alone: there is nothing to bring home",
            f"on {where}: trinity accept_handoff {record['id']} --done",
        )
    _sure(link, record, operations.recall(pc, record["id"], record["epoch"], f"taken back from {where} by a person"))
    return rounds.find(link, link.state.last(), record["id"])


def _sure(link: Link, record: Record, operation: dict[str, Any]) -> None:
    done = link.submit(operation, keep=False)
    if done.refused or not done.visible:
        why = done.refused or f"the fleet remote does not answer: {link.offline}"
        raise TrinityError(f"handoff {record['id']} was not taken back: {why}", command(record["id"]))


def _unpacked(link: Link, config: Config, record: Record) -> unpacking.Arrived:
    named = record.get("parts")
    if not named or (record["state"] == "done" and named["epoch"] != record["epoch"]):
        raise TrinityError(
            f"the result of handoff {record['id']} was not sent home; it lies on {record['owner']}",
            f"on {record['owner']}: trinity handoffs show {record['id']}",
        )
    folder = _place(link.home, record)
    return unpacking.take_back(link, config, record, folder if folder.is_dir() else None)


def _settle(link: Link, record: Record, arrived: unpacking.Arrived) -> None:
    """The conversation may go on here, in its new folder: kept out of its old ones, told so, and open again."""
    session_id = arrived.session["session_id"]
    guard.raise_guard(link.home, session_id, arrived.old_roots, arrived.new_root)
    files.write_atomic(link.home.notes / f"{session_id}.txt", f"{arrived.note}\n".encode())
    closing.open_here(link.home, session_id)


def _place(home: Home, record: Record) -> Path:
    (home.root / _FOLDER).mkdir(mode=0o700, exist_ok=True)
    named = record.get("parts") or {"epoch": record["epoch"]}
    return home.root / _FOLDER / f"{record['id']}-e{named['epoch']}"


def _file(home: Home, handoff_id: str) -> Path:
    return home.root / _FOLDER / f"{handoff_id}.json"


def _note(home: Home, record: Record, **facts: str) -> None:
    (home.root / _FOLDER).mkdir(mode=0o700, exist_ok=True)
    document = {"kind": "result", "version": 1, "handoff_id": record["id"], "epoch": record["epoch"], "at": clock.iso()}
    files.write_json(_file(home, record["id"]), {**document, "worked_on_by": record["owner"], **facts})


def _read(home: Home, handoff_id: str) -> dict[str, Any] | None:
    try:
        found = files.read_or(_file(home, handoff_id), dict)
    except BadRecord:
        return None
    return found if isinstance(found, dict) and found else None
