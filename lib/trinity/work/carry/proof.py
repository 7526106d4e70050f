"""The proof that a restored worktree is the packed one: status, index, flags and every byte, looked at anew.

Paths that the parcel left out are outside of the proof; they are listed apart.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from typing import Any

from trinity.git import Repository, together
from trinity.work.carry import manifest as manifests
from trinity.work.carry import objects, paths, scan
from trinity.work.carry.unpack import Entries

_SHOWN = 50


def differences(git: Repository, manifest: Mapping[str, Any], entries: Entries, *, noting: bool = False) -> list[str]:
    """A sentence for each difference; empty when all is equal.

    `noting`: git writes into the index what it found out about the files, so that nobody has to look at them once more.
    """
    outside = manifests.outside(manifest["left_out"])
    locks = {"GIT_OPTIONAL_LOCKS": "1"} if noting else {}
    looking = Repository(
        git.path, git.timeout, as_user=True, variables={**git.variables, **locks}, settings=git.settings
    )
    (by_path, _), listed = together(lambda: scan.states(looking), lambda: scan.listing(git))
    found = _status(by_path, entries, outside)
    if listed.proof(outside) != manifest["index_proof"]:
        found += _index(listed, entries, outside) or ["the index differs in files that are not changed"]
    below = paths.Below(os.fsencode(git.path))
    for path, entry in entries:
        if path not in outside and not _as_packed(below, path, entry, manifest["object_format"]):
            found.append(f"{paths.shown(path)}: its content differs")
    return found if len(found) <= _SHOWN else [*found[:_SHOWN], f"and {len(found) - _SHOWN} more"]


def _status(by_path: Mapping[bytes, bytes], entries: Entries, outside: set[bytes]) -> list[str]:
    # A repository inside that left something out may look cleaner than it was.
    without = outside | {path for path, entry in entries if entry["kind"] == "repository" and _holed(path, outside)}
    expected = {path: entry["state"] for path, entry in entries if "state" in entry and path not in without}
    actual = {path: state.decode("ascii") for path, state in by_path.items() if path not in without}
    return [
        f"{paths.shown(path)}: status is '{actual.get(path, 'clean')}' and was '{expected.get(path, 'clean')}'"
        for path in sorted({*expected, *actual})
        if expected.get(path) != actual.get(path)
    ]


def clean_by_now(git: Repository, entries: Entries) -> set[bytes]:
    """Entries that had a status and have none here."""
    by_path, _ = scan.states(git)
    return {path for path, entry in entries if "state" in entry and path not in by_path}


def _holed(path: bytes, outside: set[bytes]) -> bool:
    inside = path.rstrip(b"/") + b"/"
    return any(other.startswith(inside) for other in outside)


def _index(listed: scan.Listing, entries: Entries, outside: set[bytes]) -> list[str]:
    found = []
    for path, entry in entries:
        lines = [list(line) for line in listed.lines(path)]
        same = lines == entry["index"] and listed.flags.get(path) == entry.get("flag")
        if path not in outside and not same:
            found.append(f"{paths.shown(path)}: its index entry differs")
    return found


def _as_packed(below: paths.Below, path: bytes, entry: Mapping[str, Any], object_format: str) -> bool:
    if entry["kind"] == "repository":
        return True  # proved by its own parcel
    status = below.lstat(path)
    if status is None:
        return bool(entry["kind"] == "absent")
    if stat.S_ISDIR(status.st_mode):
        return bool(entry["kind"] == "folder")
    if stat.S_ISLNK(status.st_mode):
        data = os.fsencode(os.readlink(below.full(path)))
        return bool(entry["kind"] == "link" and objects.blob_id(data, object_format) == entry["blob"])
    if entry["kind"] != "file":
        return False
    executable = bool(status.st_mode & 0o100) or os.name == "nt"
    with open(below.full(path), "rb") as stream:
        same = objects.blob_id(stream.read(), object_format) == entry["blob"]
    return same and (executable == entry["executable"] or os.name == "nt")
