"""The witness of the fleet's tests: what the history of the state ref itself says."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LEGAL = {
    (None, "queued"),
    (None, "parked"),
    ("queued", "parked"),
    ("queued", "claimed"),
    ("queued", "done"),
    ("queued", "dead"),
    ("queued", "queued"),
    ("parked", "parked"),
    ("parked", "queued"),
    ("parked", "claimed"),
    ("parked", "done"),
    ("parked", "dead"),
    ("claimed", "running"),
    ("claimed", "queued"),
    ("claimed", "parked"),
    ("claimed", "done"),
    ("claimed", "dead"),
    ("running", "running"),
    ("running", "queued"),
    ("running", "parked"),
    ("running", "done"),
    ("running", "dead"),
    ("dead", "queued"),
}


@dataclass
class History:
    """Every change in order: its operations, and each handoff's records one after the other."""

    operations: list[str] = field(default_factory=list)
    records: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def claims(self) -> list[tuple[str, int, str]]:
        """(handoff, epoch, owner) of every claim."""
        return [
            (handoff_id, record["epoch"], record["owner"])
            for handoff_id, records in self.records.items()
            for record in records
            if record["state"] == "claimed"
        ]


def git(repository: Path, *arguments: str, stdin: bytes | None = None) -> bytes:
    command = ["git", "-C", str(repository), *arguments]
    return subprocess.run(command, input=stdin, stdout=subprocess.PIPE, check=True).stdout


def read(repository: Path) -> History:
    """The history of the state ref; asserts that it is linear, every transition legal, each operation there once."""
    form = "--format=@%H %P|%(trailers:key=Operation,valueonly,separator=%x2C)"
    arguments = ("log", "--reverse", "--raw", "--no-abbrev", "--root", "-r", "--no-renames", form, "trinity-state")
    history = History()
    before: str | None = None
    for commit, parents, operation, changed in _commits(git(repository, *arguments).decode()):
        assert parents == ([before] if before else []), f"{commit} does not continue {before}"
        before = commit
        assert operation not in history.operations, f"{operation} counted twice"
        history.operations.append(operation)
        for path, oid in changed:
            if path.startswith(("handoff/", "dead/")) and set(oid) != {"0"}:
                _follow(history, json.loads(git(repository, "cat-file", "blob", oid)))
    return history


def _commits(log: str) -> Iterator[tuple[str, list[str], str, list[tuple[str, str]]]]:
    for block in log.split("@")[1:]:
        head, *lines = block.strip().splitlines()
        names, _, operation = head.partition("|")
        commit, *parents = names.split()
        changed = [(line.split("\t")[1], line.split()[3]) for line in lines if line.startswith(":")]
        yield commit, parents, operation, changed


def _follow(history: History, record: dict[str, Any]) -> None:
    earlier = history.records.setdefault(record["id"], [])
    old = earlier[-1] if earlier else None
    step = (old["state"] if old else None, record["state"])
    assert step in LEGAL, f"{record['id']}: {step}"
    if old:
        grown = record["epoch"] - old["epoch"]
        assert grown in (0, 1)
        assert grown == 1 or record["state"] != "claimed", "a claim without a new epoch"
    earlier.append(record)
