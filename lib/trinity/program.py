"""What every program shares: the common options, and how an error becomes text and an exit code.

Exit codes: 0 done, 1 expected failure, 2 usage, 3 bug (traceback in the log), 75 busy or offline, 130
interrupted. stdout is the answer, stderr is talk.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from trinity import clock, files, home
from trinity.errors import TrinityError, UsageError

BUG = 3


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """As wide as the terminal. argparse's own asks `shutil`, at each option, and most runs show no help."""

    def __init__(self, prog: str) -> None:
        try:
            width = int(os.environ.get("COLUMNS", 0)) or os.get_terminal_size().columns
        except (OSError, ValueError):
            width = 0
        super().__init__(prog, width=(width if width > 0 else 80) - 2)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}\n  see: {self.prog} --help\n")


def parser(doc: str | None, changes: bool = False) -> argparse.ArgumentParser:
    """An ArgumentParser with `--json` and `--home`, and `--dry-run` for a program that `changes` something.

    `doc` is the program's docstring: its first paragraph is the description, the rest is the epilogue.
    """
    head, _, rest = (doc or "").strip().partition("\n\n")
    made = _Parser(
        prog=Path(sys.argv[0]).stem,
        description=head,
        epilog=rest,
        formatter_class=_Formatter,
        allow_abbrev=False,
    )
    made.add_argument("--home", metavar="DIR", help="state folder (default: TRINITY_HOME, else ~/.trinity)")
    made.add_argument("--json", action="store_true", help="print the answer as JSON")
    if changes:
        made.add_argument("--dry-run", action="store_true", help="say what would be done, change nothing")
    return made


def answer(arguments: argparse.Namespace, document: Any, text: str) -> None:
    """Print the answer on stdout: `document` with --json, else `text`, made harmless for a terminal."""
    shown = files.dump_json(document).decode("utf-8") if arguments.json else clean(text).rstrip("\n") + "\n"
    sys.stdout.write(shown)


def say(text: str) -> None:
    """Talk, on stderr."""
    print(clean(text), file=sys.stderr)


def clean(text: str) -> str:
    """Text of others made harmless for a terminal: control and bidirectional marks are dropped."""
    return "".join(c for c in text if (c >= " " or c in "\n\t") and not _unsafe(c))


def _unsafe(c: str) -> bool:
    return "\x7f" <= c <= "\x9f" or c in "\u200e\u200f\u061c" or "\u202a" <= c <= "\u202e" or "\u2066" <= c <= "\u2069"


def duration(text: str) -> float:
    """`90`, `90s`, `15m`, `2h`, `1d` in seconds; for argparse's `type=`."""
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    unit = units.get(text[-1:])
    try:
        seconds = float(text[:-1] if unit else text) * (unit or 1)
    except ValueError:
        seconds = -1
    if not 0 < seconds < 366 * 86400:
        raise argparse.ArgumentTypeError(f"'{text}' is no duration like 90s, 15m, 2h or 1d")
    return seconds


def log(state: home.Home, name: str, text: str) -> None:
    """One line in `logs/<name>.log`; a full disk loses the line, not the work."""
    try:
        state.logs.mkdir(mode=0o700, exist_ok=True)
        line = f"{clock.iso(milliseconds=True)} {os.getpid()} {clean(text)}".replace("\n", " | ")
        files.append_line(state.logs / f"{name}.log", line.encode("utf-8", "replace"))
    except OSError:
        pass


def run(main: Callable[[list[str] | None], int]) -> int:
    """Call `main` and turn what escapes into text and an exit code."""
    name = Path(sys.argv[0]).stem
    # Windows consoles and cron speak other encodings; the answer is UTF-8 with LF everywhere.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")
    try:
        code = main(None)
        sys.stdout.flush()
        return code
    except TrinityError as error:
        return _report(name, error)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains while closing
        return 1
    except OSError as error:
        # The disk, the rights, the network: the outside world, not a bug of ours; the trace is kept all the same.
        _keep_trace(name)
        where = f" '{error.filename}'" if error.filename else ""
        return _report(name, TrinityError(f"{error.strerror or error}{where}"))
    except Exception as error:
        kept = _keep_trace(name)
        return _report(name, TrinityError(f"a bug: {type(error).__name__}: {error}", f"see {kept}"), BUG)


def _report(name: str, error: TrinityError, code: int | None = None) -> int:
    say(f"{name}: error: {error.message}" + (f"\n  {error.hint}" if error.hint else ""))
    if isinstance(error, UsageError):
        say(f"  see: {name} --help")
    return error.exit_code if code is None else code


def _keep_trace(name: str) -> str:
    import traceback

    text = traceback.format_exc()
    try:
        option = sys.argv[sys.argv.index("--home") + 1] if "--home" in sys.argv[:-1] else None
        state = home.open_home(option)
    except TrinityError:
        sys.stderr.write(text)
        return "the trace above"
    log(state, "errors", f"{name} {json.dumps(sys.argv[1:])} {text}")
    return str(state.logs / "errors.log")
