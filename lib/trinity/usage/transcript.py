"""One transcript file: its new whole lines read a piece at a time, whatever happens to the file meanwhile.

It also runs in a process of its own: standard library only, and what is returned is what `marshal` takes.
"""

from __future__ import annotations

import os
import stat
from typing import Any

from trinity.usage.reading import Reading

LONGEST_LINE = 64 * 1024 * 1024
_CHUNK = 1 << 18  # what a processor keeps close
_MARK = 256


def read(path: str, offset: int, state: dict[str, Any], carried: list[tuple[int, str]]) -> dict[str, Any] | None:
    """The new whole lines of a file from `offset` on, as a document that `marshal` takes; None when it cannot be read.

    `carried` are size and SHA-256 of beginnings that came from another PC: what stands in the longest that fits is not
    billed here.
    """
    try:
        # Not waiting for a writer, should a pipe have taken the file's place.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except OSError:
        return None
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            return None
        reading = Reading(state, _foreign(handle, found.st_size, carried))
        end = _read(handle, reading, offset)
        head, tail = marks(handle, end)
    except OSError:
        return None
    finally:
        os.close(handle)
    return {
        "path": path,
        "device": found.st_dev,
        "inode": found.st_ino,
        "size": found.st_size,
        "mtime_ns": found.st_mtime_ns,
        "offset": end,
        "head": head,
        "tail": tail,
        "began": reading.began,
        "state": reading.state(),
        "rows": list(reading.rows.values()),
        "errors": reading.errors,
        "aside": reading.aside,
        "origins": [_decoded(one) for one in reading.origins],
        "kinds": [_decoded(one) for one in reading.kinds],
        "fast": reading.fast,
        "slow": reading.slow,
    }


def _read(handle: int, reading: Reading, offset: int) -> int:
    os.lseek(handle, offset, os.SEEK_SET)
    size = _CHUNK
    while data := os.read(handle, size):
        end = data.rfind(b"\n") + 1
        if end:
            reading.piece(data, end, offset)
            offset += end
            size = _CHUNK
            if end < len(data):
                os.lseek(handle, offset, os.SEEK_SET)
            continue
        if len(data) < size:
            break  # a line that is still being written
        if size >= LONGEST_LINE:
            offset = _skip(handle, offset + len(data))
            reading.put_aside("longer than any line")
            size = _CHUNK
        else:
            size *= 2
        os.lseek(handle, offset, os.SEEK_SET)
    return offset


def _skip(handle: int, offset: int) -> int:
    """Behind the line that goes on at `offset`; the end of the file when it has no end."""
    while data := os.read(handle, _CHUNK):
        end = data.find(b"\n") + 1
        if end:
            return offset + end
        offset += len(data)
    return offset


def marks(handle: int, offset: int) -> tuple[bytes, bytes]:
    """The first bytes of a file and the last before `offset`: whether it is still the one that was read."""
    os.lseek(handle, 0, os.SEEK_SET)
    head = os.read(handle, min(_MARK, offset))
    os.lseek(handle, max(0, offset - _MARK), os.SEEK_SET)
    return head, os.read(handle, min(_MARK, offset))


def _foreign(handle: int, size: int, carried: list[tuple[int, str]]) -> int:
    fitting = sorted((one for one in carried if one[0] <= size), reverse=True)
    if not fitting:
        return 0
    import hashlib

    for length, digest in fitting:
        os.lseek(handle, 0, os.SEEK_SET)
        made, left = hashlib.sha256(), length
        while left and (data := os.read(handle, min(left, _CHUNK))):
            made.update(data)
            left -= len(data)
        if made.hexdigest() == digest:
            return length
    return 0


def _decoded(values: tuple[Any, ...]) -> tuple[str, ...]:
    return tuple(
        value.decode("utf-8", "replace").replace("\\\\", "\\") if isinstance(value, bytes) else value or ""
        for value in values
    )
