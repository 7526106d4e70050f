"""Locks between processes.

`hold` serves every local read-modify-write (filelock: a kernel lock on a separate file that is never deleted).
`hold_inherited` is for the state clone and the daemon: git's children inherit it, so it is free only when the
last orphan of a killed parent is gone. Both write the holder's process id into the file, so that a waiting process can
say whether the holder lives.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trinity.errors import Busy

_STEP = 0.02


@contextmanager
def hold(path: Path, timeout: float = 10) -> Iterator[None]:
    """Hold `path` for the block; raises Busy after `timeout` seconds, naming the holder."""
    from filelock import FileLock, Timeout

    lock = FileLock(path, timeout=timeout, mode=0o600)
    try:
        lock.acquire()
    except Timeout:
        raise Busy(_held(path), "try again in a moment") from None
    try:
        _sign(path)
        yield
    finally:
        lock.release()


def _sign(path: Path) -> None:
    # Beside the lock, not in it: Windows refuses to read a locked file.
    try:
        path.with_suffix(".holder").write_text(f"{os.getpid()}\n", encoding="utf-8", newline="\n")
    except OSError:
        pass  # only a better message is lost


def _held(path: Path) -> str:
    try:
        pid = int(path.with_suffix(".holder").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return f"'{path}' is held by a process unknown"
    state = "live" if alive(pid) else "dead (its children still hold it)"
    return f"'{path}' is held by process {pid}, {state}"


if sys.platform == "win32":
    import ctypes
    import msvcrt

    def alive(pid: int) -> bool:
        """Does a process with this id run?"""
        handle = ctypes.windll.kernel32.OpenProcess(0x1000, False, pid)  # PROCESS_QUERY_LIMITED_INFORMATION
        if not handle:
            return False
        ctypes.windll.kernel32.CloseHandle(handle)
        return True

    def _try_lock(handle: int) -> bool:
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _inherit(handle: int) -> None:
        os.set_handle_inheritable(msvcrt.get_osfhandle(handle), True)
else:
    import fcntl

    def alive(pid: int) -> bool:
        """Does a process with this id run?"""
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True

    def _try_lock(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _inherit(handle: int) -> None:
        os.set_inheritable(handle, True)


@contextmanager
def hold_inherited(path: Path, timeout: float = 10) -> Iterator[int]:
    """Hold `path` by a kernel lock; yields the descriptor to pass to children (`pass_fds`); raises Busy."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        deadline = time.monotonic() + timeout
        while not _try_lock(handle):
            if time.monotonic() > deadline:
                raise Busy(_held(path), "try again in a moment")
            time.sleep(_STEP)
        _inherit(handle)
        _sign(path)
        yield handle
    finally:
        os.close(handle)
