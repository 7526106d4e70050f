"""Keeping a carried session out of the place where its project lay on the PC it came from.

Two layers, because each alone has gaps: the guard's file, by which the PreToolUse hook denies tools that reach the old
root, with a reason the model can act on; and deny rules, which the client itself applies in every permission mode, also
to what shell commands are seen to write.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from trinity.errors import TrinityError
from trinity.home import Home
from trinity.work import session_notes

_RULES = ("Edit", "Read")  # Edit stands for every tool that changes files
_WILD = "\\*?[]{}()!"


def raise_guard(home: Home, session_id: str, old_roots: Sequence[str], new_root: str) -> Path | None:
    """Guard the old roots from the session, of which none needs to exist here; returns the note.

    A root that no path of this PC can mean (of another system, or a whole disk) is left out; None when none is left.
    Raises TrinityError when `new_root` is no absolute folder.
    """
    if not _is_place(new_root):
        raise TrinityError(f"'{new_root}' is no folder that a project could lie in")
    places = list(dict.fromkeys(root for root in old_roots if _is_place(root) and root != new_root))
    if not places:
        return None
    document: dict[str, object] = {"kind": "guard", "version": 1, "old_roots": places, "new_root": new_root}
    return session_notes.put(home.guard, session_id, document)


def _is_place(root: str) -> bool:
    return os.path.isabs(root) and root != os.path.dirname(root)


def lower_guard(home: Home, session_id: str) -> bool:
    """Take the guard away; was there one?"""
    return session_notes.drop(home.guard, session_id)


def deny_rules(old_root: str, new_root: str) -> list[str]:
    """Permission rules that keep the client out of `old_root`, as it is written and with its links resolved.

    None where the new root lies within the old one, or is the same place: a deny rule has no exceptions, so there the
    hook stands alone.
    """
    real_old, real_new = Path(os.path.realpath(old_root)), Path(os.path.realpath(new_root))
    if real_new.is_relative_to(real_old):
        return []
    roots = dict.fromkeys((os.path.normpath(old_root), str(real_old)))
    return [f"{tool}({pattern})" for root in roots for pattern in _patterns(root) for tool in _RULES]


def client_arguments(old_roots: Sequence[str], new_root: str) -> list[str]:
    """What to add to the client's command line. Settings, not --disallowedTools: that splits its rules at blanks."""
    rules = [rule for root in old_roots if _is_place(root) for rule in deny_rules(root, new_root)]
    if not rules:
        return []
    denied = {"permissions": {"deny": list(dict.fromkeys(rules))}}
    return ["--settings", json.dumps(denied, ensure_ascii=False, separators=(",", ":"))]


def _patterns(root: str) -> list[str]:
    """The root and all below it, in the client's form of an absolute path: two slashes."""
    drive, rest = os.path.splitdrive(root)
    path = drive.removesuffix(":").lower() + rest  # Windows: C:\\x is //c/x for the client
    plain = "".join(f"\\{sign}" if sign in _WILD else sign for sign in path.replace(os.sep, "/").strip("/"))
    return [f"//{plain}", f"//{plain}/**"]
