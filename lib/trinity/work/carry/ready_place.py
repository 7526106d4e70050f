"""Where the ready worktree of a clone lies, and what is written beside it.

Below `FOLDER` of the work folder, for each clone under one NAME:

    NAME/             the worktree; a linked one of the clone, detached, checked out whole, used by nobody
    NAME.json         `Made` or `refused`, written last: a folder without it is none that can be taken
    NAME.folders      the paths of its folders, each ended by NUL
    NAME.wanted.json  the clone, the commit and the time of the last work that came for it
    NAME.lock         held while it is made, taken or given up, also by the git that a killed maker left behind

A lock that is held means that somebody is at it: whoever finds it so goes on without.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from trinity import clock, files
from trinity.errors import BadRecord
from trinity.work import projects

FOLDER = ".ready"
# From so many files on the checkout is what a handoff waits for.
LEAST_FILES = 20_000
_OUR_NAME = re.compile(r"^[\w+@-]+-[0-9a-f]{10}$")
_NO_NAME = re.compile(r"[^\w+@-]")


@dataclass(frozen=True)
class Made:
    """A whole ready worktree: what was checked out, under which settings, and how to see that nobody was at it.

    `terms` is `ready.terms` at that time; `index` the identity, size and times of its index file; `folders` a fingerprint
    of its folders' (`ready.folders`); `size` its bytes on the disk; `at` when it was made (ISO).
    """

    clone: str
    commit: str
    terms: dict[str, Any]
    index: list[int]
    folders: str
    files: int
    size: int
    at: str


@dataclass(frozen=True)
class Place:
    """The places of one clone's ready worktree; see above."""

    folder: Path
    name: str

    @property
    def tree(self) -> Path:
        return self.folder / self.name

    @property
    def record(self) -> Path:
        return self.folder / f"{self.name}.json"

    @property
    def folders(self) -> Path:
        return self.folder / f"{self.name}.folders"

    @property
    def wanted(self) -> Path:
        return self.folder / f"{self.name}.wanted.json"

    @property
    def lock(self) -> Path:
        return self.folder / f"{self.name}.lock"

    def made(self) -> Made | None:
        """What lies here whole; None when nothing does."""
        try:
            return Made(**_read(self.record)["made"]) if self.tree.is_dir() else None
        except (KeyError, TypeError):
            return None

    def note(self, made: Made) -> None:
        """Let what lies here be one that can be taken."""
        files.write_json(self.record, {"kind": "ready", "version": 1, "made": asdict(made)})

    def refused(self) -> tuple[str, float] | None:
        """Why none could be made, and when that was tried (epoch seconds)."""
        said = _read(self.record).get("refused")
        try:
            return (str(said["why"]), clock.parse(str(said["at"]))) if isinstance(said, Mapping) else None
        except (KeyError, ValueError):
            return None

    def refuse(self, why: str) -> None:
        document = {"kind": "ready", "version": 1, "refused": {"why": why, "at": clock.iso(milliseconds=True)}}
        files.write_json(self.record, document)

    def wish(self) -> dict[str, str] | None:
        """`clone`, `commit` and `at` (ISO) of the last work that came; None when none did."""
        found = _read(self.wanted)
        try:
            clock.parse(found["at"])
        except (KeyError, TypeError, ValueError):
            return None
        return found if all(isinstance(found.get(key), str) for key in ("clone", "commit")) else None

    def want(self, clone: Path, commit: str) -> None:
        """Note that work at this commit came for the clone: one is wanted for the next."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        document = {"kind": "ready_wanted", "version": 1, "clone": str(clone), "commit": commit}
        files.write_json(self.wanted, {**document, "at": clock.iso(milliseconds=True)})


def of(folder: Path, clone: Path) -> Place:
    """The place of a clone below `folder`: one for a repository, whichever of its worktrees `clone` is."""
    common = projects.common_folder(clone)
    name = common.parent.name if common.name == ".git" else common.name.removesuffix(".git")
    key = hashlib.sha256(os.fsencode(common)).hexdigest()[:10]
    return Place(folder, f"{_NO_NAME.sub('_', name)[:40] or 'project'}-{key}")


def listed(folder: Path) -> list[Place]:
    """Every place of which something lies below `folder`, its locks aside."""
    names = set()
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return []  # none was ever made here
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            names.add(entry.name)
        elif entry.name.endswith(".json"):
            names.add(entry.name.removesuffix(".json").removesuffix(".wanted"))
    # What has no name of ours may be somebody's, wherever the work folder is.
    return [Place(folder, name) for name in sorted(names) if _OUR_NAME.search(name)]


def _read(path: Path) -> dict[str, Any]:
    """A document of ours; empty for one that is not there or damaged, which then counts as not there."""
    try:
        found = files.read_json(path)
    except (OSError, BadRecord):
        return {}
    return found if isinstance(found, dict) else {}
