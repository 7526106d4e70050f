"""Putting the work list into a new worktree: files first, links last, then the index entry by entry.

Nothing is written through a link, over something that was not removed first, or outside of the worktree. Index entries of
rewritten files are put in anew, because git trusts the sizes and times it remembers of a file before its content.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from trinity.errors import BadRecord
from trinity.git import GitError, Repository
from trinity.work.carry import objects, paths
from trinity.work.carry.ground import Ground

Entries = Sequence[tuple[bytes, Mapping[str, Any]]]
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


def entries_of(manifest: Mapping[str, Any]) -> list[tuple[bytes, Mapping[str, Any]]]:
    """The entries with their paths, in order."""
    return sorted(((paths.decode(entry), entry) for entry in manifest["entries"]), key=lambda item: item[0])


def write(ground: Ground, entries: Entries, folders: Iterable[bytes]) -> None:
    """Make the worktree's files, links and folders what the entries say."""
    top = os.fsencode(ground.git.path)
    own = [(path, entry) for path, entry in entries if entry["kind"] != "repository"]
    for path, entry in reversed(own):
        _clear(top, path, entry["kind"])
    for path, entry in own:
        if entry["kind"] == "folder":
            _folder(top, path)
    by_blob: dict[str, list[tuple[bytes, Mapping[str, Any]]]] = {}
    for path, entry in own:
        if "blob" in entry:
            by_blob.setdefault(entry["blob"], []).append((path, entry))
    links: list[tuple[bytes, bytes]] = []
    wanted = [(oid, users[0][1]["size"]) for oid, users in by_blob.items()]
    for oid, data in objects.read_blobs(ground.git, wanted):
        for path, entry in by_blob[oid]:
            if entry["kind"] == "link":
                links.append((path, data))
            else:
                _file(top, path, data, entry["executable"])
    for path in folders:
        _folder(top, path)
    for path, to in sorted(links):
        _parents(top, path)
        try:
            os.symlink(os.fsdecode(to), os.fsdecode(top + b"/" + path))
        except (OSError, ValueError) as error:
            ground.notes.append(f"the link '{paths.shown(path)}' cannot be made here: {error}")


def _clear(top: bytes, path: bytes, kind: str) -> None:
    """Remove what the checkout put here; folders that become empty go too, as they did on the other side."""
    below = paths.Below(top)
    status = below.lstat(path)
    if status is None:
        return
    if not stat.S_ISDIR(status.st_mode):
        os.unlink(below.full(path))
    elif kind != "folder":
        _remove_folder(below.full(path))
    else:
        return
    parent = path.rpartition(b"/")[0]
    while parent and _remove_folder(top + b"/" + parent):
        parent = parent.rpartition(b"/")[0]


def _remove_folder(path: bytes) -> bool:
    try:
        os.rmdir(path)
    except OSError:
        return False  # not empty: it stays
    return True


def _parents(top: bytes, path: bytes) -> None:
    parent = path.rpartition(b"/")[0]
    if parent:
        _folder(top, parent)


def _folder(top: bytes, path: bytes) -> None:
    """Make a folder and those above it; raises BadRecord when a link or a file is in the way."""
    made = top
    for part in path.split(b"/"):
        made += b"/" + part
        try:
            os.mkdir(made)
        except FileExistsError:
            if not stat.S_ISDIR(os.lstat(made).st_mode):
                raise BadRecord("parcel", [f"path '{paths.shown(path)}': leads through a link or a file"]) from None


def _file(top: bytes, path: bytes, data: bytes, executable: bool) -> None:
    _parents(top, path)
    handle = os.open(top + b"/" + path, _CREATE, 0o777 if executable else 0o666)
    with os.fdopen(handle, "wb") as stream:
        stream.write(data)


def index(git: Repository, entries: Entries, object_format: str, *, remember: bool = True) -> None:
    """Make the index what the entries say; all others are as the checkout left them.

    Without `remember` git is not told to look at the rewritten files: the next one who looks at all does that too."""
    zero = objects.ZERO[object_format]
    lines = [b"0 %s\t%s" % (zero.encode(), path) for path, _ in entries if not path.endswith(b"/")]
    removed = b"".join(line + b"\0" for line in lines)
    git.run("update-index", "-z", "--index-info", stdin=removed + _lines(entries))
    _intents(git, [(path, entry) for path, entry in entries if entry.get("intent")])
    if remember:
        refresh(git)
    flagged = {letter: [p for p, e in entries if e.get("flag") == letter] for letter in "hSs"}
    for option, which in (
        ("--skip-worktree", flagged["S"] + flagged["s"]),
        ("--assume-unchanged", flagged["h"] + flagged["s"]),
    ):
        if which:
            git.run("update-index", option, "-z", "--stdin", stdin=b"".join(path + b"\0" for path in which))


def _lines(entries: Entries) -> bytes:
    made = []
    for path, entry in entries:
        if not entry.get("intent"):
            made += [b"%s %s %d\t%s\0" % (m.encode(), oid.encode(), stage, path) for m, oid, stage in entry["index"]]
    return b"".join(made)


def refresh(git: Repository) -> None:
    """Let the index remember the files that are as it says."""
    try:
        git.run("update-index", "-q", "--refresh")
    except GitError as error:
        if error.status != 1:  # 1: some files differ, as they should
            raise


def _intents(git: Repository, entries: Entries) -> None:
    """Intents need a file to be added; one that was deleted since stands in for the moment."""
    top = os.fsencode(git.path)
    below = paths.Below(top)
    standing_in = []
    for path, entry in entries:
        if below.lstat(path) is None:
            _file(top, path, b"", entry["index"][0][0] == "100755")
            standing_in.append(path)
    if entries:
        asked = b"\0".join(path for path, _ in entries)
        git.run("add", "-N", "-f", "--pathspec-from-file=-", "--pathspec-file-nul", stdin=asked)
    for path in standing_in:
        _clear(top, path, "absent")


def stale(ground: Ground, entries: Entries, clean: set[bytes]) -> bool:
    """Make git call files modified that it called modified by their size alone; True when there were some.

    With line-end conversion a file can be equal to its index entry and `M` all the same, until somebody adds it: git
    compares sizes first. So the entry gets the size of its unconverted content, and then the file its bytes.
    """
    asked = [(p, e) for p, e in entries if p in clean and e["kind"] == "file" and e.get("state", "").startswith("1 .M")]
    if not asked:
        return False
    as_stored = [(path, {**entry, "blob": entry["index"][0][1]}) for path, entry in asked]
    write(ground, as_stored, [])
    ground.git.run("update-index", "-z", "--index-info", stdin=_lines(asked))
    refresh(ground.git)
    write(ground, asked, [])
    return True


def ensure_folder(top: Path, path: bytes) -> None:
    """Make the folder `path` below `top`, through folders only."""
    if path:
        _folder(os.fsencode(top), path)
