"""Secrets in commits that no remote has yet.

A file can be left out of a parcel, a commit cannot: its id would change. So such work is not packed before a person has
agreed to it. What is looked at is exactly what the bundle would hold, trees with their names and messages included; what a
remote has is out already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trinity.errors import TrinityError
from trinity.redaction import redact
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
            "take them out of the commits (git rebase -i), then save_handoff.py again",
        )
        self.found = list(found)


def check(private: Private, listed: Mapping[str, bytes], files: Mapping[str, bytes], withheld: Withheld) -> None:
    """Raise CommittedSecret when one of the listed objects, or a file of a stopped operation, holds what stays."""
    found = []
    for name, data in files.items():
        reason = withheld(name, data)
        if reason:
            found.append(f"{name} of the stopped operation: {reason}")
    known = objects.sizes(private.git, listed, _LARGEST)
    for oid, data in objects.read_blobs(private.git, [(oid, size) for oid, (size, _) in known.items()]):
        kind, path = known[oid][1], paths.shown(listed[oid])
        # A tree is looked at for its names, a commit for its message.
        reason = withheld(path if kind == "blob" else kind, data)
        if reason:
            where = (
                redact(path) if kind == "blob" else f"commit {oid[:12]}" if kind == "commit" else "the name of a file"
            )
            found.append(f"{where}: {reason}")
    if found:
        raise CommittedSecret(found)
