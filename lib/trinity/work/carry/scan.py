"""One look at a worktree: what git says of it, and which paths a fresh checkout would not give.

Two looks that are equal, with every listed file unchanged between them, make a consistent cut. Renames are not asked for:
git computes them anew from what is there.
"""

from __future__ import annotations

import bisect
import itertools
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from trinity.git import Repository
from trinity.work.carry import objects
from trinity.work.carry.paths import Below
from trinity.work.carry.private import Private, head_of, index_state

STATUS = (
    "status",
    "--porcelain=v2",
    "-z",
    "--untracked-files=all",
    "--ignored=matching",
    "--ignore-submodules=none",
    "--no-renames",
)
_FIELDS = {b"1": 8, b"u": 10, b"?": 1, b"!": 1}
_GITLINK = b"160000"
_INTENT = 0x20000000
_FEW = 200

Line = tuple[str, str, int]  # mode, id, stage


@dataclass
class Listing:
    """The index: `lines` of every path with its stages, and `flags` other than the ordinary `H`, as `ls-files -v`."""

    lines: dict[bytes, list[Line]]
    flags: dict[bytes, str]


@dataclass
class Look:
    """HEAD, branch, status and index at one moment. `changed` are the paths of the work list without repositories."""

    head: str | None
    branch: str | None
    states: dict[bytes, bytes]
    ignored: list[bytes]
    listing: Listing
    intents: set[bytes]
    changed: set[bytes]
    repositories: set[bytes]

    def same(self, other: Look) -> bool:
        return (self.head, self.branch, self.states) == (other.head, other.branch, other.states)


def states(repository: Repository) -> tuple[dict[bytes, bytes], list[bytes]]:
    """Status by path: the porcelain v2 record without its path (`?` for an untracked one); and the ignored paths."""
    found, ignored = {}, []
    for record in repository.run(*STATUS).split(b"\0"):
        if not record:
            continue
        *before, path = record.split(b" ", _FIELDS[record[:1]])
        if before[0] == b"!":
            ignored.append(path)
        else:
            found[path] = b" ".join(before)
    return found, ignored


def listing(repository: Repository) -> Listing:
    """The index as it is stored: a path outside a sparse cone keeps its flag although its file is there."""
    # A setting of this one call, so that `git status` next to it still sees what the user sees.
    raw = repository.run("-c", "sparse.expectFilesOutsideOfPatterns=true", "ls-files", "-z", "-v", "--stage")
    lines: dict[bytes, list[Line]] = {}
    flags: dict[bytes, str] = {}
    for item in raw.split(b"\0"):
        if not item:
            continue
        before, path = item.split(b"\t", 1)
        tag, mode, oid, number = before.split(b" ")
        lines.setdefault(path, []).append((mode.decode(), oid.decode(), int(number)))
        if tag in (b"h", b"S", b"s"):
            flags[path] = tag.decode()
    return Listing(lines, flags)


def look(private: Private) -> Look:
    """The first look of a pass: copies the index anew."""
    head, branch = private.refresh()
    by_path, ignored = states(private.git)
    listed = listing(private.git)
    below = Below(os.fsencode(private.facts.top))
    fresh = _fresh_skipped(private, head)
    changed = {path for path in by_path if not path.endswith(b"/")}
    changed |= {path for path, flag in listed.flags.items() if flag != "S"}
    skipped = {path for path, flag in listed.flags.items() if flag in "Ss"}
    changed |= skipped ^ fresh if fresh or skipped else set()
    changed |= {path for path in skipped | fresh if below.lstat(path) is not None}
    changed |= _covered(by_path, ignored, listed)
    intents = _intents(private, listed)
    changed |= intents
    links = {path for path, lines in listed.lines.items() if any(line[0] == "160000" for line in lines)}
    nested = {path for path in by_path if path.endswith(b"/")}
    populated = {path for path in links if below.lstat(path + b"/.git") is not None}
    return Look(head, branch, by_path, ignored, listed, intents, changed, populated | nested)


def again(private: Private, before: Look) -> bool:
    """The second look: whether nothing that git looks at has changed since `before`."""
    if head_of(private.facts) != (before.head, before.branch) or index_state(private.facts) != private.index_state:
        return False
    by_path, _ = states(private.git)
    return by_path == before.states and index_state(private.facts) == private.index_state


def _fresh_skipped(private: Private, head: str | None) -> set[bytes]:
    """With a sparse checkout: the paths that a fresh one of HEAD would leave out."""
    if head is None or private.facts.settings.get("core.sparsecheckout") != "true":
        return set()
    index = private.folder / "fresh"
    empty = private.folder / "empty"
    empty.mkdir(exist_ok=True)
    elsewhere = Repository(
        empty, 600, variables={**private.git.variables, "GIT_WORK_TREE": str(empty)}, settings=private.git.settings
    )
    elsewhere.run("read-tree", head, index=index)
    # Nothing is written: what is equal in index and HEAD is not checked out, only marked.
    elsewhere.run("read-tree", "-m", "-u", head, index=index)
    raw = elsewhere.run("-c", "sparse.expectFilesOutsideOfPatterns=true", "ls-files", "-z", "-t", index=index)
    return {item[2:] for item in raw.split(b"\0") if item.startswith(b"S ")}


def _covered(by_path: dict[bytes, bytes], ignored: list[bytes], listed: Listing) -> set[bytes]:
    """Tracked paths behind something untracked that is no folder: git calls them clean when that is a link to itself.

    An ignored one stands in their place, so it belongs to the change and goes along.
    """
    tracked = list(listed.lines)
    found = set()
    for path in [*(path for path, state in by_path.items() if state == b"?"), *ignored]:
        inside = path + b"/"
        start = bisect.bisect_left(tracked, inside)
        if path.endswith(b"/") or start == len(tracked) or not tracked[start].startswith(inside):
            continue
        found.add(path)
        for other in itertools.islice(tracked, start, None):
            if not other.startswith(inside):
                break
            found.add(other)
    return found


def _intents(private: Private, listed: Listing) -> set[bytes]:
    """Paths added with intent only. They look like empty staged files; a flag of the index tells them apart."""
    empty = objects.EMPTY[private.facts.object_format]
    candidates = [path for path, lines in listed.lines.items() if lines[0][1] == empty]
    if not candidates:
        return set()
    named = [os.fsdecode(path) for path in candidates] if len(candidates) <= _FEW else []
    out = private.git.run("ls-files", "-z", "--debug", "--", *named)
    found = set()
    wanted = set(candidates)
    # A name ends with NUL, then come five lines of debug text that end with the flags.
    name, *rest = out.split(b"\0")
    for piece in rest:
        parts = piece.split(b"\n", 5)
        if name in wanted and int(parts[4].rsplit(b" ", 1)[1], 16) & _INTENT:
            found.add(name)
        name = parts[5]
    return found


def walk(private: Private, seen: Look) -> tuple[list[bytes], list[bytes]]:
    """What git does not see: folders that would be empty, and what is no file, link or folder that can be read."""
    closed = {path.rstrip(b"/") for path in seen.ignored} | {path.rstrip(b"/") for path in seen.repositories}
    empty: list[bytes] = []
    special: list[bytes] = []
    top = os.fsencode(private.facts.top)
    waiting = [b""]
    while waiting:
        folder = waiting.pop()
        held = False
        try:
            entries = list(os.scandir(top + b"/" + folder if folder else top))
        except OSError:
            special.append(folder)
            continue
        for entry in entries:
            path = folder + b"/" + entry.name if folder else entry.name
            if path in closed:
                continue  # does not travel, or not like this: a folder of nothing else is made empty
            held = True
            if entry.is_dir(follow_symlinks=False):
                if entry.name != b".git":
                    waiting.append(path)
            elif not entry.is_file(follow_symlinks=False) and not entry.is_symlink():
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
