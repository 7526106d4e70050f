"""Locks: by a second process, and a kernel lock that outlives its parent in its children."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from trinity import locks
from trinity.errors import Busy

LIB = Path(__file__).resolve().parents[2] / "lib"
HOLDER = (
    "import sys; sys.path.insert(0, sys.argv[1])\nfrom pathlib import Path\nfrom trinity import locks\n"
    "with locks.{}(Path(sys.argv[2])):\n    print('held', flush=True); sys.stdin.read()\n"
)


def _holder(function: str, path: Path) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER.format(function), str(LIB), str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None and process.stdout.readline() == b"held\n"
    return process


@pytest.mark.parametrize("function", ["hold", "hold_inherited"])
def test_a_second_process_is_refused_and_told_who_holds_it(function: str, tmp_path: Path) -> None:
    path = tmp_path / "some.lock"
    other = _holder(function, path)
    try:
        with pytest.raises(Busy, match=f"process {other.pid}, live"), getattr(locks, function)(path, timeout=0.1):
            pass
    finally:
        other.kill()
        other.wait()
    with getattr(locks, function)(path, timeout=1):
        pass  # a killed holder holds nothing


def test_an_orphan_keeps_the_inherited_lock_until_it_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "clone.lock"
    program = (
        "import sys, subprocess, os, signal; sys.path.insert(0, sys.argv[1])\nfrom pathlib import Path\n"
        "from trinity import locks\n"
        "with locks.hold_inherited(Path(sys.argv[2])) as handle:\n"
        "    subprocess.Popen(['sleep', '1'], pass_fds=(handle,))\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", program, str(LIB), str(path)])
    with pytest.raises(Busy, match="dead"), locks.hold_inherited(path, timeout=0.1):
        pass
    with locks.hold_inherited(path, timeout=5):
        assert time.monotonic() - began >= 0.9
