"""Switching on a PC that work waits for and that says nothing, by the ways its fleet entry and this PC's configuration name.

Only while the work waits for its acceptance: after that it is moved on, and a PC that did not wake up is left alone.
"""

from __future__ import annotations

from collections.abc import Mapping

from trinity import program
from trinity.errors import Busy, TrinityError
from trinity.fleet import heartbeats, lease, waking
from trinity.fleet.snapshot import Snapshot
from trinity.relay.link import Link, Record

# A PC that beats every minute has then missed two.
_MISSED = 2.0


def for_sent(link: Link, snapshot: Snapshot, pc: str) -> None:
    """Work was sent to `pc` just now: switch it on if it is silent. Nothing here fails the sending."""
    fleet = link.fleet(snapshot)
    if fleet is None or pc == link.config.pc or not waking.can_rouse(fleet, pc, link.config.wake_command):
        return
    try:
        beats, _ = heartbeats.read_all(link.state)
    except Busy:
        return
    silent = lease.silence(link.home, heartbeats.marks(link.state))
    _rouse(link, fleet, pc, silent.get(pc) if pc in beats else None)


def for_waiting(
    link: Link, fleet: Record, records: list[Record], silent: Mapping[str, float], waited: Mapping[str, float]
) -> None:
    """Switch on the silent PCs for which handoffs wait, as long as these have not waited too long. Who sent one did so
    already: it is done again when it was seen to wait."""
    wanted = {r["to_pc"] for r in records if 0 < waited.get(r["id"], 0.0) < lease.ACCEPT_SECONDS}
    for pc in sorted(wanted - {link.config.pc}):
        _rouse(link, fleet, pc, silent.get(pc))


def _rouse(link: Link, fleet: Record, pc: str, silent: float | None) -> None:
    """`silent`: None for one that was never heard of."""
    if silent is not None and silent < _MISSED * lease.heartbeat_seconds(len(fleet["rotation"])):
        return
    try:
        for done in waking.rouse(link.home, fleet, pc, list(link.config.wake_command)):
            program.log(link.home, "fleet", f"{pc} is silent: {done}")
    except TrinityError as error:
        program.log(link.home, "fleet", f"{pc} is silent, and was not woken: {error.message}")
