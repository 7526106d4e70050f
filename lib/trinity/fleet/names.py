"""The names in the fleet's state: made from checked ids, never taken from a record's content.

That is rule R11 of docs/HANDOFF_PROTOCOL.md: a path that `allowed` does not know is not read and cannot be written, so no
record can reach outside the state's folders.
"""

from __future__ import annotations

import re
import secrets
from typing import Any

from trinity import clock
from trinity.errors import UsageError

FLEET = "fleet.json"
HANDOFF = "handoff/"
PROCESSED = "handoff/processed/"
DEAD = "dead/"
WAKE = "wake/"
WAKE_ARCHIVE = "wake_archive/"
SPAWN_QUEUE = "spawn_queue/"
PARTS = "refs/trinity/work/"

_PC = r"[A-Z0-9][A-Z0-9_-]{0,31}"
_STAMP = r"[0-9]{8}_[0-9]{6}"
_PLAIN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
# Systems before Trinity named handoffs without the id.
_HANDOFF_FILE = rf"handoff_{_PC}_to_{_PC}_{_STAMP}(_[0-9a-f]{{16}})?\.json"

_PC_ID = re.compile(_PC)
_HEX_ID = re.compile(r"[0-9a-f]{16}")
_OID = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_OPERATION_ID = re.compile(r"[0-9a-f]{16,64}")
_WITH_ID = re.compile(r"_[0-9]{6}_[0-9a-f]{16}\.json$")
_ALLOWED = re.compile(
    rf"fleet\.json|handoff/(processed/)?{_HANDOFF_FILE}|wake/{_PC}\.json|wake_archive/{_PC}_wake_{_STAMP}\.json"
    rf"|(dead|spawn_queue)/{_PLAIN}|usage/({_PLAIN}/)?{_PLAIN}"
)
_PARTS_REF = re.compile(rf"{PARTS}([0-9a-f]{{16}})\.e(0|[1-9][0-9]{{0,8}})")
# A carried file: letters that every file system keeps apart and takes, at most five folders deep.
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}(/[A-Za-z0-9_][A-Za-z0-9._-]{0,99}){0,5}")
_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)


def allowed(path: str) -> bool:
    """May `path` stand in the state?"""
    return _ALLOWED.fullmatch(path) is not None and ".." not in path


def new_id() -> str:
    """A fresh id of 16 hex digits, for handoffs and operations."""
    return secrets.token_hex(8)


def is_pc(text: object) -> bool:
    """Is this the id of a PC?"""
    return isinstance(text, str) and _PC_ID.fullmatch(text) is not None


def is_id(text: object) -> bool:
    """Is this the id of a handoff?"""
    return isinstance(text, str) and _HEX_ID.fullmatch(text) is not None


def is_oid(text: object) -> bool:
    """Is this the name of a git object?"""
    return isinstance(text, str) and _OID.fullmatch(text) is not None


def is_operation(text: object) -> bool:
    """Is this the id of an operation?"""
    return isinstance(text, str) and _OPERATION_ID.fullmatch(text) is not None


def has_id(path: str) -> bool:
    """Does this file of a handoff name the handoff's id?"""
    return _WITH_ID.search(path) is not None


def check_pc(text: object) -> str:
    """`text` as the id of a PC; raises UsageError."""
    if not isinstance(text, str) or _PC_ID.fullmatch(text) is None:
        raise UsageError(f"'{text}' is no id of a PC", "such ids are PC1, LAPTOP, BUILD-2: capitals, digits, - and _")
    return text


def handoff_file(record: dict[str, Any]) -> str:
    """The file name of a handoff, fixed at creation; the record is a validated one."""
    stamp = clock.stamp(clock.parse(record["timestamp"]))
    return f"handoff_{check_pc(record['from_pc'])}_to_{check_pc(record['to_pc'])}_{stamp}_{record['id']}.json"


def wake_file(pc: str) -> str:
    """Where the wake for `pc` stands."""
    return f"{WAKE}{check_pc(pc)}.json"


def wake_archive_file(pc: str, time: str) -> str:
    """Where a wake that `pc` received at `time` is archived."""
    return f"{WAKE_ARCHIVE}{check_pc(pc)}_wake_{clock.stamp(clock.parse(time))}.json"


def parts_ref(handoff_id: str, epoch: int) -> str:
    """The ref that carries the parts of a handoff in one epoch; raises UsageError."""
    ref = f"{PARTS}{handoff_id}.e{epoch}"
    if parts_of(ref) is None:
        raise UsageError(f"'{handoff_id}' epoch {epoch} is no handoff's epoch")
    return ref


def parts_of(ref: str) -> tuple[str, int] | None:
    """The handoff and the epoch whose parts this ref carries; None for any other ref."""
    found = _PARTS_REF.fullmatch(ref)
    return (found[1], int(found[2])) if found else None


def is_part(name: str) -> bool:
    """May a carried file have this name, on any system?"""
    if _PART.fullmatch(name) is None:
        return False
    return not any(each.endswith(".") or ".." in each or _DEVICE.fullmatch(each) for each in name.split("/"))


def base(path: str) -> str:
    """The last part of a path in the state."""
    return path.rpartition("/")[2]


def folder(path: str) -> str:
    """The folder of a path in the state, with its slash; empty at the top."""
    head, slash, _ = path.rpartition("/")
    return head + slash
