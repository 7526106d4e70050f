"""The daemon as a systemd unit of the user, kept running without a login by lingering."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trinity.setup.plan import Remove, Run, Step, Write, answer

_UNIT = """[Unit]
Description=Trinity: goes on with Claude Code work that a usage limit stopped

[Service]
ExecStart={command}
Environment={path}
Restart=always
RestartSec=10
# Resumed sessions are its grandchildren: they go on when the daemon is restarted, by an upgrade or after a crash.
KillMode=process
# 75: another one runs already, started by hand; it is looked at again
Nice=5
UMask=0077

[Install]
WantedBy=default.target
"""


def name(key: str) -> str:
    """The unit's name."""
    return f"trinity-monitor{'-' + key if key else ''}.service"


def install(command: Sequence[str], path: str, folder: Path, key: str) -> list[Step]:
    """Write, enable and (re)start the unit."""
    text = _UNIT.format(command=" ".join(_quoted(part, True) for part in command), path=_quoted(f"PATH={path}", False))
    return [
        Write(folder / name(key), text.encode("utf-8")),
        Run(("systemctl", "--user", "daemon-reload")),
        Run(("systemctl", "--user", "enable", name(key))),
        Run(("systemctl", "--user", "restart", name(key)), hint=f"see: systemctl --user status {name(key)}"),
        Run(
            ("loginctl", "enable-linger"),
            required=False,
            hint="without lingering the daemon ends when you log out: sudo loginctl enable-linger $USER",
        ),
    ]


def uninstall(folder: Path, key: str) -> list[Step]:
    """Stop and remove the unit. Lingering belongs to the user: see `disable_linger`."""
    return [
        Run(("systemctl", "--user", "disable", "--now", name(key)), required=False),
        Remove(folder / name(key)),
        Run(("systemctl", "--user", "daemon-reload"), required=False),
    ]


def lingers() -> bool:
    """Does the user's systemd run without a login already?"""
    return (answer("loginctl", "show-user", "--property=Linger", "--value", "self") or b"").strip() == b"yes"


def disable_linger() -> list[Step]:
    """For an uninstall after an install that switched lingering on."""
    return [Run(("loginctl", "disable-linger"), required=False)]


def _quoted(text: str, command: bool) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    if command:
        escaped = escaped.replace("$", "$$")  # ExecStart= knows variables, Environment= does not
    return f'"{escaped}"'
