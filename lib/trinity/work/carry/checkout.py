"""Settings and HEAD of a new worktree: what decides about bytes and status is as it was, or is said to differ.

Settings hold for the new worktree alone. A branch is taken when it is free or already there; else HEAD is detached.
"""

from __future__ import annotations

import base64
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trinity.git import GitError, Repository
from trinity.work.carry import facts as facts_of
from trinity.work.carry import operation
from trinity.work.carry.facts import Facts
from trinity.work.carry.ground import Ground
from trinity.work.carry.manifest import CARRIED_SETTINGS, joined

_DEFAULTS = {
    "core.autocrlf": "false",
    "core.eol": "native",
    "core.filemode": "true",
    "core.sparsecheckout": "false",
    "core.sparsecheckoutcone": "false",
    "core.symlinks": "true",
}


def configure(ground: Ground, manifest: Mapping[str, Any]) -> None:
    """Bring the settings to what they were, as far as they differ."""
    facts = facts_of.look(ground.git.path)
    wanted = changed(facts, manifest)
    carried = rules(manifest)
    for key, name, here in (
        ("core.excludesFile", "excludes", facts.excludes),
        ("core.attributesFile", "attributes", facts.attributes),
    ):
        if joined(here) != carried[name]:
            path = ground.git_dir / f"carried-{name}"
            path.write_bytes(carried[name])
            wanted[key] = str(path)
    if manifest["settings"].get("core.sparsecheckout") == "true":
        (ground.git_dir / "info").mkdir(exist_ok=True)
        (ground.git_dir / "info" / "sparse-checkout").write_bytes(carried["sparse"])
    if wanted and ground.linked:
        _own_settings(ground.git, facts.common_dir)
    for key, value in wanted.items():
        ground.git.run("config", "--worktree" if ground.linked else "--local", key, value)
    if ground.linked and wanted:
        ground.notes.append("settings of this worktree alone were set: " + ", ".join(sorted(wanted)))


def changed(facts: Facts, manifest: Mapping[str, Any]) -> dict[str, str]:
    """Carried settings that are not here what they were, with what they were."""
    wanted = {}
    for key in CARRIED_SETTINGS:
        value = manifest["settings"].get(key, _DEFAULTS[key])
        if sys.platform == "win32" and key in ("core.filemode", "core.symlinks"):
            continue  # there are no such modes here, and links only for some users
        if facts.settings.get(key, _DEFAULTS[key]) != value:
            wanted[key] = value
    return wanted


def rules(manifest: Mapping[str, Any]) -> dict[str, bytes]:
    """The parcel's ignore rules, attributes and sparse patterns."""
    return {name: base64.b64decode(text) for name, text in manifest["rules"].items()}


def lacking(ground: Ground, manifest: Mapping[str, Any]) -> list[str]:
    """A sentence for each filter program that the files went through on the other PC and that is not set up here."""
    if not manifest["filters"]:
        return []
    known = {key.split(".", 1)[1].rpartition(".")[0] for key in facts_of.look(ground.git.path).settings if "." in key}
    return [
        f"files with the filter '{name}' are as the repository holds them: install it here, then check them out anew"
        for name in manifest["filters"]
        if name not in known
    ]


def _own_settings(git: Repository, common: Path) -> None:
    """Let worktrees have settings of their own, as `git worktree` documents it."""
    shared = Repository(common, bare=True)
    for key in ("core.bare", "core.worktree"):
        try:
            value = (
                shared.run("config", "--file", "config", "--get", key).decode("utf-8", "surrogateescape").rstrip("\n")
            )
        except GitError:
            continue
        if key == "core.worktree" or value == "true":
            shared.run("config", "--file", "config.worktree", key, value)
            shared.run("config", "--file", "config", "--unset", key)
    git.run("config", "extensions.worktreeConfig", "true")


def attach(ground: Ground, manifest: Mapping[str, Any]) -> str | None:
    """Put HEAD on its branch when that is free or equal; returns the rebased branch's name here, if there is one."""
    head, branch = manifest["head"], manifest["branch"]
    if head and branch:
        if _take(ground, branch, head):
            ground.git.run("symbolic-ref", "HEAD", branch)
        else:
            name = branch.removeprefix("refs/heads/")
            ground.notes.append(f"branch {name} is in use here or elsewhere by now: HEAD is detached")
    stopped: dict[str, Any] | None = manifest["operation"]
    before = operation.orig_head(stopped) if stopped else None
    if not stopped or not stopped["branch"] or before is None:
        return None
    candidates = [stopped["branch"]]
    candidates += [f"refs/heads/carried{number or ''}/{stopped['branch'][11:]}" for number in range(100)]
    for name in map(str, candidates):
        if _take(ground, name, before):
            if name != stopped["branch"]:
                ground.notes.append(f"the rebased branch is called {name.removeprefix('refs/heads/')} here")
            return name
    return None


def _take(ground: Ground, branch: str, commit: str) -> bool:
    """Whether `branch` is at `commit` and in no other worktree; made when it is not there."""
    try:
        if ground.linked:
            used = ground.git.run("worktree", "list", "--porcelain", "-z").split(b"\0")
            if b"branch " + branch.encode("utf-8", "surrogateescape") in used:
                return False
        known = ground.git.run("for-each-ref", "--format=%(objectname)", branch).decode().split()
        if known:
            return known == [commit]
        ground.git.run("update-ref", branch, commit, "0" * len(commit))
    except GitError:
        return False  # a branch `a` is in the way of `a/b`
    return True
