"""What each PC used, on a ref of its own (`refs/trinity-usage/<PC>`), replaced without a history like a heartbeat.

Its tree holds `days/YYYY-MM-DD.json` and `usage.json`, which says when it was written. The fleet does not look inside. A
tree entry that is no plain file, has a name nobody generates, or is larger than MAX_BYTES is not read, and said.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from trinity.fleet import names, own_ref
from trinity.fleet.state import State

INDEX = "usage.json"
MAX_BYTES = 20_000_000
MAX_DAYS = 4_000
_PREFIX = "refs/trinity-usage/"
_DRAFT = "refs/trinity/usage"
_NAME = re.compile(r"usage\.json|days/[0-9]{4}-[0-9]{2}-[0-9]{2}\.json")


@dataclass
class Published:
    """What a PC has published: the object of each file, and what cannot be read, with the reason."""

    files: dict[str, str] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)


def day_file(day: str) -> str:
    """Where a day's record stands."""
    return f"days/{day}.json"


def publish(state: State, pc: str, files: Mapping[str, bytes | str]) -> dict[str, str]:
    """Replace what `pc` has published by these files (text: the object of one that is published already).

    Returns the object of each file; raises Offline, Busy.
    """
    ref = _PREFIX + names.check_pc(pc)
    return state.alone(lambda: _publish(state, ref, files))


def _publish(state: State, ref: str, files: Mapping[str, bytes | str]) -> dict[str, str]:
    clone = state.clone
    new = clone.commit(_DRAFT, None, f"usage: {ref.removeprefix(_PREFIX)}\n", files)
    own_ref.replace(clone, ref, new, clone.resolve(ref), "what was used here")
    clone.tidy()
    return _listing(state, new).files


def fetch(state: State) -> None:
    """Fetch what all PCs have published; raises Offline, Busy."""
    state.alone(lambda: state.clone.fetch(f"+{_PREFIX}*:{_PREFIX}*"))


def read_all(state: State) -> dict[str, Published]:
    """What each PC had published when it was fetched last, this one among them."""
    listed = state.git("for-each-ref", "--format=%(refname) %(objectname)", _PREFIX).decode("utf-8", "replace")
    refs = [line.split(" ") for line in listed.splitlines()]
    pairs = [(ref.removeprefix(_PREFIX), oid) for ref, oid in refs]
    return {pc: _listing(state, oid) for pc, oid in pairs if names.is_pc(pc)}


def read(state: State, oids: list[str]) -> list[bytes]:
    """The contents of these objects."""
    return state.blobs(oids) if oids else []


def _listing(state: State, oid: str) -> Published:
    found = Published()
    for entry in state.git("ls-tree", "-r", "-l", "-z", "--full-tree", oid).split(b"\0"):
        if not entry:
            continue
        facts, _, name = entry.partition(b"\t")
        mode, _, blob, size = facts.decode("ascii").split()
        path = name.decode("utf-8", "backslashreplace")
        if mode != "100644" or _NAME.fullmatch(path) is None:
            found.problems[path[:200]] = "not a file that anybody generates"
        elif int(size) > MAX_BYTES:
            found.problems[path] = f"{size} bytes, more than {MAX_BYTES}"
        elif len(found.files) > MAX_DAYS:
            found.problems[path] = f"more than {MAX_DAYS} days"
        else:
            found.files[path] = blob
    return found
