"""Sending a conversation and its uncommitted files to the fleet's remote, for another PC.

`send` brings a cut of one moment there before the handoff names it; what stays behind (secrets, files beyond the caps, what
is no git worktree, what git keeps beside the files) is said in `notes`, and every path of it stands in `logs/left_out.log`.
Nothing of the user's repository, worktree or conversation is changed. `unpacking` is the other side.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trinity import files, git, program
from trinity.config import Config
from trinity.fleet import parts
from trinity.relay import arrival, consent
from trinity.relay.link import Link, Record
from trinity.work import conversation, projects, secret_files
from trinity.work.carry import pack, paths
from trinity.work.carry.consent import Consent

CONVERSATION = "conversation/"
BUNDLE = "parcel.bundle"
MANIFEST = "parcel.json"
SURROUNDINGS = "surroundings.json"
LEFT_OUT = "left_out"
MEGABYTE = 1_000_000
CAP_FILE = 50 * MEGABYTE
CAP_TOTAL = 200 * MEGABYTE
_LONGEST = 290


@dataclass(frozen=True)
class Sent:
    """`parts` as the record names them, None when nothing travels but the record; `notes` for a person, the weightiest
    first; `left_out` every path that stayed, with size and reason; `touches` the configuration that the work changes."""

    parts: dict[str, Any] | None
    notes: list[str]
    left_out: list[dict[str, Any]] = field(default_factory=list)
    touches: list[dict[str, str]] = field(default_factory=list)


@dataclass
class _Parcel:
    """What is put together: the parts' contents and what is to be said of them."""

    folder: Path
    contents: dict[str, Path | bytes] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    left_out: list[dict[str, Any]] = field(default_factory=list)
    touches: list[dict[str, str]] = field(default_factory=list)
    size: int = 0


def send(link: Link, record: Record) -> Sent:
    """Bring the conversation and files of the record's first session to the remote, as parts of its epoch.

    Raises Offline or Busy when the remote cannot be reached, TrinityError when the work cannot be packed.
    """
    session = (record.get("sessions") or [None])[0]
    if session is None:
        return Sent(None, [])
    with tempfile.TemporaryDirectory(prefix="parts-", dir=link.home.root) as folder:
        made = _Parcel(Path(folder))
        _conversation(session, link.config, made)
        _files(session, link.config, made)
        _log(link, record, made.left_out)
        notes = [*_summary(made.left_out), *made.said]
        if not made.contents:
            return Sent(None, notes, made.left_out)
        described = arrival.describe(session, projects.top(Path(session["cwd"])))
        if described is not None:
            made.contents[SURROUNDINGS] = files.dump_json(described)
        sent = parts.push_parts(link.state, record["id"], record["epoch"], made.contents)
    return Sent(sent.document(), notes, made.left_out, made.touches)


def _log(link: Link, record: Record, left_out: list[dict[str, Any]]) -> None:
    """Every path that stays, once for each handoff: work is sent again at every Stop."""
    try:
        lines = (link.home.logs / f"{LEFT_OUT}.log").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    known = {text for _, _, text in (line.split(" ", 2) for line in lines if line.count(" ") > 1)}
    for line in left_out:
        text = f"{record['id']} {_of(line)}, {line['size']} bytes"
        if program.clean(text) not in known:
            program.log(link.home, LEFT_OUT, text)


def _conversation(session: dict[str, Any], config: Config, made: _Parcel) -> None:
    transcript = Path(session.get("transcript_path") or "")
    if config.conversation == "none":
        made.said.append("conversations stay on this PC (configuration): handed over in words")
        return
    if not transcript.is_file():
        made.said.append("the conversation is gone: handed over in words")
        return
    into = made.folder / "conversation"
    redacted = config.conversation != "full"
    found = conversation.collect(transcript, into, redacted=redacted, cap_file=CAP_FILE, cap_total=CAP_TOTAL // 2)
    if not found.may_travel:
        made.said.append(f"the conversation stays, handed over in words: {found.stays}")
        return
    if found.redacted:
        kinds = ", ".join(f"{count} {kind}" for kind, count in found.redacted.items())
        made.said.append(f"secrets in the conversation were replaced by tags: {kinds}")
    if found.not_scanned:
        made.said.append(f"{found.not_scanned} pictures in the conversation were not looked into")
    memory = transcript.parent / "memory"
    if memory.is_dir() and any(memory.iterdir()):
        made.said.append("the client's memory of this project stays on this PC")
    made.left_out += found.left_out
    made.contents |= {CONVERSATION + name: into / name for name in found.names}
    made.size += found.size


def _files(session: dict[str, Any], config: Config, made: _Parcel) -> None:
    if not _in_worktree(Path(session["cwd"])):
        made.said.append(f"'{session['cwd']}' is no git worktree: its files stay")
        return
    parcel = pack.pack(
        Path(session["cwd"]),
        made.folder / "parcel",
        cap_file=CAP_FILE,
        cap_total=CAP_TOTAL - made.size,
        withheld=secret_files.withheld,
        consent=Consent(config.carry, config.carry_permissions),
    )
    if not parcel.consistent:
        made.said.insert(0, _some("somebody was still writing, not of one moment", parcel.moving or ["the repository"]))
    made.touches = consent.touches(projects.top(Path(session["cwd"])), parcel.manifest)
    made.said += parcel.manifest["notes"]
    made.left_out += parcel.left_out
    made.contents |= {BUNDLE: parcel.bundle, MANIFEST: files.dump_json(parcel.manifest)}


def _in_worktree(folder: Path) -> bool:
    try:
        return git.Repository(folder, as_user=True).run("rev-parse", "--is-inside-work-tree").strip() == b"true"
    except (git.GitError, OSError):
        return False


def _summary(left_out: list[dict[str, Any]]) -> list[str]:
    """What stays, a sentence for secrets and one for the rest; every path is in the log."""
    withheld = [line for line in left_out if line["reason"].startswith("withheld")]
    others = [line for line in left_out if line not in withheld]
    said = [_some("withheld", [_of(line).replace("(withheld: ", "(") for line in withheld])] if withheld else []
    if others:
        weight = sum(line["size"] for line in others) / MEGABYTE
        said.append(_some(f"left behind, {len(others)} files of {weight:.1f} MB", [_of(line) for line in others]))
    return said


def _some(what: str, names: Sequence[str]) -> str:
    """As many of the names as one line of a record holds, and how many more there are."""
    text = f"{what}: {names[0][:200]}"
    for at, name in enumerate(names[1:], 1):
        if len(text) + len(name) > _LONGEST - 40:
            return f"{text} and {len(names) - at} more (logs/{LEFT_OUT}.log)"
        text += f", {name}"
    return text


def _of(line: dict[str, Any]) -> str:
    return f"{paths.shown(paths.decode(line))} ({line['reason']})"
