"""What git does not see in a worktree: folders that would be empty, and what is no file, link or folder."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from trinity.work.carry.private import Private
from trinity.work.carry.scan import Look


def walk(private: Private, seen: Look) -> tuple[list[bytes], list[bytes]]:
    """Folders that would be empty, and special things and what cannot be read. Ignored folders are not looked into."""
    closed = {path.rstrip(b"/") for path in seen.ignored} | {path.rstrip(b"/") for path in seen.repositories}
    empty: list[bytes] = []
    special: list[bytes] = []
    top = os.fsencode(private.facts.top)
    waiting = [b""]
    while waiting:
        folder = waiting.pop()
        before = folder + b"/" if folder else b""
        held = False
        try:
            entries = os.scandir(top + b"/" + folder)
        except OSError:
            special.append(folder)
            continue
        with entries:
            for entry in entries:
                if entry.is_file(follow_symlinks=False):
                    # Nearly all: only beside something ignored does it matter which one it is.
                    held = held or not closed or before + entry.name not in closed
                    continue
                path = before + entry.name
                if path in closed:
                    continue  # does not travel, or not like this: a folder of nothing else is made empty
                held = True
                if entry.is_dir(follow_symlinks=False):
                    if entry.name != b".git":
                        waiting.append(path)
                elif not entry.is_symlink():
                    special.append(path)
        if not held and folder:
            empty.append(folder)
    return sorted(empty), sorted(special)


def special_kind(path: Path) -> str:
    """What a special file is, in a word."""
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return "thing that is gone"
    if stat.S_ISDIR(mode):
        return "folder that cannot be read"
    kinds = {stat.S_IFIFO: "FIFO", stat.S_IFSOCK: "socket", stat.S_IFCHR: "device", stat.S_IFBLK: "device"}
    return kinds.get(stat.S_IFMT(mode), "special file")
