"""What a worktree belongs to: its folders, the settings in force, its remotes and references. Read only, and nothing is
fetched for it: in a partial clone a look at an object could reach for the network.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from trinity.errors import TrinityError
from trinity.git import GitError, Repository, together

# Keys that decide what a file's bytes or its status are.
_KEYS = re.compile(
    r"core\.(autocrlf|eol|safecrlf|filemode|symlinks|ignorecase|precomposeunicode|sparsecheckout|sparsecheckoutcone"
    r"|trustctime|checkstat|checkroundtripencoding|bigfilethreshold|excludesfile|attributesfile)$"
    r"|filter\.[^=]+\.(clean|smudge|process|required)$"
)
# What git itself or a clone writes into a repository's configuration: not a person's choice.
_ORDINARY = re.compile(r"(core|remote|branch|extensions|submodule|index|gc|maintenance|lfs|filter|fetch|init|pack)\.")
_LOOK = ("--absolute-git-dir", "--git-common-dir", "--show-toplevel", "--show-object-format", "--is-shallow-repository")
_REFS = ("refs/heads", "refs/remotes", "refs/stash", "refs/replace", "refs/notes")

NO_FETCH = {"GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": "none"}


@dataclass
class Facts:
    """`refs` are branches, remote branches, stash, replacements and notes by name; `own_keys` the local settings' keys."""

    top: Path
    git_dir: Path
    common_dir: Path
    object_format: str
    shallow: bool
    settings: dict[str, str]
    remotes: dict[str, str]
    excludes: bytes
    attributes: bytes
    refs: dict[str, str] = field(default_factory=dict)
    own_keys: list[str] = field(default_factory=list)
    remote_tips: list[str] = field(default_factory=list)


def user(folder: Path, timeout: float = 60) -> Repository:
    """Git as the worktree's owner sees it; it fetches nothing."""
    return Repository(folder, timeout, as_user=True, variables=NO_FETCH)


def look(worktree: Path) -> Facts:
    """Read a worktree's facts; raises TrinityError when it is none."""
    own = user(worktree)
    try:
        (found, configured), listed = together(
            lambda: (
                own.run("rev-parse", *_LOOK),
                own.run("config", "--list", "--show-scope", "-z", "--includes"),
            ),
            lambda: own.run("for-each-ref", "--format=%(objectname) %(objecttype) %(refname)", *_REFS),
        )
    except GitError as error:
        raise TrinityError(f"'{worktree}' is no git worktree: {error.stderr.strip()[:200]}") from None
    git_dir, common, top, object_format, shallow = os.fsdecode(found).split("\n")[:5]
    settings, remotes, keys = _configured(configured.decode("utf-8", "surrogateescape"))
    refs, tips = _references(listed.decode("utf-8", "surrogateescape"))
    return Facts(
        top=Path(top),
        git_dir=Path(git_dir),
        common_dir=(worktree / common).resolve(),
        object_format=object_format,
        shallow=shallow == "true",
        settings=settings,
        remotes=remotes,
        excludes=_global(settings.pop("core.excludesfile", None), "ignore"),
        attributes=_global(settings.pop("core.attributesfile", None), "attributes"),
        refs=refs,
        own_keys=keys,
        remote_tips=tips,
    )


def _configured(listed: str) -> tuple[dict[str, str], dict[str, str], list[str]]:
    """Settings that decide about bytes, remotes by name, and the keys that a person set in this repository."""
    settings: dict[str, str] = {}
    remotes: dict[str, str] = {}
    keys = []
    words = listed.split("\0")
    for scope, item in zip(words[::2], words[1::2], strict=False):
        key, _, value = item.partition("\n")
        value = value if "\n" in item else "true"
        section, _, rest = key.partition(".")
        if _KEYS.match(key):
            settings[key] = value
        elif section == "remote" and rest.endswith(".url"):
            remotes.setdefault(rest[: -len(".url")], value)
        if scope in ("local", "worktree") and not _ORDINARY.match(key):
            keys.append(key)
    return settings, remotes, sorted(set(keys))


def _references(listed: str) -> tuple[dict[str, str], list[str]]:
    refs, tips = {}, set()
    for line in listed.splitlines():
        oid, kind, name = line.split(" ", 2)
        refs[name] = oid
        if kind == "commit" and name.startswith("refs/remotes/"):
            tips.add(oid)
    return refs, sorted(tips)


def _global(configured: str | None, name: str) -> bytes:
    """The user's global ignore or attributes file."""
    base = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    path = os.path.expanduser(configured) if configured is not None else os.path.join(base, "git", name)
    return read_or_empty(Path(path)) if path else b""


def read_or_empty(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def head_of(facts: Facts) -> tuple[str | None, str | None]:
    """HEAD's commit (None: unborn) and its branch (None: detached)."""
    own = user(facts.top)
    try:
        oid, name = own.run("rev-parse", "HEAD^{commit}", "--symbolic-full-name", "HEAD").split(b"\n")[:2]
        branch = name.decode("utf-8", "surrogateescape")
        return oid.decode("ascii"), branch if branch != "HEAD" else None
    except (GitError, ValueError):
        pass  # unborn, or what only the two longer questions tell
    lines: list[str | None] = []
    for call in (("rev-parse", "--verify", "--quiet", "HEAD^{commit}"), ("symbolic-ref", "--quiet", "HEAD")):
        try:
            lines.append(own.run(*call).decode("utf-8", "surrogateescape").removesuffix("\n") or None)
        except GitError as error:
            if error.status != 1:
                raise
            lines.append(None)
    return lines[0], lines[1]
