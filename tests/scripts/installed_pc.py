"""A PC for tests of the installer: a copy of the checkout with its environment ready, and a user with nothing yet.

The commands that would reach this machine's own services (systemctl, loginctl, crontab) are replaced on the PATH by fakes
that record what they are told; everything else is real, the daemon included.
"""

from __future__ import annotations

import json
import os
import shutil
import site
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trinity.setup import environment

CHECKOUT = Path(__file__).resolve().parents[2]
COPIED = ("hooks", "lib", "schemas", "scripts", "pyproject.toml", "install.sh", "install.ps1")
SYSTEM_PATH = "/usr/bin:/bin"

_SYSTEMCTL = """#!/bin/sh
echo "systemctl $*" >>"{log}"
[ -e "{folder}/has_systemd" ] || {{ echo "Failed to connect to bus" >&2; exit 1; }}
"""
_LOGINCTL = """#!/bin/sh
case $1 in
show-user) [ -e "{folder}/lingers" ] && echo yes || echo no; exit 0 ;;
enable-linger) touch "{folder}/lingers" ;;
disable-linger) rm -f "{folder}/lingers" ;;
esac
echo "loginctl $*" >>"{log}"
"""
_CRONTAB = """#!/bin/sh
[ -e "{folder}/has_cron" ] || {{ echo "you are not allowed to use this program (crontab)" >&2; exit 1; }}
case $1 in
-l) [ -f "{folder}/table" ] && exec cat "{folder}/table"; echo "no crontab for you" >&2; exit 1 ;;
-r) rm "{folder}/table" ;;
-) cat >"{folder}/table" ;;
esac
echo "crontab $*" >>"{log}"
"""


def copy_checkout(target: Path) -> Path:
    """The checkout with an environment that has this one's packages, so that no registry is asked."""
    target.mkdir(parents=True)
    for name in COPIED:
        source = CHECKOUT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, target / name)
    lend_environment(target)
    return target


def lend_environment(checkout: Path) -> None:
    """Make `.venv` as `environment.ensure` leaves it, with the packages that run these tests."""
    folder = checkout / ".venv"
    command = [str(environment.base_interpreter()), "-m", "venv", "--without-pip", "--clear", str(folder)]
    subprocess.run(command, check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "lent.pth").write_text("\n".join(site.getsitepackages()), encoding="utf-8")
    stamp = {"python": list(sys.version_info[:2]), "requirements": environment.requirements(checkout)}
    (folder / "trinity-dependencies.json").write_text(json.dumps(stamp), encoding="utf-8")


class InstalledPC:
    """One user of one checkout; `install` runs `install.sh` as that user would, from a bare environment."""

    def __init__(self, folder: Path, checkout: Path, client: Path | None = None) -> None:
        self.checkout = checkout
        self.user = folder / "user"
        self.user.mkdir(parents=True)
        self.state = self.user / ".trinity"
        self.profile = self.user / ".claude"
        self.settings = self.profile / "settings.json"
        self.commands = folder / "commands"
        self.commands.mkdir()
        self._log = folder / "commands.log"
        for name, text in (("systemctl", _SYSTEMCTL), ("loginctl", _LOGINCTL), ("crontab", _CRONTAB)):
            self._command(name, text.format(folder=self.commands, log=self._log))
        if client is not None:
            (self.commands / "claude").symlink_to(client)

    def _command(self, name: str, text: str) -> None:
        (self.commands / name).write_text(text, encoding="utf-8", newline="\n")
        (self.commands / name).chmod(0o755)

    def has(self, *what: str) -> None:
        """`systemd`, `cron`: this PC has it."""
        for name in what:
            (self.commands / f"has_{name}").touch()

    @property
    def environment(self) -> dict[str, str]:
        """What `env -i HOME=… PATH=…` gives; the interpreter is named, for the tests may run on another one."""
        path = f"{self.commands}:{SYSTEM_PATH}"
        return {"HOME": str(self.user), "PATH": path, "TRINITY_PYTHON": str(environment.base_interpreter())}

    def run(self, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Any command as this user, with nothing on stdin."""
        return subprocess.run(
            command,
            env={**self.environment, **more},
            cwd=self.user,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=120,
        )

    def install(self, *arguments: str, ok: bool = True, **more: str) -> subprocess.CompletedProcess[str]:
        """`install.sh ARGUMENTS`."""
        done = self.run(str(self.checkout / "install.sh"), *arguments, **more)
        assert not ok or done.returncode == 0, done.stderr
        return done

    def program(self, name: str, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """One of the programs, with the environment's interpreter."""
        script = self.checkout / "scripts" / f"{name}.py"
        return self.run(str(environment.python(self.checkout)), str(script), *arguments, **more)

    def doctor(self, **more: str) -> dict[str, dict[str, Any]]:
        """The doctor's findings by subject; of several the worst."""
        found: dict[str, dict[str, Any]] = {}
        rank = ("ok", "warn", "fail")
        for check in json.loads(self.program("doctor", "--json", **more).stdout)["checks"]:
            before = found.get(check["subject"])
            if before is None or rank.index(check["state"]) > rank.index(before["state"]):
                found[check["subject"]] = check
        return found

    def told(self) -> list[str]:
        """What the fake commands were called with, questions about the system left out."""
        if not self._log.exists():
            return []
        questions = ("systemctl --user show-environment", "crontab -l")
        return [line for line in self._log.read_text(encoding="utf-8").splitlines() if line not in questions]

    def daemon(self) -> int | None:
        """The process of this PC's daemon."""
        try:
            pid = int((self.state / "locks" / "monitor.holder").read_text(encoding="utf-8"))
            os.kill(pid, 0)
            words = Path(f"/proc/{pid}/cmdline")
            return pid if not words.exists() or str(self.state) in words.read_text(encoding="utf-8") else None
        except (OSError, ValueError):
            return None

    def files(self) -> dict[str, bytes]:
        """Every file of the user's but the state, with its content."""
        found = {}
        for path in sorted(self.user.rglob("*")):
            if path.is_file() and not path.is_relative_to(self.state):
                found[str(path.relative_to(self.user))] = path.read_bytes()
        return found


@contextmanager
def a_pc(folder: Path, checkout: Path, client: Path | None = None) -> Iterator[InstalledPC]:
    """A PC whose daemon, if one was left, is ended."""
    pc = InstalledPC(folder, checkout, client)
    try:
        yield pc
    finally:
        if pc.daemon():
            pc.install("--uninstall", ok=False)
