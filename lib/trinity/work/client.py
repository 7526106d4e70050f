"""Finding Claude Code, and the environment it is started in."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from trinity.errors import TrinityError

OLDEST = (2, 1, 197)
# From here on an interactive client may continue by itself when a limit resets.
WAITS_BY_ITSELF = (2, 1, 234)

# What a client sets for its children. A resumed client that inherited these would think it is a child of the old one;
# the messaging token is a live secret. RETRY_WATCHDOG makes `-p` sit out a limit for hours without any hook.
_OF_A_SESSION = {
    "CLAUDECODE",
    "CLAUDE_CODE_ENTRYPOINT",
    "CLAUDE_CODE_SESSION_ID",
    "CLAUDE_CODE_CHILD_SESSION",
    "CLAUDE_CODE_CHILD_NOTES_DIR",
    "CLAUDE_CODE_MESSAGING_TOKEN",
    "CLAUDE_CODE_MESSAGING_SOCKET",
    "CLAUDE_CODE_SESSION_ATTENDED",
    "CLAUDE_CODE_RETRY_WATCHDOG",
    "CLAUDE_PROJECT_DIR",
    "CLAUDE_PLUGIN_ROOT",
    "CLAUDE_PLUGIN_DATA",
    "CLAUDE_EFFORT",
    "CLAUDE_ENV_FILE",
    "CLAUDE_PID",
}


def find(configured: str | None) -> str:
    """The absolute path of the client: the configured one, else the one on PATH or in its usual places."""
    if configured:
        if not os.access(configured, os.X_OK):
            raise TrinityError(f"the configured client '{configured}' cannot be run", "./install.sh finds it again")
        return configured
    # A daemon's PATH is short; these are the places the client's own installers use.
    usual = (Path.home() / part for part in (".local/bin/claude", ".claude/local/claude", ".npm-global/bin/claude"))
    for candidate in (shutil.which("claude"), *map(str, usual)):
        if candidate and os.access(candidate, os.X_OK):
            return os.path.abspath(candidate)
    raise TrinityError("Claude Code is not installed", "npm install -g @anthropic-ai/claude-code")


def identity(client: str) -> list[object]:
    """What tells the program that lies there now from any later one."""
    found = os.stat(client)
    return [os.path.realpath(client), found.st_size, found.st_mtime_ns]


def version(client: str) -> tuple[int, ...] | None:
    """The client's version, None when it does not say one within 20 s."""
    try:
        done = subprocess.run(
            [client, "--version"], stdin=subprocess.DEVNULL, capture_output=True, timeout=20, env=environment(None)
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parse_version(done.stdout.decode("utf-8", "replace"))


def parse_version(text: str) -> tuple[int, ...] | None:
    """`2.1.328 (Claude Code)` as numbers."""
    found = re.search(r"(\d+)\.(\d+)\.(\d+)", text)
    return tuple(int(part) for part in found.groups()) if found else None


def environment(config_dir: str | None) -> dict[str, str]:
    """This process's environment without the marks of a session, for the profile `config_dir` (None: the default)."""
    kept = {key: value for key, value in os.environ.items() if key not in _OF_A_SESSION}
    if config_dir and Path(config_dir) != Path.home() / ".claude":
        kept["CLAUDE_CONFIG_DIR"] = config_dir
    return kept
