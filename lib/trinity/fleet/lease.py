"""Leases without comparing clocks: who is silent for how long, counted on this PC's own clock.

Others: a PC is judged by how long its heartbeat has not changed *while this PC was looking*. Time in which nobody here
looked (this PC slept, or the remote did not answer) counts at most as one look's gap, so that nobody is taken for dead
because we were away. What is counted is never more than the true silence.

Itself: a PC that holds work and has had no successful heartbeat for two thirds of the lease fences itself, so it has stopped
before anybody may take its work over. Its clock counts sleep, and a restart of the system loses the lease.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trinity import clock, files, locks
from trinity.errors import BadRecord
from trinity.home import Home

LEASE_SECONDS = 900.0
FENCE_SECONDS = LEASE_SECONDS * 2 / 3
ACCEPT_SECONDS = 600.0
GAP_SECONDS = 180.0

Clock = Callable[[], float]


def heartbeat_seconds(pcs: int) -> float:
    """How often a PC of a fleet of so many beats: a hosted remote asks for at most six pushes a minute in all."""
    return max(60.0, 20.0 * pcs)


def silence(
    home: Home, marks: Mapping[str, str], about: str = "heartbeats", tick: Clock = clock.boottime
) -> dict[str, float]:
    """For how many seconds each of these marks has been seen unchanged; to be called after each successful fetch.

    `marks`: by PC the commit of its heartbeat (`heartbeats.marks`), or by handoff what it waits for (`waiting`), each
    `about` remembered apart. What is not among them any more is forgotten.
    """
    path = home.root / "silence.json"
    with locks.hold(home.locks / "silence.lock"):
        memory = _read(path)
        known, now = memory.get(about, {}), tick()
        fresh = {name: _look(known.get(name), mark, now) for name, mark in marks.items()}
        files.write_json(path, {**memory, about: fresh})
    return {name: entry["silent"] for name, entry in fresh.items()}


def remembered(home: Home, about: str = "heartbeats") -> dict[str, float]:
    """What `silence` said last, without looking again."""
    known = _read(home.root / "silence.json").get(about)
    entries = known.items() if isinstance(known, dict) else ()
    return {name: float(entry["silent"]) for name, entry in entries if isinstance(entry, dict) and "silent" in entry}


def _look(before: Any, mark: str, now: float) -> dict[str, Any]:
    if not isinstance(before, dict) or before.get("mark") != mark:
        return {"mark": mark, "silent": 0.0, "looked": now}
    # A clock that went back is that of a restarted system.
    passed = min(max(0.0, now - float(before["looked"])), GAP_SECONDS)
    return {"mark": mark, "silent": float(before["silent"]) + passed, "looked": now}


def _read(path: Path) -> dict[str, Any]:
    try:
        memory = files.read_or(path, dict)
    except BadRecord:
        return {}  # counted anew from here: later, never sooner
    return memory if isinstance(memory, dict) else {}


def waiting(records: list[dict[str, Any]], now: float) -> dict[str, str]:
    """The marks of the handoffs that wait for a PC to accept them, or to wake them at the reset they are parked for; those
    kept for a person wait as long as it takes."""
    return {
        record["id"]: f"{record['epoch']} {record['to_pc']} {record.get('parked_until') or ''}".rstrip()
        for record in records
        if _is_due(record, now) and not record.get("held")
    }


def _is_due(record: dict[str, Any], now: float) -> bool:
    until = record.get("parked_until")
    return record["state"] == "queued" or (
        record["state"] == "parked" and until is not None and clock.parse(until) <= now
    )


@dataclass(frozen=True)
class Overdue:
    """A handoff that another PC may move on, and why, in words. `crash`: its holder is gone."""

    record: dict[str, Any]
    why: str
    crash: bool


def overdue(
    records: list[dict[str, Any]], silent: Mapping[str, float], waited: Mapping[str, float], me: str
) -> list[Overdue]:
    """Which handoffs any live PC moves on: not accepted in time, or held by a PC whose lease is over."""
    found = []
    for record in records:
        if record["state"] in ("queued", "parked") and waited.get(record["id"], 0.0) >= ACCEPT_SECONDS:
            minutes = waited[record["id"]] / 60
            found.append(Overdue(record, f"{record['to_pc']} did not accept it within {minutes:.0f} min", False))
        owner = record.get("owner")
        if record["state"] not in ("claimed", "running") or owner in (None, me):
            continue
        if silent.get(owner, 0.0) >= LEASE_SECONDS and record.get("takeover") != "manual":
            found.append(Overdue(record, f"{owner} has been silent for {silent[owner] / 60:.0f} min", True))
    return found


def renew(home: Home, started: float, tick: Clock = clock.boottime) -> None:
    """A heartbeat of this PC succeeded; `started`: the reading of `tick` before it was sent, which others may have
    counted from."""
    document = {"beaten": started, "boot": _boot(), "offset": time.time() - tick()}
    files.write_json(home.root / "lease.json", document)


def remaining(home: Home, tick: Clock = clock.boottime) -> float:
    """Seconds until this PC has to stop accepted work; 0 when it has to now. For work of its own nobody asks this."""
    try:
        lease = files.read_or(home.root / "lease.json", dict)
        beaten, boot, offset = float(lease["beaten"]), str(lease["boot"]), float(lease["offset"])
    except (BadRecord, KeyError, TypeError, ValueError):
        return 0.0
    if boot != _boot() or (not boot and abs(time.time() - tick() - offset) > 60):
        return 0.0
    passed = tick() - beaten
    return 0.0 if passed < 0 else max(0.0, FENCE_SECONDS - passed)


def _boot() -> str:
    """Which start of the system this is; empty where the system has no name for it. There a jump of the wall clock
    against the other one stands for a restart, or for a sleep that the other one did not count."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
