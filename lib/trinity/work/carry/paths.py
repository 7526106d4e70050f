"""Paths of a parcel: bytes with `/` between the parts, as git has them.

A path that comes with a parcel is another machine's word. `problem` says why one is refused: nothing may lead out of the
worktree or into a `.git`, in any spelling that some file system takes for `.git`. The names that Windows or a
case-insensitive disk could not hold are found when the parcel is made, not when half of it is written.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import stat
import sys
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

MAX_BYTES = 4096
# Characters HFS+ ignores in names: with them `.g\u200cit` is `.git` there (the list of git's own utf8.c).
_IGNORED = dict.fromkeys(
    [*range(0x200C, 0x2010), *range(0x202A, 0x202F), *range(0x206A, 0x2070), 0xFEFF],
)
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com[1-9]|lpt[1-9])(\..*)?$")


def encode(path: bytes) -> dict[str, str]:
    """`{"path": …}`, or `{"path64": …}` for a name that is no UTF-8."""
    try:
        return {"path": path.decode("utf-8")}
    except UnicodeDecodeError:
        return {"path64": base64.b64encode(path).decode("ascii")}


def decode(entry: Mapping[str, Any]) -> bytes:
    """The path of an entry; raises ValueError when it has none."""
    if isinstance(entry.get("path"), str):
        return str(entry["path"]).encode("utf-8")
    try:
        return base64.b64decode(entry["path64"], validate=True)
    except (KeyError, TypeError, binascii.Error):
        raise ValueError("an entry without a path") from None


def shown(path: bytes) -> str:
    """The path for people: what is no UTF-8 and what steers a terminal is escaped."""
    text = path.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def problem(path: bytes) -> str | None:
    """Why this path of a parcel must not be written, None when it may."""
    if not path or len(path) > MAX_BYTES or b"\0" in path:
        return "empty, too long or with a zero byte"
    if path.startswith(b"/") or (sys.platform == "win32" and (b"\\" in path or b":" in path)):
        return "absolute"
    for part in path.split(b"/"):
        if part in (b"", b".", b".."):
            return "leads out of the worktree"
        if is_git(part):
            return "leads into a .git"
    return None


def is_git(part: bytes) -> bool:
    """Whether some file system takes this name for `.git`."""
    name = part.decode("utf-8", "replace").translate(_IGNORED).casefold()
    # NTFS: trailing dots and spaces do not count, `:` begins a stream, and `git~1` is the short name.
    return any(piece.rstrip(" .") in (".git", "git~1") for piece in re.split(r"[:\\]", name))


def fits_windows(path: bytes) -> bool:
    """Whether Windows can hold this name."""
    try:
        text = path.decode("utf-8")
    except UnicodeDecodeError:
        return False
    for part in text.split("/"):
        if part != part.rstrip(" .") or _RESERVED.match(part) or any(c in '<>:"|?*\\' or ord(c) < 32 for c in part):
            return False
    return True


def folded(path: bytes) -> str:
    """Equal for two names that a case-insensitive disk takes for one."""
    return unicodedata.normalize("NFC", path.decode("utf-8", "surrogateescape")).casefold()


def collisions(changed: Iterable[bytes], everything: Iterable[bytes]) -> list[list[bytes]]:
    """Groups of paths that a case-insensitive disk cannot hold beside each other and of which one is in `changed`."""
    wanted: dict[str, set[bytes]] = {}
    for path in changed:
        wanted.setdefault(folded(path), set()).add(path)
    for path in everything:
        group = wanted.get(folded(path))
        if group is not None:
            group.add(path)
    return [sorted(group) for _, group in sorted(wanted.items()) if len(group) > 1]


class Below:
    """lstat below `root` that follows no symbolic link in the middle of a path."""

    def __init__(self, root: bytes) -> None:
        self.root = root
        self._folders: dict[bytes, bool] = {b"": True}

    def full(self, path: bytes) -> bytes:
        return self.root + b"/" + path

    def lstat(self, path: bytes) -> os.stat_result | None:
        """None when nothing is there, or only behind a link."""
        if not self.is_folder(path.rpartition(b"/")[0]):
            return None
        try:
            return os.lstat(self.full(path))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def is_folder(self, path: bytes) -> bool:
        """A folder reached through folders only; remembered, so a new one of these is made per look at a worktree."""
        known = self._folders.get(path)
        if known is None:
            known = self.is_folder(path.rpartition(b"/")[0])
            if known:
                try:
                    known = stat.S_ISDIR(os.lstat(self.full(path)).st_mode)
                except (FileNotFoundError, NotADirectoryError):
                    known = False
            self._folders[path] = known
        return known
