"""What was started on this PC: once per handoff and epoch (docs/HANDOFF_PROTOCOL.md, R5).

The entry is on the disk before anything is started. An entry that exists says "that epoch was started, or was about to
be": also a crash in between counts, and the next start needs a new epoch.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from trinity import clock, files
from trinity.errors import BadRecord, UsageError
from trinity.fleet import names
from trinity.home import Home


def start_once(home: Home, handoff_id: str, epoch: int) -> bool:
    """Make the entry durably; False when there is one already."""
    path = _path(home, handoff_id, epoch)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    try:
        descriptor = os.open(path, flags, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(files.dump_json(_entry(handoff_id, epoch)))
        stream.flush()
        os.fsync(stream.fileno())
    files.sync_folder(home.journal)
    return True


def note(home: Home, handoff_id: str, epoch: int, /, **facts: object) -> None:
    """Add facts (pid, started_at, …) to an entry, all of an entry's own too; FileNotFoundError when nothing was started."""
    path = _path(home, handoff_id, epoch)
    files.write_json(path, {**_read(path, handoff_id, epoch), **facts})


def read(home: Home, handoff_id: str, epoch: int) -> dict[str, Any] | None:
    """The entry, or None. One torn by a crash has only its identity."""
    path = _path(home, handoff_id, epoch)
    try:
        return _read(path, handoff_id, epoch)
    except FileNotFoundError:
        return None


def _read(path: Path, handoff_id: str, epoch: int) -> dict[str, Any]:
    try:
        entry = files.read_json(path)
    except BadRecord:
        entry = None
    return entry if isinstance(entry, dict) else {"handoff_id": handoff_id, "epoch": epoch, "torn": True}


def _entry(handoff_id: str, epoch: int) -> dict[str, Any]:
    return {"handoff_id": handoff_id, "epoch": epoch, "made_at": clock.iso(milliseconds=True), "made_by": os.getpid()}


def _path(home: Home, handoff_id: str, epoch: int) -> Path:
    if not names.is_id(handoff_id) or epoch < 0:
        raise UsageError(f"'{handoff_id}' epoch {epoch} is no handoff's start")
    return home.journal / f"{handoff_id}.e{epoch}"
