"""Folders that are being made, so that one whose maker was killed is never taken for a whole one.

A mark lies beside the folder (`NAME.unfinished`) from before its first file until after its last; `sweep` takes away what
still has one. Whoever calls holds the lock under which such folders are made: then a mark means a maker that is gone.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trinity import files
from trinity.errors import BadRecord
from trinity.work.carry import ground

_MARK = ".unfinished"
# A mark whose writer was killed before it was whole (`files.write_atomic`): nothing was begun yet.
_HALF = re.compile(re.escape(_MARK) + r"\.\d+\.\d+\.tmp$")


@dataclass(frozen=True)
class Mark:
    """The mark of a folder that is being made."""

    file: Path
    facts: dict[str, Any]

    def with_files(self, *paths: Path) -> None:
        """These, which lie elsewhere, are to be taken away too, should this not be finished."""
        files.write_json(self.file, {**self.facts, "files": [str(path) for path in paths]})


@contextlib.contextmanager
def marked(target: Path, clone: Path | None) -> Iterator[Mark]:
    """Make `target` inside of this; when that fails, it is taken away again. `clone` is whose linked worktree it may be."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    existed = os.path.lexists(target)
    mark = Mark(_file(target), _facts(clone, existed))
    files.write_json(mark.file, mark.facts)
    try:
        yield mark
    except BaseException:
        _take_away(target, mark.file)
        raise
    files.sync_folder(target.parent)
    mark.file.unlink()
    files.sync_folder(target.parent)


def give_up(target: Path, clone: Path | None, *others: Path) -> None:
    """Take away a folder that was finished, and is not needed after all, with files elsewhere that came with it."""
    mark = Mark(_file(target), _facts(clone, False))
    mark.with_files(*others)
    _take_away(target, mark.file)


def _file(target: Path) -> Path:
    return target.with_name(target.name + _MARK)


def _facts(clone: Path | None, existed: bool) -> dict[str, Any]:
    return {"clone": str(clone) if clone else None, "existed": existed, "files": []}


def _take_away(target: Path, mark: Path) -> bool:
    """What the mark says was begun; False, and nothing is touched, when it is none of ours."""
    try:
        said = files.read_json(mark)
    except (BadRecord, OSError):
        return False  # ours are written whole: this is somebody's own
    if not isinstance(said, dict) or not isinstance(said.get("existed"), bool):
        return False
    for path in said.get("files") or []:
        shutil.rmtree(path, ignore_errors=True)
        Path(path).unlink(missing_ok=True)
    if not said["existed"] and target.is_dir() and not target.is_symlink():
        ground.remove(target, Path(said["clone"]) if isinstance(said.get("clone"), str) else None)
    mark.unlink(missing_ok=True)
    return True


def sweep(base: Path, name: str = "*") -> list[Path]:
    """Take away what was begun below `base` and never finished, or only what is called `name`; returns those folders."""
    for half in base.glob(f"{name}{_MARK}.*.tmp"):
        if _HALF.search(half.name) and half.is_file():
            half.unlink(missing_ok=True)
    swept = []
    for mark in sorted(base.glob(name + _MARK)):
        target = mark.with_name(mark.name.removesuffix(_MARK))
        there = target.is_dir()
        if _take_away(target, mark) and there and not target.exists():
            swept.append(target)
    return swept
