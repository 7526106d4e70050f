"""A settings file of the client as bytes and as a document: read strictly, written so that a person sees a small change.

The client ignores a whole file for one wrong type in it, without a word in older versions (seen in 2.1.197 and 2.1.328):
what it would ignore is refused here, untouched. Writing keeps the order of keys, the indent, the line ends, the mode, and
a symbolic link; it is atomic, and never over a change that was made since the file was read.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trinity import files
from trinity.errors import BadRecord, Busy, TrinityError

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Settings:
    """`data` None: there is no file. `value` is what it says, `target` the file behind links."""

    path: Path
    target: Path
    data: bytes | None
    value: dict[str, Any]
    mode: int = 0o600


def read(profile: Path) -> Settings:
    """The user settings of a profile; raises TrinityError when the client would ignore them."""
    path = profile / "settings.json"
    target = Path(os.path.realpath(path))
    try:
        data = target.read_bytes()
    except FileNotFoundError:
        return Settings(path, target, None, {})
    except OSError as error:
        raise TrinityError(f"cannot read '{path}': {error.strerror}", "is it a file of yours?") from None
    mode = stat.S_IMODE(target.stat().st_mode)
    return Settings(path, target, data, parse(data, path), mode)


def parse(data: bytes, path: Path) -> dict[str, Any]:
    """The document; raises TrinityError with everything that makes the client ignore it."""
    hint = "mend it or move it away, then again; it was not changed"
    text = data.removeprefix(_BOM)
    if not text.strip():
        return {}
    try:
        value = files.load_json(text, str(path))
    except BadRecord as error:
        raise TrinityError(error.message, hint) from None
    if not isinstance(value, dict):
        raise TrinityError(f"cannot use '{path}': it is a {type(value).__name__}, not an object", hint)
    wrong = list(problems(value))
    if wrong:
        more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise TrinityError(f"cannot use '{path}', because the client ignores its hooks: {wrong[0]}{more}", hint)
    return value


def problems(value: dict[str, Any]) -> Iterator[str]:
    """What in the hooks and the status line makes a client ignore the file or all of its hooks."""
    line = value.get("statusLine", {"type": "command", "command": ""})
    if not isinstance(line, dict) or line.get("type") != "command" or not isinstance(line.get("command"), str):
        yield "statusLine is not {type: command, command: text}"
    if not isinstance(value.get("disableAllHooks", False), bool):
        yield "disableAllHooks is not true or false"
    hooks = value.get("hooks", {})
    if not isinstance(hooks, dict):
        yield f"hooks is a {type(hooks).__name__}, not an object"
        return
    for event, groups in hooks.items():
        if not isinstance(groups, list):
            yield f"hooks/{event} is not a list"
            continue
        for number, group in enumerate(groups):
            yield from _group_problems(f"hooks/{event}/{number}", group)


def _group_problems(where: str, group: Any) -> Iterator[str]:
    if not isinstance(group, dict) or not isinstance(group.get("hooks"), list):
        yield f"{where} is not an object with a list hooks"
        return
    if not isinstance(group.get("matcher", ""), str):
        yield f"{where}/matcher is not text"
    for number, hook in enumerate(group["hooks"]):
        here = f"{where}/hooks/{number}"
        # A type that is not known here may be one of a newer client's.
        if not isinstance(hook, dict) or not isinstance(hook.get("type"), str):
            yield f"{here} is not an object with a type"
            continue
        timeout = hook.get("timeout", 1)
        if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or timeout <= 0:
            yield f"{here}/timeout is no number above 0"
        if hook["type"] != "command":
            continue
        arguments = hook.get("args", [])
        if not isinstance(arguments, list) or not all(isinstance(part, str) for part in arguments):
            yield f"{here}/args is not a list of texts"
        if not isinstance(hook.get("command"), str):
            yield f"{here}/command is not text"


def render(value: dict[str, Any], like: bytes | None) -> bytes:
    """`value` as bytes in the manner of `like`: indent, line ends, byte order mark, final newline."""
    text = (like or b"{\n}\n").removeprefix(_BOM).decode("utf-8")
    indent = re.search(r"^\s*\{[^\S\n]*\r?\n([ \t]+)\S", text)
    if indent or "\n" in text.strip() or not text.strip("{} \t\r\n"):
        dumped = json.dumps(value, indent=indent.group(1) if indent else 2, ensure_ascii=False)
    elif '": ' in text:
        dumped = json.dumps(value, ensure_ascii=False)
    else:
        dumped = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    end = re.search(r"\s*$", text)
    dumped += end.group().replace("\r\n", "\n") if end and text.strip() else "\n"
    if "\r\n" in text:
        dumped = dumped.replace("\n", "\r\n")
    mark = _BOM if like is not None and like.startswith(_BOM) else b""
    return mark + dumped.encode("utf-8")


def write(settings: Settings, data: bytes) -> None:
    """Replace what was read as `settings` by `data`; raises Busy when somebody else was faster."""
    _unchanged(settings)
    if settings.data is None:
        settings.target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    files.write_atomic(settings.target, data, settings.mode)
    if settings.data is not None:
        settings.target.chmod(settings.mode)  # the process's mask may have narrowed it


def remove(settings: Settings) -> None:
    """Remove the file that was read as `settings`; raises Busy when it changed since."""
    _unchanged(settings)
    settings.target.unlink(missing_ok=True)


def _unchanged(settings: Settings) -> None:
    try:
        now: bytes | None = settings.target.read_bytes()
    except FileNotFoundError:
        now = None
    if now != settings.data:
        raise Busy(f"'{settings.path}' was changed by somebody else just now", "try again")
