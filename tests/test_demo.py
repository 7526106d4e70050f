"""The demo: it tells the whole story, with the real client and without, and leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import clients
from tests.clients import NEWEST

CHECKOUT = Path(__file__).resolve().parent.parent
STORY = (
    "Claude Code stops in the middle",
    "recorded, judged and saved: handoff",
    "PC1 EXHAUSTED",
    "the daemon has resumed session",
    "fixes.md is written too, and the handoff is done",
    "what is where",
    "removed: ",
)


def _demo(path: str, tmp_path: Path) -> str:
    """What the demo says when nothing but PATH and an empty home is given; it must end well and tell all of STORY."""
    home, temporary = tmp_path / "home", tmp_path / "tmp"
    home.mkdir()
    temporary.mkdir()
    places = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary))
    kept = {name: os.environ[name] for name in ("SYSTEMROOT", "COMSPEC", "PATHEXT") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-B", str(CHECKOUT / "tests" / "demo.py"), "--reset-in", "8"],
        env={**kept, "PATH": path, **dict.fromkeys(("HOME", "USERPROFILE"), str(home)), **places},
        capture_output=True,
        encoding="utf-8",
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = [done.stdout.find(part) for part in STORY]
    assert -1 not in told and told == sorted(told), done.stdout
    assert not list(home.iterdir()) and not list(temporary.glob("trinity-*"))
    return done.stdout


def test_the_demo_tells_the_story_with_the_real_client(tmp_path: Path) -> None:
    found = clients.binary(NEWEST).parent
    said = _demo(os.pathsep.join([str(found), os.environ["PATH"]]), tmp_path)
    assert "the one on PATH" in said


@pytest.mark.posix
def test_without_npm_the_demo_plays_recordings_and_says_so(tmp_path: Path) -> None:
    # A PATH with what the programs need, and neither a client nor npm.
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("git", "sh", "ps", "uname"):
        found = shutil.which(name)
        if found:
            (tools / name).symlink_to(found)
    said = _demo(str(tools), tmp_path)
    assert "by recordings of the real one: there is no npm" in said
