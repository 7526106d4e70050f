"""Handoff records where they lie in a state: found, read and listed; their content is nobody's business here.

A record lies in `handoff/` while it waits (queued, parked), in `handoff/processed/` once it was claimed and in `dead/`
when it was given up. One that cannot be read, or lies where its state does not belong, is reported and skipped; the
others stay usable (docs/HANDOFF_PROTOCOL.md, R10).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from trinity import files, schema
from trinity.errors import BadRecord, TrinityError
from trinity.fleet import names
from trinity.fleet.snapshot import Edits, Refusal, Snapshot, Tree

Record = dict[str, Any]

FOLDERS = {
    "queued": names.HANDOFF,
    "parked": names.HANDOFF,
    "claimed": names.PROCESSED,
    "running": names.PROCESSED,
    "done": names.PROCESSED,
    "dead": names.DEAD,
}


@dataclass(frozen=True)
class Found:
    """A handoff and the path it lies at."""

    path: str
    record: Record


def find(tree: Tree, handoff_id: str) -> Found | Refusal:
    """The handoff with this id, or why there is none that can be used."""
    if not names.is_id(handoff_id):
        return Refusal(f"'{handoff_id}' is no id of a handoff")
    named = [path for path in _paths(tree) if path.endswith(f"_{handoff_id}.json")]
    if len(named) > 1:
        return Refusal(f"handoff {handoff_id} stands twice: {', '.join(named)}")
    try:
        if named:
            return _take(named[0], tree.read(named[0]))
        for path in _paths(tree):
            # A system before Trinity named it without the id.
            if not names.has_id(path) and (found := _take(path, tree.read(path))).record["id"] == handoff_id:
                return found
    except TrinityError as error:
        return Refusal(f"handoff {handoff_id} cannot be read: {error.message}")
    return Refusal(f"there is no handoff {handoff_id}")


def listing(snapshot: Snapshot, *folders: str) -> tuple[list[Found], dict[str, str]]:
    """All handoffs in these folders (default: where work waits or runs), and what cannot be read, with the reason."""
    chosen = folders or (names.HANDOFF, names.PROCESSED)
    contents = snapshot.read_all([path for path in _paths(snapshot) if names.folder(path) in chosen])
    found = []
    problems = {path: why for path, why in snapshot.refused.items() if names.folder(path) in chosen}
    for path, data in contents.items():
        try:
            found.append(_take(path, data))
        except TrinityError as error:
            problems[path] = error.message
    return found, problems


def put(path: str | None, record: Record, operation: str) -> Edits:
    """The edits that leave `record` where its state belongs, moved from `path` (None: it is new)."""
    written = record | {"operation": operation}
    schema.validate("handoff", written, f"handoff {record['id']}")
    if problems := _of_parts(written):
        raise BadRecord(f"handoff {record['id']}", problems)
    name = names.handoff_file(written) if path is None else names.base(path)
    target = FOLDERS[written["state"]] + name
    edits: dict[str, bytes | None] = {target: files.dump_json(written)}
    if path not in (None, target):
        edits[str(path)] = None
    return edits


def _paths(tree: Tree) -> list[str]:
    return [
        path
        for folder in (names.HANDOFF, names.DEAD)
        for path in tree.paths(folder)
        if names.base(path).startswith("handoff_")
    ]


def _of_parts(record: Record) -> list[str]:
    """What is wrong with the parts a record names: where they lie is made from its id, never taken from it."""
    parts = record.get("parts")
    if parts is None or (
        names.parts_of(parts["ref"]) == (record["id"], parts["epoch"]) and parts["epoch"] <= record["epoch"]
    ):
        return []
    return [f"the parts at '{parts['ref']}' are not its own"]


def _take(path: str, data: bytes) -> Found:
    record = schema.read("handoff", data, path)
    record = {"owner": None, "attempts": 0, "hops": 0, "parked_until": None, "chain": {}, **record}
    problems = _of_parts(record)
    if names.has_id(path) and not path.endswith(f"_{record['id']}.json"):
        problems.append(f"the record calls itself {record['id']}")
    if FOLDERS[record["state"]] != names.folder(path):
        problems.append(f"state '{record['state']}' does not belong in {names.folder(path)}")
    if problems:
        raise BadRecord(path, problems)
    return Found(path, record)
