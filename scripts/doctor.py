"""Is this PC set up right, as the daemon sees it? One line a subject: ok, warn or fail, with the command to type next.

Exit code 0 when everything works (warnings allowed), 1 when something does not. It changes nothing, sends nothing, and
runs with any Python 3.11, also when the environment of the checkout is broken.
"""

from __future__ import annotations

import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT / "lib"))

import argparse
import os
import subprocess

from trinity import home, program
from trinity.config import Config
from trinity.errors import TrinityError
from trinity.setup import checks, checks_carried, checks_hooks, client, environment, installed, membership

CHECKS: tuple[tuple[str, checks.Check], ...] = (
    ("interpreter", checks.interpreter),
    ("state", checks.state_folder),
    ("clock", checks.the_clock),
    ("client", checks.the_client),
    ("hooks", checks_hooks.hooks),
    ("hooks.log", checks_hooks.log),
    ("account", checks.account),
    ("fleet", checks.fleet),
    ("resume", checks.resuming),
    ("git", checks_carried.git_here),
    ("carried", checks_carried.carried),
    ("daemon", checks.the_daemon),
)
_SIGNS = {"ok": "ok  ", "warn": "warn", "fail": "FAIL"}


def main(argv: list[str] | None = None) -> int:
    parser = program.parser(__doc__)
    parser.add_argument("--as-daemon", metavar="NAMES", help=argparse.SUPPRESS)
    given = sys.argv[1:] if argv is None else argv
    arguments = parser.parse_args(given)
    state = home.Home(home.resolve(arguments.home))
    if not state.config_file.exists():
        raise TrinityError(f"nothing is installed in '{state.root}'", f"{CHECKOUT / 'install.sh'}")
    if arguments.as_daemon is None:
        return _as_daemon(state, given)
    shell = tuple(name for name in arguments.as_daemon.split(",") if name)
    try:
        config, damage = membership.load_config(state) or Config(), []
    except (TrinityError, ModuleNotFoundError) as error:
        config, damage = Config(), [checks.Finding("config", "fail", str(error), "")]
    found = damage + checks.run(CHECKS, checks.Patient(state, config, CHECKOUT, shell))
    failed = sum(finding.state == "fail" for finding in found)
    warned = sum(finding.state == "warn" for finding in found)
    document = {
        "ok": not failed,
        "failures": failed,
        "warnings": warned,
        "checks": [vars(finding) for finding in found],
    }
    program.answer(arguments, document, program.clean(_text(found, failed, warned)))
    return 1 if failed else 0


def _as_daemon(state: home.Home, given: list[str]) -> int:
    """This same call with what the daemon has: another environment, another interpreter."""
    seen = client.daemon_environment(installed.load(state).path or client.daemon_path({}))
    only_here = [name for name in client.CREDENTIALS if name in os.environ]
    whole = environment.alive(environment.python(CHECKOUT)) is not None
    python = str(environment.python(CHECKOUT)) if whole else sys.executable
    command = [python, "-B", str(Path(__file__).resolve()), *given]
    command += ["--home", str(state.root), "--as-daemon", ",".join(only_here)]
    return subprocess.run(command, env=seen).returncode


def _text(found: list[checks.Finding], failed: int, warned: int) -> str:
    width = max(len(finding.subject) for finding in found)
    lines = []
    for finding in found:
        lines.append(f"{_SIGNS[finding.state]}  {finding.subject:<{width}}  {finding.text}")
        if finding.hint and finding.state != "ok":
            lines.append(f"{'':<{width + 8}}{finding.hint}")
    verdict = f"{failed} failures, {warned} warnings" if failed or warned else "all is well"
    return "\n".join([*lines, verdict])


if __name__ == "__main__":
    raise SystemExit(program.run(main))
