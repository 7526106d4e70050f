"""Reading the files of the work list: raw bytes, never through a link, and noticing when somebody writes meanwhile.

A file counts as read when its identity, size and times were the same before and after. Whoever writes twice within one
tick of the file system's clock would not be noticed by times: files written that recently are read a second time.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trinity.work import secret_files
from trinity.work.carry import objects, paths
from trinity.work.carry.paths import Below

Withheld = Callable[[str, bytes], str | None]

# Ticks of file times are 1 to 10 ms on the systems known; twice the largest.
_RECENT_NS = 20_000_000
_ELSEWHERE_NS = 5_000_000_000
_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


@dataclass(frozen=True)
class Caps:
    """Bytes: of one untracked file, and of all contents together."""

    file: int
    total: int


@dataclass
class Taken:
    """What became of each path: an entry with its content in `objects`, or a line of what is left out."""

    entries: dict[bytes, dict[str, Any]] = field(default_factory=dict)
    left_out: dict[bytes, dict[str, Any]] = field(default_factory=dict)
    signatures: dict[bytes, tuple[int, ...] | None] = field(default_factory=dict)
    recent: set[bytes] = field(default_factory=set)
    torn: set[bytes] = field(default_factory=set)
    weight: int = 0

    def leave(self, path: bytes, size: int, reason: str) -> None:
        self.entries.pop(path, None)
        self.left_out[path] = {**paths.encode(path), "size": size, "reason": reason}


def take(
    top: Path,
    work: Iterable[tuple[bytes, bool]],
    blobs: Path,
    object_format: str,
    caps: Caps,
    withheld: Withheld | None,
) -> Taken:
    """Read every `(path, tracked)`; tracked ones first and the smallest first, so that the cap leaves out the fewest."""
    below = Below(os.fsencode(top))
    taken = Taken()
    seen = [(path, tracked, below.lstat(path)) for path, tracked in work]
    if withheld:
        for path, _, _ in seen:
            reason = secret_files.in_name(paths.shown(path))
            if reason:
                taken.leave(path, 0, f"withheld: {reason}")
    seen = [item for item in seen if item[0] not in taken.left_out]
    seen.sort(key=lambda item: (not item[1], item[2].st_size if item[2] else 0, item[0]))
    for path, tracked, status in seen:
        taken.signatures[path] = _signature(status)
        if status is None:
            taken.entries[path] = {"kind": "absent"}
        elif stat.S_ISDIR(status.st_mode):
            taken.entries[path] = {"kind": "folder"}
        elif stat.S_ISLNK(status.st_mode):
            data = os.fsencode(os.readlink(below.full(path)))
            reason = withheld("link", data) if withheld else None
            if reason:
                taken.leave(path, len(data), f"withheld: {reason}")
                continue
            oid = objects.write_blob(blobs, data, object_format)
            taken.entries[path] = {"kind": "link", "size": len(data), "blob": oid}
        elif not stat.S_ISREG(status.st_mode):
            taken.leave(path, 0, "neither file nor link")
        elif not tracked and status.st_size > caps.file:
            taken.leave(path, status.st_size, f"larger than {caps.file // 1_000_000} MB")
        elif taken.weight + status.st_size > caps.total:
            taken.leave(path, status.st_size, f"beyond {caps.total // 1_000_000} MB in all")
        else:
            _take_file(taken, below, path, status, blobs, object_format, withheld)
    return taken


def _take_file(
    taken: Taken,
    below: Below,
    path: bytes,
    status: os.stat_result,
    blobs: Path,
    object_format: str,
    withheld: Withheld | None,
) -> None:
    try:
        data = _read(below.full(path), status)
    except OSError as error:
        if below.lstat(path) is None:
            taken.torn.add(path)
            return
        taken.leave(path, status.st_size, f"cannot be read: {error.strerror}")
        return
    if data is None:
        taken.torn.add(path)
        return
    reason = withheld(paths.shown(path), data) if withheld else None
    if reason:
        taken.leave(path, len(data), f"withheld: {reason}")
        return
    taken.weight += len(data)
    executable = bool(status.st_mode & 0o100)
    oid = objects.write_blob(blobs, data, object_format)
    taken.entries[path] = {"kind": "file", "executable": executable, "size": len(data), "blob": oid}
    if max(status.st_mtime_ns, status.st_ctime_ns) > time.time_ns() - 2 * _RECENT_NS:
        taken.recent.add(path)


def _read(full: bytes, status: os.stat_result) -> bytes | None:
    """The content, None when it changed while it was read."""
    handle = os.open(full, _FLAGS)
    with os.fdopen(handle, "rb") as stream:
        before = os.fstat(handle)
        if _signature(before) != _signature(status):
            return None
        data = stream.read(status.st_size + 1)
        return data if _signature(os.fstat(handle)) == _signature(before) and len(data) == status.st_size else None


def moving(top: Path, taken: Taken, object_format: str) -> list[bytes]:
    """The paths that are not as they were read."""
    below = Below(os.fsencode(top))
    moved = set(taken.torn)
    for path, signature in taken.signatures.items():
        if _signature(below.lstat(path)) != signature:
            moved.add(path)
    again = taken.recent - moved
    if again:
        time.sleep(_RECENT_NS / 1e9)
    for path in again:
        entry = taken.entries.get(path)
        try:
            status = below.lstat(path)
            data = _read(below.full(path), status) if status else None
        except OSError:
            data = None
        if data is None or (entry and objects.blob_id(data, object_format) != entry["blob"]):
            moved.add(path)
    return sorted(moved)


def quiet(top: Path, taken: Taken, began: os.stat_result) -> bool:
    """Whether everything that was read lay there as it is before the first look began, when a file got the times `began`.

    Then all of it is of one moment, that beginning, and nothing has to be looked for a second time. On the disk of `began`
    the clock of files is known; another one's may be somebody else's, so it gets more time.
    """
    if os.name == "nt" or taken.torn:
        return False  # there a file keeps the times it is given
    below = Below(os.fsencode(top))
    folders = {path.rstrip(b"/").rpartition(b"/")[0] for path in taken.signatures}
    for path in folders | set(taken.signatures):
        there = path
        while (status := below.lstat(there) if there else os.lstat(below.root)) is None:
            there = there.rpartition(b"/")[0]  # gone: whoever took it away changed the folder above
        margin = _RECENT_NS if status.st_dev == began.st_dev else _ELSEWHERE_NS
        if max(status.st_mtime_ns, status.st_ctime_ns) + margin > began.st_ctime_ns:
            return False
    return True


def _signature(status: os.stat_result | None) -> tuple[int, ...] | None:
    if status is None:
        return None
    if stat.S_ISDIR(status.st_mode):
        return (stat.S_IFDIR,)  # its own times change with what lies in it; that is listed by itself
    return status.st_mode, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
