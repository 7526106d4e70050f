"""Unpacking carried work on this PC, as it came from another one or comes home.

`receive` lays the work into a folder of its own, proves it equal or says what differs, and puts the conversation where the
client finds it for that folder; `take_back` does so beside the work's first worktree. Neither changes anything of the
user's repository, worktree or conversation. `carrying` is the other side.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trinity import git, schema
from trinity.config import Config
from trinity.errors import TrinityError
from trinity.fleet import parts
from trinity.relay import carrying, rounds
from trinity.relay.link import Link, Record
from trinity.usage import brought
from trinity.work import conversation
from trinity.work.carry import restore

_DEEPEST = 3
_SHOWN = 5


@dataclass(frozen=True)
class Arrived:
    """The work as it lies on this PC: the record's session with this PC's paths, and what the model has to be told."""

    session: dict[str, Any]
    note: str
    equal: bool
    differences: list[str]


def take_back(link: Link, config: Config, record: Record) -> Arrived:
    """Unpack what another PC made of this PC's work beside it: a new worktree of the same repository, the conversation
    under that folder. Nothing the user has is written over. Raises TrinityError, Offline, Busy."""
    if not record.get("parts"):
        raise TrinityError(f"handoff {record['id']} has brought nothing home", f"trinity handoffs show {record['id']}")
    if record["parts"]["epoch"] != record["epoch"]:
        raise TrinityError(
            f"the result of handoff {record['id']} was not sent home; it lies on {record['owner']}",
            f"on {record['owner']}: trinity handoffs show {record['id']}",
        )
    session = dict(record["sessions"][0])
    here = _before(record, session, config.pc)
    return _received(link, config, record, session, _top(here) if here else None)


def _before(record: Record, session: dict[str, Any], pc: str) -> Path | None:
    """The folder that the work had on this PC first; None when it was never here."""
    return next((Path(place["cwd"]) for place in rounds.places(record, session) if place["pc"] == pc), None)


def _top(folder: Path) -> Path | None:
    try:
        found = git.Repository(folder, as_user=True).run("rev-parse", "--show-toplevel")
    except (git.GitError, OSError):
        return None
    return Path(os.fsdecode(found.removesuffix(b"\n")))


def receive(link: Link, config: Config, record: Record) -> Arrived:
    """Fetch and unpack the parts that the record names; raises TrinityError, Offline, Busy."""
    session = dict(record["sessions"][0])
    named = record.get("parts")
    if named is None:
        return _in_words(link, config, record, session)
    return _received(link, config, record, session, None)


def _received(link: Link, config: Config, record: Record, session: dict[str, Any], clone: Path | None) -> Arrived:
    named = record["parts"]
    fetched = link.home.root / "arrivals" / f"{record['id']}-e{record['epoch']}"
    fetched.parent.mkdir(mode=0o700, exist_ok=True)
    if fetched.exists():
        shutil.rmtree(fetched)  # ours alone: a receive that was interrupted
    parts.fetch_parts(link.state, record["id"], named["epoch"], fetched, named["oid"])
    try:
        return _unpack(link, config, record, session, fetched, clone)
    finally:
        shutil.rmtree(fetched, ignore_errors=True)


def _target(link: Link, config: Config, record: Record, session: dict[str, Any]) -> Path:
    base = Path(config.work_folder) if config.work_folder else link.home.root / "work"
    # On its third PC the work has the name that the second one gave it.
    name = re.sub(rf"-{record['id'][-8:]}-e\d+$", "", Path(session["cwd"]).name)
    return base / f"{name or 'work'}-{record['id'][-8:]}-e{record['epoch']}"


def _in_words(link: Link, config: Config, record: Record, session: dict[str, Any]) -> Arrived:
    """Nothing travelled but the record: a new session in an empty folder of its own, told what the work was."""
    target = _target(link, config, record, session)
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    here = {**session, "cwd": str(target), "pc": config.pc, "config_dir": config.profiles[0], "transcript_path": None}
    here.pop("foreign", None)
    note = "The files of this work stayed on the PC it came from; this folder is empty."
    return Arrived(here, note, False, ["no files travelled"])


def _unpack(
    link: Link, config: Config, record: Record, session: dict[str, Any], fetched: Path, clone: Path | None
) -> Arrived:
    target = _target(link, config, record, session)
    old = session["cwd"]
    differences: list[str] = []
    left_out: list[dict[str, Any]] = []
    cwd = target
    if (fetched / carrying.MANIFEST).is_file():
        manifest = schema.read(
            "parcel", (fetched / carrying.MANIFEST).read_bytes(), carrying.MANIFEST, limit=64_000_000
        )
        clone = clone or project(config.roots, manifest["remotes"])
        restored = restore.restore(manifest, fetched / carrying.BUNDLE, target, clone)
        cwd, differences, left_out = restored.cwd, restored.differences, restored.left_out
    else:
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
    session.pop("foreign", None)
    # The conversation is full of the places where it was; on each PC some of them may be somebody's.
    session["been"] = rounds.places(record, session)[-rounds.PLACES :]
    session |= {"cwd": str(cwd), "pc": config.pc, "config_dir": config.profiles[0], "transcript_path": None}
    if (fetched / carrying.CONVERSATION).is_dir():
        # Before it lies there: the ledger must never see it without knowing that another PC has paid for it.
        brought.note(link.home, session["session_id"], fetched / carrying.CONVERSATION)
        placed = conversation.place(
            fetched / carrying.CONVERSATION, Path(config.profiles[0]), cwd, session["session_id"]
        )
        session["transcript_path"] = str(placed.transcript)
    note = conversation.moved_note(old, str(cwd), left_out=left_out, tags=True)
    return Arrived(session, note, not differences, differences)


def project(roots: tuple[str, ...], remotes: dict[str, str]) -> Path | None:
    """This PC's clone of a project with one of these remotes, below the configured folders; None when there is none."""
    wanted = {_plain(url) for url in remotes.values()}
    for root in roots:
        for folder in _folders(Path(root), _DEEPEST):
            if (folder / ".git").exists() and wanted & _urls(folder):
                return folder
    return None


def _folders(root: Path, depth: int) -> list[Path]:
    found = [root]
    if depth and not (root / ".git").exists():
        try:
            below = sorted(entry for entry in root.iterdir() if entry.is_dir() and not entry.is_symlink())
        except OSError:
            return found
        for entry in below:
            if not entry.name.startswith("."):
                found += _folders(entry, depth - 1)
    return found


def _urls(folder: Path) -> set[str]:
    try:
        listed = git.Repository(folder).run("config", "--get-regexp", r"^remote\..*\.url$").decode("utf-8", "replace")
    except git.GitError:
        return set()
    return {_plain(line.partition(" ")[2]) for line in listed.splitlines()}


def _plain(url: str) -> str:
    """`git@host:a/b.git`, `ssh://git@host/a/b` and `https://host/a/b` are one project."""
    text = url.strip().removesuffix("/").removesuffix(".git")
    if "://" in text:
        text = text.partition("://")[2]
    elif ":" in text and not text.startswith("/"):
        text = text.replace(":", "/", 1)
    return text.rpartition("@")[2].lower()


def dumped(arrived: Arrived) -> str:
    """For the log: how the work arrived."""
    state = "equal" if arrived.equal else f"with differences: {json.dumps(arrived.differences[:_SHOWN])}"
    return f"unpacked {state} at {arrived.session['cwd']}"
