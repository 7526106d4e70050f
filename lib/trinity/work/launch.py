"""Starting Claude Code on a handed-over conversation, and seeing whether it really runs.

A start is one of four ways: `headless` (`claude -p`, detached, its output in `runs/`), `tmux` (a detached tmux session that
a person can attach), `terminal` (a new window of the desktop) and `none` (only the command is told). Only a new answer in
the transcript proves that a resumed session works; a process id proves nothing.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from trinity.errors import TrinityError
from trinity.work import client as clients
from trinity.work import prompt as prompts


@dataclass(frozen=True)
class Start:
    """What to start: all paths absolute. `session_id` is resumed; None begins a new conversation `new_session_id`.
    `arguments` are further ones of the client, made here and never taken from a record."""

    client: str
    cwd: str
    text: str
    session_id: str | None
    new_session_id: str | None
    permission_mode: str
    config_dir: str | None
    model: str | None
    name: str
    run_file: Path
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True)
class Started:
    """`pid` of the client (headless) or None; `where` says in words where it runs and how to reach it."""

    pid: int | None
    where: str


def command(start: Start, headless: bool) -> list[str]:
    """The client's argument list. The prompt is not in it: other users can read the arguments of a process."""
    made = [start.client]
    if headless:
        made += ["-p", "--output-format", "json"]
    if start.session_id:
        made += ["--resume", start.session_id]
    elif start.new_session_id:
        made += ["--session-id", start.new_session_id]
    if start.model:
        made += ["--model", start.model]
    return [*made, "--permission-mode", start.permission_mode, *start.arguments]


def run(start: Start, mode: str) -> Started:
    """Start in `mode`; raises TrinityError when that way does not exist here."""
    for word in (start.session_id, start.new_session_id, start.model):
        if word is not None and word.startswith("-"):
            # The client would take it for an option of its own, such as the one that asks for no permissions.
            raise TrinityError(f"'{word}' is no id of a session and no model", "trinity handoffs bury ID")
    if not Path(start.cwd).is_dir():
        raise TrinityError(
            f"the folder '{start.cwd}' of the work is gone", "restore it, then: trinity accept_handoff ID"
        )
    if mode == "headless":
        return _headless(start)
    if mode == "tmux":
        return _tmux(start)
    if mode == "terminal":
        return _terminal(start)
    return Started(None, f"not started; by hand: {shown(start)}")


def shown(start: Start) -> str:
    """The command a person types to go on with this work."""
    line = shlex.join(["cd", start.cwd]) + " && " + shlex.join(command(start, headless=False))
    if start.config_dir and Path(start.config_dir) != Path.home() / ".claude":
        line = shlex.join(["CLAUDE_CONFIG_DIR=" + start.config_dir]) + " " + line
    return line


def _headless(start: Start) -> Started:
    # stdin is a file, not a pipe: it outlives this process.
    asked = start.run_file.with_suffix(".prompt")
    asked.write_bytes(start.text.encode("utf-8"))
    asked.chmod(0o600)
    with (
        open(asked, "rb") as stdin,
        open(start.run_file.with_suffix(".out"), "ab") as out,
        open(start.run_file.with_suffix(".err"), "ab") as err,
    ):
        process = subprocess.Popen(
            command(start, headless=True),
            cwd=start.cwd,
            env=clients.environment(start.config_dir),
            stdin=stdin,
            stdout=out,
            stderr=err,
            **_DETACHED,  # type: ignore[call-overload]
        )
    return Started(process.pid, f"headless, process {process.pid}, output in {start.run_file.with_suffix('.out')}")


if sys.platform == "win32":
    _DETACHED: dict[str, object] = {"creationflags": subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP}
else:
    _DETACHED = {"start_new_session": True}


def _interactive(start: Start) -> list[str]:
    # A screen client takes its first prompt as an argument only. It gets our fixed sentence; what came with the handoff
    # lies in a file of ours that the sentence names.
    text = prompts.CONTINUE
    if not start.session_id:
        note = start.run_file.with_suffix(".prompt")
        note.write_bytes(start.text.encode("utf-8"))
        note.chmod(0o600)
        text = f"Read '{note}': it says which work was stopped here. Then go on with it."
    return [*command(start, headless=False), text]


_CARRIED = ("ANTHROPIC_", "CLAUDE_", "DISABLE_", "AWS_", "GOOGLE_", "CLOUD_ML")


def _tmux(start: Start) -> Started:
    tmux = shutil.which("tmux")
    if tmux is None:
        raise TrinityError("tmux is not installed", "install tmux, or set resume to headless in config.json")
    environment = clients.environment(start.config_dir)
    server = environment.get("TRINITY_TMUX_SOCKET", "trinity")
    # The tmux server may be older than this process and has its own environment. Only names are arguments: others can read
    # those, and the server keeps them for as long as it lives; the values reach it by its socket.
    names = [key for key in sorted(environment) if key.startswith(_CARRIED) or key in ("HOME", "PATH")]
    made = [tmux, "-L", server, "start-server", ";", "set-option", "-g", "update-environment", " ".join(names), ";"]
    made += ["new-session", "-d", "-s", start.name, "-x", "200", "-y", "50", "-c", start.cwd]
    done = subprocess.run([*made, "--", *_interactive(start)], env=environment, capture_output=True, timeout=30)
    if done.returncode:
        raise TrinityError(f"tmux did not start: {done.stderr.decode('utf-8', 'replace').strip()}")
    return Started(None, f"in tmux: tmux -L {server} attach -t {start.name}")


_TERMINALS = (
    ("x-terminal-emulator", "-e"),
    ("gnome-terminal", "--"),
    ("konsole", "-e"),
    ("xterm", "-e"),
)


def _terminal(start: Start) -> Started:
    environment = clients.environment(start.config_dir)
    if sys.platform == "win32":
        made = ["cmd", "/c", "start", "", *_interactive(start)]
    elif sys.platform == "darwin":
        # Terminal.app opens a file, not an argument list.
        script = start.run_file.with_suffix(".command")
        script.write_text(
            f"#!/bin/sh\ncd {shlex.quote(start.cwd)} && exec {shlex.join(_interactive(start))}\n",
            encoding="utf-8",
            newline="\n",
        )
        script.chmod(0o700)
        made = ["open", "-a", "Terminal", str(script)]
    else:
        found = [(shutil.which(name), flag) for name, flag in _TERMINALS if shutil.which(name)]
        if not found or not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            raise TrinityError(
                "there is no terminal window to open here", "set resume to tmux or headless in config.json"
            )
        made = [str(found[0][0]), found[0][1], *_interactive(start)]
    subprocess.Popen(
        made,
        cwd=start.cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **_DETACHED,  # type: ignore[call-overload]
    )
    return Started(None, "in a new terminal window")
