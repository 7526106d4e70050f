"""The files of a set of parts: which ones are carried, how they become git objects, how they are written again.

Names are taken by a pattern in both directions, and nothing but plain files is written, into a folder that is new. Large
files are streamed through git: no process holds more of one than git's threshold for large files.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from trinity import files
from trinity.errors import BadRecord, UsageError
from trinity.fleet import names
from trinity.fleet.clone import Clone

MAX_BYTES = 256 * 1024 * 1024  # less than a server of ours takes (receive.maxInputSize)
MAX_FILES = 5000
_SMALL = 1_000_000
_BATCH = 16


def check(contents: Mapping[str, Path | bytes]) -> int:
    """The size of all files together; raises UsageError with everything that cannot be carried."""
    problems = [f"'{name}' is no name of a carried file" for name in contents if not names.is_part(name)]
    problems += _collisions(list(contents))
    size = 0
    for name, content in contents.items():
        if isinstance(content, bytes):
            size += len(content)
            continue
        found = content.lstat()
        size += found.st_size
        if not stat.S_ISREG(found.st_mode):
            problems.append(f"'{content}' is no plain file")
        if "\n" in str(content):
            problems.append(f"'{name}': a line break in the path of the file")
    if not contents or len(contents) > MAX_FILES:
        problems.append(f"{len(contents)} files; from 1 to {MAX_FILES} can be carried")
    if size > MAX_BYTES:
        problems.append(f"{size} bytes; up to {MAX_BYTES} can be carried")
    if problems:
        raise UsageError(f"cannot carry these parts: {'; '.join(problems[:8])}")
    return size


def _collisions(listed: list[str]) -> list[str]:
    """Names that are one on a file system which ignores case, or a file where another needs a folder."""
    folded = [name.casefold() for name in listed]
    folders = {"/".join(name.split("/")[:depth]) for name in folded for depth in range(1, name.count("/") + 1)}
    twice = len(folded) - len(set(folded))
    return ["two names differ by case only"] * bool(twice) + [
        f"'{name}' is a file and a folder" for name in folded if name in folders
    ]


def blobs(clone: Clone, contents: Mapping[str, Path | bytes]) -> dict[str, bytes | str]:
    """Every file as a blob of the clone, streamed when it is large; bytes as they are."""
    made: dict[str, bytes | str] = {name: data for name, data in contents.items() if isinstance(data, bytes)}
    paths = {name: path.absolute() for name, path in contents.items() if isinstance(path, Path)}
    for path in paths.values():
        with path.open("rb"):
            pass  # what cannot be read is not the clone's fault
    # Most of a set is that of the last one: it is only hashed, which is much cheaper than writing it again.
    found = dict(zip(paths, _hash(clone, list(paths.values())), strict=True))
    there = clone.git("cat-file", "--batch-check", stdin="".join(f"{oid}\n" for oid in found.values()).encode())
    missing = [name for name, fact in zip(found, there.splitlines(), strict=True) if fact.endswith(b" missing")]
    found |= zip(missing, _hash(clone, [paths[name] for name in missing], "-w"), strict=True)
    return made | found


def _hash(clone: Clone, paths: list[Path], *options: str) -> list[str]:
    asked = "".join(f"{path}\n" for path in paths).encode("utf-8", "surrogateescape")
    return clone.git("hash-object", *options, "--no-filters", "--stdin-paths", stdin=asked).decode().split()


def write(clone: Clone, commit: str, into: Path) -> dict[str, Path]:
    """Write the files of a commit of the clone into the new folder `into`; raises BadRecord, before anything is written."""
    entries = _entries(clone, commit)
    draft = into.with_name(f"{into.name}.{os.getpid()}.part")
    if draft.exists():
        shutil.rmtree(draft)
    draft.mkdir(mode=0o700, parents=True)
    try:
        small = [name for name, (_, size) in entries.items() if size <= _SMALL]
        for at in range(0, len(small), _BATCH):
            batch = small[at : at + _BATCH]
            for name, data in zip(batch, clone.blobs([entries[name][0] for name in batch]), strict=True):
                with _create(draft / name) as stream:
                    stream.write(data)
        for name, (oid, size) in entries.items():
            if size > _SMALL:
                with _create(draft / name) as stream:
                    clone.git("cat-file", "blob", oid, stdout=stream)
        files.replace(draft, into)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return {name: into / name for name in entries}


def _create(path: Path) -> BinaryIO:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    return os.fdopen(os.open(path, flags, 0o600), "wb")


def _entries(clone: Clone, commit: str) -> dict[str, tuple[str, int]]:
    """The files of the fetched set, name to (blob, size); raises BadRecord."""
    found: dict[str, tuple[str, int]] = {}
    problems = []
    for line in clone.git("ls-tree", "-r", "-l", "-z", "--full-tree", commit).split(b"\0"):
        if line:
            facts, _, raw = line.partition(b"\t")
            mode, _, oid, size = facts.decode("ascii").split()
            name = raw.decode("utf-8", "backslashreplace")
            if mode != "100644" or not names.is_part(name):
                problems.append(f"'{name[:100]}' (mode {mode}) is no carried file")
            else:
                found[name] = (oid, int(size))
    problems += _collisions(list(found))
    if not found or len(found) > MAX_FILES or sum(size for _, size in found.values()) > MAX_BYTES:
        problems.append(f"{len(found)} files of {sum(size for _, size in found.values())} bytes")
    if problems:
        raise BadRecord(f"parts {commit}", problems[:8])
    return found
