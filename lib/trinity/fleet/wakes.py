"""Wakes: hints to a PC that there is something to fetch. Nothing in them is obeyed; a newer one replaces an older.

Pure functions of one state, like `transitions`.
"""

from __future__ import annotations

from typing import Any

from trinity import clock, files, schema
from trinity.errors import TrinityError
from trinity.fleet import names
from trinity.fleet.snapshot import Edits, Refusal, Tree

Operation = dict[str, Any]


def send_wake(tree: Tree, operation: Operation) -> Edits | Refusal:
    record = {**operation["record"], "operation": operation["id"]}
    schema.validate("wake", record, f"wake for {record['to']}")
    return {names.wake_file(record["to"]): files.dump_json(record)}


def take_wake(tree: Tree, operation: Operation) -> Edits | Refusal:
    path = names.wake_file(operation["pc"])
    if path not in tree.paths(path):
        return Refusal(f"there is no wake for {operation['pc']}")
    waiting = waiting_for(tree, operation["pc"])
    if waiting is None:
        archived = _free_name(tree, operation)
        return {path: None, names.DEAD + names.base(archived): tree.read(path)}
    return archive(tree, operation, waiting, operation["processed"])


def wake_for(record: dict[str, Any], operation: Operation) -> Edits:
    """The edits that leave a wake for a handoff's target."""
    signal = {
        "kind": "wake",
        "version": 1,
        "from": operation["pc"],
        "to": record["to_pc"],
        "timestamp": operation["time"],
        "task": "credit_handoff",
        "message": f"handoff {record['id']} waits",
        "working_directory": None,
        "handoff_id": record["id"],
        "operation": operation["id"],
    }
    schema.validate("wake", signal, f"wake for {record['to_pc']}")
    return {names.wake_file(record["to_pc"]): files.dump_json(signal)}


def waiting_for(tree: Tree, pc: str) -> dict[str, Any] | None:
    """The wake that stands for a PC; None when there is none, or none that can be read."""
    path = names.wake_file(pc)
    if path not in tree.paths(path):
        return None
    try:
        return schema.read("wake", tree.read(path), path)
    except TrinityError:
        return None


def archive(tree: Tree, operation: Operation, signal: dict[str, Any], processed: bool) -> Edits:
    """The edits that move a PC's wake to the archive."""
    archived = {**signal, "received_at": operation["time"], "processed": processed}
    return {names.wake_file(operation["pc"]): None, _free_name(tree, operation): files.dump_json(archived)}


def _free_name(tree: Tree, operation: Operation) -> str:
    moment = clock.parse(operation["time"])
    taken = set(tree.paths(names.WAKE_ARCHIVE)) | set(tree.paths(names.DEAD))
    while True:
        path = names.wake_archive_file(operation["pc"], clock.iso(moment))
        if path not in taken and names.DEAD + names.base(path) not in taken:
            return path
        moment += 1  # two in one second: names have no finer time
