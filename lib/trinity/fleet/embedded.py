"""The embedded fleet remote: a bare repository in `TRINITY_HOME` for a PC that has no other.

It is a server that loses nothing it acknowledged. A killed `receive-pack` leaves `<ref>.lock` behind for ever (14 of
427 kill points); on this own repository, and on no other, `sweep` may remove it.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from trinity import files, git
from trinity.errors import BadRecord
from trinity.home import Home

# Never packed, it would grow by six files a change, each of a block of the disk.
_PACK_AFTER = 86400.0
_LOOSE = 100
_PACK_SECONDS = 300.0
# git itself gives a ref's lock up after core.filesRefLockTimeout (2000 ms); a live transaction takes milliseconds.
_STALE_AFTER = 2.0


def make(home: Home) -> Path:
    """The embedded remote of `home`, made when it is missing; returns its path, which is its URL."""
    if not (home.remote / "HEAD").exists():
        fresh = home.remote.with_name(f"{home.remote.name}.{os.getpid()}.new")
        git.init_bare(fresh, server=True)
        for path in fresh.rglob("*"):
            if path.is_file():
                with path.open("rb+") as stream:
                    os.fsync(stream.fileno())
        try:
            fresh.rename(home.remote)  # whole or not at all
        except OSError:
            if not (home.remote / "HEAD").exists():
                raise
        files.sync_folder(home.root)
    return home.remote


def sweep(home: Home) -> list[Path]:
    """Remove ref locks in the embedded remote that provably nobody holds; returns them.

    To be called by the holder of the state clone's lock, so that no other sweep is under way. `receive-pack` works with
    the repository as its folder from its first step to its last: who holds a lock is among the processes that were
    inside when the lock was first seen. When all of those are gone and it is still the same lock, nobody holds it.
    Those that came later only wait for it. The age is for a holder on another machine, whose processes are not seen.
    """
    memory = home.locks / "remote_locks.json"
    waiting = [*home.remote.glob("*.lock"), *(home.remote / "refs").rglob("*.lock")]
    if not waiting:
        return []
    locks = {path: mark for path in waiting if (mark := _mark(path))}
    inside = _inside(home.remote)
    known = _remembered(memory)
    suspects = {}
    removed = []
    for path, mark in locks.items():
        suspects[mark] = [pid for pid in known.get(mark, inside) if pid in inside]
        old = abs(time.time() - path.stat().st_mtime) > _STALE_AFTER if path.exists() else False
        # Looked at again: only what is still the same lock was held by one of the suspects.
        if old and not suspects[mark] and _mark(path) == mark:
            path.unlink(missing_ok=True)
            removed.append(path)
    files.write_json(memory, suspects)
    return removed


def due(home: Home) -> bool:
    """Has a day passed since the embedded remote was packed last?"""
    try:
        return abs(time.time() - _packed(home).stat().st_mtime) >= _PACK_AFTER
    except FileNotFoundError:
        return home.remote.exists()


def compact(home: Home) -> bool:
    """Pack what lies loose in the embedded remote; was there enough to do it?

    To be called by the holder of the state clone's lock. Parts may be pushed meanwhile: git keeps for two weeks what no
    ref names yet. Killed at any moment it leaves the repository whole; what it had begun is removed by a later one.
    """
    sweep(home)
    repository = git.Repository(home.remote, _PACK_SECONDS, bare=True)
    counted = dict(line.split(": ", 1) for line in repository.run("count-objects", "-v").decode().splitlines())
    enough = int(counted["count"]) >= _LOOSE
    if enough:
        # What a killed one left says that it still runs; whoever holds the lock knows better.
        repository.run("gc", "--quiet", "--force")
    # Last, so that one that was cut off is repeated.
    files.write_atomic(_packed(home), b"")
    return enough


def _packed(home: Home) -> Path:
    return home.locks / "remote_packed"


def _mark(path: Path) -> str:
    """What tells one lock from another at the same path; empty when there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return ""
    return f"{path.name} {found.st_ino} {found.st_mtime_ns}"


def _remembered(memory: Path) -> dict[str, list[int]]:
    try:
        known = files.read_or(memory, dict)
    except BadRecord:
        return {}  # the suspects of now are more, not fewer
    return known if isinstance(known, dict) else {}


def _inside(folder: Path) -> list[int]:
    import psutil

    top = os.path.realpath(folder)
    found = []
    for process in psutil.process_iter():
        try:
            at = os.path.realpath(process.cwd())
        except (psutil.Error, OSError):
            continue  # ended, or of another user, who cannot enter this folder (0700)
        if at == top or at.startswith(top + os.sep):
            found.append(process.pid)
    return found
