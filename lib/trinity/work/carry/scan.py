"""One look at a worktree: what git says of it, and which paths a fresh checkout would not give.

Two looks that are equal, with every listed file unchanged between them, make a consistent cut. Renames are not asked for:
git computes them anew from what is there.
"""

from __future__ import annotations

import bisect
import functools
import hashlib
import itertools
import os
import re
from dataclasses import dataclass, field

from trinity.git import Repository, together
from trinity.work.carry import objects
from trinity.work.carry.facts import head_of
from trinity.work.carry.paths import Below
from trinity.work.carry.private import Private, index_state

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
_RECORD = re.compile(rb"([^\0\t]+)\t([^\0]*)\0")
_PATH = re.compile(rb"[^\0\t]+\t([^\0]*)\0")
_FLAGGED = re.compile(rb"(?:\A|(?<=\0))([hSs]) \d+ [0-9a-f]+ \d\t([^\0]*)\0")
_LINKS = re.compile(rb"(?:\A|(?<=\0)). 160000 [0-9a-f]+ \d\t([^\0]*)\0")
_SINGLY = 50  # so many paths are looked for one by one; beyond, the whole index is taken apart once
_INTENT = 0x20000000
_FEW = 200

Line = tuple[str, str, int]  # mode, id, stage


@dataclass
class Listing:
    """The index as `ls-files -z -v --stage` writes it. A hundred thousand files are looked up, not taken apart."""

    raw: bytes
    _looked_up: dict[bytes, list[Line]] = field(default_factory=dict)

    @functools.cached_property
    def paths(self) -> list[bytes]:
        """Every path, in the order of the index; one with several stages as often as it has them."""
        return _PATH.findall(self.raw)

    @functools.cached_property
    def flags(self) -> dict[bytes, str]:
        """Flags other than the ordinary `H`, as `ls-files -v` has them."""
        ordinary = self.raw.count(b"\0H ") + self.raw.startswith(b"H ")
        if ordinary >= self.raw.count(b"\0"):
            return {}
        return {path: tag.decode("ascii") for tag, path in _FLAGGED.findall(self.raw)}

    @functools.cached_property
    def links(self) -> set[bytes]:
        """Paths of submodules and embedded repositories."""
        return set(_LINKS.findall(self.raw)) if b" 160000 " in self.raw else set()

    def with_blob(self, oid: str) -> list[bytes]:
        """Paths whose first stage has this content."""
        if oid.encode("ascii") not in self.raw:
            return []
        return [path for path, lines in self._apart.items() if lines[0][1] == oid]

    def lines(self, path: bytes) -> list[Line]:
        """The stages of a path, none when it is not in the index."""
        known = self._looked_up.get(path)
        if known is None:
            many = len(self._looked_up) >= _SINGLY or "_apart" in self.__dict__
            known = self._looked_up[path] = self._apart.get(path, []) if many else self._found(path)
        return known

    def _found(self, path: bytes) -> list[Line]:
        ending = b"\t" + path + b"\0"
        at = self.raw.find(ending)
        while at >= 0 and b"\t" in (before := self.raw[self.raw.rfind(b"\0", 0, at) + 1 : at]):
            at = self.raw.find(ending, at + 1)  # that was the end of another path, with a tab in it
        found = []
        while at >= 0:
            found.append(_line(before))
            after = at + len(ending)
            end = self.raw.find(b"\t", after)  # its other stages come next
            before = self.raw[after:end]
            at = end if end >= 0 and self.raw.startswith(ending, end) else -1
        return found

    @functools.cached_property
    def _apart(self) -> dict[bytes, list[Line]]:
        found: dict[bytes, list[Line]] = {}
        for before, path in _RECORD.findall(self.raw):
            found.setdefault(path, []).append(_line(before))
        return found

    def __contains__(self, path: object) -> bool:
        return isinstance(path, bytes) and bool(self.lines(path))

    def proof(self, without: set[bytes]) -> str:
        """A fingerprint of the whole index with its flags, but for these paths."""
        if not without:
            return hashlib.sha256(self.raw).hexdigest()
        records = (record + b"\0" for record in self.raw.split(b"\0") if record)
        kept = (record for record in records if record.split(b"\t", 1)[1][:-1] not in without)
        return hashlib.sha256(b"".join(kept)).hexdigest()


def _line(before: bytes) -> Line:
    _, mode, oid, number = before.split(b" ")
    return mode.decode("ascii"), oid.decode("ascii"), int(number)


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
    return Listing(repository.run("-c", "sparse.expectFilesOutsideOfPatterns=true", "ls-files", "-z", "-v", "--stage"))


def look(private: Private) -> Look:
    """The first look of a pass: copies the index anew."""
    head, branch = private.refresh()
    (by_path, ignored), listed = together(lambda: states(private.git), lambda: listing(private.git))
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
    nested = {path for path in by_path if path.endswith(b"/")}
    populated = {path for path in listed.links if below.lstat(path + b"/.git") is not None}
    return Look(head, branch, by_path, ignored, listed, intents, changed, populated | nested)


def again(private: Private, before: Look, quiet: bool) -> bool:
    """The second look: whether nothing that git looks at has changed since `before`.

    `quiet`: everything that is listed was there before the first look began (`content.quiet`), and so need not be looked
    for in the whole worktree once more.
    """
    if head_of(private.facts) != (before.head, before.branch) or index_state(private.facts) != private.index_state:
        return False
    if quiet:
        return True
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
    candidates = [*(path for path, state in by_path.items() if state == b"?"), *ignored]
    candidates = [path for path in candidates if not path.endswith(b"/")]
    if len(candidates) <= _SINGLY:
        candidates = [path for path in candidates if b"\t" + path + b"/" in listed.raw]
    if not candidates:
        return set()
    tracked = listed.paths
    found = set()
    for path in candidates:
        inside = path + b"/"
        start = bisect.bisect_left(tracked, inside)
        if start == len(tracked) or not tracked[start].startswith(inside):
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
    candidates = listed.with_blob(empty)
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
