"""What any live PC does about handoffs that do not get on: to another PC, or parked where something is left first.

Pure: it proposes operations. Each holds for the epoch it was decided in, so of several PCs that propose the same one acts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trinity import clock
from trinity.fleet import operations, visits
from trinity.fleet.choice import Choice, choose
from trinity.fleet.lease import LEASE_SECONDS, Overdue

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
    """What `me` does about an overdue handoff: to another PC, parked for the likeliest, or back to where it was stopped."""
    record = late.record
    source = record["owner"] if late.crash else visits.last_pc(record)
    without = set() if late.crash else {record["to_pc"]} - {source}
    choice = choose(
        fleet, heartbeats, source, record, now, silent=silent, spent=spent, without=without, crash=late.crash
    )
    about = f"handoff {record['id']}: {late.why}"
    if choice.to_pc is not None and choice.to_pc != record["to_pc"]:
        return Rescue(_moved(me, late, choice.to_pc), f"{about}; to {choice.to_pc}", choice)
    if choice.until is not None and choice.until > now:
        until, pc = clock.iso(choice.until), choice.likeliest
        if pc == record["to_pc"] and not late.crash:
            parked = operations.park(me, record["id"], until, pc, record["epoch"])
        else:
            parked = _moved(me, late, pc, until)
        return Rescue(parked, f"{about}; parked for {pc} until {clock.local(choice.until)}", choice)
    if not late.crash and source != record["to_pc"] and silent.get(source, 0.0) < LEASE_SECONDS:
        return Rescue(_moved(me, late, source), f"{about}; back to {source}", choice)
    return Rescue(None, f"{about}; nobody else can take it", choice)


def _moved(me: str, late: Overdue, to_pc: str, parked_until: str | None = None) -> Record:
    record = late.record
    if late.crash:
        return operations.takeover(me, record["id"], record["epoch"], to_pc, late.why, parked_until)
    return operations.reroute(me, record["id"], to_pc, record["epoch"], late.why, parked_until)
