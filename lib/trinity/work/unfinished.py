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
from pathlib import Path

from trinity import files
from trinity.errors import BadRecord
from trinity.work.carry import ground

_MARK = ".unfinished"
# A mark whose writer was killed before it was whole (`files.write_atomic`): nothing was begun yet.
_HALF = re.compile(re.escape(_MARK) + r"\.\d+\.\d+\.tmp$")


@contextlib.contextmanager
def marked(target: Path, clone: Path | None) -> Iterator[None]:
    """Make `target` inside of this; when that fails, it is taken away again. `clone` is whose linked worktree it may be."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    mark = target.with_name(target.name + _MARK)
    existed = os.path.lexists(target)
    files.write_json(mark, {"clone": str(clone) if clone else None, "existed": existed})
    try:
        yield
    except BaseException:
        if not existed:
            ground.remove(target, clone)
        mark.unlink(missing_ok=True)
        raise
    files.sync_folder(target.parent)
    mark.unlink()
    files.sync_folder(target.parent)


def sweep(base: Path, name: str = "*") -> list[Path]:
    """Take away what was begun below `base` and never finished, or only what is called `name`; returns those folders."""
    swept = []
    for half in base.glob(f"{name}{_MARK}.*.tmp"):
        if _HALF.search(half.name) and half.is_file():
            half.unlink(missing_ok=True)
    for mark in sorted(base.glob(name + _MARK)):
        target = mark.with_name(mark.name.removesuffix(_MARK))
        try:
            said = files.read_json(mark)
        except (BadRecord, OSError):
            continue  # ours are written whole: this is somebody's own
        if not isinstance(said, dict) or not isinstance(said.get("existed"), bool):
            continue
        if not said["existed"] and target.is_dir() and not target.is_symlink():
            ground.remove(target, Path(said["clone"]) if isinstance(said.get("clone"), str) else None)
            if target.exists():
                shutil.rmtree(target, ignore_errors=True)
            swept.append(target)
        mark.unlink(missing_ok=True)
    return swept
