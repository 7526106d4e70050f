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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trinity import files
from trinity.config import Config
from trinity.errors import BadRecord, TrinityError
from trinity.fleet import parts
from trinity.relay import arrival, carrying, consent, readiness, rounds
from trinity.relay.link import Link, Record
from trinity.usage import brought
from trinity.work import conversation, projects, unfinished
from trinity.work.carry import checking, paths, restore

_SHOWN = 5


@dataclass(frozen=True)
class Arrived:
    """The work as it lies on this PC: the record's session with this PC's paths, and what the model has to be told.

    `told` is for the person, `lacking` the part of it that this PC could mend. `old_roots` are the places that the work had
    on the PCs it came from, `new_root` is its own.
    """

    session: dict[str, Any]
    note: str
    equal: bool
    differences: list[str]
    told: list[str] = field(default_factory=list)
    lacking: list[str] = field(default_factory=list)
    old_roots: list[str] = field(default_factory=list)
    new_root: str = ""


Noted = Callable[[Arrived], None]


def _not_noted(_: Arrived) -> None:
    """Whoever unpacks by hand is told, and starts it himself."""


def take_back(link: Link, config: Config, record: Record, fetched: Path | None) -> Arrived:
    """Unpack what another PC made of this PC's work beside it: a new worktree of the same repository, the conversation
    under that folder. Nothing the user has is written over. `fetched`: the parts, where they are here already.

    Raises TrinityError, Offline, Busy."""
    session = dict(record["sessions"][0])
    here = _before(record, session, config.pc)
    clone = projects.top(here) if here else None
    if fetched is not None:
        return _unpack(link, config, record, session, fetched, clone, by_hand=True, noted=_not_noted)
    return _received(link, config, record, session, clone, by_hand=True, noted=_not_noted)


def _before(record: Record, session: dict[str, Any], pc: str) -> Path | None:
    """The folder that the work had on this PC first; None when it was never here."""
    return next((Path(place["cwd"]) for place in rounds.places(record, session) if place["pc"] == pc), None)


def receive(link: Link, config: Config, record: Record, noted: Noted = _not_noted) -> Arrived:
    """Fetch and unpack the parts that the record names; raises TrinityError, Offline, Busy, and consent.Needed when a
    person has to look at it first. What was unpacked counts as whole once `noted` has noted it."""
    session = dict(record["sessions"][0])
    named = record.get("parts")
    if named is None:
        arrived = _in_words(link, config, record, session)
        noted(arrived)
        return arrived
    return _received(link, config, record, session, None, by_hand=False, noted=noted)


def _received(
    link: Link,
    config: Config,
    record: Record,
    session: dict[str, Any],
    clone: Path | None,
    by_hand: bool,
    noted: Noted,
) -> Arrived:
    named = record["parts"]
    fetched = link.home.root / "arrivals" / f"{record['id']}-e{record['epoch']}"
    if fetched.parent.exists():
        shutil.rmtree(fetched.parent)  # ours alone: of calls that were interrupted
    fetched.parent.mkdir(mode=0o700, exist_ok=True)
    parts.fetch_parts(link.state, record["id"], named["epoch"], fetched, named["oid"])
    try:
        return _unpack(link, config, record, session, fetched, clone, by_hand, noted)
    except BadRecord as error:
        kept = files.quarantine(link.home, fetched, error.message)
        raise TrinityError(f"the parcel was refused and put aside as '{kept}': {error.message}") from None
    except OSError as error:
        where = error.filename or readiness.base(link.home, config)
        raise TrinityError(
            f"the work cannot be unpacked here: {error.strerror or error}: '{where}'",
            f"make room or mend it, then: trinity handoffs requeue {record['id']}",
        ) from None
    finally:
        shutil.rmtree(fetched, ignore_errors=True)


def _target(link: Link, config: Config, record: Record, session: dict[str, Any]) -> Path:
    # The other PC's path may be one of another system.
    last = session["cwd"].replace("\\", "/").rstrip("/").rpartition("/")[2]
    # On its third PC the work has the name that the second one gave it.
    name = re.sub(rf"-{record['id'][-8:]}-e\d+$", "", last)
    name = re.sub(r"[^\w.+@ -]", "_", name)[:60].strip(". ") or "work"
    return readiness.base(link.home, config) / f"{name}-{record['id'][-8:]}-e{record['epoch']}"


def _in_words(link: Link, config: Config, record: Record, session: dict[str, Any]) -> Arrived:
    """Nothing travelled but the record: a new session in an empty folder of its own, told what the work was."""
    target = _target(link, config, record, session)
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    roots = _been(record, session, "")
    here = {**session, "cwd": str(target), "pc": config.pc, "config_dir": config.profiles[0], "transcript_path": None}
    here.pop("foreign", None)
    note = "The files of this work stayed on the PC it came from; this folder is empty."
    return Arrived(here, note, False, ["no files travelled"], old_roots=roots, new_root=str(target))


def _unpack(
    link: Link,
    config: Config,
    record: Record,
    session: dict[str, Any],
    fetched: Path,
    clone: Path | None,
    by_hand: bool,
    noted: Noted,
) -> Arrived:
    target = _target(link, config, record, session)
    unfinished.sweep(target.parent)
    manifest = _manifest(fetched / carrying.MANIFEST)
    remotes = manifest["remotes"] if manifest else {}
    told: list[str] = []
    if manifest and clone is None:
        found = projects.find(config.roots, remotes, manifest["bases"])
        clone = found.path if found else None
        told += [found.why] if found and found.why else []
    restored = None
    with unfinished.marked(target, clone) as mark:
        if manifest:
            ready = readiness.folder(link.home, config) if config.ready_worktrees is not False else None
            restored = restore.restore(manifest, fetched / carrying.BUNDLE, target, clone, ready_folder=ready)
            if not by_hand:
                consent.check(link.home, record, target, manifest)
            readiness.came(link.home, config, clone, manifest["head"], restored)
        else:
            target.mkdir(mode=0o700, parents=True, exist_ok=True)
        cwd = restored.cwd if restored else target
        name = f"{record['id']}-e{record['epoch']}"
        described = fetched / carrying.SURROUNDINGS
        around = arrival.settle(link.home, config, name, cwd, target.parent, remotes.values(), _bytes(described))
        roots = _been(record, session, _folder(manifest))
        session.pop("foreign", None)
        profile = Path(config.profiles[0])
        session |= {"cwd": str(cwd), "pc": config.pc, "config_dir": config.profiles[0], "transcript_path": None}
        new_session_folder = ""
        if (fetched / carrying.CONVERSATION).is_dir():
            # Before it lies there: the ledger must never see it without knowing that another PC has paid for it.
            brought.note(link.home, session["session_id"], fetched / carrying.CONVERSATION)
            transcript = conversation.transcript_at(profile, cwd, session["session_id"])
            if not transcript.exists():
                mark.with_files(transcript, transcript.with_suffix(""))
            placed = conversation.place(fetched / carrying.CONVERSATION, profile, cwd, session["session_id"])
            session["transcript_path"] = str(placed.transcript)
            new_session_folder = str(placed.session_folder)
        differences = restored.differences if restored else []
        facts = [*around.lacking, *differences]
        if restored:
            facts += [*restored.notes, *arrival.of_operation(restored.operation, restored.commands)]
        note = conversation.moved_note(
            roots[-1],
            str(target),
            old_session_folder=around.session_folder,
            new_session_folder=new_session_folder,
            left_out=restored.left_out if restored else (),
            tags=True,
            earlier=roots[:-1],
            facts=facts,
        )
        told += [*around.told, *facts]
        arrived = Arrived(session, note, not differences, differences, told, around.lacking, roots, str(target))
        noted(arrived)
    return arrived


def _manifest(file: Path) -> dict[str, Any] | None:
    if not file.is_file():
        return None
    if file.stat().st_size > checking.MAX_BYTES:
        raise BadRecord(carrying.MANIFEST, [f"{file.stat().st_size} bytes, more than {checking.MAX_BYTES}"])
    return checking.read(file.read_bytes(), carrying.MANIFEST)


def _bytes(file: Path) -> bytes | None:
    return file.read_bytes() if file.is_file() else None


def _folder(manifest: Mapping[str, Any] | None) -> str:
    """The folder below the worktree's top in which the session was started."""
    return os.fsdecode(paths.decode(manifest["folder"])) if manifest else ""


def _been(record: Record, session: dict[str, Any], folder: str) -> list[str]:
    """Note where the work was before in the session, and return the tops of all those places, the last one last.

    The conversation is full of them; on each PC some of them may be somebody's.
    """
    old = str(session["cwd"])
    top = old
    if folder and old.replace("\\", "/").endswith("/" + folder):
        top = old[: -len(folder) - 1]
    *before, last = rounds.places(record, session)[-rounds.PLACES :]
    session["been"] = [*before, {**last, "top": top}]
    return _tops(session["been"])


def _tops(been: Sequence[Mapping[str, Any]]) -> list[str]:
    found = [str(place.get("top") or place.get("cwd") or "") for place in been if isinstance(place, Mapping)]
    return [root for at, root in enumerate(found) if root and root not in found[at + 1 :]]


def dumped(arrived: Arrived) -> str:
    """For the log: how the work arrived."""
    state = "equal" if arrived.equal else f"with differences: {json.dumps(arrived.differences[:_SHOWN])}"
    return f"unpacked {state} at {arrived.session['cwd']}"
