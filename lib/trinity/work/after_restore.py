"""The user's own command for work that has just been unpacked here, such as one that installs what the project needs.

It comes from this PC's configuration and from nowhere else, is a list of arguments that no shell reads, and runs in the
new folder. What it prints goes to a file; that it failed, or took too long and was ended with its children, is said.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from trinity.config import AfterRestore
from trinity.work import client as clients
from trinity.work import projects

_TAIL = 300


@dataclass(frozen=True)
class Ran:
    """`command` as it was called; `failure` in words, empty when it succeeded."""

    command: tuple[str, ...]
    failure: str


def chosen(configured: AfterRestore, remotes: Iterable[str]) -> tuple[str, ...]:
    """The command for a project with these remotes: its own, else the general one, else none."""
    known = {projects.plain(url): command for url, command in configured.projects.items()}
    return next((known[plain] for url in remotes if (plain := projects.plain(url)) in known), configured.command)


def run(command: tuple[str, ...], folder: Path, output: Path, seconds: float) -> Ran:
    """Run it in `folder`, at most so long; what it prints is added to `output`."""
    environment: Mapping[str, str] = clients.environment(None)
    with open(output, "ab") as log:
        output.chmod(0o600)
        try:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                **_OWN_GROUP,  # type: ignore[call-overload]
            )
        except OSError as error:
            return Ran(command, f"it cannot be started: {error.strerror or error}")
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            end(process.pid)
            process.wait()
            return Ran(command, f"it took longer than {seconds:g} s and was ended; its output: '{output}'")
    if status:
        return Ran(command, f"status {status}: {_last_line(output)}; its output: '{output}'")
    return Ran(command, "")


def end(pid: int) -> None:
    """End a process and all that it started."""
    import psutil

    try:
        parent = psutil.Process(pid)
        family = [*parent.children(recursive=True), parent]
    except psutil.Error:
        return
    for process in family:
        try:
            process.kill()
        except psutil.Error:
            continue
    psutil.wait_procs(family[:-1], timeout=5)


def _last_line(output: Path) -> str:
    lines = output.read_bytes()[-4096:].decode("utf-8", "replace").split("\n")
    said = [line.strip() for line in lines if line.strip()]
    return said[-1][:_TAIL] if said else "it printed nothing"


if sys.platform == "win32":
    _OWN_GROUP: dict[str, object] = {"creationflags": subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP}
else:
    _OWN_GROUP = {"start_new_session": True}
