"""Waking a PC that is switched off: a Wake-on-LAN packet, and a command of this PC's own configuration.

A wake in the state tells a PC that runs; this here is for one that sleeps. Both are hints, and bounded: at most five for one
PC in ten minutes, counted here by this PC's own clock, so that no loop of handoffs becomes a storm. The command comes
from `config.json` of this PC, never from the fleet: what the fleet says is not run.
"""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from trinity import clock, files, locks
from trinity.errors import BadRecord, TrinityError, UsageError
from trinity.fleet import names
from trinity.home import Home

MOST = 5
PERIOD_SECONDS = 600.0
PORT = 9
BROADCAST = "255.255.255.255"
_COMMAND_SECONDS = 30.0
_MAC = re.compile(r"[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}")


def may_wake(home: Home, pc: str, tick: Callable[[], float] = clock.boottime) -> bool:
    """Count one wake of a PC; False when that would be too many."""
    names.check_pc(pc)
    path = home.root / "wakes.json"
    with locks.hold(home.locks / "wakes.lock"):
        memory, now = _read(path), tick()
        # A time ahead of the clock is from before a restart of the system.
        recent = [moment for moment in memory.get(pc, []) if 0 <= now - moment < PERIOD_SECONDS]
        if len(recent) >= MOST:
            return False
        files.write_json(path, {**memory, pc: [*recent, now]})
    return True


def _read(path: Path) -> dict[str, list[float]]:
    try:
        memory = files.read_or(path, dict)
    except BadRecord:
        return {}
    if not isinstance(memory, dict):
        return {}
    return {pc: [float(t) for t in moments] for pc, moments in memory.items() if isinstance(moments, list)}


def magic_packet(mac: str) -> bytes:
    """The packet that switches on the network card `mac`: six bytes FF, and its address sixteen times."""
    if _MAC.fullmatch(mac) is None:
        raise UsageError(f"'{mac}' is no MAC address", "such an address is aa:bb:cc:00:11:22")
    return b"\xff" * 6 + bytes.fromhex(re.sub("[:-]", "", mac)) * 16


def send_packet(mac: str, address: str = BROADCAST, port: int = PORT) -> None:
    """Send it by UDP to an address, or to everybody in this network; raises TrinityError."""
    packet = magic_packet(mac)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as sender:
            if family == socket.AF_INET:
                sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            sender.sendto(packet, (address, port))
    except OSError as error:
        raise TrinityError(f"cannot send the wake packet for {mac} to {address}: {error}") from error


def run_command(command: list[str], pc: str) -> None:
    """Run this PC's own wake command, with `{pc}` replaced; raises TrinityError."""
    arguments = [part.replace("{pc}", names.check_pc(pc)) for part in command]
    try:
        done = subprocess.run(
            arguments, stdin=subprocess.DEVNULL, capture_output=True, timeout=_COMMAND_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise TrinityError(f"the wake command '{arguments[0]}' took more than {_COMMAND_SECONDS:g} s") from None
    except OSError as error:
        raise TrinityError(f"cannot run the wake command '{arguments[0]}': {error}") from error
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise TrinityError(f"the wake command '{arguments[0]}' failed with {done.returncode}: {(said or [''])[-1]}")


def can_rouse(fleet: Mapping[str, Any], pc: str, command: Sequence[str]) -> bool:
    """Is there a way to switch this PC on?"""
    return bool(fleet["pcs"].get(pc, {}).get("mac") or command)


def rouse(home: Home, fleet: Mapping[str, Any], pc: str, command: list[str]) -> list[str]:
    """Switch a PC on by what is configured for it; returns what was done, nothing when there is no way or too often."""
    entry = fleet["pcs"].get(pc, {})
    if not can_rouse(fleet, pc, command) or not may_wake(home, pc):
        return []
    done = []
    if entry.get("mac"):
        send_packet(entry["mac"], entry.get("wake_address", BROADCAST), entry.get("wake_port", PORT))
        done.append(f"wake packet to {entry['mac']}")
    if command:
        run_command(command, pc)
        done.append(f"wake command {command[0]}")
    return done
