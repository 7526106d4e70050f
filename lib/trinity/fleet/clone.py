"""A private bare clone, of the state or of carried parts: a cache, used by one process at a time (R8).

Whoever is inside `locked` is alone: the kernel lock is inherited by every git child, so it is free only when the last
orphan of a killed process is gone, and only therefore may the `*.lock` files found then be swept. `INIT_OK` is written
last. A clone without it, of another remote, or that turned out broken is put aside and built anew; nothing is lost by
that, because everything in it is in the fleet remote, in the outbox or made of files that are still there. The rules
R1 to R11 stand in docs/HANDOFF_PROTOCOL.md.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NoReturn

from trinity import clock, files, git, locks
from trinity.errors import Busy, Offline, TrinityError
from trinity.git import GitError
from trinity.home import Home

STATE_REF = "refs/heads/trinity-state"
TIP = "refs/trinity/tip"
NEXT = "refs/trinity/next"
_MARK = "INIT_OK"
# Where git keeps lock files in a bare repository; objects are written without.
_LOCKED_FOLDERS = ("refs", "logs")
_LOOSE_PER_FOLDER = 27  # git's own measure (gc.auto 6700): count one of the 256 folders
_SETTINGS = {
    "transfer.fsckObjects": "true",
    "http.lowSpeedLimit": "1000",
    "http.lowSpeedTime": "20",
    # An orphan of a killed process ends by itself, and with it the lock it inherited.
    "core.sshCommand": "ssh -o BatchMode=yes -o ConnectTimeout=15 -o ServerAliveInterval=10 -o ServerAliveCountMax=3",
}
_FETCH = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", "--no-recurse-submodules")
_NO_OBJECT = re.compile(r"not our ref|couldn't find remote ref|unadvertised object", re.IGNORECASE)
_NO_ACCESS = re.compile(
    r"Authentication failed|Permission denied|could not read (Username|Password)|access denied|not authori[sz]ed"
    r"|error: 40[13]|dubious ownership",
    re.IGNORECASE,
)


class Broken(TrinityError):
    """The clone cannot do what every sound clone can; it is built anew."""


class Rejected(TrinityError):
    """The remote does not let this PC in, or not write; trying again does not help."""


class Clone:
    """The clone of `url` in `home`, at `path` (default: the state's), with git settings beyond those of every clone.

    `git` is a local call; the others talk to the remote, inside `locked` only.
    """

    def __init__(
        self, home: Home, url: str, timeout: float, path: Path | None = None, settings: Mapping[str, str] | None = None
    ) -> None:
        self.home = home
        self.url = url
        self.path = path or home.state_clone
        self.inside = False
        self._settings = _SETTINGS | dict(settings or {})
        self._local = git.Repository(self.path, max(timeout, 60), bare=True)
        self._remote = git.Repository(self.path, timeout, bare=True, access=True)
        self._fds: tuple[int, ...] = ()

    @contextmanager
    def locked(self, timeout: float) -> Iterator[bool]:
        """Be alone in a complete clone for the block; yields whether it was built just now, empty; raises Busy."""
        with locks.hold_inherited(self.home.locks / f"{self.path.name}.lock", timeout) as descriptor:
            self._fds = (descriptor,)
            self.inside = True
            try:
                complete = self.complete()
                if complete:
                    self._sweep()
                else:
                    self.build("incomplete, or of another remote")
                yield not complete
            finally:
                self.inside = False
                self._fds = ()

    def complete(self) -> bool:
        """Was this clone built to the end, for this remote?"""
        try:
            return (self.path / _MARK).read_text(encoding="utf-8") == self.url + "\n"
        except (OSError, UnicodeDecodeError):
            return False

    def build(self, why: str) -> None:
        """Replace the clone by an empty one; the old one goes into quarantine."""
        final = self.path
        fresh = final.with_name(final.name + ".new")
        if fresh.exists():
            shutil.rmtree(fresh)
        git.init_bare(fresh)
        git.add_settings(fresh, self._settings)
        files.write_atomic(fresh / _MARK, (self.url + "\n").encode())
        if final.exists() or final.is_symlink():
            old = final.with_name(f"{final.name}.{time.time_ns()}")
            final.rename(old)
            files.quarantine(self.home, old, f"{final.name}: {why}")
        fresh.rename(final)
        files.sync_folder(final.parent)

    def _sweep(self) -> None:
        top = self.path
        stale = [*top.glob("*.lock"), *top.glob("fast_import_crash_*")]
        for folder in _LOCKED_FOLDERS:
            stale += (top / folder).rglob("*.lock")
        for path in stale:
            path.unlink(missing_ok=True)

    def git(self, *arguments: str, stdin: bytes | None = None, stdout: BinaryIO | None = None) -> bytes:
        """A local plumbing call; raises Broken, because none of them fails in a sound clone, or Busy when it was killed."""
        try:
            return self._local.run(*arguments, stdin=stdin, stdout=stdout, pass_fds=self._fds)
        except git.GitError as error:
            if error.status is None or error.status < 0:
                raise Busy(error.message, "try again in a moment") from None
            raise Broken(f"'{self.path.name}' is broken: {error.message}") from None

    def blobs(self, wanted: list[str]) -> list[bytes]:
        """The contents of these objects, by one process; raises Broken when one is missing."""
        output = self.git("cat-file", "--batch", stdin="".join(f"{oid}\n" for oid in wanted).encode())
        contents = []
        at = 0
        while at < len(output):
            end = output.index(b"\n", at)
            fields = output[at:end].split()
            if len(fields) != 3:
                raise Broken(f"'{self.path.name}' is broken: {output[at:end].decode('utf-8', 'replace')}")
            start = end + 1
            at = start + int(fields[2])
            contents.append(output[start:at])
            at += 1
        return contents

    def tidy(self) -> None:
        """Pack the clone when it holds thousands of loose objects."""
        sample = self.path / "objects" / "17"
        if sample.is_dir() and sum(1 for _ in sample.iterdir()) > _LOOSE_PER_FOLDER:
            self.git("gc", "--quiet")

    def remote_refs(self, pattern: str) -> dict[str, str]:
        """The remote's refs that match, without fetching; raises Offline."""
        listed = self._ask("ls-remote", "--quiet", self.url, pattern)
        pairs = [line.split("\t", 1) for line in listed.decode("utf-8", "replace").splitlines()]
        return {name: oid for oid, name in pairs}

    def fetch(self, *refspecs: str) -> None:
        """Fetch by force into refs of the clone, which vanish with the remote's; raises Offline, Broken."""
        self._ask("fetch", *_FETCH, "--prune", self.url, *refspecs)

    def fetch_object(self, oid: str, ref: str) -> bool:
        """Fetch exactly this commit into a ref of the clone; False when the remote has no such; raises Offline, Broken."""
        try:
            self._remote.run("fetch", *_FETCH, self.url, f"+{oid}:{ref}", pass_fds=self._fds)
        except git.GitError as error:
            if not _NO_OBJECT.search(error.stderr):
                self._failed(error)
            return False
        return True

    def push(self, new: str, ref: str, expected: str | None) -> None:
        """Compare-and-swap of `ref` from `expected` (None: not there yet) to `new` (empty: gone); raises git.GitError.

        The error says nothing about whether the swap took place: look into the remote (R2).
        """
        lease = f"--force-with-lease={ref}:{expected or ''}"
        self._remote.run("push", "--quiet", "--no-verify", lease, self.url, f"{new}:{ref}", pass_fds=self._fds)

    def resolve(self, name: str) -> str | None:
        """The object that `name` stands for in the clone, or None."""
        found = self.git("for-each-ref", "--format=%(objectname)", name).decode().split()
        return found[0] if found else None

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Does `newer` contain `older`? False too when the clone holds no such `older`."""
        revisions = self.git("rev-list", "--ignore-missing", "--max-count=1", older, f"^{newer}")
        present = self.git("cat-file", "--batch-check", stdin=f"{older}\n".encode()).split()[-1] != b"missing"
        return present and not revisions

    def commit(self, ref: str, base: str | None, message: str, changes: Mapping[str, bytes | str | None]) -> str:
        """Write a child of `base` with these files changed (None: removed; text: the oid of a blob that is there) to a
        ref of the clone; returns its oid.

        One fast-import process does what hash-object, read-tree, update-index, write-tree and commit-tree do in five.
        """
        text = message.encode()
        head = f"feature done\ncommit {ref}\nmark :1\ncommitter Trinity <trinity@localhost> {int(clock.now())} +0000\n"
        stream = [head.encode(), b"data %d\n" % len(text), text, b"\n"]
        if base:
            stream.append(f"from {base}\n".encode())
        # Removed first: a file may take the place that a folder of the same name had.
        for path, data in sorted(changes.items(), key=lambda change: change[1] is not None):
            if data is None:
                stream.append(f"D {path}\n".encode())
            elif isinstance(data, str):
                stream.append(f"M 100644 {data} {path}\n".encode())
            else:
                stream += [f"M 100644 inline {path}\ndata {len(data)}\n".encode(), data, b"\n"]
        stream.append(b"get-mark :1\ndone\n")
        return self.git("fast-import", "--quiet", "--force", stdin=b"".join(stream)).decode().strip()

    def _ask(self, *arguments: str) -> bytes:
        try:
            return self._remote.run(*arguments, pass_fds=self._fds)
        except git.GitError as error:
            self._failed(error)

    def _failed(self, error: GitError) -> NoReturn:
        check_access(self.url, error)
        if error.status is not None:
            # A torn clone fails here too, and would for ever: fsck tells the two apart.
            self.git("fsck", "--no-dangling", "--no-progress")
        raise Offline(
            f"the fleet remote '{self.url}' does not answer: {error.message}",
            "what was to be sent is safe here; try again later",
        ) from error


def check_access(url: str, error: git.GitError) -> None:
    """Raise Rejected when git failed for want of a login or a permission."""
    if _NO_ACCESS.search(error.stderr):
        raise Rejected(f"the fleet remote '{url}' refuses this PC: {error.message}", "trinity doctor") from error


def is_local(url: str) -> bool:
    """Is this remote a folder of this machine?"""
    return url.startswith("file://") or ("://" not in url and Path(url).is_absolute())
