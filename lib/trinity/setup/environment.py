"""The Python environment in the checkout: `.venv` with the dependencies that pyproject.toml names, the project itself never.

`ensure` leaves an environment that runs, whatever it finds: none, a whole one, or one whose interpreter was removed by
an upgrade of the system. A stamp, written last, says what was installed, so that a second call costs two processes. Of two
calls at once one works and the other waits for it, by a lock beside the environment: inside, making it would remove it.
A folder `.venv` that is no environment is somebody else's and refused.
"""

from __future__ import annotations

import compileall
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from trinity import files, locks
from trinity.errors import Busy, TrinityError

LOWEST = (3, 11)
_STAMP = "trinity-dependencies.json"
_LOCK = ".venv.lock"
_PATIENCE = 900.0  # another call may be fetching everything over a slow line
# what only developers need; every other group belongs to a part of the product
_DEVELOPMENT = frozenset({"test"})

if sys.platform == "win32":
    _PYTHON = ("Scripts", "python.exe")
else:
    _PYTHON = ("bin", "python")


def base_interpreter() -> Path:
    """The interpreter below this one, with no environment, link or version manager's shim before it.

    The hooks are registered with it: it starts without a site folder, and it outlives the environment.
    """
    return Path(os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable))


def python(checkout: Path) -> Path:
    """The environment's interpreter; the programs run with it."""
    return checkout.joinpath(".venv", *_PYTHON)


def inside(checkout: Path) -> bool:
    """Does this process run in the environment?"""
    return Path(sys.prefix).resolve() == (checkout / ".venv").resolve()


def requirements(checkout: Path, minimal: bool = False, extras: Sequence[str] = ()) -> list[str]:
    """What pip is given: the dependencies and, unless `minimal`, the optional ones of the product; and `extras`."""
    with open(checkout / "pyproject.toml", "rb") as stream:
        project = tomllib.load(stream)["project"]
    wanted = list(project["dependencies"])
    for name, group in project.get("optional-dependencies", {}).items():
        if name in extras or not (minimal or name in _DEVELOPMENT):
            wanted += group
    return sorted(set(wanted))


def alive(interpreter: str | Path) -> tuple[int, int] | None:
    """The version of an interpreter that starts, else None."""
    try:
        found = subprocess.run(
            [str(interpreter), "-I", "-S", "-c", "import sys; print(*sys.version_info[:2])"],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=30,
            check=True,
        ).stdout.split()
        return int(found[0]), int(found[1])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None


def trouble(checkout: Path) -> str:
    """What is wrong with the environment; empty when nothing is."""
    if not python(checkout).parent.is_dir():
        return "there is no .venv"
    version = alive(python(checkout))
    if version is None:
        return "the interpreter of .venv is gone"
    stamp = _read_stamp(checkout)
    if stamp.get("python") != list(version):
        return "the dependencies were not installed for this interpreter"
    return ""


def ensure(
    checkout: Path,
    minimal: bool = False,
    extras: Sequence[str] = (),
    say: Callable[[str], None] = lambda text: None,
) -> bool:
    """Make the environment whole; True when something had to be done here. Raises TrinityError with pip's reason, Busy when
    another call takes too long."""
    wanted = requirements(checkout, minimal, extras)
    if _whole(checkout, wanted):
        return False
    with ExitStack() as held:
        try:
            held.enter_context(locks.hold_inherited(checkout / _LOCK, timeout=0))
        except Busy:
            say("another installation is making the environment: waiting for it")
            held.enter_context(locks.hold_inherited(checkout / _LOCK, timeout=_PATIENCE))
        if _whole(checkout, wanted):
            return False
        _make_whole(checkout, wanted, say)
    return True


def _whole(checkout: Path, wanted: Sequence[str]) -> bool:
    return not trouble(checkout) and set(wanted) <= set(_read_stamp(checkout).get("requirements", ()))


def _make_whole(checkout: Path, wanted: list[str], say: Callable[[str], None]) -> None:
    folder = checkout / ".venv"
    if alive(python(checkout)) is None:
        _make(folder, say)
    say(f"installing {len(wanted)} dependencies into '{folder}'")
    command = [str(python(checkout)), "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
    _run([*command, *wanted], "cannot install the dependencies", "is the package registry reachable? then again")
    stamp = {"python": list(alive(python(checkout)) or ()), "requirements": wanted}
    files.write_json(folder / _STAMP, stamp, mode=0o644)


def compile_library(checkout: Path) -> None:
    """Byte code for everything that is imported; without it the first hooks would each compile for themselves."""
    compileall.compile_dir(checkout / "lib", quiet=2, workers=1)


def _make(folder: Path, say: Callable[[str], None]) -> None:
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "pyvenv.cfg").exists():
        raise TrinityError(f"'{folder}' is no Python environment", "move it away, then again")
    say(f"making '{folder}' with {base_interpreter()}")
    _run(
        [str(base_interpreter()), "-m", "venv", "--clear", str(folder)],
        "cannot make the environment",
        "on Debian and Ubuntu: sudo apt install python3-venv",
    )


def _run(command: list[str], what: str, hint: str) -> None:
    # -B by the variable: neither the checkout nor a foreign library is sprinkled with byte code here.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, env=environment)
    if done.returncode:
        lines = (done.stderr or done.stdout).decode("utf-8", "replace").strip().splitlines()
        raise TrinityError(f"{what}: {lines[-1] if lines else 'no message'}", hint)


def _read_stamp(checkout: Path) -> dict[str, list[object]]:
    try:
        found = json.loads((checkout / ".venv" / _STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
