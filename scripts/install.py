"""Set Trinity up on this PC for this user: hooks, status line, the daemon, the `trinity` command, and its fleet.

Called by install.sh and install.ps1. It asks nothing; twice is once; after `git pull` it upgrades.

  install.py                                  one PC: work goes on here after the reset
  install.py --account work --account-kind seat
  install.py --pc PC2 --fleet git@host:fleet.git
  install.py --dry-run                        say what would be done, change nothing
  install.py --demo                           see it work, with no account, before installing anything
  install.py --uninstall                      give everything back; the state in ~/.trinity stays
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.dont_write_bytecode = True  # a demo leaves nothing behind; an installation compiles the library on purpose
CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT / "lib"))

import argparse
import json
import os
import subprocess
from typing import Any

from trinity import home, program
from trinity.config import ACCOUNT_KINDS, check_pc
from trinity.errors import TrinityError, UsageError
from trinity.setup import environment, installed, installing, plan, profiles, services

# what would happen at a limit now
PREVIEW = ("evaluate_status.py", "--dry-run", "--act")


def main(argv: list[str] | None = None) -> int:
    given = sys.argv[1:] if argv is None else argv
    arguments = _parser().parse_args(given)
    if arguments.system and not arguments.dry_run:
        raise UsageError("--system only shows a plan: it goes with --dry-run")
    if arguments.uninstall:
        return _uninstall(arguments, given)
    if not environment.inside(CHECKOUT):
        usable = not environment.trouble(CHECKOUT) if arguments.dry_run else _environment(arguments)
        if usable:
            return _again_inside(given)
    if arguments.demo:
        return _demo()
    ready = installing.prepare(CHECKOUT, home.resolve(arguments.home), _options(arguments))
    if arguments.dry_run:
        lines = ready.preview()
        program.answer(arguments, {"dry_run": lines, "steps": plan.documents(ready.steps())}, _list(lines))
        return 0
    done = ready.apply(program.say)
    if arguments.json:
        done["doctor"] = _answer(ready, "doctor.py")
        done["at_a_limit_now"] = _answer(ready, *PREVIEW)
        program.answer(arguments, done, "")
        return 0
    _show(ready, "doctor.py")
    print("\nAt a usage limit now:")
    _show(ready, *PREVIEW)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = program.parser(__doc__, changes=True)
    parser.add_argument("--pc", metavar="NAME", type=check_pc, help="this PC's name in the fleet (default: PC1)")
    parser.add_argument(
        "--fleet", metavar="URL", help="git remote of the fleet (default: one of its own, in the state)"
    )
    parser.add_argument("--rotation", metavar="PC1,PC2", help="the order in which work goes round")
    parser.add_argument(
        "--account", metavar="LABEL", help="whose limits these are; the same label on PCs that share them"
    )
    parser.add_argument("--account-kind", choices=ACCOUNT_KINDS, help="who bills it")
    parser.add_argument("--profile", metavar="DIR", action="append", default=[], help="a CLAUDE_CONFIG_DIR; repeatable")
    parser.add_argument(
        "--root", metavar="DIR", action="append", default=[], help="a folder of your clones of projects; repeatable"
    )
    parser.add_argument("--minimal", action="store_true", help="without the optional dependencies")
    parser.add_argument("--no-hooks", action="store_true", help="leave Claude Code's settings alone")
    parser.add_argument("--no-timers", action="store_true", help="set up no daemon")
    parser.add_argument("--system", choices=services.SYSTEMS, help="with --dry-run: the plan of that system")
    parser.add_argument("--uninstall", action="store_true", help="take everything away that was installed")
    parser.add_argument("--demo", action="store_true", help="show it working and leave nothing behind")
    return parser


def _options(arguments: argparse.Namespace) -> installing.Options:
    order = tuple(check_pc(name.strip()) for name in arguments.rotation.split(",")) if arguments.rotation else None
    if order and len(set(order)) < len(order):
        raise UsageError(f"--rotation {arguments.rotation} names a PC twice")
    return installing.Options(
        pc=arguments.pc,
        fleet=arguments.fleet,
        rotation=order,
        account=arguments.account,
        account_kind=arguments.account_kind,
        profiles=tuple(arguments.profile),
        roots=tuple(arguments.root),
        hooks=not arguments.no_hooks,
        timers=not arguments.no_timers,
        minimal=arguments.minimal,
        system=arguments.system or installing.HERE,
    )


def _environment(arguments: argparse.Namespace) -> bool:
    environment.ensure(CHECKOUT, minimal=arguments.minimal, say=program.say)
    return True


def _again_inside(given: list[str]) -> int:
    """This same call in the environment, whose packages the rest needs."""
    command = [str(environment.python(CHECKOUT)), "-B", str(Path(__file__).resolve()), *given]
    if sys.platform != "win32":
        sys.stdout.flush()
        os.execv(command[0], command)
    return subprocess.run(command).returncode


def _demo() -> int:
    command = [sys.executable, "-B", str(CHECKOUT / "tests" / "demo.py")]
    return subprocess.run(command, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}).returncode


def _uninstall(arguments: argparse.Namespace, given: list[str]) -> int:
    if not environment.inside(CHECKOUT) and not environment.trouble(CHECKOUT):
        return _again_inside(given)
    folder = home.resolve(arguments.home)
    if not folder.is_dir():
        program.answer(arguments, {"uninstalled": False}, f"nothing is installed: there is no '{folder}'")
        return 0
    if arguments.dry_run:
        state = home.Home(folder)
        lines = [f"{profile}/settings.json: our entries out" for profile in profiles.known(state)]
        record = installed.load(state)
        lines += [f"remove the service: {record.service}"] if record.service else []
        lines += [f"remove {record.launcher}"] if record.launcher else []
        program.answer(arguments, {"dry_run": lines}, _list(lines))
        return 0
    failed = installing.uninstall(CHECKOUT, folder, program.say)
    text = (
        f"uninstalled. The state stays in '{folder}' and the environment in '{CHECKOUT / '.venv'}': remove them by hand"
    )
    program.answer(arguments, {"uninstalled": not failed, "failed": failed, "state": str(folder)}, text)
    if failed:
        raise TrinityError(failed[0] + (f", and {len(failed) - 1} more" if failed[1:] else ""), "mend it, then again")
    return 0


def _command(ready: installing.Installation, name: str, *options: str) -> list[str]:
    script = CHECKOUT / "scripts" / name
    return [str(ready.target.python), "-B", str(script), *options, "--home", str(ready.home.root)]


def _show(ready: installing.Installation, name: str, *options: str) -> None:
    """Run one of the programs for its words; that it finds something is no failure of the installation."""
    sys.stdout.flush()
    subprocess.run(_command(ready, name, *options))


def _answer(ready: installing.Installation, name: str, *options: str) -> Any:
    """What one of the programs answers as JSON; None when it has no answer."""
    command = [*_command(ready, name, *options), "--json"]
    printed = subprocess.run(command, stdout=subprocess.PIPE).stdout
    return json.loads(printed) if printed.strip() else None


def _list(lines: list[str]) -> str:
    return "\n".join(lines) or "nothing to do"


if __name__ == "__main__":
    raise SystemExit(program.run(main))
