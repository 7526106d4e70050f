"""The transitions themselves: what each operation does to the records of one state, or why it does not.

Pure: the same tree and the same operation give the same answer, whoever asks and however often. Nothing reads a clock;
times come with the operation. A record that cannot be read refuses the operation on it and nothing else.
"""

from __future__ import annotations

from typing import Any

from trinity import clock
from trinity.fleet import handoffs, names, visits, wakes
from trinity.fleet.handoffs import Found
from trinity.fleet.snapshot import Edits, Refusal, Tree

MAX_ATTEMPTS = 3
WAITING = ("queued", "parked")
HELD = ("claimed", "running")

Operation = dict[str, Any]


def create(tree: Tree, operation: Operation) -> Edits | Refusal:
    record = operation["record"]
    known = handoffs.find(tree, record["id"])
    if isinstance(known, Found) or any(path.endswith(f"_{record['id']}.json") for path in tree.paths()):
        return Refusal(f"handoff {record['id']} exists already")
    if record["state"] not in WAITING:
        return Refusal(f"a new handoff cannot be {record['state']}")
    chain = dict(record.get("chain") or {})
    if "pushed" in operation:
        chain["pushed"] = operation["pushed"]
    edits = handoffs.put(None, {**record, "chain": chain, "owner": None}, operation["id"])
    return {**edits, **wakes.wake_for(record, operation)} if operation["wake"] else edits


def park(tree: Tree, operation: Operation) -> Edits | Refusal:
    found = in_state(tree, operation, *WAITING)
    if isinstance(found, Refusal):
        return found
    if operation["until"] is None:
        return Refusal("a handoff is parked until a time")
    if not same_epoch(found, operation):
        return older(found, operation)
    news = {"state": "parked", "parked_until": operation["until"], **free(found.record)}
    if operation["to_pc"]:
        news["to_pc"] = operation["to_pc"]
    return put_back(found, operation, **news)


def wake(tree: Tree, operation: Operation) -> Edits | Refusal:
    found = in_state(tree, operation, "parked")
    if isinstance(found, Refusal):
        return found
    if not _due(found.record, operation):
        return Refusal(
            f"handoff {found.record['id']} is parked until {found.record['parked_until'] or 'it is given a time'}"
        )
    edits = put_back(found, operation, state="queued", parked_until=None)
    return {**edits, **wakes.wake_for(found.record, operation)}


def claim(tree: Tree, operation: Operation) -> Edits | Refusal:
    found = in_state(tree, operation, *WAITING)
    if isinstance(found, Refusal):
        return found
    record, pc = found.record, operation["pc"]
    if record["state"] == "parked" and not _due(record, operation):
        return _not_yet(found)
    if record["to_pc"] != pc and not operation["anyone"]:
        return Refusal(f"handoff {record['id']} is meant for {record['to_pc']}")
    if record["attempts"] >= MAX_ATTEMPTS:
        why = f"gave up after {record['attempts']} attempts"
        return put_back(found, operation, state="dead", parked_until=None, outcome=why)
    chain = {**record["chain"], "claimed": operation["time"]}
    if operation["seen"]:
        chain["seen"] = operation["seen"]
    edits = put_back(
        found,
        operation,
        state="claimed",
        owner=pc,
        epoch=record["epoch"] + 1,
        attempts=record["attempts"] + 1,
        parked_until=None,
        chain=chain,
        visits=visits.begun(record, pc, operation["time"]),
        **free(record),
    )
    waiting = wakes.waiting_for(tree, pc)
    # A wake for another handoff still has to be followed; without an id it stood for whatever there is.
    if waiting and waiting.get("handoff_id") in (None, record["id"]):
        edits = {**edits, **wakes.archive(tree, operation, waiting, processed=True)}
    return edits


def running(tree: Tree, operation: Operation) -> Edits | Refusal:
    found = held(tree, operation)
    if isinstance(found, Refusal):
        return found
    # Attempts are those of one start: a session that answered was started well.
    attempts = 0 if "first_line" in operation["chain"] else found.record["attempts"]
    chain = {**found.record["chain"], **operation["chain"]}
    return put_back(found, operation, state="running", attempts=attempts, chain=chain)


def release(tree: Tree, operation: Operation) -> Edits | Refusal:
    found = held(tree, operation)
    if isinstance(found, Refusal):
        return found
    until = operation["until"]
    return put_back(
        found,
        operation,
        state="parked" if until else "queued",
        parked_until=until,
        owner=None,
        outcome=operation["reason"][:1000] or None,
    )


def withdraw(tree: Tree, operation: Operation) -> Edits | Refusal:
    found = in_state(tree, operation, *WAITING)
    if isinstance(found, Refusal):
        return found
    if found.record["epoch"] != operation["epoch"]:
        return older(found, operation)
    return put_back(found, operation, state="done", parked_until=None, outcome=operation["outcome"][:1000])


def bury(tree: Tree, operation: Operation) -> Edits | Refusal:
    found = in_state(tree, operation, *WAITING, *HELD)
    if isinstance(found, Refusal):
        return found
    if not same_epoch(found, operation):
        return older(found, operation)
    return put_back(
        found,
        operation,
        state="dead",
        owner=None,
        parked_until=None,
        epoch=found.record["epoch"] + 1,
        outcome=operation["reason"][:1000],
    )


def bury_file(tree: Tree, operation: Operation) -> Edits | Refusal:
    path = operation["path"]
    target = names.DEAD + names.base(path)
    if path not in tree.paths(path) or path == target:
        return Refusal(f"there is no '{path}' to bury")
    if target in tree.paths(target):
        return Refusal(f"'{target}' exists already")
    return {path: None, target: tree.read(path)}


def in_state(tree: Tree, operation: Operation, *states: str) -> Found | Refusal:
    """The handoff of an operation when it is in one of these states, or the reason against it."""
    found = handoffs.find(tree, operation["handoff_id"])
    if isinstance(found, Found) and found.record["state"] not in states:
        by = f" by {found.record['owner']}" if found.record["owner"] else ""
        return Refusal(f"handoff {found.record['id']} is {found.record['state']}{by}")
    return found


def held(tree: Tree, operation: Operation) -> Found | Refusal:
    """The handoff of an operation when the operation's PC holds it in the operation's epoch, or why not."""
    found = in_state(tree, operation, *HELD)
    if isinstance(found, Found):
        if found.record["owner"] != operation["pc"]:
            return Refusal(f"handoff {found.record['id']} is held by {found.record['owner']}")
        if found.record["epoch"] != operation["epoch"]:
            return older(found, operation)
    return found


def _not_yet(found: Found) -> Refusal:
    until = found.record["parked_until"] or "it is given a time"
    return Refusal(f"handoff {found.record['id']} is parked until {until}")


def same_epoch(found: Found, operation: Operation) -> bool:
    """Was an operation that says when it was decided, decided in the epoch of now?"""
    return operation.get("decided_in") in (None, found.record["epoch"])


def older(found: Found, operation: Operation) -> Refusal:
    """The refusal of an operation that was decided in another epoch."""
    epoch = operation.get("epoch", operation.get("decided_in"))
    return Refusal(f"handoff {found.record['id']} is in epoch {found.record['epoch']}, not {epoch}")


def put_back(found: Found, operation: Operation, **news: object) -> Edits:
    """The edits that write the record with its news."""
    return handoffs.put(found.path, {**found.record, **news}, operation["id"])


def free(record: dict[str, Any]) -> dict[str, Any]:
    """The news that no person is waited for any longer."""
    return {"held": None} if record.get("held") else {}


def _due(record: dict[str, Any], operation: Operation) -> bool:
    # Without a time it waits until somebody gives it one: a success was seen, or a person says so.
    until = record["parked_until"]
    return until is not None and clock.parse(until) <= clock.parse(operation["time"])
