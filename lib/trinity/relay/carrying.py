"""Sending a conversation and its uncommitted files to the fleet's remote, for another PC.

`send` brings a cut of one moment there before the handoff names it; what stays behind (secrets, files beyond the cap, what
is no git worktree) is said in `notes`. Nothing of the user's repository, worktree or conversation is changed.
`unpacking` is the other side.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trinity import files, git
from trinity.fleet import parts
from trinity.relay import arrival
from trinity.relay.link import Link, Record
from trinity.work import conversation, projects, secret_files
from trinity.work.carry import pack

CONVERSATION = "conversation/"
BUNDLE = "parcel.bundle"
MANIFEST = "parcel.json"
SURROUNDINGS = "surroundings.json"
_SHOWN = 5


@dataclass(frozen=True)
class Sent:
    """`parts` as the record names them, None when nothing travels but the record; `notes` for a person."""

    parts: dict[str, Any] | None
    notes: list[str]


def send(link: Link, record: Record) -> Sent:
    """Bring the conversation and files of the record's first session to the remote, as parts of its epoch.

    Raises Offline or Busy when the remote cannot be reached, TrinityError when the work cannot be packed.
    """
    session = (record.get("sessions") or [None])[0]
    if session is None:
        return Sent(None, [])
    notes: list[str] = []
    with tempfile.TemporaryDirectory(prefix="parts-", dir=link.home.root) as folder:
        contents = _conversation(session, Path(folder), notes)
        contents |= _files(session, Path(folder), notes)
        if not contents:
            return Sent(None, notes)
        described = arrival.describe(session, projects.top(Path(session["cwd"])))
        if described is not None:
            contents[SURROUNDINGS] = files.dump_json(described)
        made = parts.push_parts(link.state, record["id"], record["epoch"], contents)
    return Sent(made.document(), notes)


def _conversation(session: dict[str, Any], folder: Path, notes: list[str]) -> dict[str, Path | bytes]:
    transcript = Path(session.get("transcript_path") or "")
    if not transcript.is_file():
        notes.append("the conversation is gone: handed over in words")
        return {}
    into = folder / "conversation"
    found = conversation.collect(transcript, into)
    if not found.may_travel:
        notes.append(f"{found.signed_secrets} secrets in the model's signed thoughts: handed over in words")
        return {}
    if found.redacted:
        kinds = ", ".join(f"{count} {kind}" for kind, count in found.redacted.items())
        notes.append(f"secrets in the conversation were replaced by tags: {kinds}")
    notes += [f"left behind: {_of(line)}" for line in found.left_out[:_SHOWN]]
    return {CONVERSATION + name: into / name for name in found.names}


def _files(session: dict[str, Any], folder: Path, notes: list[str]) -> dict[str, Path | bytes]:
    if not _in_worktree(Path(session["cwd"])):
        notes.append(f"'{session['cwd']}' is no git worktree: its files stay")
        return {}
    parcel = pack.pack(Path(session["cwd"]), folder / "parcel", withheld=secret_files.withheld)
    notes += [f"left behind: {_of(line)}" for line in parcel.left_out[:_SHOWN]]
    if len(parcel.left_out) > _SHOWN:
        notes.append(f"left behind: {len(parcel.left_out) - _SHOWN} more")
    if not parcel.consistent:
        notes.append(f"somebody was still writing: {', '.join(parcel.moving[:_SHOWN])}")
    return {BUNDLE: parcel.bundle, MANIFEST: files.dump_json(parcel.manifest)}


def _in_worktree(folder: Path) -> bool:
    try:
        return git.Repository(folder, as_user=True).run("rev-parse", "--is-inside-work-tree").strip() == b"true"
    except (git.GitError, OSError):
        return False


def _of(line: dict[str, Any]) -> str:
    return f"{line.get('path', 'a file')} ({line.get('reason', '')})"
