"""Which files of carried work configure the client, git or CI: they run as code where the work goes on, unasked.

Named by their place, at any depth and in either case: what the client reads (`.claude`, `.mcp.json`, `CLAUDE.md`,
`AGENTS.md`), what git and its hosts read (`.git*`), and what runs by itself beside them. Changed is what differs from the
commits that the project's remote has: in a commit that only this work has, staged, in the worktree, or not tracked.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from trinity.git import GitError, Repository
from trinity.work.carry import paths

_NAMES = {
    b".claude",
    b".mcp.json",
    b"claude.md",
    b"claude.local.md",
    b"agents.md",
    b".husky",
    b".circleci",
    b".envrc",
    b".pre-commit-config.yaml",
    b"azure-pipelines.yml",
    b"jenkinsfile",
}
_HARMLESS = {b".gitkeep"}
COMMANDS = "commands of a stopped rebase"


def is_configuration(path: bytes) -> bool:
    """Does a file at this path (with slashes) configure what runs?"""
    names = path.lower().split(b"/")
    return any(name in _NAMES or (name.startswith(b".git") and name not in _HARMLESS) for name in names)


def changed(top: Path, manifest: Mapping[str, Any]) -> dict[str, str]:
    """The configuration that the work at `top` changes, as its manifest tells it: path to a mark of its content.

    Raises GitError when the commits of the work cannot be read.
    """
    found = {path for path in _named(manifest, b"") if is_configuration(path)}
    whole = not manifest["bases"]
    # A history that nobody here has is looked at as a whole: what it ignores runs nothing, and most have such a list.
    found |= {
        path
        for path in _committed(top, manifest)
        if is_configuration(path) and not (whole and path.rpartition(b"/")[2] == b".gitignore")
    }
    marks = {paths.shown(path): _mark(top, path) for path in sorted(found)}
    stopped = manifest["operation"]
    if stopped and stopped["commands"]:
        marks[COMMANDS] = hashlib.sha256("\n".join(stopped["commands"]).encode("utf-8", "replace")).hexdigest()[:16]
    return marks


def _named(manifest: Mapping[str, Any], above: bytes) -> Iterator[bytes]:
    """Paths that differ from the manifest's commit, those of repositories inside included."""
    for entry in manifest["entries"]:
        yield above + paths.decode(entry).rstrip(b"/")
    for child in manifest["children"]:
        yield from _named(child["manifest"], above + paths.decode(child) + b"/")


def _committed(top: Path, manifest: Mapping[str, Any]) -> Iterator[bytes]:
    """Paths in commits that the remote does not have; all of the commit's when it has none of the history."""
    if not manifest["head"]:
        return
    git = Repository(top)
    if manifest["bases"]:
        without = [f"^{oid}" for oid in manifest["bases"]]
        listed = git.run(
            "log", "--format=", "--name-only", "--no-renames", "-m", "-z", manifest["head"], *without, "--"
        )
    else:
        listed = git.run("ls-tree", "-r", "--name-only", "--full-tree", "-z", manifest["head"])
    yield from (path.strip(b"\n") for path in listed.split(b"\0") if path.strip(b"\n"))


def _mark(top: Path, path: bytes) -> str:
    """The path and what lies there, in 16 hex digits."""
    digest = hashlib.sha256(path + b"\0")
    place = os.path.join(os.fsencode(top), path)
    try:
        if os.path.islink(place):
            digest.update(b"link" + os.fsencode(os.readlink(place)))
        elif os.path.isdir(place):
            digest.update(b"folder" + _commit(place))
        else:
            with open(place, "rb") as stream:
                while block := stream.read(1 << 20):
                    digest.update(block)
    except OSError:
        digest.update(b"gone")
    return digest.hexdigest()[:16]


def _commit(place: bytes) -> bytes:
    """Where a repository inside stands: its files are named only where they differ from that."""
    if not os.path.lexists(os.path.join(place, b".git")):
        return b""
    try:
        return Repository(Path(os.fsdecode(place))).run("rev-parse", "HEAD")
    except GitError:
        return b""
