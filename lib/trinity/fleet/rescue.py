"""What any live PC does about handoffs that do not get on: to another PC, or parked where something is left first.

Pure: it proposes operations. Each holds for the epoch it was decided in, so of several PCs that propose the same one acts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trinity import clock
from trinity.fleet import operations
from trinity.fleet.choice import Choice, choose
from trinity.fleet.lease import Overdue

Record = dict[str, Any]


@dataclass(frozen=True)
class Rescue:
    """`operation` None: nobody can take it now. `text` says so to a person."""

    operation: Record | None
    text: str
    choice: Choice


def propose(
    me: str,
    fleet: Record,
    heartbeats: Mapping[str, Record],
    late: Overdue,
    silent: Mapping[str, float],
    now: float,
    spent: Mapping[str, float] | None = None,
) -> Rescue:
    """What `me` does about an overdue handoff."""
    record = late.record
    if late.crash:
        return _taken_over(me, fleet, heartbeats, late, silent, now)
    source = whose(record)
    choice = choose(
        fleet, heartbeats, source, record, now, silent=silent, spent=spent, without={record["to_pc"]} - {source}
    )
    to_pc = choice.to_pc
    if to_pc is None and choice.likeliest == source and choice.until is not None and choice.until <= now:
        to_pc = source  # its own limit is over by now
    about = f"handoff {record['id']}: {late.why}"
    if to_pc is not None and to_pc != record["to_pc"]:
        return Rescue(operations.reroute(me, record["id"], to_pc, record["epoch"]), f"{about}; to {to_pc}", choice)
    if choice.until is not None and choice.until > now:
        until = clock.iso(choice.until)
        parked = operations.park(me, record["id"], until, choice.likeliest, record["epoch"])
        return Rescue(parked, f"{about}; parked for {choice.likeliest} until {clock.local(choice.until)}", choice)
    return Rescue(None, f"{about}; nobody else can take it", choice)


def _taken_over(
    me: str,
    fleet: Record,
    heartbeats: Mapping[str, Record],
    late: Overdue,
    silent: Mapping[str, float],
    now: float,
) -> Rescue:
    record = late.record
    choice = choose(fleet, heartbeats, record["owner"], record, now, silent=silent, crash=True)
    about = f"handoff {record['id']}: {late.why}"
    if choice.to_pc is None:
        return Rescue(None, f"{about}; nobody can take it over", choice)
    made = operations.takeover(me, record["id"], record["epoch"], choice.to_pc, late.why)
    return Rescue(made, f"{about}; {choice.to_pc} takes it over", choice)


def whose(record: Record) -> str:
    """The PC on which a handoff was last worked on: its account is the one that stopped."""
    visited = record.get("visits") or []
    return str(visited[-1]["pc"] if visited else record["from_pc"])
