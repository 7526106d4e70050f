"""What is about to be done to a system, as data: it can be shown, tested for another system, and then executed.

Every step is idempotent, so that a plan that broke off half-way is carried out by running it again. A command whose
failure does not matter to the rest says so, with what to type instead.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trinity import files
from trinity.errors import TrinityError


@dataclass(frozen=True)
class Write:
    """A file with this content; the folders above it are made."""

    path: Path
    data: bytes
    mode: int = 0o644


@dataclass(frozen=True)
class Remove:
    """No file here."""

    path: Path


@dataclass(frozen=True)
class Run:
    """A command. When it is not `required`, a failure is told together with `hint`; else it is raised."""

    command: tuple[str, ...]
    stdin: bytes | None = None
    required: bool = True
    hint: str = ""


@dataclass(frozen=True)
class Start:
    """A program of ours, started in the background and left alone."""

    command: tuple[str, ...]


@dataclass(frozen=True)
class Advice:
    """What a person has to do, because this system offers no way."""

    text: str


Step = Write | Remove | Run | Start | Advice


def command_environment() -> dict[str, str]:
    """The environment for commands. A login by ssh or cron has no XDG_RUNTIME_DIR; systemctl --user needs it."""
    environment = dict(os.environ)
    if sys.platform != "win32":
        runtime = Path(f"/run/user/{os.getuid()}")
        if "XDG_RUNTIME_DIR" not in environment and runtime.is_dir():
            environment["XDG_RUNTIME_DIR"] = str(runtime)
    return environment


# what the client tells its own children: a daemon started from within a session is no part of that session
_OF_A_SESSION = ("CLAUDECODE", "CLAUDE_PID", "CLAUDE_PROJECT_DIR", "CLAUDE_ENV_FILE", "CLAUDE_EFFORT", "CLAUDE_PLUGIN_")
_OF_A_SESSION_CODE = ("SESSION", "CHILD", "ENTRYPOINT", "MESSAGING")


def start_environment() -> dict[str, str]:
    """The environment for a program that outlives this one: the caller's, without what a session told it."""
    session = (*_OF_A_SESSION, *(f"CLAUDE_CODE_{name}" for name in _OF_A_SESSION_CODE))
    return {key: value for key, value in os.environ.items() if not key.startswith(session)}


def describe(steps: Sequence[Step]) -> list[str]:
    """One line a step, as a person reads it."""
    return [_line(step) for step in steps]


def documents(steps: Sequence[Step]) -> list[dict[str, Any]]:
    """The steps for --json."""
    return [_document(step) for step in steps]


def execute(steps: Sequence[Step], say: Callable[[str], None]) -> None:
    """Carry the steps out in order; raises TrinityError at a required command that fails."""
    for step in steps:
        say(_line(step))
        if isinstance(step, Write):
            step.path.parent.mkdir(parents=True, exist_ok=True)
            files.write_atomic(step.path, step.data, step.mode)
        elif isinstance(step, Remove):
            step.path.unlink(missing_ok=True)
        elif isinstance(step, Run):
            _run(step, say)
        elif isinstance(step, Start):
            _start(step)


def answer(*command: str) -> bytes | None:
    """What a command prints when it succeeds, else None; for asking a system what it offers."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            env=command_environment(),
            timeout=20,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout if done.returncode == 0 else None


def _run(step: Run, say: Callable[[str], None]) -> None:
    try:
        done = subprocess.run(
            step.command,
            input=step.stdin,
            stdin=subprocess.DEVNULL if step.stdin is None else None,
            capture_output=True,
            env=command_environment(),
            timeout=60,
        )
        problem = done.stderr.decode("utf-8", "replace").strip() if done.returncode else None
    except (OSError, subprocess.SubprocessError) as error:
        problem = str(error)
    if problem is None:
        return
    message = f"'{shlex.join(step.command)}' failed: {problem or 'no message'}"
    if step.required:
        raise TrinityError(message, step.hint)
    if step.hint:
        say(f"{message}\n  {step.hint}")


def _line(step: Step) -> str:
    if isinstance(step, Write):
        return f"write {step.path}"
    if isinstance(step, Remove):
        return f"remove {step.path}"
    if isinstance(step, Run):
        return f"$ {shlex.join(step.command)}"
    if isinstance(step, Start):
        return f"start {shlex.join(step.command)}"
    return step.text


def _document(step: Step) -> dict[str, Any]:
    found: dict[str, Any] = {"step": type(step).__name__.lower()}
    if isinstance(step, Write):
        found |= {"path": str(step.path), "text": _text(step.data), "mode": f"{step.mode:04o}"}
    elif isinstance(step, Remove):
        found["path"] = str(step.path)
    elif isinstance(step, Run):
        found |= {"command": list(step.command), "required": step.required}
        if step.stdin is not None:
            found["stdin"] = _text(step.stdin)
    elif isinstance(step, Start):
        found["command"] = list(step.command)
    else:
        found["text"] = step.text
    return found


def _text(data: bytes) -> str:
    # Task Scheduler wants UTF-16 with its mark; everything else is UTF-8
    return data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8", "replace")


if sys.platform == "win32":

    def _start(step: Start) -> None:
        subprocess.Popen(
            step.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=start_environment(),
            creationflags=subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP,
        )
else:

    def _start(step: Start) -> None:
        subprocess.Popen(
            step.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=start_environment(),
            start_new_session=True,
            cwd="/",
        )
