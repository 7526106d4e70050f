"""The read-only view of the state in `TRINITY_HOME`, where people and older tools look for its files.

Each file is whole: the old or the new one. Files are 0400; a change to one reaches nobody and is overwritten by the next
one that is fetched. Only files that the view itself wrote, by its list, are removed again; what else lies in these
folders stays, and a file that stands where a record belongs goes into quarantine. No symbolic link is followed.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trinity import files, locks
from trinity.errors import BadRecord, TrinityError
from trinity.fleet import names
from trinity.fleet.snapshot import Snapshot
from trinity.home import Home

_HEARTBEAT = "heartbeat/"


def write(home: Home, snapshot: Snapshot, heartbeats: Mapping[str, dict[str, Any]] | None = None) -> int:
    """Bring the view to this state; returns how many files changed. Without `heartbeats` theirs stay as they are."""
    folders = {
        names.HANDOFF: home.handoff,
        names.PROCESSED: home.processed,
        names.WAKE: home.wake,
        names.WAKE_ARCHIVE: home.wake_archive,
        names.SPAWN_QUEUE: home.spawn_queue,
        _HEARTBEAT: home.heartbeat,
    }
    with locks.hold(home.locks / "view.lock"):
        for folder in folders.values():
            _own_folder(folder)
        listed = _listed(home)
        wanted = {path: snapshot.blob(path) for path in snapshot.paths() if names.folder(path) in folders}
        if heartbeats is None:
            wanted |= {path: mark for path, mark in listed.items() if path.startswith(_HEARTBEAT)}
        changed = [path for path, mark in wanted.items() if listed.get(path) != mark or not _is_file(home, path)]
        contents = snapshot.read_all([path for path in changed if not path.startswith(_HEARTBEAT)])
        for pc, record in (heartbeats or {}).items():
            path, data = f"{_HEARTBEAT}{names.check_pc(pc)}.json", files.dump_json(record)
            wanted[path] = data.decode("utf-8")
            if listed.get(path) != wanted[path] or not _is_file(home, path):
                contents[path] = data
        gone = [path for path in listed if path not in wanted]
        if not contents and not gone:
            return 0
        # The list first: after a crash it names too much rather than too little.
        files.write_json(_list_file(home), {**listed, **dict.fromkeys(contents, "")})
        for path, data in contents.items():
            _place(home, folders[names.folder(path)] / names.base(path), data, path in listed)
        for path in gone:
            _remove(folders[names.folder(path)] / names.base(path))
        files.write_json(_list_file(home), wanted)
        return len(contents) + len(gone)


def _place(home: Home, target: Path, data: bytes, ours: bool) -> None:
    if not ours and target.exists() and not target.is_symlink():
        files.quarantine(home, target, "it stood where the fleet's view has a file")
    _unprotect(target)
    files.write_atomic(target, data, mode=0o400)


def _remove(target: Path) -> None:
    _unprotect(target)
    target.unlink(missing_ok=True)


def _own_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    if not stat.S_ISDIR(folder.lstat().st_mode):
        raise TrinityError(f"'{folder}' is a link, not a folder of the view", "move it away")


def _is_file(home: Home, path: str) -> bool:
    try:
        return stat.S_ISREG(os.lstat(home.root / path).st_mode)
    except FileNotFoundError:
        return False


def _list_file(home: Home) -> Path:
    return home.root / "view.json"


def _listed(home: Home) -> dict[str, str]:
    try:
        listed = files.read_or(_list_file(home), dict, limit=50_000_000)
    except BadRecord as error:
        files.quarantine(home, _list_file(home), error.message)
        return {}
    if not isinstance(listed, dict):
        return {}
    known = (names.HANDOFF, names.PROCESSED, names.WAKE, names.WAKE_ARCHIVE, names.SPAWN_QUEUE)
    return {
        path: str(mark)
        for path, mark in listed.items()
        if (names.allowed(path) and names.folder(path) in known) or names.is_pc(_beating(path))
    }


def _beating(path: str) -> str:
    return path.removeprefix(_HEARTBEAT).removesuffix(".json") if path.startswith(_HEARTBEAT) else ""


if sys.platform == "win32":

    def _unprotect(target: Path) -> None:
        """Windows neither replaces nor removes a read-only file."""
        if target.exists():
            target.chmod(0o600)
else:

    def _unprotect(target: Path) -> None:
        """A read-only file is replaced by its folder's rights."""
