"""Keeping worktrees ready on this PC for work to come: when one is wanted, and the process that makes it.

A round never makes one itself: it looks whether something is due, behind all that moves work, and starts a process of its
own for it that gives way to all others.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from trinity import config as configuration
from trinity import priority, program
from trinity.config import Config
from trinity.errors import Busy, TrinityError
from trinity.home import Home
from trinity.hooks import process
from trinity.work.carry import ready_place, readying
from trinity.work.carry.restore import Restored


def base(home: Home, config: Config) -> Path:
    """The work folder: where carried work is unpacked."""
    return Path(config.work_folder) if config.work_folder else home.root / "work"


def folder(home: Home, config: Config) -> Path:
    """Where ready worktrees lie: beside the work, so that one becomes a part of it by a rename."""
    return base(home, config) / ready_place.FOLDER


def beforehand(config: Config) -> Sequence[Path]:
    """The clones for which a person wants one before any work came."""
    named = config.ready_worktrees
    return [] if isinstance(named, bool) else [Path(clone) for clone in named]


def came(home: Home, config: Config, clone: Path | None, commit: str | None, restored: Restored) -> None:
    """Work was restored: when it is a large worktree of a clone here, one is wanted for the next."""
    if restored.ready:
        program.log(home, "handoff", f"ready worktree for '{restored.target}': {restored.ready}")
    if config.ready_worktrees is False or clone is None or not restored.linked or commit is None:
        return
    place = ready_place.of(folder(home, config), clone)
    if restored.tracked < ready_place.LEAST_FILES and place.wish() is None:
        return
    try:
        place.want(clone, commit)
    except OSError as error:
        program.log(home, "handoff", f"no worktree is kept ready of '{clone}': {error.strerror or error}")


def look(home: Home, config: Config) -> None:
    """Start what is due, if anything is. Work moves without it: nothing here raises."""
    try:
        place = folder(home, config)
        if not readying.due(place, beforehand(config), config.ready_worktrees is not False) or readying.busy(place):
            return
        process.detach(command(home), str(home.root))
    except (TrinityError, OSError) as error:
        program.log(home, "handoff", f"no worktree is made ready: {error}")


def command(home: Home) -> list[str]:
    """The process that makes and gives up what is due."""
    lib = str(Path(__file__).resolve().parents[2])
    code = f"import sys; sys.path.insert(0, {lib!r}); from trinity.relay import readiness; readiness.main(sys.argv[1])"
    return [sys.executable, "-I", "-c", code, str(home.root)]


def main(root: str) -> None:
    """What that process does."""
    priority.lower()
    home = Home(Path(root))
    try:
        config = configuration.load(home)
        on = config.ready_worktrees is not False
        readying.tend(folder(home, config), beforehand(config), on, lambda text: program.log(home, "handoff", text))
    except Busy:
        pass  # another one is at it, and sees the same
    except (TrinityError, OSError) as error:
        program.log(home, "handoff", f"no worktree is made ready: {error}")
