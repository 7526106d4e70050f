"""trinity NAME [ARGUMENTS]: run one of Trinity's programs. `trinity NAME --help` tells about one.

`trinity status` is `evaluate_status`; `-` and `_` in NAME are the same.
"""

from __future__ import annotations

import ast
import runpy
import sys
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"
ALIASES = {"status": "evaluate_status"}


def main(argv: list[str]) -> int:
    """Find the program and become it; 2 when there is none."""
    if not argv or argv[0] in ("-h", "--help", "help"):
        sys.stdout.write(listing())
        return 0
    name = argv[0].replace("-", "_")
    program = SCRIPTS / f"{ALIASES.get(name, name)}.py"
    if not name.isidentifier() or not program.is_file():
        sys.stderr.write(f"trinity: error: there is no program '{argv[0]}'\n  see: trinity --help\n")
        return 2
    sys.argv = [str(program), *argv[1:]]
    sys.path[0] = str(SCRIPTS)  # as if it had been started itself: not this folder
    runpy.run_path(str(program), run_name="__main__")
    return 0


def listing() -> str:
    """All programs with the first line of their description."""
    lines = [*(__doc__ or "").strip().splitlines(), ""]
    for program in sorted(SCRIPTS.glob("*.py")):
        text = ast.get_docstring(ast.parse(program.read_text(encoding="utf-8"))) or ""
        lines.append(f"  {program.stem:<18} {text.partition(chr(10))[0]}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
