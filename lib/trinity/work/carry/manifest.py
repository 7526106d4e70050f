"""The manifest: what a parcel's bundle cannot say by itself, and what the other side proves itself against.

Every path whose status, index entry or bytes differ from a fresh checkout of HEAD is an entry: its status record, its
index lines and flag, and what it is in the worktree. Contents are named by their ids. URLs lose their passwords.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trinity.redaction import first_token, redact
from trinity.work.carry import paths
from trinity.work.carry.content import Taken
from trinity.work.carry.facts import read_or_empty
from trinity.work.carry.history import Tree
from trinity.work.carry.private import Private
from trinity.work.carry.scan import Look

if TYPE_CHECKING:
    from trinity.work.carry.shapes import Parcel

# What a worktree's files or its status depend on and another machine can take over.
CARRIED_SETTINGS = (
    "core.autocrlf",
    "core.eol",
    "core.filemode",
    "core.sparsecheckout",
    "core.sparsecheckoutcone",
    "core.symlinks",
)
_USERINFO = re.compile(r"^([a-z][a-z0-9+.-]*://)[^/@]*@", re.IGNORECASE)
_USER_AND_PASSWORD = re.compile(r"^(ssh://)([^/@:]*):[^/@]*@", re.IGNORECASE)
_QUERY = re.compile(r"^([a-z][a-z0-9+.-]*://[^?#]*)[?#].*$", re.IGNORECASE | re.DOTALL)
_REMOTE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
_ADDRESS = re.compile(r"(https?|ssh|git|file)://[^-\s]|/|[A-Za-z]:[\\/]|[A-Za-z0-9_.][A-Za-z0-9_.@-]*:(?!:|//)")
_FEW = 50


def entries(seen: Look, taken: Taken, staged: Tree, state: Tree) -> list[dict[str, Any]]:
    """The entries in the order of their paths; their contents go into the two trees."""
    made = []
    for path in sorted({*taken.entries, *seen.repositories}):
        # What is in a repository inside travels as its own parcel.
        entry = taken.entries.get(path, {"kind": "repository"})
        lines = seen.listing.lines(path)
        document: dict[str, Any] = {**paths.encode(path), **entry, "index": [list(line) for line in lines]}
        if path in seen.states:
            document["state"] = seen.states[path].decode("ascii")
        if path in seen.listing.flags:
            document["flag"] = seen.listing.flags[path]
        if path in seen.intents:
            document["intent"] = True
        for mode, oid, stage in lines:
            if mode != "160000" and path not in seen.intents:
                staged.put(path, oid, aside=stage > 0)
        if "blob" in entry:
            state.put(path, entry["blob"])
        made.append(document)
    return made


def left_out(taken: Taken, children: Mapping[bytes, Parcel]) -> list[dict[str, Any]]:
    """What stays behind, here and in the repositories inside; a name that is a secret itself is shortened to a tag."""
    lines = [{**public(path), **_facts(taken.left_out[path])} for path in sorted(taken.left_out)]
    for path, child in children.items():
        for line in child.left_out:
            lines.append({**public(path.rstrip(b"/") + b"/" + paths.decode(line)), **_facts(line)})
    return lines


def _facts(line: Mapping[str, Any]) -> dict[str, Any]:
    return {"size": line["size"], "reason": line["reason"]}


def public(path: bytes) -> dict[str, str]:
    """The path as an entry names it, without a secret in it."""
    if first_token(path) is None:
        return paths.encode(path)
    return {"path": redact(paths.shown(path))}


def ignored(seen: Look, taken: Taken) -> list[bytes]:
    """Ignored paths that stay, folders with a slash. Git does not name an ignored folder in the place of a tracked file."""
    found = {path for path in seen.ignored if taken.entries.get(path, {}).get("kind") != "file"}
    for path, entry in taken.entries.items():
        link = path in seen.listing.links
        if entry["kind"] == "folder" and not link and not any(p.startswith(path + b"/") for p in seen.states):
            found.add(path + b"/")
    return sorted(found)


def outside(lines: Iterable[Mapping[str, Any]]) -> set[bytes]:
    """The paths that no proof is about."""
    return {paths.decode(line) for line in lines}


def digest(bundle: Path) -> dict[str, Any]:
    """Size and hash of the bundle as a file."""
    with open(bundle, "rb") as stream:
        return {"size": os.fstat(stream.fileno()).st_size, "sha256": hashlib.file_digest(stream, "sha256").hexdigest()}


def folder(worktree: Path, top: Path) -> dict[str, str]:
    """The folder below the worktree's top in which the work was done."""
    relative = os.path.relpath(os.path.realpath(worktree), os.path.realpath(top))
    return paths.encode(b"" if relative == "." else os.fsencode(relative).replace(os.sep.encode(), b"/"))


def remotes(found: Mapping[str, str], top: Path) -> dict[str, str]:
    """Remotes by name whose address means something elsewhere; addresses without passwords and tokens."""
    named = {}
    for name, url in found.items():
        url = without_login(url)
        if not _ADDRESS.match(url) and "::" not in url:
            url = os.path.normpath(os.path.join(top, url))
        if is_remote(name, url) and first_token(url.encode("utf-8", "surrogateescape")) is None:
            named[name] = url
    return named


def without_login(url: str) -> str:
    """An address without what only its owner may know: who logs in over the web, any password, what is asked for."""
    url = _USER_AND_PASSWORD.sub(r"\1\2@", url) if url.lower().startswith("ssh://") else _USERINFO.sub(r"\1", url)
    return _QUERY.sub(r"\1", url)


def is_remote(name: str, url: str) -> bool:
    """Whether this may be fetched from: no helper that runs a command, nothing that reads as an option."""
    return bool(_REMOTE.match(name) and _ADDRESS.match(url)) and "\n" not in url


def settings(found: Mapping[str, str]) -> dict[str, str]:
    return {key: found[key] for key in CARRIED_SETTINGS if key in found}


def rules(aside: Private) -> dict[str, str]:
    """Ignore rules, attributes and sparse patterns that are not files of the worktree, as base64.

    `info` are the attributes that come before those of the worktree's files, `attributes` those that come after them.
    """
    info = aside.folder / "info"
    parts = {
        "excludes": joined(aside.facts.excludes, read_or_empty(info / "exclude")),
        "attributes": joined(aside.facts.attributes),
        "info": joined(read_or_empty(info / "attributes")),
        "sparse": joined(read_or_empty(info / "sparse-checkout")),
    }
    return {name: base64.b64encode(data).decode("ascii") for name, data in parts.items()}


def joined(first: bytes, second: bytes = b"") -> bytes:
    """Rules of two files as one."""
    # Comments are left out: git's template of info/exclude is nothing but comments.
    lines = [*first.splitlines(), *second.splitlines()]
    kept = (line for line in lines if line.strip() and not line.startswith(b"#") and first_token(line) is None)
    return b"".join(line + b"\n" for line in kept)


def warnings(seen: Look) -> dict[str, Any]:
    """Names that Windows cannot hold, and names that a case-insensitive disk cannot hold beside each other."""
    changed = {path for path in seen.changed if path in seen.states or path in seen.listing}
    groups = paths.collisions(changed, _alike(seen, changed))
    return {
        "not_on_windows": [paths.encode(path) for path in sorted(changed) if not paths.fits_windows(path)],
        "collisions": [[paths.encode(path) for path in group] for group in groups],
    }


def _alike(seen: Look, changed: set[bytes]) -> Iterable[bytes]:
    """Tracked paths among which those are that one of the changed could be mistaken for."""
    raw = seen.listing.raw
    if len(changed) > _FEW or not raw.isascii() or not all(path.isascii() for path in changed):
        return seen.listing.paths
    lowered = raw.lower()
    alike = [path for path in changed if lowered.count(b"\t" + path.lower() + b"\0") > 1 or path not in seen.listing]
    if not any(b"\t" + path.lower() + b"\0" in lowered for path in alike):
        return ()
    return seen.listing.paths
