"""What keeps the daemon running: a systemd user unit, cron, launchd, Task Scheduler, or advice where there is none of them.

All of it is plans (`trinity.setup.plan`) made from a `Target`, so that the plan of another system can be shown and tested.
An entry is known by its name or mark, which holds the state folder's key unless that folder is the default: two state
folders have two daemons. The daemon itself allows one of its kind per state folder, so starting it again is harmless.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

from trinity.setup import services_macos, services_systemd, services_windows
from trinity.setup.plan import Advice, Remove, Run, Start, Step, Write, answer

SYSTEMS = ("linux", "macos", "windows")


@dataclass(frozen=True)
class Target:
    """Where services are installed: the user, the state folder, the environment's interpreter, the checkout, the PATH."""

    system: str
    user_home: Path
    user: str
    home: Path
    python: Path
    checkout: Path
    path: str
    config_home: Path | None = None

    @property
    def key(self) -> str:
        """Empty for the default state folder, else eight hex digits."""
        default = self.home == self.user_home / ".trinity"
        return "" if default else f"{crc32(str(self.home).encode('utf-8', 'replace')):08x}"

    @property
    def command(self) -> tuple[str, ...]:
        """The daemon."""
        return (str(self.python), str(self.checkout / "scripts" / "credit_monitor.py"), "--home", str(self.home))


def kind(system: str) -> str:
    """What this machine offers: systemd, cron, launchd, task-scheduler or none. On Linux it is asked, not assumed: a
    container has systemctl and no systemd."""
    if system == "macos":
        return "launchd"
    if system == "windows":
        return "task-scheduler"
    if answer("systemctl", "--user", "show-environment") is not None:
        return "systemd"
    return "cron" if crontab() is not None else "none"


def install(target: Target, chosen: str) -> list[Step]:
    """The steps that start the daemon now and at every start of the PC."""
    if chosen == "systemd":
        return services_systemd.install(target.command, target.path, _unit_folder(target), target.key)
    if chosen == "launchd":
        return services_macos.install(target.command, target.path, target.user_home, target.key)
    if chosen == "task-scheduler":
        return services_windows.install(target.command, target.user, target.home, target.key)
    start: list[Step] = [_script(target), Start(("/bin/sh", str(script(target))))]
    if chosen == "cron":
        return [*start, *_write_crontab(_without(crontab() or b"", target) + _lines(target))]
    return [
        *start,
        Advice(
            "nothing on this system starts programs for you (no systemd for users, no cron): the daemon runs now; "
            f"after a restart type: sh {shlex.quote(str(script(target)))} &"
        ),
    ]


def uninstall(target: Target, chosen: str) -> list[Step]:
    """The steps that take away exactly what `install` put there; the daemon itself is stopped by `daemon.stop`."""
    if chosen == "systemd":
        return services_systemd.uninstall(_unit_folder(target), target.key)
    if chosen == "launchd":
        return services_macos.uninstall(target.user_home, target.key)
    if chosen == "task-scheduler":
        return services_windows.uninstall(target.home, target.key)
    steps: list[Step] = [Remove(script(target))]
    before = crontab() if chosen == "cron" else None
    if before is not None and _without(before, target) != before:
        steps += _write_crontab(_without(before, target))
    return steps


def crontab() -> bytes | None:
    """The user's table, empty when there is none; None when this system has no cron for the user."""
    table = answer("crontab", "-l")
    if table is not None:
        return table
    # "no crontab for USER" is status 1 as well, like "you are not allowed"; writing is only tried after asking
    return b"" if answer("sh", "-c", 'crontab -l 2>&1 | grep -qi "no crontab for"') is not None else None


def mark(target: Target) -> str:
    """What stands at the end of our lines in the crontab."""
    return f"# trinity-monitor{'-' + target.key if target.key else ''}"


def script(target: Target) -> Path:
    """The shell file that starts the daemon where nothing else holds its PATH."""
    return target.home / "setup" / "monitor.sh"


def _script(target: Target) -> Write:
    # cron's PATH is two folders and its lines hold 998 characters, too few for a PATH
    text = f"#!/bin/sh\nPATH={shlex.quote(target.path)}\nexport PATH\nexec {shlex.join(target.command)}\n"
    return Write(script(target), text.encode("utf-8"), 0o700)


def _lines(target: Target) -> bytes:
    # the second line starts a daemon again that was killed; while one lives it ends at once
    command = shlex.join(("/bin/sh", str(script(target)))).replace("%", r"\%")
    ends = f"{command} >/dev/null 2>&1 {mark(target)}\n"
    return f"@reboot {ends}*/5 * * * * {ends}".encode()


def _without(table: bytes, target: Target) -> bytes:
    ours = mark(target).encode()
    return b"".join(line for line in table.splitlines(keepends=True) if not line.rstrip().endswith(ours))


def _write_crontab(table: bytes) -> Sequence[Step]:
    if not table.strip():
        return [Run(("crontab", "-r"), required=False)]
    # crontab refuses a last line without its end
    return [Run(("crontab", "-"), stdin=table if table.endswith(b"\n") else table + b"\n", hint="see: crontab -l")]


def _unit_folder(target: Target) -> Path:
    return (target.config_home or target.user_home / ".config") / "systemd" / "user"
