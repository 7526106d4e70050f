"""What the doctor looks at: one `Finding` a subject, ok, warn or fail, with the command to type next.

A check never raises: what it cannot find out is a finding as well. Everything is looked at as the daemon sees it, so the
caller has taken on the daemon's environment before (`client.daemon_environment`).
"""

from __future__ import annotations

import os
import shlex
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trinity import clock
from trinity.config import Config
from trinity.errors import Offline, TrinityError
from trinity.home import Home, open_home
from trinity.setup import client, daemon, environment, installed
from trinity.setup import services_systemd as systemd
from trinity.setup.plan import answer
from trinity.setup.services import Target

State = Literal["ok", "warn", "fail"]
# the clock of a PC whose battery is empty starts years ago
_EARLIEST = clock.parse("2026-01-01T00:00:00Z")
_LEEWAY = 120
_FREE = 200 << 20


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's: `hint` is what to type next, empty when there is nothing."""

    subject: str
    state: State
    text: str
    hint: str = ""


@dataclass(frozen=True)
class Patient:
    """The PC under examination; `shell` names what the caller's shell has and the daemon has not."""

    home: Home
    config: Config
    checkout: Path
    shell: tuple[str, ...] = ()

    @property
    def mend(self) -> str:
        """The command that mends most of it."""
        if sys.platform == "win32":
            return f"& '{self.checkout / 'install.ps1'}'"
        return shlex.quote(str(self.checkout / "install.sh"))


Check = Callable[[Patient], Iterator[Finding]]


def run(checks: tuple[tuple[str, Check], ...], patient: Patient) -> list[Finding]:
    """Every check, whatever the others find."""
    found: list[Finding] = []
    for subject, check in checks:
        try:
            found += check(patient)
        except TrinityError as error:
            found.append(Finding(subject, "fail", error.message, error.hint))
        except ModuleNotFoundError as error:
            found.append(Finding(subject, "fail", f"cannot be looked at: {error}", patient.mend))
        except OSError as error:
            found.append(Finding(subject, "fail", f"cannot be looked at: {error}"))
    return found


def interpreter(patient: Patient) -> Iterator[Finding]:
    """The environment of the programs; the hooks' interpreter is looked at with the hooks."""
    wrong = environment.trouble(patient.checkout)
    if wrong:
        yield Finding("interpreter", "fail", wrong, patient.mend)
        return
    named = patient.config.python
    if named and Path(named) != environment.python(patient.checkout):
        yield Finding("interpreter", "fail", f"the configuration names '{named}', of another checkout", patient.mend)
        return
    yield Finding("interpreter", "ok", str(environment.python(patient.checkout)))


def state_folder(patient: Patient) -> Iterator[Finding]:
    """Owner, modes, space."""
    root = open_home(patient.home.root).root
    if sys.platform != "win32":
        loose = [entry.name for entry in os.scandir(root) if stat.S_IMODE(entry.stat().st_mode) & 0o077]
        if loose:
            text = f"others may read in '{root}': {', '.join(sorted(loose)[:5])}"
            yield Finding("state", "warn", text, f"chmod -R go-rwx '{root}'")
    free = shutil.disk_usage(root).free
    if free < _FREE:
        yield Finding("state", "warn", f"{free >> 20} MB free for '{root}'", "make room: a full disk loses events")
    yield Finding("state", "ok", str(root))


def the_clock(patient: Patient) -> Iterator[Finding]:
    """Resets are instants: a wrong clock resumes too early or too late."""
    now = clock.now()
    newest = max((path.stat().st_mtime for path in patient.home.events.glob("*.jsonl")), default=0.0)
    if now < _EARLIEST:
        yield Finding("clock", "fail", f"it says {clock.iso(now)}", "set the clock")
    elif newest > now + _LEEWAY:
        yield Finding("clock", "fail", f"it was set back: an event is from {clock.iso(newest)}", "set the clock")
    elif (
        sys.platform == "linux"
        and (answer("timedatectl", "show", "-p", "NTPSynchronized") or b"").strip()[-2:] == b"no"
    ):
        yield Finding("clock", "warn", f"{clock.iso(now)}, not synchronised", "timedatectl set-ntp true")
    else:
        yield Finding("clock", "ok", clock.iso(now))


def the_daemon(patient: Patient) -> Iterator[Finding]:
    """Does it run, and will it after a restart?"""
    record = installed.load(patient.home)
    if not record.service:
        text = "no daemon was set up: nothing goes on by itself"
        yield Finding("daemon", "warn", text, patient.mend)
        return
    if not daemon.runs(patient.home):
        hint = patient.mend
        if record.service == "systemd":
            hint = f"systemctl --user status {systemd.name(_target(patient, record).key)}; then {hint}"
        yield Finding("daemon", "fail", f"it does not run (started by {record.service})", hint)
        return
    if record.service == "none":
        script = patient.home.root / "setup" / "monitor.sh"
        text = "it runs; nothing on this system starts it after a restart"
        yield Finding("daemon", "warn", text, f"then: sh '{script}' &")
    elif record.service == "systemd" and not systemd.lingers():
        text = "it runs, and ends when you log out"
        yield Finding("daemon", "warn", text, "sudo loginctl enable-linger $USER")
    else:
        yield Finding("daemon", "ok", f"it runs, started by {record.service}")


def fleet(patient: Patient) -> Iterator[Finding]:
    """Is the state reachable, and does it know this PC as it knows itself?"""
    from trinity.fleet import outbox, rotation
    from trinity.fleet.state import open_state

    config = patient.config
    if shutil.which("git") is None:
        yield Finding("fleet", "fail", "there is no git on the daemon's PATH", "install git, then " + patient.mend)
        return
    url = config.fleet_url or str(patient.home.remote)
    waiting = len(outbox.pending(patient.home))
    more = f"; {waiting} changes wait to be sent" if waiting else ""
    try:
        known = rotation.read(open_state(patient.home, url, config.pc, timeout=20, patience=20).fetch())
    except Offline as error:
        yield Finding("fleet", "fail", f"{error.message}{more}", error.hint or f"git ls-remote '{url}'")
        return
    entry = known["pcs"].get(config.pc) if isinstance(known, dict) else None
    if not isinstance(known, dict) or entry is None:
        yield Finding("fleet", "fail", f"'{url}' does not know {config.pc}{more}", patient.mend)
    elif entry["account"]["id"] != config.account.id or entry["account"]["kind"] != config.account.kind:
        yield Finding("fleet", "fail", f"'{url}' knows another account for {config.pc}", patient.mend)
    else:
        absent = [pc for pc in known["rotation"] if pc not in known["pcs"]]
        more += f"; not installed yet: {', '.join(absent)}" if absent else ""
        yield Finding("fleet", "ok", f"{' → '.join(known['rotation'])} at {url}{more}")


def account(patient: Patient) -> Iterator[Finding]:
    """Unknown accounts are never an automatic target, and a shell's login does not reach the daemon."""
    declared = patient.config.account
    if declared.kind == "unknown":
        text = f"{patient.config.pc} does not say whose limits it uses: other PCs send it nothing by themselves"
        hint = f"{patient.mend} --account LABEL --account-kind subscription   (or seat, api, cloud)"
        yield Finding("account", "warn", text, hint)
    else:
        yield Finding("account", "ok", f"'{declared.label}', {declared.kind}")
    if patient.shell:
        text = f"{', '.join(patient.shell)}: set in this shell only; what the daemon resumes does not see it"
        yield Finding(
            "login", "warn", text, 'put it into "env" of the profile\'s settings.json, or log in with: claude'
        )


def resuming(patient: Patient) -> Iterator[Finding]:
    """What the configured ways of starting a session need."""
    resume = patient.config.resume
    modes = {resume.unattended, resume.interactive}
    if "tmux" in modes and shutil.which("tmux") is None:
        yield Finding("resume", "fail", "it is to happen in tmux, which is not on the daemon's PATH", "install tmux")
    if "terminal" in modes and sys.platform == "linux":
        text = "it is to happen in a terminal, and a daemon has no display of its own"
        yield Finding("resume", "warn", text, 'set "tmux" or "offer" in config.json')
    if not patient.config.act:
        text = 'acting is switched off in config.json ("act": false)'
        yield Finding("resume", "warn", text, f"edit '{patient.home.config_file}'")
    text = f"unattended: {resume.unattended}, interactive: {resume.interactive}, mode {resume.permission_mode}"
    yield Finding("resume", "ok", text)


def the_client(patient: Patient) -> Iterator[Finding]:
    """The client that sessions are resumed with, started in the daemon's environment."""
    path = patient.config.client
    lowest = ".".join(map(str, client.LOWEST))
    if path is None:
        yield Finding("client", "fail", "no Claude Code was found", f"install it (claude on PATH), then {patient.mend}")
        return
    version = client.version(path, os.environ)
    if version is None:
        text = f"'{path}' does not start in the daemon's environment"
        yield Finding("client", "fail", text, f"{patient.mend}, from a shell where claude works")
    elif version < client.LOWEST:
        text = f"{'.'.join(map(str, version))} is older than {lowest}"
        yield Finding("client", "fail", text, f"'{path}' update")
    else:
        yield Finding("client", "ok", f"{'.'.join(map(str, version))}, {path}")


def _target(patient: Patient, record: installed.Installed) -> Target:
    python = environment.python(patient.checkout)
    return Target("linux", Path.home(), "", patient.home.root, python, patient.checkout, record.path)
