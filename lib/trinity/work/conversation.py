"""A conversation travels as files: the transcript, its subagents and large tool outputs, and its task list.

`collect` copies them, cut at the last complete line and redacted, into a folder of neutral names; `place` puts them where
the client of another PC looks for a conversation of another folder: below the slug of that folder. The transcript is
written last, so whoever finds it finds all of it. A stale copy of the same conversation there would win over any other:
it is put aside.
"""

from __future__ import annotations

import json
import os
import re
import stat
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from trinity import clock, files
from trinity.errors import BadRecord, TrinityError
from trinity.redaction import first_token, redact
from trinity.work import conversation_redaction as redaction

TRANSCRIPT = "conversation.jsonl"
_SESSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,199}$")
_DEEPEST = 8
_LONGEST_SLUG = 200
_SHOWN = 20
_MOST = 4000  # files: a set of parts takes 5000


@dataclass(frozen=True)
class Collected:
    """`names` lie below the folder collected into. `signed_secrets`: secrets in blocks that must not be altered.

    `stays`: why the conversation must not travel, so that the work is handed over in words; None when it may.
    """

    session_id: str
    names: list[str]
    size: int
    redacted: dict[str, int]
    signed_secrets: int
    not_scanned: int
    left_out: list[dict[str, Any]]
    stays: str | None = None

    @property
    def may_travel(self) -> bool:
        """False when a signed block holds a secret, or when it is too large."""
        return self.stays is None


@dataclass(frozen=True)
class Placed:
    """Where the conversation lies now; `aside` is where a stale copy went."""

    transcript: Path
    session_folder: Path
    aside: list[Path]


def collect(
    transcript: Path,
    into: Path,
    *,
    redacted: bool = True,
    cap_file: int = 50_000_000,
    cap_total: int = 100_000_000,
) -> Collected:
    """Copy the conversation of `<profile>/projects/<slug>/<session>.jsonl` into `into`, which must not exist yet.

    Files beyond `cap_file` bytes stay, and beyond `cap_total` in all the largest ones. Raises FileNotFoundError,
    TrinityError.
    """
    session_id = transcript.name.removesuffix(".jsonl")
    if not _SESSION.match(session_id):
        raise TrinityError(f"'{transcript}' is not named after a session")
    into.mkdir(mode=0o700, parents=True)
    findings = redaction.Findings()
    size = transcript.stat().st_size
    if size > cap_total:
        return Collected(session_id, [], 0, {}, 0, 0, [], f"it has {size // 1_000_000} MB")
    data = _complete(transcript.read_bytes())
    names, weight = [TRANSCRIPT], _write(into / TRANSCRIPT, redaction.lines(data, findings) if redacted else data)
    tasks = transcript.parents[2] / "tasks" / session_id
    found = [(f"session/{name}", path, size) for name, path, size in _files(transcript.with_suffix(""))]
    found += [(f"tasks/{name}", path, size) for name, path, size in _files(tasks)]
    left_out: list[dict[str, Any]] = []
    for name, path, size in sorted(found, key=lambda item: (item[2], item[0])):
        reason = _too_much(size, weight, len(names), cap_file, cap_total)
        made = None if reason else _content(name, path, findings, redacted)
        if made is None:
            reason = reason or "withheld: a token in its name or in bytes that are no text"
            left_out.append({"path": redact(name), "size": size, "reason": reason})
            continue
        weight += _write(into / name, made)
        names.append(name)
    counts = {kind: count for kind, count in sorted(findings.redacted.items()) if count > 0}
    stays = f"{findings.signed} secrets in the model's signed thoughts" if findings.signed else None
    return Collected(session_id, sorted(names), weight, counts, findings.signed, findings.encoded, left_out, stays)


def _too_much(size: int, weight: int, count: int, cap_file: int, cap_total: int) -> str | None:
    if size > cap_file:
        return f"larger than {cap_file // 1_000_000} MB"
    if weight + size > cap_total:
        return f"beyond {cap_total // 1_000_000} MB in all"
    return f"beyond {_MOST} files" if count >= _MOST else None


def _content(name: str, path: Path, findings: redaction.Findings, redacted: bool) -> bytes | None:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None  # the client took it away meanwhile
    if name.endswith(".jsonl"):
        data = _complete(data)
    if not redacted:
        return data
    if first_token(name.encode("utf-8")):
        return None
    if name.endswith(".jsonl"):
        return redaction.lines(data, findings)
    return redaction.document(data, findings) if name.endswith(".json") else redaction.text(data, findings)


def _complete(data: bytes) -> bytes:
    # The client may be in the middle of a line.
    return data[: data.rfind(b"\n") + 1]


def _files(folder: Path) -> Iterator[tuple[str, Path, int]]:
    """Regular files below `folder` with names a parcel may have; locks and links are not of the conversation."""
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if _PART.match(name))
        for name in sorted(names):
            path = Path(where, name)
            status = path.lstat()
            if stat.S_ISREG(status.st_mode) and _PART.match(name) and not name.endswith(".lock"):
                yield path.relative_to(folder).as_posix(), path, status.st_size


def _write(path: Path, data: bytes) -> int:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    files.write_atomic(path, data)
    return len(data)


def transcript_at(config_dir: Path, cwd: Path, session_id: str) -> Path:
    """Where the client with profile `config_dir` looks for a conversation in the folder `cwd`."""
    return config_dir / "projects" / slug(cwd) / f"{session_id}.jsonl"


def place(folder: Path, config_dir: Path, cwd: Path, session_id: str) -> Placed:
    """Put a collected conversation where a client with profile `config_dir` finds it in the folder `cwd`.

    Raises BadRecord when a name in it leads elsewhere.
    """
    if not _SESSION.match(session_id):
        raise BadRecord("conversation", [f"'{session_id[:80]}' is no session id"])
    found = list(_placeable(folder))
    transcript = transcript_at(config_dir, cwd, session_id)
    homes = {"session": transcript.with_suffix(""), "tasks": config_dir / "tasks" / session_id}
    new = (folder / TRANSCRIPT).read_bytes()
    aside = []
    if homes["tasks"].is_dir():
        # A task that is gone from the list must not come back from an older copy.
        aside.append(_aside(homes["tasks"]))
    for name, path in found:
        top, _, rest = name.partition("/")
        if name != TRANSCRIPT:
            _write(homes[top] / rest, path.read_bytes())
    if transcript.exists() and not new.startswith(transcript.read_bytes()):
        aside.append(_aside(transcript))
    _write(transcript, new)
    return Placed(transcript, homes["session"], aside)


def _placeable(folder: Path) -> Iterator[tuple[str, Path]]:
    problems = []
    for where, folders, names in os.walk(folder):
        for name in [*names, *(name for name in folders if Path(where, name).is_symlink())]:
            path = Path(where, name)
            relative = path.relative_to(folder).as_posix()
            parts = PurePosixPath(relative).parts
            known = relative == TRANSCRIPT or (parts[0] in ("session", "tasks") and 1 < len(parts) <= _DEEPEST)
            if not known or path.is_symlink() or not path.is_file() or not all(map(_PART.match, parts)):
                problems.append(f"'{relative[:200]}' is not of a conversation")
            else:
                yield relative, path
    if problems:
        raise BadRecord("conversation", problems)


def _aside(path: Path) -> Path:
    # Not `.jsonl` at its end: the client would take it for a conversation.
    target = path.with_name(f"{path.name}.before-{clock.stamp()}-{os.getpid()}")
    files.replace(str(path), target)
    return target


def slug(cwd: Path) -> str:
    """The client's name for a folder below `projects/`: everything but letters and digits becomes `-`.

    Beyond 200 characters it is cut and gets a hash, as the client does it (2.1.197 and 2.1.328).
    """
    path = unicodedata.normalize("NFC", os.path.realpath(cwd))
    units = path.encode("utf-16-le", "surrogatepass")
    codes = [units[i] | units[i + 1] << 8 for i in range(0, len(units), 2)]
    name = "".join(chr(code) if code < 128 and chr(code).isalnum() else "-" for code in codes)
    if len(name) <= _LONGEST_SLUG:
        return name
    number = 0
    for code in codes:
        number = (number * 31 + code) & 0xFFFFFFFF
    number = abs(number - (1 << 32) if number >= 1 << 31 else number)
    return f"{name[:_LONGEST_SLUG]}-{_base36(number)}"


def _base36(number: int) -> str:
    digits = ""
    while True:
        number, rest = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[rest] + digits
        if not number:
            return digits


def moved_note(
    old_root: str,
    new_root: str,
    *,
    old_session_folder: str = "",
    new_session_folder: str = "",
    left_out: Sequence[Mapping[str, Any]] = (),
    tags: bool = False,
    earlier: Sequence[str] = (),
    facts: Sequence[str] = (),
) -> str:
    """What a moved conversation has to be told: where its paths lie now, what is missing, what the tags are.

    `earlier` are places on PCs before the last one; `facts` are about this PC and the way here, a sentence each.
    """
    said = [
        f"This conversation was moved to another PC. What was below {json.dumps(old_root)} is now below "
        f"{json.dumps(new_root)}; use only the new paths. Nothing you read before counts as read here: read a file again "
        "before editing it.",
    ]
    if earlier:
        said.append(f"Its places on PCs before that are not yours either: {', '.join(map(json.dumps, earlier))}.")
    if old_session_folder and new_session_folder:
        said.append(
            f"Saved tool outputs below {json.dumps(old_session_folder)} are now below {json.dumps(new_session_folder)}."
        )
    said.append("Background shells, servers and environment variables of the old PC are not here.")
    if left_out:
        names = ", ".join(json.dumps(line.get("path", "a name that is no text")) for line in left_out[:_SHOWN])
        more = f" and {len(left_out) - _SHOWN} more" if len(left_out) > _SHOWN else ""
        said.append(f"These files stayed on the old PC: {names}{more}.")
    if tags:
        said.append("Tags like [REDACTED-kind-123456] stand for secrets: they are placeholders, not file content.")
    if facts:
        said.append("What is different here, as facts and not as instructions:")
        said += [f"- {json.dumps(fact, ensure_ascii=False)}" for fact in facts]
    return "\n".join(said)
