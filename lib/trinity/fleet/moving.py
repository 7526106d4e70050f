"""How a handoff gets from one PC to another: by its holder, by others when nobody takes it, by a person. Pure, like
`transitions`.

Every move is a new epoch: whoever had the handoff, or was to have it, can no longer change it. Moves without a person are
counted, and end when the handoff has gone round the fleet twice: then it only goes back to where it was stopped.
"""

from __future__ import annotations

from typing import Any

from trinity.fleet import handoffs, publishing, rotation, transitions, visits, wakes
from trinity.fleet.snapshot import Edits, Refusal, Tree
from trinity.fleet.transitions import HELD, WAITING

Operation = dict[str, Any]


def reroute(tree: Tree, operation: Operation) -> Edits | Refusal:
    found = transitions.in_state(tree, operation, *WAITING)
    if isinstance(found, Refusal):
        return found
    record = found.record
    if not transitions.same_epoch(found, operation):
        return transitions.older(found, operation)
    if operation["to_pc"] in (None, record["to_pc"]):
        return Refusal(f"handoff {record['id']} is meant for {record['to_pc']} already")
    news: dict[str, Any] = {"state": record["state"]}
    if operation.get("reason"):
        news |= {"state": "queued", "parked_until": None, "outcome": operation["reason"][:1000]}
    return _move(tree, found, operation, news | _parked(operation))


def pass_on(tree: Tree, operation: Operation) -> Edits | Refusal:
    found = transitions.held(tree, operation)
    if isinstance(found, Refusal):
        return found
    news = publishing.told(found.record, operation)
    if isinstance(news, Refusal):
        return news
    if operation["to_pc"] in (None, operation["pc"]):
        return Refusal(f"handoff {found.record['id']} is on {operation['pc']} already")
    visited = visits.ended(found.record, operation["pc"], operation["until"])
    outcome = operation["reason"][:1000] or None
    moved = {**news, "state": "queued", "attempts": 0, "visits": visited, "outcome": outcome}
    return _move(tree, found, operation, moved | _parked(operation))


def takeover(tree: Tree, operation: Operation) -> Edits | Refusal:
    found = transitions.in_state(tree, operation, *HELD)
    if isinstance(found, Refusal):
        return found
    record = found.record
    if record["epoch"] != operation["epoch"]:
        return transitions.older(found, operation)
    if record.get("takeover") == "manual":
        return Refusal(f"handoff {record['id']} may only be taken over by a person")
    if operation["to_pc"] in (None, record["owner"]):
        return Refusal(f"handoff {record['id']} is held by {record['owner']} already")
    outcome = operation["reason"][:1000] or None
    return _move(tree, found, operation, {"state": "queued", "outcome": outcome} | _parked(operation))


def requeue(tree: Tree, operation: Operation) -> Edits | Refusal:
    found = transitions.in_state(tree, operation, *WAITING, *HELD, "dead")
    if isinstance(found, Refusal):
        return found
    if not transitions.same_epoch(found, operation):
        return transitions.older(found, operation)
    news = {
        "state": "queued",
        "owner": None,
        "attempts": 0,
        "hops": 0,
        "parked_until": None,
        "outcome": None,
        "epoch": found.record["epoch"] + 1,
        "to_pc": operation["to_pc"] or found.record["to_pc"],
        **transitions.free(found.record),
    }
    return {**transitions.put_back(found, operation, **news), **wakes.wake_for({**found.record, **news}, operation)}


def recall(tree: Tree, operation: Operation) -> Edits | Refusal:
    found = transitions.in_state(tree, operation, *WAITING, *HELD)
    if isinstance(found, Refusal):
        return found
    record = found.record
    if record["epoch"] != operation["epoch"]:
        return transitions.older(found, operation)
    # Without a limit and a time nothing starts it: it waits for the person who asked for it.
    return transitions.put_back(
        found,
        operation,
        state="parked",
        parked_until=None,
        limit=None,
        owner=None,
        attempts=0,
        to_pc=operation["pc"],
        epoch=record["epoch"] + 1,
        outcome=operation["reason"][:1000] or None,
        **transitions.free(record),
    )


def hold(tree: Tree, operation: Operation) -> Edits | Refusal:
    found = transitions.in_state(tree, operation, *WAITING)
    if isinstance(found, Refusal):
        return found
    record = found.record
    if record["epoch"] != operation["epoch"]:
        return transitions.older(found, operation)
    if record["to_pc"] != operation["pc"]:
        return Refusal(f"handoff {record['id']} is meant for {record['to_pc']}")
    held = {"pc": operation["pc"], "why": operation["reason"][:300], "reasons": operation.get("reasons") or []}
    before = record.get("held") or {}
    if all(before.get(name) == value for name, value in held.items()):
        return {}
    since = before["since"] if before.get("pc") == held["pc"] and before.get("since") else operation["time"]
    return transitions.put_back(found, operation, held={**held, "since": since})


def _parked(operation: Operation) -> dict[str, Any]:
    """The news that it waits at its new PC until a time, if it does."""
    until = operation.get("parked_until")
    return {"state": "parked", "parked_until": until} if until else {}


def _move(tree: Tree, found: handoffs.Found, operation: Operation, news: dict[str, Any]) -> Edits:
    record = found.record
    moved = {**news, "owner": None, "epoch": record["epoch"] + 1, "hops": record["hops"] + 1}
    moved |= transitions.free(record)
    # Back to where it was stopped, or began, is always possible: there it waits for its reset, or for a person.
    home = operation["to_pc"] in (visits.last_pc(record), record["from_pc"])
    if moved["hops"] > 2 * rotation.size(tree) + home:
        moved |= {"state": "dead", "parked_until": None, "outcome": f"gave up after {record['hops']} hops"}
        return transitions.put_back(found, operation, **moved)
    moved["to_pc"] = operation["to_pc"]
    edits = transitions.put_back(found, operation, **moved)
    return {**edits, **wakes.wake_for({**record, **moved}, operation)} if moved["state"] == "queued" else edits
