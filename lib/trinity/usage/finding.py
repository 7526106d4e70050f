"""Where this PC's transcripts are: below `projects/` of every profile, those of subagents included, each file once."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_DEEPEST = 6
# Saved outputs of tools: many files, none of them a transcript.
_NO_TRANSCRIPTS = ("tool-results",)


class Found(NamedTuple):
    """A file as it was seen."""

    path: str
    device: int
    inode: int
    size: int
    mtime_ns: int


def transcripts(profiles: Sequence[str]) -> list[Found]:
    """Every regular file `*.jsonl`; a hard link or a profile named twice counts once. What cannot be read is left out."""
    found: list[Found] = []
    seen: set[tuple[int, int]] = set()
    for profile in profiles:
        for one in _below(os.path.join(profile, "projects"), 0):
            if (one.device, one.inode) not in seen or not one.inode:
                seen.add((one.device, one.inode))
                found.append(one)
    return found


def _below(folder: str, depth: int) -> Iterator[Found]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        try:
            if entry.name.endswith(".jsonl"):
                # DirEntry.stat() has no inode on Windows.
                status = os.stat(entry.path)
                if stat.S_ISREG(status.st_mode):
                    yield Found(entry.path, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
            elif depth < _DEEPEST and entry.name not in _NO_TRANSCRIPTS and entry.is_dir(follow_symlinks=False):
                yield from _below(entry.path, depth + 1)
        except OSError:
            continue  # gone in this moment, or not ours to read
