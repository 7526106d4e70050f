"""Installing on this PC, upgrading and uninstalling: what is to be done is decided first, and refused as a whole.

`prepare` reads everything and changes nothing; it raises before the first change when something stands in the way (broken
settings, hooks that could never fire, a name that another PC has). `apply` may break off anywhere and be called again.
"""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trinity import clock, files, locks
from trinity.config import Config, check_pc
from trinity.errors import TrinityError
from trinity.home import Home, open_home
from trinity.setup import client, daemon, environment, installed, launcher, membership, plan, profiles, services
from trinity.setup import services_systemd as systemd
from trinity.setup.registration import Registration
from trinity.setup.services import Target

Say = Callable[[str], None]

if sys.platform == "win32":
    HERE = "windows"
elif sys.platform == "darwin":
    HERE = "macos"
else:
    HERE = "linux"


@dataclass(frozen=True)
class Options:
    """What the user asked for; None and empty: as before, or the default."""

    pc: str | None = None
    fleet: str | None = None
    rotation: tuple[str, ...] | None = None
    account: str | None = None
    account_kind: str | None = None
    profiles: tuple[str, ...] = ()
    roots: tuple[str, ...] = ()
    hooks: bool = True
    timers: bool = True
    minimal: bool = False
    system: str = HERE


@dataclass(frozen=True)
class Installation:
    """Everything `apply` needs, decided."""

    home: Home
    options: Options
    config: Config
    registration: Registration
    target: Target
    service: str

    def preview(self) -> list[str]:
        """What `apply` would do, one line each."""
        account = self.config.account
        lines = [
            f"PC {self.config.pc}, account '{account.label or 'not declared'}' of kind {account.kind}, "
            f"state in {self.home.root}, fleet {self.config.fleet_url or 'of its own, in ' + str(self.home.remote)}",
            f"write {self.home.config_file}",
            f"write {self.home.root / 'python'}: {self.config.python}",
        ]
        if self.options.hooks:
            for profile in self.config.profiles:
                lines += profiles.preview(self.home, Path(profile), self.registration)
        return lines + plan.describe(self.steps())

    def steps(self) -> list[plan.Step]:
        """The services and the command, as a plan."""
        steps: list[plan.Step] = []
        if self.options.timers:
            steps += services.install(self.target, self.service)
        file = launcher.file(self.target.user_home, self.options.system)
        python, checkout = self.target.python, self.target.checkout
        return steps + launcher.install(file, self.options.system, python, checkout, self.home.root)

    def apply(self, say: Say) -> dict[str, Any]:
        """Do it; returns what was done."""
        open_home(self.home.root, create=True)
        (self.home.root / "setup").mkdir(mode=0o700, exist_ok=True)
        with locks.hold(self.home.locks / "install.lock", timeout=60):
            return self._apply(say)

    def _apply(self, say: Say) -> dict[str, Any]:
        order = list(self.options.rotation) if self.options.rotation else None
        declared = membership.declare(self.home, self.config, order)
        files.write_atomic(self.home.root / "python", f"{self.config.python}\n".encode())
        environment.compile_library(self.target.checkout)
        changed = []
        if self.options.hooks:
            changed = [
                profile
                for profile in declared.config.profiles
                if profiles.register(self.home, Path(profile), self.registration)
            ]
            for profile in changed:
                say(f"hooks and status line registered in '{profile}/settings.json'")
        self._serve(say)
        self._try_hooks(changed, say)
        for note in declared.notes:
            say(note)
        return {
            "home": str(self.home.root),
            "config": declared.config.document(),
            "changed_profiles": changed,
            "service": self.service if self.options.timers else installed.load(self.home).service,
            "notes": declared.notes,
        }

    def _serve(self, say: Say) -> None:
        before = installed.load(self.home)
        linger = before.linger
        if self.options.timers:
            if before.service not in ("", self.service):
                plan.execute(services.uninstall(self.target, before.service), say)
            # the new daemon runs the new code; a supervisor would start the old one again while it is replaced
            if self.service in ("cron", "none"):
                daemon.stop(self.home)
            if self.service == "systemd" and not linger:
                linger = not systemd.lingers()
        plan.execute(self.steps(), say)
        file = launcher.file(self.target.user_home, self.options.system)
        service = self.service if self.options.timers else before.service
        mine = str(file) if launcher.ours(file) else ""
        record = installed.Installed(service, linger, self.target.path, mine, self.options.minimal, clock.iso())
        installed.save(self.home, record)

    def _try_hooks(self, changed: Sequence[str], say: Say) -> None:
        if self.config.client is None:
            return
        seen = client.daemon_environment(self.target.path)
        for profile in changed:
            before = self._recorded()
            complaint = client.fires(self.config.client, Path(profile), seen, self.home.root)
            if complaint:
                say(f"the client says about '{profile}': {complaint}")
            if self._recorded() == before:
                say(f"the client started with '{profile}' and ran none of the hooks; see: claude doctor")

    def _recorded(self) -> int:
        return sum(path.stat().st_size for path in self.home.events.glob("*.jsonl"))


def prepare(checkout: Path, home_folder: Path, options: Options) -> Installation:
    """Decide everything; raises TrinityError when it must not be done. Nothing is changed."""
    home = Home(home_folder)
    config = _config(checkout, _load(home), options)
    base = str(environment.base_interpreter())
    made = Registration(base, str(checkout / "hooks"), str(home.root))
    if options.hooks:
        for profile in config.profiles:
            profiles.check(home, Path(profile))
    user_home = Path.home()
    named = os.environ.get("XDG_CONFIG_HOME", "")
    target = Target(
        system=options.system,
        user_home=user_home,
        user=_user(),
        home=home.root,
        python=Path(config.python or base),
        checkout=checkout,
        path=client.daemon_path(),
        config_home=Path(named) if Path(named).is_absolute() else None,
    )
    service = services.kind(options.system) if options.timers else ""
    return Installation(home, options, config, made, target, service)


def uninstall(checkout: Path, home_folder: Path, say: Say) -> list[str]:
    """Take away what was installed; returns what could not be. The state stays: it may hold work on its way."""
    home = open_home(home_folder)
    record = installed.load(home)
    failed: list[str] = []
    with locks.hold(home.locks / "install.lock", timeout=60):
        for profile in profiles.known(home):
            try:
                say(profiles.withdraw(home, profile))
            except TrinityError as error:
                failed.append(f"{error.message}; our entries are still in it")
        target = Target(HERE, Path.home(), _user(), home.root, environment.python(checkout), checkout, record.path)
        named = os.environ.get("XDG_CONFIG_HOME", "")
        target = replace(target, config_home=Path(named) if Path(named).is_absolute() else None)
        steps = services.uninstall(target, record.service) if record.service else []
        if record.linger:
            steps += systemd.disable_linger()
        if record.launcher:
            steps += launcher.uninstall(Path(record.launcher))
        steps.append(plan.Remove(home.root / "python"))
        plan.execute(steps, say)
        try:
            daemon.stop(home)
        except TrinityError as error:
            failed.append(f"{error.message}; {error.hint}")
        if not failed:
            installed.forget(home)
    return failed


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""  # a container's user without a name; only the Task Scheduler asks for one


def _load(home: Home) -> Config | None:
    try:
        return membership.load_config(home)
    except ModuleNotFoundError:
        # a preview before the environment was made: nothing can be checked, so nothing is taken over
        return None


def _config(checkout: Path, before: Config | None, options: Options) -> Config:
    config = before or Config()
    account = config.account
    if options.account is not None:
        account = replace(account, label=options.account, kind=options.account_kind or account.kind)
    elif options.account_kind is not None:
        account = replace(account, kind=options.account_kind)
    return replace(
        config,
        pc=check_pc(options.pc) if options.pc else config.pc,
        fleet_url=options.fleet if options.fleet else config.fleet_url,
        account=account,
        profiles=_profiles(before, options),
        roots=_folders([*config.roots, *options.roots]),
        client=client.find() or _existing(config.client),
        python=str(environment.python(checkout)),
        checkout=str(checkout),
    )


def _profiles(before: Config | None, options: Options) -> tuple[str, ...]:
    found = list(options.profiles)
    if not found and os.environ.get("CLAUDE_CONFIG_DIR"):
        found = [os.environ["CLAUDE_CONFIG_DIR"]]
    if before is not None:
        found += [profile for profile in before.profiles if Path(profile).is_dir()]
    found = found or [str(Path.home() / ".claude")]
    return _folders(found)


def _folders(found: Sequence[str]) -> tuple[str, ...]:
    # the client compares what it is given, so links stay; a slash at the end is no other folder
    return tuple(dict.fromkeys(os.path.normpath(Path(folder).expanduser().absolute()) for folder in found))


def _existing(path: str | None) -> str | None:
    return path if path and os.access(path, os.X_OK) else None
