"""What the doctor looks at for work from other PCs: how it would be unpacked here, and what open work lacks here."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from trinity.setup.checks import Finding, Patient
from trinity.setup.plan import answer

_SHOWN = 6
# `git worktree list -z`, and `sparse.expectFilesOutsideOfPatterns`.
_LOWEST_GIT = (2, 36)
_LOOKED_AT = 200  # clones: below a home folder as a root may lie thousands


def carried(patient: Patient) -> Iterator[Finding]:
    """Where clones are looked for, the command after unpacking, and what arrived work misses."""
    # Here, because the doctor starts without the environment of the checkout, too.
    from trinity.relay import arrival, board, readiness
    from trinity.work import projects

    config = patient.config
    sound = True
    for root in config.roots:
        if not Path(root).is_dir():
            sound = False
            yield Finding("carried", "warn", f"'{root}' in roots is no folder here", "mend roots in config.json")
    for clone in readiness.beforehand(config):
        if not projects.is_clone(clone):
            sound = False
            text = f"'{clone}' in ready_worktrees is no clone"
            yield Finding("carried", "warn", text, "name the folder with its .git in config.json")
    commands = [config.after_restore.command, *config.after_restore.projects.values()]
    for command in commands:
        if command and "/" not in command[0] and shutil.which(command[0]) is None:
            sound = False
            text = f"after_restore names '{command[0]}', which is not on the daemon's PATH"
            yield Finding("carried", "warn", text, "name its absolute path in config.json")
    for record in board.open_handoffs(patient.home):
        if record["owner"] != config.pc:
            continue
        for text in arrival.told_of(patient.home, record, "lacking")[:_SHOWN]:
            sound = False
            yield Finding("carried", "warn", f"{board.what(record)}: {text}", f"trinity handoffs show {record['id']}")
    if sound:
        text = "roots is empty: projects that work from other PCs belongs to are cloned"
        if config.roots:
            text = f"clones are looked for in {', '.join(config.roots)}"
        yield Finding("carried", "ok", text)


def git_here(patient: Patient) -> Iterator[Finding]:
    """The git that unpacks, and the filter that files of the clones here go through. A fleet of one unpacks nothing."""
    from trinity.work import projects

    if patient.config.fleet_url is None:
        return
    said = re.search(rb"(\d+)\.(\d+)", answer("git", "--version") or b"")
    if said is None:
        return  # the fleet's line says it
    version = (int(said[1]), int(said[2]))
    if version < _LOWEST_GIT:
        lowest = ".".join(map(str, _LOWEST_GIT))
        text = f"it is {version[0]}.{version[1]}: only {lowest} or newer unpacks everything as it was"
        yield Finding("git", "warn", text, "upgrade git")
    found = (folder for root in patient.config.roots for folder in projects.repositories(Path(root)))
    for clone in islice(found, _LOOKED_AT):
        if _uses_lfs(clone) and shutil.which("git-lfs") is None:
            yield Finding("git", "warn", f"there is no git-lfs, and files of '{clone}' need it", "install git-lfs")
            return
    if version >= _LOWEST_GIT:
        yield Finding("git", "ok", f"{version[0]}.{version[1]}")


def _uses_lfs(clone: Path) -> bool:
    try:
        return b"filter=lfs" in (clone / ".gitattributes").read_bytes()
    except OSError:
        return False
