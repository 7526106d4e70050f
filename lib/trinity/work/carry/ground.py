"""The ground a parcel is restored on: a linked worktree of a clone, or a repository of its own, with the commits in it.

Of a project's clone nothing is changed but what a linked worktree needs: its objects grow, it gets an entry of the new
worktree, and, when settings differ, per-worktree configuration is switched on. Fetching moves none of its references.
"""

from __future__ import annotations

import base64
import functools
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trinity.errors import TrinityError
from trinity.git import GitError, Repository
from trinity.work.carry import history, objects
from trinity.work.carry.facts import read_or_empty
from trinity.work.carry.manifest import joined

_TIMEOUT = 3600.0
_VARIABLES = {"GIT_LITERAL_PATHSPECS": "1", "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh"}


@dataclass
class Ground:
    """`git` runs in the new worktree; `git_dir` is its own; `linked` to a clone or not."""

    git: Repository
    git_dir: Path
    linked: bool
    notes: list[str] = field(default_factory=list)


def repository(path: Path) -> Repository:
    """Git in a worktree of this PC, with its user's own settings."""
    return Repository(path, _TIMEOUT, as_user=True, variables=_VARIABLES)


def lay(
    manifest: Mapping[str, Any],
    bundle: Path,
    target: Path,
    clone: Path | None,
    remote: str | None,
    nearby: Path | None = None,
    take: Callable[[Repository], bool] | None = None,
) -> Ground:
    """A worktree without files at `target`, HEAD detached at the parcel's commit; raises TrinityError.

    `take` may put one there that has files of another commit and its index, and says whether it did."""
    if clone is None or not manifest["head"]:
        return _own(manifest, bundle, target, remote, clone or nearby)
    git = repository(clone)
    if git.run("rev-parse", "--show-object-format").decode().strip() != manifest["object_format"]:
        raise TrinityError(f"'{clone}' has objects of another format than the parcel's", "restore without a clone")
    if manifest["shallow"] and _missing(git, manifest["shallow"]):
        made = _own(manifest, bundle, target, remote, clone)
        made.notes.append("the history is cut, so this is a repository of its own")
        return made
    if _attributes(manifest) != _attributes_of(git):
        # They come before those of the files, and a linked worktree can have none of its own.
        made = _own(manifest, bundle, target, remote, clone)
        made.notes.append("attributes in .git/info differ from this PC's clone, so this is a repository of its own")
        return made
    _bring(git, bundle, manifest, fetch_quietly)
    if take is None or not take(git):
        add(git, target, manifest["head"])
    return _ground(target, bundle, linked=True)


def add(clone: Repository, target: Path, commit: str, holding: tuple[int, ...] = ()) -> None:
    """A linked worktree without files at `target`; `holding`: locks that git holds along. Raises GitError."""
    clone.run("worktree", "add", "--no-checkout", "--detach", "--", str(target), commit, pass_fds=holding)


def check_out(worktree: Repository, holding: tuple[int, ...] = ()) -> None:
    """Write HEAD's files, where they are not there already by the index; raises GitError."""
    worktree.run("read-tree", "-m", "-u", "HEAD", pass_fds=holding)


def _attributes(manifest: Mapping[str, Any]) -> bytes:
    return base64.b64decode(manifest["rules"].get("info", ""))


def _attributes_of(clone: Repository) -> bytes:
    found = Path(os.fsdecode(clone.run("rev-parse", "--git-path", "info/attributes").removesuffix(b"\n")))
    return joined(read_or_empty(clone.path / found))


def _own(
    manifest: Mapping[str, Any], bundle: Path, target: Path, remote: str | None, nearby: Path | None = None
) -> Ground:
    """A repository of its own; commits that the parcel builds upon are looked for in the clone `nearby` first."""
    target.mkdir(parents=True, exist_ok=True)
    git = repository(target)
    branch = (manifest["branch"] or "refs/heads/main").removeprefix("refs/heads/")
    git.run("init", "--quiet", f"--object-format={manifest['object_format']}", f"--initial-branch={branch}", ".")
    remotes = dict(manifest["remotes"])
    if remote is not None:
        remotes["origin"] = remote
    for name, url in remotes.items():
        git.run("config", f"remote.{name}.url", url)
        git.run("config", f"remote.{name}.fetch", f"+refs/heads/*:refs/remotes/{name}/*")
    if manifest["history"] != "thin" and manifest["shallow"]:
        text = "".join(f"{oid}\n" for oid in manifest["shallow"])
        (target / ".git" / "shallow").write_text(text, encoding="ascii", newline="\n")
    if _attributes(manifest):
        (target / ".git" / "info").mkdir(exist_ok=True)
        (target / ".git" / "info" / "attributes").write_bytes(_attributes(manifest))
    _bring(git, bundle, manifest, functools.partial(_fetch_all, nearby=nearby))
    if manifest["head"]:
        git.run("update-ref", "--no-deref", "HEAD", manifest["head"])
    elif manifest["branch"]:
        git.run("symbolic-ref", "HEAD", manifest["branch"])
    return _ground(target, bundle, linked=False)


def _ground(target: Path, bundle: Path, linked: bool) -> Ground:
    git = repository(target)
    git_dir = Path(os.fsdecode(git.run("rev-parse", "--absolute-git-dir").rstrip(b"\n")))
    # Nothing else holds the commits that a stopped operation names: these references keep them from being collected.
    with open(bundle, "rb") as stream:
        for oid, name in history.references(stream.read(1 << 20)):
            if name.startswith("refs/carry/tip/"):
                git.run("update-ref", f"refs/worktree/carry/{name.rpartition('/')[2]}", oid)
    return Ground(git, git_dir, linked)


def _bring(git: Repository, bundle: Path, manifest: Mapping[str, Any], fetch: Any) -> None:
    """The bundle's objects, and before them the commits it builds upon."""
    with open(bundle, "rb") as stream:
        needed = sorted({*history.prerequisites(stream.read(1 << 20)), *manifest["bases"]})
    if _missing(git, needed):
        fetch(git, needed)
    missing = _missing(git, needed)
    if missing:
        raise TrinityError(
            f"the work builds on commit {missing[0][:12]}, which is neither here nor at the remote",
            "ask the other PC for a parcel with its base: pack again with shallow history",
        )
    try:
        git.run("bundle", "unbundle", str(bundle))
    except GitError as error:
        raise TrinityError(f"the parcel is damaged: {error.stderr.strip()[:200]}", "ask for it again") from None
    if manifest["head"] and _missing(git, [manifest["head"]]):
        raise TrinityError(f"the parcel lacks its commit {manifest['head'][:12]}", "ask for it again")


def _missing(git: Repository, oids: Sequence[str]) -> list[str]:
    known = objects.known(git, oids)
    return [oid for oid in oids if known.get(oid, ("", ""))[1] != "commit"]


def fetch_quietly(git: Repository, needed: Sequence[str]) -> None:
    """Fetch commits into a user's clone without moving any of its references."""
    for name in git.run("remote").decode("utf-8", "replace").split():
        # By id first: it is little. Servers that refuse it give whole branches.
        for what in (needed, ["refs/heads/*"]):
            try:
                git.run("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--refmap=", name, *what)
            except GitError:
                continue  # the next way, the next remote; what is missing then is said by the caller
            if not _missing(git, needed):
                return


def _fetch_all(git: Repository, needed: Sequence[str], nearby: Path | None) -> None:
    for what in (needed, ["refs/heads/*", "refs/remotes/*"]) if nearby else ():
        try:
            git.run("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--refmap=", str(nearby), *what)
        except GitError:
            continue  # then the remotes are asked
        if not _missing(git, needed):
            break
    for name in git.run("remote").decode("utf-8", "replace").split():
        for what in ([], needed):
            try:
                git.run("fetch", "--quiet", name, *what)
            except GitError:
                continue
            if not _missing(git, needed):
                return


def remove(target: Path, clone: Path | None) -> None:
    """Take away a worktree that was begun here and not finished."""
    shutil.rmtree(target, ignore_errors=True)
    if clone is not None:
        try:
            repository(clone).run("worktree", "prune")
        except GitError:
            pass  # the next prune of anybody finds it
