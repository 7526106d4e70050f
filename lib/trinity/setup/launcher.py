"""The `trinity` command: `trinity NAME …` runs `scripts/NAME.py` with the environment's interpreter.

It lies in `~/.local/bin` and holds three paths, no logic: `trinity.setup.dispatch` finds the program. A file of that name
that is not ours is left alone.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from trinity.setup.plan import Advice, Remove, Step, Write

_MARK = "made by Trinity's installer; ./install.sh --uninstall removes it"

# The interpreter is a link into the system, which an upgrade may take away: then the shell is all that is left to say so.
_SHELL = """#!/bin/sh
# {mark}
: "${{TRINITY_HOME:={home}}}"
export TRINITY_HOME
python={python}
if [ ! -x "$python" ]; then
    printf 'trinity: error: the interpreter is gone: %s\\n  mend it: %s\\n' "$python" {install} >&2
    exit 1
fi
exec "$python" {dispatch} "$@"
"""


def file(user_home: Path, system: str) -> Path:
    """Where the command lies."""
    return user_home / ".local" / "bin" / ("trinity.cmd" if system == "windows" else "trinity")


def ours(path: Path) -> bool | None:
    """Is the file ours? None: there is none."""
    try:
        return _MARK in path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    except OSError:
        return False


def install(path: Path, system: str, python: Path, checkout: Path, home: Path) -> list[Step]:
    """The steps to put it there, and what to say when it would not be found."""
    if ours(path) is False:
        return [Advice(f"'{path}' is not ours and stays; to have the command, move it away, then again")]
    dispatch = checkout / "lib" / "trinity" / "setup" / "dispatch.py"
    if system == "windows":
        text = (
            f"@echo off\nrem {_MARK}\nsetlocal\n"
            f'if not defined TRINITY_HOME set "TRINITY_HOME={home}"\n'
            f'"{python}" "{dispatch}" %*\n'
        ).replace("\n", "\r\n")
    else:
        text = _SHELL.format(
            mark=_MARK,
            home=_in_double_quotes(str(home)),
            python=shlex.quote(str(python)),
            dispatch=shlex.quote(str(dispatch)),
            install=shlex.quote(str(checkout / "install.sh")),
        )
    steps: list[Step] = [Write(path, text.encode("utf-8"), 0o755)]
    if str(path.parent) not in os.environ.get("PATH", "").split(os.pathsep):
        steps.append(Advice(_advice(path, system)))
    return steps


def uninstall(path: Path) -> list[Step]:
    """The steps to take it away."""
    return [Remove(path)] if ours(path) else []


def _advice(path: Path, system: str) -> str:
    if system == "windows":
        return f"'{path.parent}' is not on your PATH: add it in the environment variables of your account"
    return f"'{path.parent}' is not on your PATH: add to your shell's profile: export PATH=\"$HOME/.local/bin:$PATH\""


def _in_double_quotes(text: str) -> str:
    for sign in '\\"$`':
        text = text.replace(sign, "\\" + sign)
    return text
