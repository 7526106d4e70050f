"""The client on this PC, and the environment in which the daemon finds it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

LOWEST = (2, 1, 197)
# a client that starts for the first time unpacks itself
_SECONDS = 60
_STANDARD = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
# what a login sets and cron sets too; everything else of a shell does not reach the daemon
_KEPT = ("HOME", "USER", "LOGNAME", "LANG", "SHELL", "TMPDIR", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME")
_KEPT_WINDOWS = (
    "USERPROFILE",
    "USERNAME",
    "APPDATA",
    "LOCALAPPDATA",
    "SYSTEMROOT",
    "COMSPEC",
    "PATHEXT",
    "TEMP",
    "TMP",
)
# how a client may be given its account; the names are looked at, never the values
CREDENTIALS = (
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "ANTHROPIC_BASE_URL",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "CLAUDE_CODE_USE_BEDROCK",
    "CLAUDE_CODE_USE_VERTEX",
    "CLAUDE_CODE_USE_FOUNDRY",
)


def find() -> str | None:
    """The client's absolute path: on PATH, else where its installers put it. Not resolved: updates move what is behind."""
    found = shutil.which("claude")
    if found:
        return str(Path(found).absolute())
    name = "claude.exe" if sys.platform == "win32" else "claude"
    home = Path.home()
    for folder in (home / ".local/bin", home / ".claude/local", Path("/opt/homebrew/bin"), Path("/usr/local/bin")):
        if os.access(folder / name, os.X_OK):
            return str(folder / name)
    return None


def version(path: str, environment: Mapping[str, str]) -> tuple[int, int, int] | None:
    """The version a client states, None when it does not start in this environment."""
    try:
        done = subprocess.run(
            [path, "--version"],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            env=dict(environment) | {"DISABLE_AUTOUPDATER": "1"},
            timeout=_SECONDS,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(rb"(\d+)\.(\d+)\.(\d+)", done.stdout)
    return (int(found[1]), int(found[2]), int(found[3])) if found and done.returncode == 0 else None


def daemon_path(environment: Mapping[str, str] = os.environ) -> str:
    """The PATH for the daemon: this shell's, so that resumed work finds the user's tools, less what is passing or odd."""
    wanted = environment.get("PATH", "").split(os.pathsep)
    if sys.platform != "win32":
        wanted += _STANDARD.split(":")
    kept: list[str] = []
    for folder in wanted:
        odd = not Path(folder).is_absolute() or not folder.isprintable() or ".venv" in Path(folder).parts
        if not odd and folder not in kept and Path(folder).is_dir():
            kept.append(folder)
    return os.pathsep.join(kept)


def daemon_environment(path: str) -> dict[str, str]:
    """What a program sees that cron, systemd or the Task Scheduler starts for this user."""
    names = (*_KEPT, *_KEPT_WINDOWS) if sys.platform == "win32" else _KEPT
    return {name: os.environ[name] for name in names if name in os.environ} | {"PATH": path}


def fires(path: str, profile: Path, environment: Mapping[str, str], folder: Path) -> str:
    """Start the client once without a request (`--init-only`: its SessionStart and SessionEnd hooks run, nothing is sent
    to the API); returns what it complained about."""
    asked = dict(environment) | {"DISABLE_AUTOUPDATER": "1", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}
    if profile != Path.home() / ".claude":
        asked["CLAUDE_CONFIG_DIR"] = str(profile)
    try:
        done = subprocess.run(
            [path, "--init-only"],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            cwd=folder,
            env=asked,
            timeout=_SECONDS,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    return done.stderr.decode("utf-8", "replace").strip()
