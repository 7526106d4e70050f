#!/bin/sh
# Runs everything that must hold: ruff, mypy --strict, the tests, the benchmarks.
#   ./tests/run.sh                  all of it
#   ./tests/run.sh tests/hooks -k x only pytest, with these arguments
# Makes .venv when there is none and installs what pyproject.toml names there. Nothing else of this machine is changed
# but package caches; real Claude Code clients are fetched from npm (see tests/clients.py).
set -u
cd "$(dirname "$0")/.." || exit 1

say() { printf '%s\n' "$*"; }
fail() { printf 'run.sh: error: %s\n' "$*" >&2; exit 1; }

if [ -x .venv/Scripts/python.exe ]; then windows=1; else case $(uname -s) in MINGW* | MSYS* | CYGWIN*) windows=1 ;; *) windows= ;; esac; fi

missing=
command -v git >/dev/null 2>&1 || missing="$missing git"
[ -n "${TRINITY_TEST_CLIENTS:-}" ] || command -v npm >/dev/null 2>&1 || missing="$missing npm (or TRINITY_TEST_CLIENTS)"
[ -n "$windows" ] || command -v tmux >/dev/null 2>&1 || missing="$missing tmux"
if [ -n "$missing" ]; then
    fail "the tests use real git, real terminals and real Claude Code clients; install:$missing
  Debian, Ubuntu: sudo apt-get install git tmux nodejs npm
  macOS:          brew install git tmux node"
fi

find_python() {
    for name in "$(venv_python)" python3.14 python3.13 python3.12 python3.11 python3 python; do
        command -v "$name" >/dev/null 2>&1 || continue
        # asked, not believed: a shim may stand there for a version that is not installed
        "$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 || continue
        say "$name"
        return
    done
}

venv_python() { if [ -n "$windows" ]; then say .venv/Scripts/python.exe; else say .venv/bin/python; fi; }

base=$(find_python)
[ -n "$base" ] || fail "Python 3.11 or newer with venv is needed (Debian, Ubuntu: sudo apt-get install python3-venv)"
say "== packages"
"$base" -B -c '
import sys
from pathlib import Path
sys.path.insert(0, "lib")
from trinity.errors import TrinityError
from trinity.setup import environment
try:
    environment.ensure(Path.cwd(), extras=("test",), say=print)
except TrinityError as error:
    sys.exit(f"run.sh: error: {error.message}\n  {error.hint}")
' || exit 1
python=$(venv_python)

[ $# -eq 0 ] || exec "$python" -m pytest "$@"

failed=
step() {
    name=$1
    shift
    say "== $name"
    "$@" || failed="$failed, $name"
}
step "ruff" "$python" -m ruff check .
step "mypy --strict" "$python" -m mypy
step "tests" sh tests/run_tests.sh "$python"
[ -z "$(find tests/benchmarks -name 'test_*.py' 2>/dev/null)" ] || step "benchmarks" "$python" -m pytest -q tests/benchmarks
if [ -n "$failed" ]; then
    say "== failed: ${failed#, }"
    exit 1
fi
say "== all passed"
