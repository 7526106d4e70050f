"""What was unpacked for a start that never came about is taken away: the next epoch unpacks its own.

Left lying it would be a second copy of the work and of its conversation, and nobody could tell which is the one. A copy
that a client has written to is nobody's to take away: it stays.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trinity.config import Config
from trinity.git import GitError
from trinity.relay import unpacking
from trinity.relay.link import Link, Record
from trinity.work import conversation, unfinished
from trinity.work.carry import ground


def clear(link: Link, config: Config, record: Record, entry: dict[str, Any]) -> None:
    """Take away what this epoch of a foreign record unpacked here; `entry` is the journal's. No client may run in it."""
    session = (record.get("sessions") or [{}])[0]
    if not session.get("foreign") or entry.get("new"):
        return  # not unpacked here; or refused by a client before, which has written down why
    target = unpacking.own_folder(link, config, record, session)
    copies = list(_copies(target, config, session["session_id"]))
    if any(copy.stat().st_size != (entry.get("cursor") or {}).get("size", copy.stat().st_size) for copy in copies):
        return
    for copy in copies:
        copy.unlink(missing_ok=True)
        shutil.rmtree(copy.with_suffix(""), ignore_errors=True)
    if target.is_dir():
        unfinished.give_up(target, _clone(target))


def _copies(target: Path, config: Config, session_id: str) -> Iterator[Path]:
    """The conversation as it was placed for the folder, or for one below it."""
    slug = conversation.slug(target)
    for folder in (Path(config.profiles[0]) / "projects").glob("*"):
        if folder.name == slug or folder.name.startswith(slug + "-"):
            yield from folder.glob(f"{session_id}.jsonl")


def _clone(target: Path) -> Path | None:
    """Whose linked worktree it is."""
    if not (target / ".git").is_file():
        return None
    try:
        said = ground.repository(target).run("rev-parse", "--path-format=absolute", "--git-common-dir")
    except GitError:
        return None
    return Path(said.decode("utf-8", "surrogateescape").rstrip("\n"))
