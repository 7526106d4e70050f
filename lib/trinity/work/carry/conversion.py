"""Clean files whose bytes a fresh checkout would not give.

git calls a file clean when it is equal *after* conversion (line ends, `ident`, encodings). A worktree with mixed line ends,
or one that was checked out under other settings, is clean and still not what another machine would write. Suspicious
files are found by what `ls-files --eol` says and then checked out into a scratch folder and compared.
"""

from __future__ import annotations

import os
import re
import shutil

from trinity.git import Repository
from trinity.work.carry import filters
from trinity.work.carry.paths import Below
from trinity.work.carry.private import Private
from trinity.work.carry.scan import Look

_RULES = re.compile(rb"\b(text|eol|crlf|ident|working-tree-encoding)\b")
_ATTRIBUTES = b".gitattributes"


def differing(private: Private, seen: Look) -> set[bytes]:
    """Tracked, unchanged paths that a checkout of HEAD would write differently."""
    if seen.head is None or not _active(private, seen):
        return set()
    suspicious = _suspicious(private, seen)
    if not suspicious:
        return set()
    scratch = private.folder / "scratch"
    plain = scratch / "as-checked-out"
    (scratch / "worktree").mkdir(parents=True)
    try:
        # Not the user's worktree: its attributes files may differ from those of HEAD, which decide on the other side.
        elsewhere = Repository(
            scratch / "worktree",
            600,
            variables={**private.git.variables, "GIT_WORK_TREE": str(scratch / "worktree")},
            settings=private.git.settings,
        )
        index = private.folder / "checkout"
        elsewhere.run("read-tree", seen.head, index=index)
        # A suspicious path may be new in the index: the scratch index knows only what HEAD has.
        known = set(elsewhere.run("ls-files", "-z", index=index).split(b"\0"))
        asked = sorted(suspicious & known)
        elsewhere.run(
            "checkout-index", f"--prefix={plain}/", "-f", "-z", "--stdin", stdin=b"\0".join(asked), index=index
        )
        ours = Below(os.fsencode(private.facts.top))
        theirs = Below(os.fsencode(plain))
        return {path for path in asked if _bytes(ours, path) != _bytes(theirs, path)}
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _bytes(below: Below, path: bytes) -> bytes | None:
    try:
        with open(below.full(path), "rb") as stream:
            return stream.read()
    except OSError:
        return None


def _active(private: Private, seen: Look) -> bool:
    settings = private.facts.settings
    if settings.get("core.autocrlf", "false").lower() not in ("false", "no", "off", "0", "") or "core.eol" in settings:
        return True
    return any(_RULES.search(text) for text in filters.attribute_texts(private, seen)) or _changed_attributes(seen)


def _changed_attributes(seen: Look) -> bool:
    return any(path.rpartition(b"/")[2] == _ATTRIBUTES for path in seen.changed)


def _suspicious(private: Private, seen: Look) -> set[bytes]:
    """Where the line ends are not the plain ones that a checkout writes, or more than line ends counts."""
    autocrlf = private.facts.settings.get("core.autocrlf", "").lower()
    crlf = autocrlf in ("true", "yes", "on", "1") or private.facts.settings.get("core.eol") == "crlf"
    native = os.linesep == "\r\n"
    broad = _changed_attributes(seen)
    found = set()
    for item in private.git.run("ls-files", "-z", "--eol").split(b"\0"):
        if not item:
            continue
        words, path = item.split(b"\t", 1)
        index, worktree, *rest = words.split()
        if path in seen.changed or worktree == b"w/":
            continue
        attribute = b" ".join(rest)[len(b"attr/") :]
        binary = index in (b"i/none", b"i/-text") and worktree in (b"w/none", b"w/-text")
        if not broad and (binary or attribute.startswith(b"-text")):
            continue
        written = b"crlf" if b"eol=crlf" in attribute else b"lf" if b"eol=lf" in attribute else None
        if written is None:
            written = b"crlf" if crlf or (native and attribute and autocrlf != "input") else b"lf"
        if not broad and index == b"i/lf" and worktree == b"w/" + written:
            continue
        found.add(path)
    return found | _special(private, seen)


def _special(private: Private, seen: Look) -> set[bytes]:
    """Paths with `ident` or an encoding: for them line ends say nothing."""
    unchanged = [path for path in seen.listing.paths if path not in seen.changed]
    return {path for path, _ in filters.attributes(private, unchanged, "ident", "working-tree-encoding")}
