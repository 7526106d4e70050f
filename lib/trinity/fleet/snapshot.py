"""One state of the fleet, as a commit of the state ref: read without a checkout, never changing.

A tree entry that is no plain file (mode 100644), has a name nobody generates, or is larger than a record may be is not
among `paths`: it stands in `refused` with the reason, and the rest stays usable (docs/HANDOFF_PROTOCOL.md, R10, R11).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from trinity.fleet import names

MAX_BYTES = 1_000_000
_CACHE_BYTES = 32_000_000


class Tree(Protocol):
    """What the decisions of `operations` see of a state."""

    def paths(self, prefix: str = "") -> list[str]: ...

    def read(self, path: str) -> bytes: ...


@dataclass(frozen=True)
class Refusal:
    """A decision against a change, with the reason for a person."""

    reason: str


# The files a change writes (None: removes). A decision is a pure function of the state it sees: it is asked anew for
# every state that it meets on its way.
Edits = Mapping[str, bytes | None]
Decide = Callable[[Tree], Edits | Refusal]


class Objects(Protocol):
    """Where a snapshot's git objects come from."""

    def git(self, *arguments: str, stdin: bytes | None = None) -> bytes: ...

    def blobs(self, wanted: list[str]) -> list[bytes]: ...


class Blobs:
    """Contents by object name, shared by the snapshots of one process; only a cache."""

    def __init__(self) -> None:
        self._known: dict[str, bytes] = {}
        self._bytes = 0

    def get(self, objects: Objects, oids: list[str]) -> dict[str, bytes]:
        """The contents of these blobs, by one git process for all that are not known yet."""
        found = {oid: self._known[oid] for oid in oids if oid in self._known}
        missing = [oid for oid in dict.fromkeys(oids) if oid not in found]
        if missing:
            fresh = objects.blobs(missing)
            if self._bytes > _CACHE_BYTES:
                self._known.clear()
                self._bytes = 0
            for oid, data in zip(missing, fresh, strict=True):
                found[oid] = self._known[oid] = data
                self._bytes += len(data)
        return found


class Snapshot:
    """The state at commit `oid`; None is the state before the first change."""

    def __init__(self, oid: str | None, objects: Objects, blobs: Blobs) -> None:
        self.oid = oid
        self._objects = objects
        self._blobs = blobs
        self._entries: dict[str, str] | None = None
        self._refused: dict[str, str] = {}

    @property
    def refused(self) -> dict[str, str]:
        """Paths in the tree that are not read, with the reason."""
        self._listing()
        return self._refused

    def paths(self, prefix: str = "") -> list[str]:
        """The paths of all records that start with `prefix`, sorted."""
        return [path for path in self._listing() if path.startswith(prefix)]

    def blob(self, path: str) -> str:
        """The object name of the record at `path`: the same name, the same content; raises KeyError."""
        return self._listing()[path]

    def read(self, path: str) -> bytes:
        """The content of the record at `path`; raises KeyError."""
        oid = self.blob(path)
        return self._blobs.get(self._objects, [oid])[oid]

    def read_all(self, paths: list[str]) -> dict[str, bytes]:
        """The contents of many records, by one git process."""
        listing = self._listing()
        contents = self._blobs.get(self._objects, [listing[path] for path in paths])
        return {path: contents[listing[path]] for path in paths}

    def operations_since(self, oid: str | None) -> dict[str, str]:
        """The ids of all operations after state `oid` (None: ever) with the commit that carries each."""
        if self.oid is None or self.oid == oid:
            return {}
        form = "--format=%H %(trailers:key=Operation,valueonly,separator=%x20)"
        # A base that this clone does not hold (it was built anew) counts as not given: the whole history is searched.
        without = [f"^{oid}"] if oid else []
        log = self._objects.git("log", "--ignore-missing", form, self.oid, *without, "--")
        found = {}
        for line in log.decode("utf-8", "replace").splitlines():
            commit, *operations = line.split()
            for operation in operations:
                found[operation] = commit
        return found

    def _listing(self) -> dict[str, str]:
        if self._entries is None:
            entries: dict[str, str] = {}
            if self.oid is not None:
                listed = self._objects.git("ls-tree", "-r", "-l", "-z", "--full-tree", self.oid)
                for line in listed.split(b"\0"):
                    if line:
                        self._take(line, entries)
            self._entries = dict(sorted(entries.items()))
        return self._entries

    def _take(self, line: bytes, entries: dict[str, str]) -> None:
        facts, _, name = line.partition(b"\t")
        mode, _, oid, size = facts.decode("ascii").split()
        path = name.decode("utf-8", "backslashreplace")
        if mode != "100644":
            self._refused[path] = f"mode {mode}, not a plain file"
        elif not names.allowed(path):
            self._refused[path] = "a name that nobody generates"
        elif int(size) > MAX_BYTES:
            self._refused[path] = f"{size} bytes, more than {MAX_BYTES}"
        else:
            entries[path] = oid
