"""The state ref: who has what, decided by compare-and-swap on one ref of the fleet remote.

A reader sees the state before or after a change, never a part of it. Of two writers on one base exactly one wins; the
other's decision is taken again on the new state (R1, R4). A crash, a timeout or a failed push decides nothing: what
counts is whether the operation's id stands in the state's history (R2), so doing an operation again changes nothing
(R3). A remote that shows less than was seen before is healed when its history is a part of ours; else nothing is
claimed and `Diverged` names both (R9). The rules R1 to R11 stand in docs/HANDOFF_PROTOCOL.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from trinity import files
from trinity.errors import BadRecord, TrinityError, UsageError
from trinity.fleet import embedded, names
from trinity.fleet.backoff import Backoff
from trinity.fleet.clone import NEXT, STATE_REF, TIP, Broken, Clone, Rejected, check_access, is_local
from trinity.fleet.snapshot import MAX_BYTES, Blobs, Decide, Edits, Refusal, Snapshot
from trinity.git import GitError
from trinity.home import Home

T = TypeVar("T")

# Failures of a push that another try may not have: somebody else was faster, or the server was busy or out of space.
_PASSING = r"cannot lock|failed to update ref|failed to lock|incorrect old value|unpacker error|stale info|fetch first"
_REFUSED = re.compile(rf"\[remote rejected\](?!.*\(.*({_PASSING}))|\bhook declined\b", re.IGNORECASE)
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]|[\ud800-\udfff]")
_LINE = 400
_SUBJECT = 160


class Diverged(TrinityError):
    """The remote's state and the last one seen here are no parts of each other: claim nothing, show both."""

    def __init__(self, url: str, seen: str, tip: str | None) -> None:
        super().__init__(
            f"the state of '{url}' was rewritten: seen here {seen}, now there {tip or 'none'}",
            "compare both with git log; when the remote is right, remove state_seen.json of this PC's state folder",
        )
        self.seen = seen
        self.tip = tip


@dataclass(frozen=True)
class Change:
    """What became of an operation: `applied` now, `already` in the state, `unchanged` as there was nothing to write,
    or `refused` for `reason`. `oid` is the commit that carries it, `snapshot` the newest state known."""

    outcome: Literal["applied", "already", "unchanged", "refused"]
    snapshot: Snapshot
    oid: str | None = None
    reason: str = ""
    tries: int = 1

    @property
    def done(self) -> bool:
        """Does the state say what the operation wanted?"""
        return self.outcome != "refused"


class State:
    """The fleet's state as this PC reads and changes it; make it with `open_state`. For one thread."""

    def __init__(self, home: Home, url: str, pc: str, timeout: float, patience: float) -> None:
        self.home = home
        self.pc = names.check_pc(pc)
        self.clone = Clone(home, url, timeout)
        self._patience = patience
        self._local = is_local(url)
        self._blobs = Blobs()
        self._operations: dict[str, str] = {}
        self._searched: str | None = None
        self._latest: Snapshot | None = None

    def git(self, *arguments: str, stdin: bytes | None = None) -> bytes:
        """A plumbing call for a snapshot."""
        return self._read(lambda: self.clone.git(*arguments, stdin=stdin))

    def blobs(self, wanted: list[str]) -> list[bytes]:
        """Contents for a snapshot."""
        return self._read(lambda: self.clone.blobs(wanted))

    def _read(self, work: Callable[[], T]) -> T:
        # Reading needs no lock. A broken clone is built anew once; `alone` does so for what runs inside it.
        try:
            return work()
        except Broken:
            if self.clone.inside:
                raise
        self.alone(self._renew if self.clone.complete() else self._fetch)
        return work()

    def at(self, oid: str | None) -> Snapshot:
        """The state as it was at a commit."""
        if self._latest is None or self._latest.oid != oid:
            self._latest = Snapshot(oid, self, self._blobs)
        return self._latest  # a state never changes, and what was read of it stays read

    def last(self) -> Snapshot:
        """The last state seen by this PC, without asking the remote."""
        return self.at(self._seen())

    def contains(self, newer: str, older: str) -> bool:
        """Is the state at commit `older` a part of the history of `newer`?"""
        return self._read(lambda: self.clone.is_ancestor(older, newer))

    def find(self, operation: str, snapshot: Snapshot, since: str | None = None) -> str | None:
        """The commit that carries an operation in a state, or None; `since` as in `change`."""
        if since is not None:
            return snapshot.operations_since(since).get(operation)
        if snapshot.oid != self._searched:
            self._operations |= snapshot.operations_since(self._searched)
            self._searched = snapshot.oid
        return self._operations.get(operation)

    def fetch(self) -> Snapshot:
        """The state now; raises Offline, Busy, Diverged."""
        return self.at(self.alone(self._fetch))

    def change(self, operation: str, subject: str, decide: Decide, since: str | None = None) -> Change:
        """Apply an operation once. `decide` gives the files to write (None: remove) or a Refusal, for each state anew.

        `since`: a state known to be older than the operation, to search less history. Raises Offline (nothing is known
        to have happened; ask again with the same id), Busy, Rejected, Diverged.
        """
        if not names.is_operation(operation):
            raise UsageError(f"'{operation}' is no id of an operation")
        backoff = Backoff(self._local, self._patience)

        def attempt() -> Change | str:
            return self._attempt(operation, subject, decide, since, backoff.tries)

        while True:
            result = self.alone(attempt)
            if isinstance(result, Change):
                return result
            backoff.wait(result)

    def alone(self, work: Callable[[], T]) -> T:
        """Run `work` alone in the clone; when that turns out broken, once more in a new one."""
        with self.clone.locked(self._patience) as empty:
            try:
                if empty:
                    self._fetch()
                return work()
            except Broken as error:
                self.clone.build(error.message)
                self._fetch()
                return work()

    def _attempt(self, operation: str, subject: str, decide: Decide, since: str | None, tries: int) -> Change | str:
        # The first try trusts the last state seen: the swap itself finds out whether that is still true.
        base = self._seen() if tries == 0 else None
        fetched = base is None
        while True:
            snapshot = self.at(self._fetch() if fetched else base)
            carried = self.find(operation, snapshot, since)
            if carried:
                return Change("already", snapshot, carried, tries=tries + 1)
            edits = decide(snapshot)
            if edits and not isinstance(edits, Refusal):
                break
            if fetched:
                if isinstance(edits, Refusal):
                    return Change("refused", snapshot, reason=edits.reason, tries=tries + 1)
                return Change("unchanged", snapshot, snapshot.oid, tries=tries + 1)
            fetched = True
        _check(edits)
        message = f"{_one_line(subject)[:_SUBJECT]}\n\nOperation: {operation}\nPC: {self.pc}\n"
        new = self.clone.commit(NEXT, snapshot.oid, message, dict(edits))
        if Path(self.clone.url) == self.home.remote:
            embedded.sweep(self.home)
        try:
            self.clone.push(new, STATE_REF, snapshot.oid)
        except GitError as error:
            return self._after_failure(error, operation, snapshot, tries)
        self._remember(new)
        return Change("applied", self.at(new), new, tries=tries + 1)

    def _after_failure(self, error: GitError, operation: str, base: Snapshot, tries: int) -> Change | str:
        now = self.at(self._fetch())
        carried = now.operations_since(base.oid).get(operation)
        if carried:
            return Change("applied", now, carried, tries=tries + 1)
        if now.oid != base.oid:
            return "others changed the state first"
        check_access(self.clone.url, error)
        if _REFUSED.search(error.stderr):
            raise Rejected(f"the fleet remote '{self.clone.url}' refused the change: {_said(error)}")
        return _said(error)

    def _fetch(self) -> str | None:
        tip = self.clone.remote_refs(STATE_REF).get(STATE_REF)
        seen = self._seen()
        if tip == seen and (tip is None or self._holds(tip)):
            return tip
        if tip is not None:
            self.clone.fetch(f"+{STATE_REF}:{TIP}")
            tip = self.clone.resolve(TIP)  # may have moved on since it was listed
            self.clone.tidy()
        if seen is not None and tip != seen and not (tip and self.clone.is_ancestor(seen, tip)):
            self._put_back(seen, tip)
            return seen
        if tip is not None and tip != seen:
            self._remember(tip)
        return tip

    def _put_back(self, seen: str, tip: str | None) -> None:
        """The remote lost changes that were seen here: push them forward again, if they continue what it has."""
        if not self._holds(seen) or (tip is not None and not self.clone.is_ancestor(tip, seen)):
            raise Diverged(self.clone.url, seen, tip)
        try:
            self.clone.push(seen, STATE_REF, tip)
        except GitError as error:
            if self.clone.remote_refs(STATE_REF).get(STATE_REF) != seen:
                raise Diverged(self.clone.url, seen, tip) from error

    def _holds(self, oid: str) -> bool:
        return self.clone.git("cat-file", "--batch-check", stdin=f"{oid}\n".encode()).split()[-1] != b"missing"

    def _renew(self) -> str | None:
        self.clone.build("it could not be read")
        return self._fetch()

    def _memory(self) -> Path:
        # Beside the clone: the clone may be built anew, the memory of what was seen must not go with it (R9).
        return self.home.root / "state_seen.json"

    def _seen(self) -> str | None:
        try:
            memory = files.read_json(self._memory())
        except FileNotFoundError:
            return None
        except BadRecord as error:
            files.quarantine(self.home, self._memory(), "; ".join(error.problems))
            return None
        # Another remote is another history: nothing of it has been seen.
        if not isinstance(memory, dict) or memory.get("url") != self.clone.url or not names.is_oid(memory.get("oid")):
            return None
        return str(memory["oid"])

    def _remember(self, oid: str) -> None:
        files.write_json(self._memory(), {"kind": "state_seen", "version": 1, "url": self.clone.url, "oid": oid})


def open_state(home: Home, url: str | Path, pc: str, timeout: float = 30, patience: float | None = None) -> State:
    """The state of the fleet at `url`, for `pc`. `timeout` bounds one call to the remote, `patience` all tries of one
    change together (default 20 s on a local remote, 90 s elsewhere). Nothing is created or asked yet."""
    url = str(url)
    if patience is None:
        patience = 20 if is_local(url) else 90
    return State(home, url, pc, timeout, patience)


def _check(edits: Edits) -> None:
    for path, data in edits.items():
        if not names.allowed(path):
            raise UsageError(f"'{_one_line(path)}' is no name in the fleet's state")
        if data is not None and len(data) > MAX_BYTES:
            raise UsageError(f"'{path}' would have {len(data)} bytes, more than {MAX_BYTES}")


def _said(error: GitError) -> str:
    """What the other side said, else what git made of it."""
    said = [line for line in error.stderr.splitlines() if line.startswith(("remote:", " ! "))]
    return _one_line(" / ".join(" ".join(line.split()) for line in said) or error.message)


def _one_line(text: str) -> str:
    """Text for one line of a log: no control or bidirectional characters, cut to a line's length."""
    return _UNPRINTABLE.sub(" ", text).strip()[:_LINE]
