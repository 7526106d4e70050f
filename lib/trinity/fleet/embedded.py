"""The embedded fleet remote: a bare repository in `TRINITY_HOME` for a PC that has no other.

It is a server that loses nothing it acknowledged. A killed `receive-pack` leaves `<ref>.lock` behind for ever (14 of
427 kill points); on this own repository, and on no other, `sweep` may remove it.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from trinity import files, git
from trinity.home import Home

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

    To be called by the holder of the state clone's lock, so no push of this PC is under way, nor another sweep. A lock
    is stale when besides it is older than any transaction lasts and no process has the repository as its folder:
    `receive-pack` works inside the repository from its first step to its last, also while it is stopped.
    """
    waiting = [*home.remote.glob("*.lock"), *(home.remote / "refs").rglob("*.lock")]
    now = time.time()
    stale = [path for path in waiting if _age(path, now) > _STALE_AFTER]
    if not stale or _in_use(home.remote):
        return []
    for path in stale:
        path.unlink(missing_ok=True)
    return stale


def _age(path: Path, now: float) -> float:
    try:
        # A lock from the future was written before the clock was set back.
        return abs(now - path.stat().st_mtime)
    except FileNotFoundError:
        return 0.0


def _in_use(folder: Path) -> bool:
    import psutil

    inside = os.path.realpath(folder)
    for process in psutil.process_iter():
        try:
            if os.path.realpath(process.cwd()).startswith(inside):
                return True
        except (psutil.Error, OSError):
            continue  # ended, or of another user, who cannot enter this folder (0700)
    return False
