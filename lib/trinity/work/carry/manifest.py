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

from trinity.work.carry import operation as operations
from trinity.work.carry import paths
from trinity.work.carry.content import Taken
from trinity.work.carry.history import Tree
from trinity.work.carry.private import Private, read_or_empty
from trinity.work.carry.scan import Listing, Look

if TYPE_CHECKING:
    from trinity.work.carry.pack import Parcel

# What a worktree's files or its status depend on and another machine can take over.
CARRIED_SETTINGS = (
    "core.autocrlf",
    "core.eol",
    "core.filemode",
    "core.sparsecheckout",
    "core.sparsecheckoutcone",
)
_USERINFO = re.compile(r"^([a-z][a-z0-9+.-]*://)[^/@]*@", re.IGNORECASE)
_REMOTE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
_ADDRESS = re.compile(r"(https?|ssh|git|file)://[^-\s]|/|[A-Za-z]:[\\/]|[A-Za-z0-9_.][A-Za-z0-9_.@-]*:(?!:|//)")
_LFS = re.compile(rb"\bfilter=(\S+)")


def entries(seen: Look, taken: Taken, staged: Tree, state: Tree) -> list[dict[str, Any]]:
    """The entries in the order of their paths; their contents go into the two trees."""
    made = []
    for path in sorted({*taken.entries, *seen.repositories}):
        # What is in a repository inside travels as its own parcel.
        entry = taken.entries.get(path, {"kind": "repository"})
        lines = seen.listing.lines.get(path, [])
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
    """What stays behind, here and in the repositories inside."""
    lines = [taken.left_out[path] for path in sorted(taken.left_out)]
    for path, child in children.items():
        for line in child.left_out:
            inner = path.rstrip(b"/") + b"/" + paths.decode(line)
            lines.append({**paths.encode(inner), "size": line["size"], "reason": line["reason"]})
    return lines


def ignored(seen: Look, taken: Taken) -> list[bytes]:
    """Ignored paths, folders with a slash. Git does not name an ignored folder in the place of a tracked file."""
    found = set(seen.ignored)
    for path, entry in taken.entries.items():
        link = any(mode == "160000" for mode, _, _ in seen.listing.lines.get(path, []))
        if entry["kind"] == "folder" and not link and not any(p.startswith(path + b"/") for p in seen.states):
            found.add(path + b"/")
    return sorted(found)


def outside(lines: Iterable[Mapping[str, Any]]) -> set[bytes]:
    """The paths that no proof is about."""
    return {paths.decode(line) for line in lines}


def index_proof(listed: Listing, without: set[bytes]) -> str:
    """A fingerprint of the whole index with its flags."""
    digest = hashlib.sha256()
    for path in sorted(listed.lines):
        if path not in without:
            text = " ".join(f"{mode} {oid} {stage}" for mode, oid, stage in listed.lines[path])
            digest.update(f"{listed.flags.get(path, 'H')} {text}\t".encode("ascii") + path + b"\0")
    return digest.hexdigest()


def digest(bundle: Path) -> dict[str, Any]:
    """Size and hash of the bundle as a file."""
    with open(bundle, "rb") as stream:
        return {"size": os.fstat(stream.fileno()).st_size, "sha256": hashlib.file_digest(stream, "sha256").hexdigest()}


def folder(worktree: Path, top: Path) -> dict[str, str]:
    """The folder below the worktree's top in which the work was done."""
    relative = os.path.relpath(os.path.realpath(worktree), os.path.realpath(top))
    return paths.encode(b"" if relative == "." else os.fsencode(relative).replace(os.sep.encode(), b"/"))


def remotes(found: Mapping[str, str], top: Path) -> dict[str, str]:
    """Remotes by name whose address means something elsewhere; web addresses without user names and passwords."""
    named = {}
    for name, url in found.items():
        if not url.startswith("ssh://"):
            url = _USERINFO.sub(r"\1", url)
        if not _ADDRESS.match(url) and "::" not in url:
            url = os.path.normpath(os.path.join(top, url))
        if is_remote(name, url):
            named[name] = url
    return named


def is_remote(name: str, url: str) -> bool:
    """Whether this may be fetched from: no helper that runs a command, nothing that reads as an option."""
    return bool(_REMOTE.match(name) and _ADDRESS.match(url)) and "\n" not in url


def settings(found: Mapping[str, str]) -> dict[str, str]:
    return {key: found[key] for key in CARRIED_SETTINGS if key in found}


def rules(aside: Private) -> dict[str, str]:
    """Ignore rules, attributes and sparse patterns that are not files of the worktree, as base64."""
    info = aside.folder / "info"
    parts = {
        "excludes": joined(aside.facts.excludes, read_or_empty(info / "exclude")),
        "attributes": joined(aside.facts.attributes, read_or_empty(info / "attributes")),
        "sparse": read_or_empty(info / "sparse-checkout"),
    }
    return {name: base64.b64encode(data).decode("ascii") for name, data in parts.items()}


def joined(first: bytes, second: bytes = b"") -> bytes:
    """Rules of two files as one."""
    # Comments are left out: git's template of info/exclude is nothing but comments.
    lines = [*first.splitlines(), *second.splitlines()]
    return b"".join(line + b"\n" for line in lines if line.strip() and not line.startswith(b"#"))


def warnings(seen: Look) -> dict[str, Any]:
    """Names that Windows cannot hold, and names that a case-insensitive disk cannot hold beside each other."""
    tracked = set(seen.listing.lines)
    changed = {path for path in seen.changed if path in tracked or path in seen.states}
    groups = paths.collisions(changed, tracked)
    return {
        "not_on_windows": [paths.encode(path) for path in sorted(changed) if not paths.fits_windows(path)],
        "collisions": [[paths.encode(path) for path in group] for group in groups],
    }


def notes(aside: Private, seen: Look, operation: operations.Operation | None) -> list[str]:
    """Sentences for the person and the model on the other side."""
    said = []
    facts = aside.facts
    if (facts.common_dir / "refs" / "stash").exists() or (facts.common_dir / "logs" / "refs" / "stash").exists():
        said.append("stashes stay on the old PC")
    if operation is not None:
        said.append(f"a {operation.name} is stopped in the middle")
        said += [f"the carried rebase will run: {command}" for command in operation.commands]
        if "rebase-merge/update-refs" in operation.files:
            said.append("the rebase wants to move other branches too; they are not on this PC")
    if facts.settings.get("core.filemode") == "false":
        said.append("git ignores executable bits there (core.fileMode): those of unchanged files were not carried")
    drivers = _drivers(aside)
    if drivers:
        said.append(f"files use the filter {', '.join(drivers)}: install it here before going on")
    if any(path.endswith(b"/") for path in seen.ignored):
        said.append("ignored folders were not carried: " + _some(p for p in seen.ignored if p.endswith(b"/")))
    return said


def _drivers(aside: Private) -> list[str]:
    texts = [read_or_empty(aside.facts.top / ".gitattributes"), read_or_empty(aside.folder / "info" / "attributes")]
    return sorted({match.decode("utf-8", "replace") for text in texts for match in _LFS.findall(text)})


def _some(found: Iterable[bytes]) -> str:
    listed = [paths.shown(path) for path in found]
    more = f" and {len(listed) - 10} more" if len(listed) > 10 else ""
    return ", ".join(listed[:10]) + more
