"""Who belongs to the fleet, and in which order work goes round: PC1 → PC2 → PC3 → PC1."""

from __future__ import annotations

from typing import Any

from trinity import files, schema
from trinity.errors import TrinityError
from trinity.fleet import names
from trinity.fleet.snapshot import Edits, Refusal, Tree

Operation = dict[str, Any]


def next_pc(rotation: list[str], pc: str) -> str:
    """The PC after `pc`; the first for one that is not in the rotation; itself when it is alone."""
    others = [other for other in rotation if other != pc]
    if not others:
        return pc
    if pc not in rotation:
        return others[0]
    return rotation[(rotation.index(pc) + 1) % len(rotation)]


def put_fleet(tree: Tree, operation: Operation) -> Edits | Refusal:
    """Merge a document into the fleet's: what two PCs say at the same time is kept of both."""
    new = operation["record"]
    fleet = read(tree)
    if isinstance(fleet, Refusal):
        return fleet
    if fleet is None:
        merged = dict(new)
    else:
        merged = {**fleet, **new, "salt": fleet["salt"], "pcs": {**fleet["pcs"], **new["pcs"]}}
        if not set(fleet["rotation"]) <= set(new["rotation"]):
            # Written by a PC that does not know the others, or not yet: its order says nothing about theirs.
            merged["rotation"] = fleet["rotation"] + [pc for pc in new["rotation"] if pc not in fleet["rotation"]]
        if {**merged, "operation": None} == {**fleet, "operation": None}:
            return {}
    merged["operation"] = operation["id"]
    schema.validate("fleet", merged, names.FLEET)
    return {names.FLEET: files.dump_json(merged)}


def read(tree: Tree) -> dict[str, Any] | Refusal | None:
    """The fleet document of a state; None when there is none, a Refusal when it cannot be read."""
    if names.FLEET not in tree.paths(names.FLEET):
        return None
    try:
        return schema.read("fleet", tree.read(names.FLEET), names.FLEET)
    except TrinityError as error:
        return Refusal(error.message)


def size(tree: Tree) -> int:
    """How many PCs the rotation has."""
    fleet = read(tree)
    return len(fleet["rotation"]) if isinstance(fleet, dict) else 1
