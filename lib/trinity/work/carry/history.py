"""The commits of a parcel: index and worktree as two commits on top of HEAD, and what no remote has, in one bundle.

The worktree's files lie in the tree of the state commit under their own paths, so that git stores a changed file as its
difference to HEAD's. Names that a tree should not hold, conflict stages and the parcels of repositories inside lie under
`carry.m/`. Modes are neutral: what a path really is stands in the manifest.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trinity.errors import TrinityError
from trinity.git import GitError, Repository
from trinity.work.carry import objects, paths
from trinity.work.carry.private import Private

OWN = b"carry.m"
_PLAIN = re.compile(rb"[A-Za-z0-9 _./@+,=()\[\]{}#%^&!$'\x80-\xff-]+$")
_BIG = 4 << 20


@dataclass(frozen=True)
class Plan:
    """What a bundle will hold: `names` go into it, `excluded` are what the other side can get elsewhere.

    `history`: `thin`, `shallow` (cut at `shallow`) or `full`; `bases` are the commits that a thin one builds upon. `objects`
    are those of its objects that were there before, with a path where they have one.
    """

    names: list[str]
    excluded: list[str]
    history: str
    bases: list[str]
    shallow: list[str]
    objects: dict[str, bytes]


class Tree:
    """Contents for one of the two commits; `put` says under which name it went when not under its own."""

    def __init__(self, prefix: bytes) -> None:
        self._lines: dict[bytes, str] = {}
        self._folders: set[bytes] = set()
        self._prefix = prefix

    def put(self, path: bytes, oid: str, aside: bool = False) -> None:
        """Hold this object, under its own path when a tree can have it."""
        name = path
        above = _above(path)
        if aside or name in self._lines or name in self._folders or any(f in self._lines for f in above):
            name = b""
        if not name or not _plain(path):
            name = b"%s/%s%d" % (OWN, self._prefix, len(self._lines))
        self._lines[name] = oid
        self._folders.update(_above(name))

    def write(self, private: Private) -> str:
        """The id of the tree."""
        return objects.tree(self._lines, private.write)


def _above(path: bytes) -> list[bytes]:
    parts = path.split(b"/")
    return [b"/".join(parts[:depth]) for depth in range(1, len(parts))]


def _plain(path: bytes) -> bool:
    parts = path.split(b"/")
    if parts[0].lower() == OWN or any(part.lower().startswith(b".git") for part in parts):
        return False
    return bool(_PLAIN.match(path)) and paths.problem(path) is None and paths.fits_windows(path)


def commit(private: Private, tree: str, parent: str | None, subject: str) -> str:
    """Write a commit; the same content at another time is another commit, and nobody compares these."""
    who = f"Trinity <trinity@localhost> {int(time.time())} +0000"
    lines = [f"tree {tree}", *([f"parent {parent}"] if parent else []), f"author {who}", f"committer {who}"]
    return private.write("commit", ("\n".join(lines) + f"\n\n{subject}\n").encode())


def plan(
    private: Private, state: str, head: str | None, tips: Sequence[str], published: Sequence[str], history: str
) -> Plan:
    """Decide what goes into the bundle. `published` are commits the other side can get elsewhere."""
    refs = {"refs/carry/state": state, **({"refs/carry/head": head} if head else {})}
    refs |= {f"refs/carry/tip/{number}": oid for number, oid in enumerate(tips)}
    for name, oid in refs.items():
        private.reference(name, oid)
    if history == "auto":
        history = "thin" if published else "full"
    names = list(refs)
    cut = (private.folder / "shallow").read_text(encoding="ascii").split() if private.facts.shallow else []
    if history == "thin":
        if head in published and not tips:
            return Plan(names, [f"^{head}"], history, [str(head)], [], {})
        excluded = [f"^{oid}" for oid in published]
        found, boundary = _listed(private, names, excluded)
        return Plan(names, excluded, history, boundary, [], found)
    if history == "shallow":
        _, boundary = _listed(private, names, [f"^{oid}" for oid in published])
        cut = sorted({*cut, *(boundary or ([head] if head else []))})
        (private.folder / "shallow").write_text("".join(f"{oid}\n" for oid in cut), encoding="ascii", newline="\n")
    found, _ = _listed(private, names, [])
    return Plan(names, [], history, [], sorted(cut), found)


def _listed(private: Private, names: list[str], excluded: list[str]) -> tuple[dict[str, bytes], list[str]]:
    """Objects that were there before, by id, and the commits at the edge."""
    asked = "".join(f"{line}\n" for line in [*names, *excluded])
    out = private.git.run("rev-list", "--objects", "--boundary", "--missing=allow-any", "--stdin", stdin=asked.encode())
    found: dict[str, bytes] = {}
    boundary = []
    for line in out.splitlines():
        oid, _, path = line.partition(b" ")
        if oid.startswith(b"-"):
            boundary.append(oid[1:].decode("ascii"))
        elif (name := oid.decode("ascii")) not in private.written:
            # Commits come without a path: their messages are looked at too.
            found[name] = path
    return found, sorted(boundary)


def bundle(private: Private, planned: Plan, target: Path, *, packed: bool) -> Path:
    """Write the bundle; `packed`: the contents do not shrink. Raises TrinityError."""
    settings = [f"core.bigFileThreshold={_BIG}", *(["pack.compression=0"] if packed else [])]
    packer = Repository(
        private.facts.top, 600, variables=private.git.variables, settings=[*private.git.settings, *settings]
    )
    names = "".join(f"{line}\n" for line in [*planned.names, *planned.excluded])
    try:
        packer.run("bundle", "create", "--quiet", str(target), "--stdin", stdin=names.encode())
    except GitError as error:
        # A partial clone has not all of its history, and nothing is fetched here.
        raise TrinityError(
            f"the commits cannot be packed: {error.stderr.strip()[-200:]}", "pack with less history: bases='thin'"
        ) from None
    return target


def prerequisites(data: bytes) -> list[str]:
    """The commits that a bundle with this beginning needs, by its own header."""
    needed = []
    for line in data.split(b"\n\n", 1)[0].split(b"\n")[1:]:
        if line.startswith(b"-"):
            needed.append(line[1:].split(b" ", 1)[0].decode("ascii", "replace"))
    return needed


def references(data: bytes) -> list[tuple[str, str]]:
    """The `(id, name)` pairs of a bundle with this beginning."""
    found = []
    for line in data.split(b"\n\n", 1)[0].split(b"\n")[1:]:
        if line[:1] not in (b"-", b"@"):
            oid, _, name = line.decode("utf-8", "replace").partition(" ")
            found.append((oid, name))
    return found
