"""Finding this PC's own clone of a project, by the addresses of its remotes.

The same repository has many addresses: `git@host:a/b.git`, `ssh://git@host/a/b` and `https://host/a/b` are one. Rewrites
of the user's configuration (`insteadOf`) count on this side. Of several clones the one is taken that needs least and is
used most; which, and beside which others, is said.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trinity.git import GitError, Repository

DEEPEST = 3
_SHOWN = 3
_PORTS = re.compile(r":(22|80|443|9418)$")
_URL = re.compile(r"(?im)\burl\s*=\s*([^\n]*)")
_WINDOWS_DRIVE = re.compile(r"[A-Za-z]:[\\/]")


@dataclass(frozen=True)
class Found:
    """The clone at `path`, and in words why this one (empty when there is no other)."""

    path: Path
    why: str


def find(roots: Sequence[str], remotes: Mapping[str, str], commits: Sequence[str] = ()) -> Found | None:
    """The clone below `roots` of a project with one of `remotes` (name: address); None when there is none.

    Best first: one that has all `commits`; whose matching remote is called as there; that is no shallow clone; a worktree
    before a bare repository; the one last fetched or committed to; the shortest path.
    """
    wanted = {plain(url): name for name, url in remotes.items()}
    ranked: dict[str, tuple[tuple[object, ...], Path]] = {}
    rewriting = _rewrites()
    for root in dict.fromkeys(roots):
        for folder in repositories(Path(root)):
            if not rewriting and not _may_name(folder, wanted):
                continue
            listed = _remotes(folder)
            matching = {name: url for name, url in listed.items() if url in wanted}
            if not matching:
                continue
            common = common_folder(folder)
            same_name = any(wanted[url] == name for name, url in matching.items())
            rank = (
                not _has(folder, commits),
                not same_name,
                (common / "shallow").exists(),
                not (folder / ".git").exists(),
                (folder / ".git").is_file(),  # a linked worktree: its main one is the same repository
                -_used(common),
                len(folder.parts),
                str(folder),
            )
            known = ranked.get(str(common))
            if known is None or rank < known[0]:
                ranked[str(common)] = (rank, folder)
    if not ranked:
        return None
    best, *others = [folder for _, folder in sorted(ranked.values(), key=lambda one: one[0])]
    return Found(best, _why(best, others))


def _rewrites() -> bool:
    """Whether the user's configuration turns addresses into others."""
    try:
        return bool(Repository(Path.home(), as_user=True).run("config", "--get-regexp", r"^url\."))
    except (GitError, OSError):
        return False


def _may_name(folder: Path, wanted: Mapping[str, str]) -> bool:
    """A sieve without git, because there may be hundreds of clones: False only where no wanted address stands."""
    config = folder / ".git" / "config" if (folder / ".git").is_dir() else folder / "config"
    try:
        text = config.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return True  # a linked worktree, and what only git can read
    if "\\" in text or "[include" in text.lower() or "[url" in text.lower():
        return True
    return any(plain(url.strip().strip('"')) in wanted for url in _URL.findall(text))


def top(folder: Path) -> Path | None:
    """The top of the worktree that the folder is in; None when it is in none."""
    try:
        found = Repository(folder, as_user=True).run("rev-parse", "--show-toplevel")
    except (GitError, OSError):
        return None
    return Path(os.fsdecode(found.removesuffix(b"\n")))


def _why(best: Path, others: Sequence[Path]) -> str:
    if not others:
        return ""
    shown = ", ".join(f"'{folder}'" for folder in others[:_SHOWN])
    more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
    return f"of several clones '{best}' was taken, not {shown}{more}"


def is_clone(folder: Path) -> bool:
    """Whether a repository, or a worktree of one, has its top here."""
    return (folder / ".git").exists() or ((folder / "HEAD").is_file() and (folder / "objects").is_dir())


def repositories(folder: Path, depth: int = DEEPEST) -> Iterator[Path]:
    """The clones at `folder` or so many levels below it."""
    if is_clone(folder):
        yield folder
        return
    if depth == 0:
        return
    try:
        below = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False))
    except OSError:
        return  # a root that is not there, a folder of somebody else's
    for name in below:
        if not name.startswith("."):
            yield from repositories(folder / name, depth - 1)


def _git(folder: Path) -> Repository:
    return Repository(folder, as_user=True, bare=not (folder / ".git").exists())


def _remotes(folder: Path) -> dict[str, str]:
    """The plain addresses to fetch from by name, as written and as the user's configuration rewrites them."""
    try:
        listed = _git(folder).run("remote", "--verbose").decode("utf-8", "replace")
        written = _git(folder).run("config", "--get-regexp", r"^remote\..*\.url$").decode("utf-8", "replace")
    except (GitError, OSError):
        return {}
    found = {}
    for line in listed.splitlines():
        name, _, rest = line.partition("\t")
        found[name] = plain(rest.rpartition(" ")[0])
    for line in written.splitlines():
        key, _, url = line.partition(" ")
        name = key.removeprefix("remote.").removesuffix(".url")
        if found.get(name) != plain(url):
            found[f"{name} as written"] = plain(url)
    return found


def common_folder(clone: Path) -> Path:
    """The folder of the repository that a worktree belongs to, found without a git process."""
    found = clone / ".git"
    try:
        if found.is_file():
            named = found.read_text(encoding="utf-8", errors="surrogateescape").removeprefix("gitdir:").strip()
            found = clone / named
            shared = (found / "commondir").read_text(encoding="utf-8", errors="surrogateescape").strip()
            found = found / shared
        elif not found.is_dir():
            found = clone
    except OSError:
        pass  # a submodule: its folder is its own
    return Path(os.path.realpath(found))


def _has(folder: Path, commits: Sequence[str]) -> bool:
    asked = "".join(f"{oid}\n" for oid in commits)
    try:
        answer = _git(folder).run("cat-file", "--batch-check", stdin=asked.encode("ascii", "replace"))
    except (GitError, OSError):
        return False
    return all(b" commit " in line for line in answer.splitlines())


def _used(common: Path) -> float:
    times = [0.0]
    for name in ("FETCH_HEAD", "HEAD", "index", "logs/HEAD"):
        try:
            times.append((common / name).stat().st_mtime)
        except OSError:
            continue
    return max(times)


def plain(url: str) -> str:
    """An address without what differs between the ways to reach one repository: host and path in small letters."""
    text = url.strip()
    if _WINDOWS_DRIVE.match(text):
        text = text.replace("\\", "/")
    elif "://" in text:
        text = text.partition("://")[2]
        host, slash, path = text.partition("/")
        text = _PORTS.sub("", host.rpartition("@")[2]) + slash + path.lstrip("/")
    elif ":" in text and "/" not in text.partition(":")[0]:
        host, _, path = text.partition(":")
        text = f"{host.rpartition('@')[2]}/{path.lstrip('/')}"
    return text.rstrip("/").removesuffix(".git").rstrip("/").lower()
