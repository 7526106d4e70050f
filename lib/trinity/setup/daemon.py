"""The daemon of a state folder as a process: whether it runs, and how it is ended before its code or its home changes."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from trinity import locks
from trinity.errors import Busy, TrinityError
from trinity.home import Home

_PROGRAM = "credit_monitor.py"
_SECONDS = 15.0


def lock(home: Home) -> Path:
    """What the daemon holds while it lives."""
    return home.locks / "monitor.lock"


def runs(home: Home) -> bool:
    """Does the daemon of this state folder run?"""
    if not lock(home).parent.is_dir():
        return False
    try:
        with locks.hold_inherited(lock(home), timeout=0):
            return False
    except Busy:
        return True


def stop(home: Home) -> bool:
    """End the daemon; True when one ran. Raises TrinityError when it does not end, or is not known for certain."""
    if not runs(home):
        return False
    pid = _holder(home)
    if pid is None:
        raise TrinityError(f"the daemon of '{home.root}' runs, and it is unknown as which process", f"end {_PROGRAM}")
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _SECONDS
    while runs(home):
        if time.monotonic() > deadline:
            raise TrinityError(f"the daemon, process {pid}, does not end", f"kill -9 {pid}, then again")
        time.sleep(0.05)
    return True


def _holder(home: Home) -> int | None:
    """The process that signed the lock, when it is the daemon: a number alone may belong to anybody by now."""
    try:
        pid = int(lock(home).with_suffix(".holder").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    try:
        import psutil

        words = psutil.Process(pid).cmdline()
    except ImportError:
        words = _words(pid)
    except Exception:  # psutil's errors have no common base with ours: ended, or of another user
        return None
    return pid if any(Path(word).name == _PROGRAM for word in words) else None


def _words(pid: int) -> list[str]:
    # an uninstall must work without the environment: Linux tells without psutil, elsewhere nobody is ended by guess
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")
    except OSError:
        return []
