#!/bin/sh
# Sets Trinity up on this PC, for this user: ./install.sh --help
# This file only finds a Python that can make environments; scripts/install.py does the rest.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)

# Prints the interpreter behind a name when it is new enough and whole: no version manager's shim, no link, and no
# environment, for all of them vanish. Debian ships Python without ensurepip.
probe='import sys, os
assert sys.version_info >= (3, 11)
import venv, ensurepip, ssl
print(os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable))'

python=
for candidate in "${TRINITY_PYTHON:-}" "$here/.venv/bin/python" \
    python3 python3.14 python3.13 python3.12 python3.11 python; do
    [ -n "$candidate" ] || continue
    python=$("$candidate" -I -c "$probe" 2>/dev/null </dev/null) && [ -x "$python" ] && break
    python=
done
if [ -z "$python" ]; then
    echo "install.sh: error: no Python 3.11 or newer that can make environments" >&2
    echo "  install one (Debian and Ubuntu: sudo apt install python3 python3-venv), or name it: TRINITY_PYTHON=/path/python3" >&2
    exit 1
fi
exec "$python" -B "$here/scripts/install.py" "$@"
