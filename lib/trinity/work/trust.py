"""Answering beforehand what the client would ask in a folder that Trinity made: its tour, and whether the folder is trusted.

Only where this PC's configuration says so, and only for a folder below the place of carried work. The client keeps the
answers in one big file of its own (`.claude.json`), together with logins and histories: two members are put in as text,
every other byte stays, and a file that is damaged, or that changes meanwhile, is left alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from trinity import files
from trinity.errors import BadRecord, Busy, TrinityError

_LIMIT = 200_000_000
# The client's own lock is a folder beside the file, and stale after ten seconds (its proper-lockfile).
_STALE_SECONDS = 10.0
_WAIT_SECONDS = 5.0
_POLL_SECONDS = 0.05
_TRIES = 5
_BOM = b"\xef\xbb\xbf"


def file_of(config_dir: Path) -> Path:
    """Where the client of this profile keeps its answers."""
    return config_dir.parent / ".claude.json" if config_dir == Path.home() / ".claude" else config_dir / ".claude.json"


def accept(config_dir: Path, folder: Path, below: Path) -> bool:
    """Have the client of this profile trust `folder` and skip its tour; False when it did already.

    `below` is where carried work lies: any other folder is refused. Raises TrinityError, with nothing changed.
    """
    place = os.path.realpath(folder)
    if not Path(place).is_relative_to(os.path.realpath(below)) or Path(place) == Path(os.path.realpath(below)):
        raise TrinityError(f"'{folder}' is not below '{below}': it is not trusted on anybody's behalf")
    file = Path(os.path.realpath(file_of(config_dir)))
    with _locked(file):
        for _ in range(_TRIES):
            data, mode = _read(file)
            made = trusting(data, place, str(file))
            if made == data:
                return False
            if _read(file)[0] == data:
                files.write_atomic(file, made, mode)
                if os.name != "nt":
                    file.chmod(mode)  # the process's mask may have narrowed it
                return True
    raise Busy(f"'{file}' is changed all the time", "try again when no client starts")


def trusting(data: bytes, folder: str, source: str) -> bytes:
    """The file's bytes with the two answers in it; raises TrinityError for what is no whole file of the client's."""
    mark = _BOM if data.startswith(_BOM) else b""
    text = data.removeprefix(_BOM).decode("utf-8", "strict") if _is_text(data) else ""
    if not text.strip():
        if data.strip():
            raise TrinityError(f"'{source}' is damaged: it is not UTF-8", "mend it or move it away")
        text = "{}\n"
    before = _parsed(text, source)
    wanted = json.loads(json.dumps(before))
    wanted["hasCompletedOnboarding"] = True
    wanted.setdefault("projects", {}).setdefault(folder, {})["hasTrustDialogAccepted"] = True
    if wanted == before:
        return data
    made = text
    if before.get("hasCompletedOnboarding") is not True:
        made = _put(made, (), "hasCompletedOnboarding")
    if "projects" not in before:
        made = _put(made, (), "projects", {folder: {"hasTrustDialogAccepted": True}})
    elif folder not in before["projects"]:
        made = _put(made, ("projects",), folder, {"hasTrustDialogAccepted": True})
    elif before["projects"][folder].get("hasTrustDialogAccepted") is not True:
        made = _put(made, ("projects", folder), "hasTrustDialogAccepted")
    if _parsed(made, source) != wanted:
        raise TrinityError(f"'{source}' has a form that is not known here: it was not changed")
    return mark + made.encode("utf-8")


def _is_text(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _parsed(text: str, source: str) -> dict[str, Any]:
    try:
        document = files.load_json(text.encode("utf-8"), source, _LIMIT)
    except BadRecord as error:
        raise TrinityError(f"'{source}' is damaged: {'; '.join(error.problems)}", "mend it or move it away") from None
    projects = document.get("projects", {}) if isinstance(document, dict) else None
    if not isinstance(projects, dict) or not all(isinstance(one, dict) for one in projects.values()):
        raise TrinityError(f"'{source}' has a form that is not known here: it was not changed")
    return dict(document)


def _put(text: str, inside: Sequence[str], name: str, value: object = True) -> str:
    """Put `name` first into the object that `inside` leads to, or replace its value where it has one."""
    at = _object(text, inside)
    known = _member(text, at, name)
    if known is not None:
        return text[: known[0]] + json.dumps(value) + text[known[1] :]
    rest = text[at + 1 :]
    blank = rest[: len(rest) - len(rest.lstrip())]
    empty = rest.lstrip().startswith("}")
    gap = " " if '": ' in text else ""
    member = f"{json.dumps(name, ensure_ascii=False)}:{gap}{json.dumps(value, ensure_ascii=False)}"
    return f"{text[: at + 1]}{'' if empty else blank}{member}{'' if empty else ','}{rest}"


def _object(text: str, inside: Sequence[str]) -> int:
    at = text.index("{")
    for name in inside:
        found = _member(text, at, name)
        if found is None:
            raise TrinityError(f"there is no '{name}'")
        at = found[0]
    return at


def _member(text: str, at: int, name: str) -> tuple[int, int] | None:
    """Where the value of the member `name` of the object at `at` begins and ends."""
    decoder = json.JSONDecoder()
    place = _after_blanks(text, at + 1)
    while text[place] == '"':
        key, place = decoder.raw_decode(text, place)
        begin = _after_blanks(text, _after_blanks(text, place) + 1)  # over the colon
        _, end = decoder.raw_decode(text, begin)
        if key == name:
            return begin, end
        place = _after_blanks(text, end)
        if text[place] == ",":
            place = _after_blanks(text, place + 1)
    return None


def _after_blanks(text: str, at: int) -> int:
    while text[at] in " \t\r\n":
        at += 1
    return at


def _read(file: Path) -> tuple[bytes, int]:
    try:
        return file.read_bytes(), stat.S_IMODE(file.stat().st_mode)
    except FileNotFoundError:
        return b"", 0o600
    except OSError as error:
        raise TrinityError(f"cannot read '{file}': {error.strerror}") from None


@contextlib.contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Hold the client's own lock; one that is stale, or held for too long, is not waited for."""
    lock = Path(f"{file}.lock")
    deadline = time.monotonic() + _WAIT_SECONDS
    held = False
    while not held:
        try:
            lock.mkdir()
            held = True
        except FileExistsError:
            with contextlib.suppress(FileNotFoundError):
                if time.time() - lock.stat().st_mtime > _STALE_SECONDS or time.monotonic() >= deadline:
                    break
            time.sleep(_POLL_SECONDS)
        except OSError as error:
            raise TrinityError(f"cannot write beside '{file}': {error.strerror}") from None
    try:
        yield
    finally:
        if held:
            with contextlib.suppress(OSError):
                lock.rmdir()
