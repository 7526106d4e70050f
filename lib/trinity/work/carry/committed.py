"""Secrets in commits that no remote has yet.

A file can be left out of a parcel, a commit cannot: its id would change. So such work is not packed before a person has
agreed to it. Commits that a remote has are not looked at: what is in them is out already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trinity.errors import TrinityError
from trinity.work.carry import objects, paths
from trinity.work.carry.content import Withheld
from trinity.work.carry.private import Private

_SHOWN = 5
_LARGEST = 100_000_000


class CommittedSecret(TrinityError):
    """`found` are the paths with their reasons."""

    def __init__(self, found: Sequence[str]) -> None:
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        super().__init__(
            f"commits that no remote has hold secrets: {'; '.join(found[:_SHOWN])}{more}",
            "take them out of the commits, or agree to carry them",
        )
        self.found = list(found)


def check(
    private: Private,
    tips: Sequence[str],
    published: Sequence[str],
    files: Mapping[str, bytes],
    withheld: Withheld,
) -> None:
    """Raise CommittedSecret when a commit that is not `published`, or a file of a stopped operation, holds what stays."""
    asked = "".join(f"{line}\n" for line in [*tips, *(f"^{oid}" for oid in published)])
    out = private.git.run("rev-list", "--objects", "--stdin", stdin=asked.encode("ascii"))
    named = {}
    for line in out.splitlines():
        oid, _, path = line.partition(b" ")
        # A commit comes without a path: its message is looked at too.
        named[oid.decode("ascii")] = path or b"commit " + oid[:12]
    found = []
    for name, data in files.items():
        reason = withheld(name, data)
        if reason:
            found.append(f"{name} of the stopped operation: {reason}")
    for blob, data in objects.read_blobs(private.git, objects.sizes(private.git, named, _LARGEST)):
        shown = paths.shown(named[blob])
        reason = withheld(shown, data)
        if reason:
            found.append(f"{shown}: {reason}")
    if found:
        raise CommittedSecret(found)
