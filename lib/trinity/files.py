"""How files are written and read.

A reader of a file written by `write_atomic` sees the old or the new content, never a mixture, also when the writer is
killed or the disk fills up. `append_line` promises whole lines in any order. `load_json` takes no document that two
readers could understand differently. Nothing here deletes a file that somebody else wrote: `quarantine` moves it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from trinity import clock
from trinity.errors import BadRecord

if TYPE_CHECKING:
    from trinity.home import Home

MAX_DEPTH = 64

if sys.platform == "win32":
    # A virus scanner or a reader may hold the target for a moment: git's own waits (compat/mingw.c, rename).
    _REPLACE_WAITS = (0.0, 0.001, 0.010, 0.020, 0.040)

    def replace(source: str | Path, target: Path) -> None:
        """Rename over `target`."""
        for wait in _REPLACE_WAITS:
            time.sleep(wait)
            try:
                os.replace(source, target)
                return
            except PermissionError:
                continue
        os.replace(source, target)

    def sync_folder(folder: Path) -> None:
        """Windows has no fsync of a folder; the rename is journalled by NTFS."""
else:

    def replace(source: str | Path, target: Path) -> None:
        """Rename over `target`."""
        os.replace(source, target)

    def sync_folder(folder: Path) -> None:
        """Make the names in `folder` durable."""
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_atomic(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replace `path` by `data` durably: temporary file beside it, fsync, rename, fsync of the folder."""
    temporary = f"{path}.{os.getpid()}.{time.monotonic_ns()}.tmp"
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        replace(temporary, path)
    except BaseException:
        try:
            os.unlink(temporary)
        except OSError:
            pass  # the error above is the one that matters
        raise
    sync_folder(path.parent)


def dump_json(document: object) -> bytes:
    """A document as git shows it best: sorted keys, two spaces, final newline, UTF-8."""
    text = json.dumps(document, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8") + b"\n"


def write_json(path: Path, document: object, mode: int = 0o600) -> None:
    """`write_atomic` of `dump_json`."""
    write_atomic(path, dump_json(document), mode)


def load_json(data: bytes, source: str, limit: int = 1_000_000) -> Any:
    """Parse strictly: at most `limit` bytes of UTF-8, 64 levels, no duplicate keys, NaN or lone surrogates.

    Raises BadRecord, which names `source`.
    """
    if len(data) > limit:
        raise BadRecord(source, [f"{len(data)} bytes, more than {limit}"])
    _check_depth(data, source)
    try:
        text = data.decode("utf-8")
        document = json.loads(text, object_pairs_hook=_pairs, parse_constant=_constant)
        if "\\u" in text:
            json.dumps(document, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise BadRecord(source, ["a lone surrogate"]) from None
    except UnicodeDecodeError as error:
        raise BadRecord(source, [f"not UTF-8 at byte {error.start}"]) from None
    except (ValueError, RecursionError) as error:
        raise BadRecord(source, [f"not JSON: {error}"]) from None
    return document


def _check_depth(data: bytes, source: str) -> None:
    # Before parsing: the parser recurses, and a hostile file of brackets would exhaust its stack.
    if data.count(b"[") + data.count(b"{") <= MAX_DEPTH:
        return
    depth = 0
    inside = escaped = False
    for byte in data:
        if inside:
            if escaped:
                escaped = False
            elif byte == 0x5C:
                escaped = True
            elif byte == 0x22:
                inside = False
        elif byte == 0x22:
            inside = True
        elif byte in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise BadRecord(source, [f"nested deeper than {MAX_DEPTH}"])
        elif byte in b"]}":
            depth -= 1


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"key '{twice}' stands twice")
    return document


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def read_json(path: Path, limit: int = 1_000_000) -> Any:
    """`load_json` of a file; raises FileNotFoundError, BadRecord."""
    with open(path, "rb") as stream:
        return load_json(stream.read(limit + 1), str(path), limit)


def read_or(path: Path, default: Callable[[], Any], limit: int = 1_000_000) -> Any:
    """`read_json`, or `default()` when there is no such file."""
    try:
        return read_json(path, limit)
    except FileNotFoundError:
        return default()


def append_line(path: Path, line: bytes) -> None:
    """Append one line in one write. POSIX appends it whole; Windows needs a lock."""
    data = line if line.endswith(b"\n") else line + b"\n"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o600)
    try:
        _append(handle, data)
    finally:
        os.close(handle)


if sys.platform == "win32":
    import msvcrt

    def _append(handle: int, data: bytes) -> None:
        # One fixed byte far beyond the data stands for "appending"; LK_LOCK waits up to 10 s.
        os.lseek(handle, 1 << 62, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_LOCK, 1)
        try:
            os.lseek(handle, 0, os.SEEK_END)
            os.write(handle, data)
        finally:
            os.lseek(handle, 1 << 62, os.SEEK_SET)
            msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)
else:

    def _append(handle: int, data: bytes) -> None:
        while data:
            data = data[os.write(handle, data) :]


def quarantine(home: Home, path: Path, why: str) -> Path:
    """Move a damaged file into quarantine and write the reason beside it; returns the new path."""
    home.quarantine.mkdir(mode=0o700, exist_ok=True)
    target = home.quarantine / f"{clock.stamp()}_{os.getpid()}_{path.name}"
    replace(str(path), target)
    write_atomic(target.with_name(target.name + ".why"), f"{clock.iso()} {path}: {why}\n".encode())
    return target
