"""What a holder says about the work it has: new parts, a limit again, done. Pure, like `transitions`.

Each names parts that the remote already has (R6) and holds only for the same owner and epoch: what another PC has taken
over can no longer be published. A set of parts that is older than the one the record names is not taken back.
"""

from __future__ import annotations

from typing import Any

from trinity.fleet import handoffs, transitions, visits
from trinity.fleet.snapshot import Edits, Refusal, Tree

Operation = dict[str, Any]


def publish(tree: Tree, operation: Operation) -> Edits | Refusal:
    found = transitions.held(tree, operation)
    if isinstance(found, Refusal):
        return found
    if found.record["state"] != "running":
        return Refusal(f"handoff {found.record['id']} is {found.record['state']}, not running yet")
    news = told(found.record, operation)
    return news if isinstance(news, Refusal) else transitions.put_back(found, operation, **news)


def done(tree: Tree, operation: Operation) -> Edits | Refusal:
    said = _held_and_told(tree, operation)
    if isinstance(said, Refusal):
        return said
    found, news = said
    return transitions.put_back(found, operation, **news, state="done", outcome=operation["outcome"][:1000])


def repark(tree: Tree, operation: Operation) -> Edits | Refusal:
    said = _held_and_told(tree, operation)
    if isinstance(said, Refusal):
        return said
    found, news = said
    # Refused by a limit, or waiting for a person: neither says that this work cannot be started.
    return transitions.put_back(
        found,
        operation,
        **news,
        state="parked",
        attempts=0,
        parked_until=operation["until"],
        owner=None,
        outcome=operation["reason"][:1000] or None,
        visits=visits.ended(found.record, operation["pc"], operation["until"]),
    )


def _held_and_told(tree: Tree, operation: Operation) -> tuple[handoffs.Found, dict[str, Any]] | Refusal:
    """The handoff, held by this owner in this epoch, and what is said anew about it."""
    found = transitions.held(tree, operation)
    if isinstance(found, Refusal):
        return found
    news = told(found.record, operation)
    return news if isinstance(news, Refusal) else (found, news)


def told(record: handoffs.Record, operation: Operation) -> dict[str, Any] | Refusal:
    """What an operation says anew about a handoff, its parts among it."""
    news = dict(operation.get("news") or {})
    parts = operation.get("parts")
    if parts is None:
        return news
    known = record.get("parts") or {"epoch": -1}
    if parts["epoch"] != record["epoch"]:
        return Refusal(f"parts of epoch {parts['epoch']} do not belong to epoch {record['epoch']} of {record['id']}")
    if known["epoch"] == parts["epoch"] and known.get("number", 0) > parts["number"]:
        return Refusal(f"handoff {record['id']} has newer parts, number {known['number']}, not {parts['number']}")
    return {**news, "parts": parts}
