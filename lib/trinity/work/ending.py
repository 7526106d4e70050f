"""Ending the client of a conversation that goes on elsewhere.

An interactive client that waits for a reset would continue by itself 30 to 90 s after it. Asked to leave (SIGTERM) it
writes its SessionEnd and is gone. A client that cannot be asked, because it runs in another container or does not leave,
gets its wait switched off by the settings of its project, which clients read again within 30 s.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from trinity import files
from trinity.credit import sessions
from trinity.errors import TrinityError

WAIT = "autoContinueAtUsageLimit"
_LEAVE_SECONDS = 8.0
_POLL_SECONDS = 0.02


@dataclass(frozen=True)
class Ended:
    """`left`: process ids that are gone. `stayed`: those that are not. `switched_off`: settings written to end a wait."""

    left: tuple[int, ...] = ()
    stayed: tuple[int, ...] = ()
    switched_off: tuple[Path, ...] = ()


def end_client(config_dir: Path, session_id: str, pid: int | None = None, seconds: float = _LEAVE_SECONDS) -> Ended:
    """End every client of the profile that has the conversation open, and wait until they are gone.

    `pid` is the process a hook reported for the session (`CLAUDE_PID`); it counts only while it runs a program that names
    itself a client and that is not known to hold another conversation. Call it after the fence is raised: between
    the two the session is refused, not running.
    """
    clients = sessions.live_clients(config_dir)
    known = {one["pid"]: one for one in clients if one["session_id"] == session_id}
    if pid in {one["pid"] for one in clients} - set(known):
        pid = None
    asked = [process for number in {*known, pid} - {None} if (process := _client(number, known)) is not None]
    for process in asked:
        try:
            process.terminate()
        except psutil.Error:
            continue
    deadline = time.monotonic() + seconds
    while any(map(_runs, asked)) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    left = {process.pid for process in asked if not _runs(process)}
    stayed = sorted(({process.pid for process in asked} | set(known)) - left)
    folders = {one["cwd"] for number, one in known.items() if number in stayed and one["cwd"]}
    switched = tuple(path for folder in sorted(folders) if (path := _try_to_switch_off(Path(folder))) is not None)
    return Ended(tuple(sorted(left)), tuple(stayed), switched)


def switch_wait_off(project: Path) -> Path | None:
    """Write `autoContinueAtUsageLimit: false` into the project's own local settings, keeping what stands there.

    Returns the file, None when it says so already. Raises TrinityError for a file that is not understood, OSError.
    """
    path = project / ".claude" / "settings.local.json"
    settings = _settings(path)
    if settings.get(WAIT) is False:
        return None
    path.parent.mkdir(exist_ok=True)
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
    _write(path, {**settings, WAIT: False}, mode)
    return path


def switch_wait_on(project: Path) -> bool:
    """Take that word out again, and the file with it when it holds nothing else; was it there?"""
    path = project / ".claude" / "settings.local.json"
    settings = _settings(path)
    if settings.pop(WAIT, None) is not False:
        return False
    if settings:
        _write(path, settings, path.stat().st_mode & 0o777)
    else:
        path.unlink()
    return True


def _client(pid: int | None, known: dict[int, sessions.Client]) -> psutil.Process | None:
    """The process, if it is surely the client: its own record says so, or it runs under the client's name."""
    if pid is None or (pid in known and not known[pid]["certain"]) or pid == os.getpid():
        return None
    try:
        process = psutil.Process(pid)
        if pid in known:
            return process
        words = [process.name(), *process.cmdline()[:2]]
        return process if any("claude" in os.path.basename(word) for word in words) else None
    except psutil.Error:
        return None


def _runs(process: psutil.Process) -> bool:
    try:
        # a terminal multiplexer may leave an ended client uncollected for long: it does nothing any more
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _try_to_switch_off(project: Path) -> Path | None:
    try:
        return switch_wait_off(project) if project.is_dir() else None
    except (OSError, TrinityError):
        return None  # the fence refuses the continuation; this only spares the person its notice


def _write(path: Path, settings: dict[str, object], mode: int) -> None:
    # the order of the entries is the user's
    text = json.dumps(settings, indent=2, ensure_ascii=False) + "\n"
    files.write_atomic(Path(os.path.realpath(path)), text.encode("utf-8"), mode)


def _settings(path: Path) -> dict[str, object]:
    found = files.read_or(path, dict)
    if not isinstance(found, dict):
        raise TrinityError(f"'{path}' is no object of settings")
    return found
