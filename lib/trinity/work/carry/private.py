"""A private git folder beside a worktree: git looks at the worktree through it, and the user's `.git` stays untouched.

It has its own copy of the index (with its modification time: with a fresh one git takes a change of the same size in the
same moment for clean) and borrows the objects. What configuration decides about a file's bytes or its status is taken over
key by key; hooks, monitors and caches are not. Git writes nothing into it while the user's objects are in sight, because
it would freshen the times of their files: what the parcel adds is written by `objects`.
"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from trinity.errors import TrinityError
from trinity.git import Repository
from trinity.work.carry import objects
from trinity.work.carry.facts import NO_FETCH, Facts, head_of, read_or_empty


class Private:
    """The private git folder at `folder` for the worktree of `facts`."""

    def __init__(self, folder: Path, facts: Facts) -> None:
        self.folder = folder
        self.facts = facts
        self.index_state: tuple[int, ...] = ()
        self.written: set[str] = set()
        self.began = os.lstat(folder.parent)
        for part in ("objects", "refs", "info"):
            (folder / part).mkdir(mode=0o700, parents=True)
        version = "1\n[extensions]\n\tobjectFormat = sha256" if facts.object_format == "sha256" else "0"
        self._write("config", f"[core]\n\tbare = false\n\trepositoryformatversion = {version}\n".encode("ascii"))
        self._write("excludes", facts.excludes)
        self._write("attributes", facts.attributes)
        if facts.shallow:
            self._write("shallow", read_or_empty(facts.common_dir / "shallow"))
        self._lend_keys()
        settings = [f"{key}={value}" for key, value in facts.settings.items()]
        settings += [
            "core.untrackedCache=false",
            "core.splitIndex=false",
            "index.sparse=false",
            f"core.excludesFile={folder / 'excludes'}",
            f"core.attributesFile={folder / 'attributes'}",
        ]
        variables = {
            "GIT_DIR": str(folder),
            "GIT_WORK_TREE": str(facts.top),
            "GIT_LITERAL_PATHSPECS": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": _quoted(str(facts.common_dir / "objects")),
            **NO_FETCH,
        }
        self.git = Repository(facts.top, 600, variables=variables, settings=settings)

    def _lend_keys(self) -> None:
        """The keys of git-crypt lie in the git folder, where its filter looks for them."""
        keys = self.facts.common_dir / "git-crypt"
        if keys.is_dir():
            try:
                os.symlink(keys, self.folder / "git-crypt")
            except OSError:
                pass  # no links here: the filter says what it lacks

    def refresh(self) -> tuple[str | None, str | None]:
        """Copy HEAD, index and rules anew; returns HEAD's commit (None: unborn) and its branch (None: detached)."""
        self._write("began", b"")
        self.began = os.lstat(self.folder / "began")
        head, branch = head_of(self.facts)
        self._write("HEAD", f"{head or f'ref: {branch}'}\n".encode("utf-8", "surrogateescape"))
        for name in ("exclude", "attributes"):
            self._write(f"info/{name}", read_or_empty(self.facts.common_dir / "info" / name))
        self._write("info/sparse-checkout", read_or_empty(self.facts.git_dir / "info" / "sparse-checkout"))
        self.index_state = self._copy_index()
        return head, branch

    def write(self, kind: str, data: bytes) -> str:
        """Hold an object of the parcel; returns its id."""
        oid = objects.write(self.folder / "objects", kind, data, self.facts.object_format)
        self.written.add(oid)
        return oid

    def reference(self, name: str, oid: str) -> None:
        """Let `name` be a reference of the private folder."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(oid.encode("ascii") + b"\n")

    def _copy_index(self) -> tuple[int, ...]:
        source = self.facts.git_dir / "index"
        target = self.folder / "index"
        for _ in range(100):
            try:
                with open(source, "rb") as stream:
                    status = os.fstat(stream.fileno())
                    for shared in self.facts.git_dir.glob("sharedindex.*"):
                        shutil.copy2(shared, self.folder / shared.name)
                    target.write_bytes(stream.read())
                os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
            except FileNotFoundError:
                if not source.exists():
                    target.unlink(missing_ok=True)
                    return ()
            if index_state(self.facts) == _state(status):
                return _state(status)
            time.sleep(0.01)
        raise TrinityError(f"the index of '{self.facts.top}' does not stop changing", "end what writes it, then again")

    def _write(self, name: str, data: bytes) -> None:
        (self.folder / name).write_bytes(data)


def index_state(facts: Facts) -> tuple[int, ...]:
    """Equal as long as the user's index is the same; empty without one."""
    try:
        return _state(os.stat(facts.git_dir / "index"))
    except FileNotFoundError:
        return ()


def _state(status: os.stat_result) -> tuple[int, ...]:
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _quoted(path: str) -> str:
    # The variable is a list: a path with its separator has to be quoted as in C.
    if os.pathsep in path or path.startswith('"'):
        return '"' + path.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return path
