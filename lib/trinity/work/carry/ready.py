"""Taking a ready worktree: carried work is laid where all its files are already, instead of having them written.

It is taken only when it is provably what a fresh checkout would have given: the same git under the same settings and
attributes, no filter programs, no sparse checkout, no submodules, and since it was made nothing of it was touched, neither
a file (git's memory of sizes, times and identities) nor a folder (its own times tell of anything that came or went) nor
its index. Whatever speaks against that, or goes wrong, leaves the ordinary way. `readying` makes them.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from trinity import locks
from trinity.errors import Busy, TrinityError
from trinity.git import Repository
from trinity.work.carry import checkout, ground, ready_place
from trinity.work.carry import facts as facts_of
from trinity.work.carry.facts import Facts, read_or_empty
from trinity.work.carry.manifest import joined
from trinity.work.carry.ready_place import Made, Place

# Of this one look: what a user's settings leave out of git's comparison of a file with its index entry is looked at too.
_STRICT = ("core.trustctime=true", "core.checkStat=default", "core.ignoreStat=false", "core.preloadIndex=true")
_RULES = (b".gitattributes", b".gitmodules")
LINK = b"160000"  # the mode of a submodule
_OWN_STATUS = Path("/proc/self/status")
_SYSTEM_ATTRIBUTES = Path("/etc/gitattributes")


class Taker:
    """Takes the ready worktree below `folder` for one parcel: `taken`, or `why` not (empty: there was none).

    `whole`: it is of the parcel's commit already, and nothing has to be checked out. Inside of `with` it is looked at from
    beside, while the parcel's commits are brought, and nobody else can have it.
    """

    def __init__(self, folder: Path, clone: Path, manifest: Mapping[str, Any], target: Path) -> None:
        self.manifest = manifest
        self.target = target
        self.taken = False
        self.whole = False
        self.why = ""
        self._here = ready_place.of(folder, clone)
        self._held = contextlib.ExitStack()
        self._looked: Future[str] | None = None

    def __enter__(self) -> Taker:
        if self._here.made() is None:
            return self
        try:
            self._held.enter_context(locks.hold_inherited(self._here.lock, timeout=0))
        except Busy:
            self.why = "it is just being made, or taken for other work"
            return self
        made = self._here.made()
        if made is not None:
            pool = self._held.enter_context(ThreadPoolExecutor(1))
            self._looked = pool.submit(touched, self._here, made)
        return self

    def __exit__(self, *error: object) -> None:
        self._held.close()

    def __call__(self, clone: Repository) -> bool:
        """Move the clone's ready worktree to the target, its HEAD detached at the parcel's commit; whether it was."""
        here, looked, made = self._here, self._looked, self._here.made()
        if looked is None or made is None:
            return False
        try:
            self.taken = self._fits(made, clone, looked)
            if not self.taken:
                return False
            # From here on it is nobody's: what a process that is killed now leaves of it, `readying` takes away.
            here.record.unlink()
            ground.repository(here.tree).run("update-ref", "--no-deref", "HEAD", self.manifest["head"])
            if self.target.exists():
                self.target.rmdir()  # git would move it into the folder
            clone.run("worktree", "move", "--", str(here.tree), str(self.target))
        except (TrinityError, OSError) as error:
            self.why = str(error)
            here.record.unlink(missing_ok=True)
            if self.taken:
                ground.remove(self.target, clone.path)
            self.taken = False
            return False
        self.whole = made.commit == self.manifest["head"]
        return True

    def _fits(self, made: Made, clone: Repository, looked: Future[str]) -> bool:
        facts = facts_of.look(self._here.tree)
        self.why = self._other_terms(facts)
        if self.why:
            return False  # this parcel alone wants it otherwise: it stays for the next
        self.why = changed_terms(made, clone, facts) or self._other_rules(made) or looked.result()
        if self.why:
            self._here.record.unlink()
        return not self.why

    def _other_terms(self, facts: Facts) -> str:
        changed = checkout.changed(facts, self.manifest)
        if joined(facts.attributes) != checkout.rules(self.manifest)["attributes"]:
            changed["core.attributesFile"] = ""
        return f"the work has other settings: {', '.join(sorted(changed))}" if changed else ""

    def _other_rules(self, made: Made) -> str:
        """Why files that are the same in both commits may be written differently for the parcel's."""
        if made.commit == self.manifest["head"]:
            return ""
        own = ground.repository(self._here.tree)
        names = own.run("diff-tree", "-r", "-z", "--no-renames", made.commit, self.manifest["head"]).split(b"\0")
        for described, path in zip(names[::2], names[1::2], strict=False):
            if path.rpartition(b"/")[2].lower() in _RULES:
                return "attributes or submodules differ in the work's commit"
            if described.split(b" ")[1] == LINK:
                return "the work's commit has submodules"
        return ""


def changed_terms(made: Made, clone: Repository, facts: Facts) -> str:
    """Why a checkout now would not give what one gave then, in words; empty when it would."""
    if facts.settings.get("core.sparsecheckout") == "true":
        return "its checkout is sparse"
    if terms(clone, facts) != made.terms:
        return "git or its settings have changed since it was made"
    return "" if index_state(facts.git_dir) == made.index else "its index was changed"


def touched(here: Place, made: Made) -> str:
    """Why what lies here is not what was checked out, in words; empty when it is. Raises GitError, OSError."""
    if folders(here.tree, here.folders.read_bytes().split(b"\0")[:-1]) != made.folders:
        return "its files were touched"
    strict = Repository(here.tree, 600, as_user=True, settings=_STRICT)
    return "its files were touched" if strict.run("diff-files", "-z", "--name-only") else ""


def terms(clone: Repository, facts: Facts) -> dict[str, Any]:
    """What else decides about the files of a checkout: the same terms and the same commit give the same files.

    Only the maker looks for filters and submodules; these are told by attributes and the commit's tree.
    """
    places = clone.run("rev-parse", "--git-path", "info/attributes", "--git-path", "config.worktree")
    attributes, own = (clone.path / os.fsdecode(name) for name in places.split(b"\n")[:2])
    texts = [facts.attributes, read_or_empty(attributes), read_or_empty(_SYSTEM_ATTRIBUTES), read_or_empty(own)]
    return {
        "git": clone.run("version").decode("utf-8", "replace").strip(),
        "settings": facts.settings,
        "texts": [hashlib.sha256(text).hexdigest() for text in texts],
        "umask": _mask(),
    }


def _mask() -> int:
    """This process's mask for the modes of new files."""
    with contextlib.suppress(OSError, StopIteration, ValueError):
        lines = _OWN_STATUS.read_text(encoding="ascii", errors="replace").splitlines()
        return int(next(line for line in lines if line.startswith("Umask:")).split()[1], 8)
    # Elsewhere it can only be read by setting it; what another thread makes meanwhile is its owner's alone.
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def index_state(git_dir: Path) -> list[int]:
    """The identity, size and times of an index file: equal as long as nothing wrote it."""
    found = os.stat(git_dir / "index")
    return [found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns]


def folders(tree: Path, paths: Sequence[bytes]) -> str:
    """A fingerprint of folders below `tree`: another one when anything came into one of them, or went, since."""
    digest = hashlib.sha256()
    root = os.fsencode(tree)
    for path in paths:
        found = os.lstat(root + b"/" + path)
        digest.update(b"%s\0%d %d %d %d\n" % (path, found.st_ino, found.st_mode, found.st_mtime_ns, found.st_ctime_ns))
    return digest.hexdigest()


def folders_of(paths: Iterable[bytes]) -> list[bytes]:
    """The folders of these files, the top one as an empty path."""
    found = {b""}
    for path in paths:
        while (path := path.rpartition(b"/")[0]) not in found:
            found.add(path)
    return sorted(found)


def count(git_dir: Path) -> int:
    """How many entries an index has, by its header (gitformat-index); 0 for what is none."""
    try:
        with open(git_dir / "index", "rb") as stream:
            header = stream.read(12)
    except OSError:
        return 0
    return int.from_bytes(header[8:12], "big") if header[:4] == b"DIRC" else 0
