"""What of a worktree's repository stays on this PC, in sentences for the person and the model on the other side.

None of it is lost; but who goes on elsewhere should not look for a stash that is here.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable

from trinity.redaction import redact
from trinity.work import secret_files
from trinity.work.carry import paths
from trinity.work.carry.facts import Facts, read_or_empty
from trinity.work.carry.operation import Operation
from trinity.work.carry.private import Private
from trinity.work.carry.scan import Look

_SHOWN = 10


def notes(private: Private, seen: Look, stopped: Operation | None, used_filters: Iterable[str]) -> list[str]:
    """Everything that is not part of the parcel and that git has a name for."""
    facts = private.facts
    said = [*_references(facts, seen.branch), *_own(facts)]
    if stopped is not None:
        said += _stopped(stopped)
    if facts.settings.get("core.filemode") == "false":
        said.append("git ignores executable bits there (core.fileMode): those of unchanged files were not carried")
    names = sorted(used_filters)
    if names:
        said.append(f"files use the filter {', '.join(names)}: install it here before going on")
    return said + _ignored(seen)


def _references(facts: Facts, branch: str | None) -> list[str]:
    said = []
    stashes = read_or_empty(facts.common_dir / "logs" / "refs" / "stash").count(b"\n")
    if "refs/stash" in facts.refs or stashes:
        said.append(f"stashes stay on the old PC ({stashes or 1})")
    others = [
        name.removeprefix("refs/heads/") for name in facts.refs if name.startswith("refs/heads/") and name != branch
    ]
    if others:
        said.append("other local branches stay on the old PC: " + _some(others))
    if any(name.startswith("refs/replace/") for name in facts.refs) or (facts.common_dir / "info" / "grafts").exists():
        said.append("replaced commits (refs/replace, grafts) are carried as they were made: the replacements stay")
    if any(name.startswith("refs/notes/") for name in facts.refs):
        said.append("notes of commits (refs/notes) stay on the old PC")
    return said


def _own(facts: Facts) -> list[str]:
    said = []
    try:
        entries = list(os.scandir(facts.common_dir / "hooks"))
    except OSError:
        entries = []
    hooks = sorted(e.name for e in entries if not e.name.endswith(".sample") and e.is_file() and _runs(e))
    if hooks:
        said.append("git hooks stay on the old PC: " + _some(hooks))
    if facts.own_keys:
        said.append("git settings of the repository stay on the old PC: " + _some(facts.own_keys))
    return said


def _runs(entry: os.DirEntry[str]) -> bool:
    return os.name == "nt" or bool(entry.stat().st_mode & stat.S_IXUSR)


def _stopped(stopped: Operation) -> list[str]:
    said = [
        f"a {stopped.name} is stopped in the middle" if stopped.is_stopped else "the next commit has a prepared message"
    ]
    said += [f"the carried rebase will run: {command}" for command in stopped.commands]
    if "rebase-merge/update-refs" in stopped.files:
        said.append("the rebase wants to move other branches too; they are not on this PC")
    return said


def _ignored(seen: Look) -> list[str]:
    said = []
    folders = [path for path in seen.ignored if path.endswith(b"/")]
    if folders:
        said.append("ignored folders were not carried: " + _some(map(paths.shown, folders)))
    settings = [shown for path in seen.ignored if secret_files.withheld(shown := paths.shown(path).rstrip("/"), b"")]
    if settings:
        said.append("ignored files of settings and secrets were not carried: " + _some(settings))
    return said


def _some(found: Iterable[str]) -> str:
    listed = [redact(name) for name in found]
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return ", ".join(listed[:_SHOWN]) + more
