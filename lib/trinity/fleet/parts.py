"""Carried parts: the files that go with a handoff, as one parentless commit on a ref of its own for each epoch.

The order is the promise (docs/HANDOFF_PROTOCOL.md, R6): parts first, then one change of the state that names their
commit. A record therefore never names what the remote does not have. The ref of an epoch belongs to the PC that holds
it: only a newer set of that PC replaces a set, by compare-and-swap. `fetch_parts` with the oid of the record gets exactly
the set that was published, also while a newer one is on its way.

The objects lie in a clone apart from the state's, so that neither waits for the other. A push that was cut off is repeated
with the same files: the same content is the same set, however often it is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from trinity import git
from trinity.errors import Busy, Offline, TrinityError, UsageError
from trinity.fleet import names, part_files
from trinity.fleet.clone import Broken, Clone, check_access
from trinity.fleet.state import State

T = TypeVar("T")

_TIMEOUT = 600.0
_PATIENCE = 60.0
_SETTINGS = {
    # a larger file is streamed, and only a part of a pack is mapped at a time
    "core.bigFileThreshold": "16m",
    "core.packedGitWindowSize": "8m",
    "core.packedGitLimit": "32m",
    "pack.windowMemory": "64m",
    "pack.threads": "1",
    "pack.compression": "1",
    "fetch.unpackLimit": "1",
}
_DRAFT = "refs/trinity/draft"
_TAKEN = "refs/trinity/taken"
_TRIES = 3
_TIDY_ABOVE = 512 * 1024  # KiB, as git counts them


class PartsGone(TrinityError):
    """The remote does not have this set (any more): asking again does not help."""


@dataclass(frozen=True)
class Parts:
    """A set in the remote, as a record names it; `number` counts the sets of its epoch, from 1."""

    ref: str
    oid: str
    bytes: int
    epoch: int
    number: int

    def document(self) -> dict[str, Any]:
        """What stands in the record, and goes into `operations.publish` and `operations.done`."""
        return asdict(self)


def push_parts(state: State, handoff_id: str, epoch: int, contents: Mapping[str, Path | bytes]) -> Parts:
    """Bring these files to the remote as the newest set of this epoch; the same content again is the same set.

    Raises UsageError (a name or a file that is not carried), Offline, Busy, Rejected, and TrinityError when another PC
    has parts in this epoch.
    """
    ref = names.parts_ref(handoff_id, epoch)
    size = part_files.check(contents)
    clone = _open(state)
    return _alone(clone, lambda: _push(clone, state.pc, ref, epoch, contents, size))


def fetch_parts(state: State, handoff_id: str, epoch: int, into: Path, oid: str | None = None) -> dict[str, Path]:
    """Write the files of a set into the new folder `into`, which appears whole or not at all; returns them by name.

    `oid`: exactly the set that the record names; without it the newest of the epoch. Raises PartsGone, BadRecord (a set
    that nobody of ours wrote), Offline, Busy.
    """
    ref = names.parts_ref(handoff_id, epoch)
    if oid is not None and not names.is_oid(oid):
        raise UsageError(f"'{oid}' is no name of a commit")
    if into.exists():
        raise UsageError(f"'{into}' exists already")
    clone = _open(state)
    return _alone(clone, lambda: _fetch(clone, ref, into, oid))


def list_parts(state: State) -> dict[tuple[str, int], str]:
    """The sets in the remote: (handoff, epoch) to commit. Raises Offline, Busy."""
    clone = _open(state)
    listed = _alone(clone, lambda: clone.remote_refs(names.PARTS + "*"))
    return {about: oid for ref, oid in listed.items() if (about := names.parts_of(ref))}


def remove_parts(state: State, handoff_id: str, epoch: int) -> bool:
    """Remove the set of an epoch from the remote; False when there was none. Raises Offline, Busy, Rejected."""
    ref = names.parts_ref(handoff_id, epoch)
    clone = _open(state)
    return _alone(clone, lambda: _remove(clone, ref))


def unneeded(
    records: list[dict[str, Any]], listed: Mapping[tuple[str, int], str], seen: set[str]
) -> list[tuple[str, int]]:
    """Which of the listed sets nobody needs: of handoffs that are done and whose ids are in `seen` (their result was
    fetched by whoever waits for it), and of epochs before the one whose parts the record names."""
    known = {record["id"]: record for record in records}
    return [about for about in sorted(listed) if (record := known.get(about[0])) and _over(record, about[1], seen)]


def _over(record: dict[str, Any], epoch: int, seen: set[str]) -> bool:
    if record["state"] == "done" and record["id"] in seen:
        return True
    named = record.get("parts")
    return named is not None and epoch < int(named["epoch"])


def _open(state: State) -> Clone:
    return Clone(state.home, state.clone.url, _TIMEOUT, state.home.parts_clone, _SETTINGS)


def _alone(clone: Clone, work: Callable[[], T]) -> T:
    with clone.locked(_PATIENCE):
        try:
            return work()
        except Broken as error:
            clone.build(error.message)
            return work()


def _push(clone: Clone, pc: str, ref: str, epoch: int, contents: Mapping[str, Path | bytes], size: int) -> Parts:
    failure: git.GitError | None = None
    blobs = part_files.blobs(clone, contents)
    for _ in range(_TRIES):
        there = clone.remote_refs(ref).get(ref)
        number = 1
        if there is not None:
            if clone.resolve(ref) != there:
                clone.fetch(f"+{ref}:{ref}")
                there = clone.resolve(ref) or there
            holder, last = _signed(clone, ref)
            if holder != pc:
                raise TrinityError(f"the parts at '{ref}' are those of {holder or 'somebody unknown'}, not of {pc}")
            number = last + 1
        new = clone.commit(_DRAFT, None, f"parts: {ref}\n\nPC: {pc}\nNumber: {number}\n", blobs)
        if there is not None and _tree(clone, new) == _tree(clone, there):
            return Parts(ref, there, size, epoch, number - 1)
        failure = _swap(clone, new, ref, there)
        if failure is None:
            clone.git("update-ref", ref, new)
            _tidy(clone)
            return Parts(ref, new, size, epoch, number)
    raise Offline(f"the parts at '{ref}' were not taken: {_said(failure)}", "try again later")


def _swap(clone: Clone, new: str, ref: str, expected: str | None) -> git.GitError | None:
    """Push by compare-and-swap; the error when the remote does not show it afterwards (R2)."""
    try:
        clone.push(new, ref, expected)
    except git.GitError as error:
        if clone.remote_refs(ref).get(ref, "") != new:
            check_access(clone.url, error)
            return error
    return None


def _signed(clone: Clone, ref: str) -> tuple[str, int]:
    """Which PC made the set at a ref of the clone, and its number."""
    text = clone.git("for-each-ref", "--format=%(contents)", ref).decode("utf-8", "replace")
    pc, number = re.search(r"(?m)^PC: (\S+)$", text), re.search(r"(?m)^Number: ([0-9]{1,9})$", text)
    return (pc[1] if pc else "", int(number[1]) if number else 0)


def _tree(clone: Clone, commit: str) -> str:
    return clone.git("rev-parse", f"{commit}^{{tree}}").decode().strip()


def _remove(clone: Clone, ref: str) -> bool:
    failure: git.GitError | None = None
    for _ in range(_TRIES):
        there = clone.remote_refs(ref).get(ref)
        failure = None if there is None else _swap(clone, "", ref, there)
        if failure is None:
            clone.git("update-ref", "-d", ref)
            _tidy(clone)
            return there is not None
    raise Busy(f"the parts at '{ref}' were not removed: {_said(failure)}", "try again later")


def _said(failure: git.GitError | None) -> str:
    return failure.message if failure else "it changed again and again"


def _tidy(clone: Clone) -> None:
    facts = dict(line.split(": ", 1) for line in clone.git("count-objects", "-v").decode().splitlines())
    if int(facts["size"]) + int(facts["size-pack"]) > _TIDY_ABOVE or int(facts["packs"]) > 50:
        # Nothing unreachable is wanted: what was replaced is in the remote, or nowhere.
        clone.git("gc", "--quiet", "--prune=now")


def _fetch(clone: Clone, ref: str, into: Path, oid: str | None) -> dict[str, Path]:
    oid = oid or clone.remote_refs(ref).get(ref)
    if oid is None or not clone.fetch_object(oid, _TAKEN):
        raise PartsGone(f"the fleet remote has no parts {f'{oid} of' if oid else 'at'} '{ref}'")
    try:
        return part_files.write(clone, oid, into)
    finally:
        clone.git("update-ref", "-d", _TAKEN)
        _tidy(clone)
