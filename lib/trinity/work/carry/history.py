"""The commits of a parcel: index and worktree as two commits on top of HEAD, and what no remote has, in one bundle.

The worktree's files lie in the tree of the state commit under their own paths, so that git stores a changed file as its
difference to HEAD's. Names that a tree should not hold, conflict stages and the parcels of repositories inside lie under
`carry.m/`. Modes are neutral: what a path really is stands in the manifest.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from trinity.errors import TrinityError
from trinity.git import GitError, Repository
from trinity.work.carry import paths
from trinity.work.carry.private import Private

OWN = b"carry.m"
_PLAIN = re.compile(rb"[A-Za-z0-9 _./@+,=()\[\]{}#%^&!$'\x80-\xff-]+$")
_BIG = 4 << 20


@dataclass(frozen=True)
class Made:
    """A bundle on the disk, and how much history it brings: `thin`, `shallow` (cut at `shallow`) or `full`."""

    bundle: Path
    history: str
    bases: list[str]
    shallow: list[str]
    state: str
    index: str


class Tree:
    """Contents for one of the two commits; `put` says under which name it went when not under its own."""

    def __init__(self, prefix: bytes) -> None:
        self._lines: list[bytes] = []
        self._taken: set[bytes] = set()
        self._prefix = prefix

    def put(self, path: bytes, oid: str, aside: bool = False) -> None:
        """Hold this object, under its own path when a tree can have it."""
        name = path
        if aside or name in self._taken or not _plain(path):
            name = b"%s/%s%d" % (OWN, self._prefix, len(self._lines))
        self._taken.add(name)
        self._lines.append(b"100644 %s 0\t%s" % (oid.encode("ascii"), name))

    def write(self, private: Private) -> str:
        """The id of the tree, written without the borrowed objects in sight."""
        index = private.folder / "tree-index"
        index.unlink(missing_ok=True)
        private.alone.run("update-index", "-z", "--index-info", stdin=b"\0".join(self._lines), index=index)
        return private.alone.run("write-tree", "--missing-ok", index=index).decode().strip()


def _plain(path: bytes) -> bool:
    parts = path.split(b"/")
    if parts[0].lower() == OWN or any(part.lower().startswith(b".git") for part in parts):
        return False
    return bool(_PLAIN.match(path)) and paths.problem(path) is None and paths.fits_windows(path)


def commit(private: Private, tree: str, parent: str | None, subject: str) -> str:
    """Write a commit; the same content at another time is another commit, and nobody compares these."""
    who = f"Trinity <trinity@localhost> {int(time.time())} +0000"
    lines = [f"tree {tree}", *([f"parent {parent}"] if parent else []), f"author {who}", f"committer {who}"]
    text = "\n".join(lines) + f"\n\n{subject}\n"
    return private.alone.run("hash-object", "-t", "commit", "-w", "--stdin", stdin=text.encode()).decode().strip()


def bundle(
    private: Private,
    target: Path,
    *,
    state: str,
    index: str,
    head: str | None,
    tips: Sequence[str],
    published: Sequence[str],
    history: str,
    packed: bool,
) -> Made:
    """Write the bundle. `published` are commits the other side can get elsewhere; `packed`: the contents do not shrink."""
    refs = {"refs/carry/state": state, **({"refs/carry/head": head} if head else {})}
    refs |= {f"refs/carry/tip/{number}": oid for number, oid in enumerate(tips)}
    commands = "".join(f"update {name} {oid}\n" for name, oid in refs.items())
    private.git.run("update-ref", "--stdin", stdin=commands.encode())
    if history == "auto":
        history = "thin" if published else "full"
    excluded = [f"^{oid}" for oid in published] if history in ("thin", "shallow") else []
    boundary = _boundary(private, [*refs.values()], excluded)
    cut = (private.folder / "shallow").read_text(encoding="ascii") if private.facts.shallow else ""
    shallow = sorted(set(cut.split()))
    if history == "shallow" and boundary:
        shallow = sorted({*shallow, *boundary})
        (private.folder / "shallow").write_text("".join(f"{oid}\n" for oid in shallow), encoding="ascii", newline="\n")
        excluded = []
    settings = [f"core.bigFileThreshold={_BIG}", *(["pack.compression=0"] if packed else [])]
    packer = Repository(
        private.facts.top, 600, variables=private.git.variables, settings=[*private.git.settings, *settings]
    )
    names = "".join(f"{line}\n" for line in [*refs, *excluded])
    try:
        packer.run("bundle", "create", "--quiet", str(target), "--stdin", stdin=names.encode())
    except GitError as error:
        # A partial clone has not all of its history, and nothing is fetched here.
        raise TrinityError(
            f"the commits cannot be packed: {error.stderr.strip()[-200:]}", "pack with less history: bases='thin'"
        ) from None
    bases = boundary if history == "thin" else []
    return Made(target, history, bases, [] if history == "thin" else shallow, state, index)


def _boundary(private: Private, tips: Iterable[str], excluded: Sequence[str]) -> list[str]:
    if not excluded:
        return []
    asked = "".join(f"{line}\n" for line in [*tips, *excluded])
    out = private.git.run("rev-list", "--boundary", "--stdin", stdin=asked.encode()).decode()
    return sorted(line[1:] for line in out.splitlines() if line.startswith("-"))


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
