"""The daemon as a launchd agent of the user; it runs while the user is logged in, as launchd has nothing like lingering."""

from __future__ import annotations

import os
import plistlib
from collections.abc import Sequence
from pathlib import Path

from trinity.setup.plan import Remove, Run, Step, Write


def label(key: str) -> str:
    """The agent's name."""
    return f"com.trinity.monitor{'.' + key if key else ''}"


def install(command: Sequence[str], path: str, user_home: Path, key: str) -> list[Step]:
    """Write the agent, and load it anew: launchd keeps what it once read."""
    agent = {
        "Label": label(key),
        "ProgramArguments": list(command),
        "EnvironmentVariables": {"PATH": path},
        "RunAtLoad": True,
        "KeepAlive": True,
        "ThrottleInterval": 30,
        "ProcessType": "Background",
        "StandardOutPath": "/dev/null",
        "StandardErrorPath": "/dev/null",
        "Umask": 0o077,
    }
    return [
        Write(_file(user_home, key), plistlib.dumps(agent)),
        Run(("launchctl", "bootout", f"{_domain()}/{label(key)}"), required=False),
        Run(("launchctl", "bootstrap", _domain(), str(_file(user_home, key))), hint="see: launchctl print gui/$UID"),
    ]


def uninstall(user_home: Path, key: str) -> list[Step]:
    """Unload and remove the agent."""
    return [
        Run(("launchctl", "bootout", f"{_domain()}/{label(key)}"), required=False),
        Remove(_file(user_home, key)),
    ]


def _file(user_home: Path, key: str) -> Path:
    return user_home / "Library" / "LaunchAgents" / f"{label(key)}.plist"


def _domain() -> str:
    return f"gui/{os.getuid() if hasattr(os, 'getuid') else 0}"
