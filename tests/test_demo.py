"""The demo: it tells the whole story, with the real client and without, as README shows it, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import clients
from tests.clients import NEWEST

CHECKOUT = Path(__file__).resolve().parent.parent
STORY = (
    "Claude Code stops on PC1: ",
    "PC2 goes on ",
    "refused on PC1 meanwhile",
    "PC3 goes on ",
    "PC3 has finished; the handoff is done",
    "--take-back",
    "home again in a new worktree, equal to PC3's",
    "removed: ",
)
STORY_OF_ONE_PC = (
    "Claude Code stops in the middle",
    "recorded, judged and saved: handoff",
    "PC1 EXHAUSTED",
    "the daemon has resumed session",
    "fixes.md is written too, and the handoff is done",
    "what is where",
    "removed: ",
)
# What differs from run to run; a long form before the shorter ones that it holds.
VARYING = (
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UUID"),
    (r"\b[0-9a-f]{16}\b", "ID"),
    (r"-[0-9a-f]{8}-e\d+\b", "-IDeN"),
    (r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z", "TIME"),
    (r"\bresets \d+(:\d\d)?[ap]m", "resets CLOCK"),
    (r"[ +]*\d+\.\d s\b", " N s"),
    (r"\d+\.\d+\.\d+, (from npm|the one on PATH)", "VERSION"),
    (r"127\.0\.0\.1:\d+", "LOOPBACK"),
    (r"\S*trinity-demo-\w+", "PLACE"),
)


def _demo(path: str, tmp_path: Path, story: tuple[str, ...], *arguments: str) -> str:
    """What the demo says when nothing but PATH and an empty home is given; it must end well and tell all of the story."""
    home, temporary = tmp_path / "home", tmp_path / "tmp"
    home.mkdir()
    temporary.mkdir()
    places = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary))
    kept = {name: os.environ[name] for name in ("SYSTEMROOT", "COMSPEC", "PATHEXT") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-B", str(CHECKOUT / "tests" / "demo.py"), *arguments],
        env={**kept, "PATH": path, **dict.fromkeys(("HOME", "USERPROFILE"), str(home)), **places},
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = [done.stdout.find(part) for part in story]
    assert -1 not in told and told == sorted(told), done.stdout
    assert not list(home.iterdir()) and not list(temporary.glob("trinity-*"))
    return done.stdout


def _alike(text: str) -> list[str]:
    for form, name in VARYING:
        text = re.sub(form, name, text)
    return text.splitlines()


def test_the_demo_tells_the_story_with_the_real_client_as_the_readme_shows_it(tmp_path: Path) -> None:
    found = clients.binary(NEWEST).parent
    said = _demo(os.pathsep.join([str(found), os.environ["PATH"]]), tmp_path, STORY)
    assert "the one on PATH" in said
    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    shown = readme.partition("\n## See it work\n")[2].partition("```text\n")[2].partition("```\n")[0]
    left = iter(_alike(said))
    for line in _alike(shown):
        # "…" alone on a line stands for lines that were left out
        assert line.strip() == "…" or line in left, f"the demo does not say, or not there: {line}\n{said}"


def _without_client_and_npm(tmp_path: Path) -> str:
    """A PATH with what the programs need, and no more."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("git", "sh", "ps", "uname", "cat", "mkdir"):
        found = shutil.which(name)
        if found:
            (tools / name).symlink_to(found)
    return str(tools)


@pytest.mark.posix
def test_without_npm_the_demo_plays_recordings_and_says_so(tmp_path: Path) -> None:
    said = _demo(_without_client_and_npm(tmp_path), tmp_path, STORY)
    assert "by recordings of the real one: there is no npm" in said


@pytest.mark.posix
def test_it_tells_the_story_of_one_pc_too(tmp_path: Path) -> None:
    _demo(_without_client_and_npm(tmp_path), tmp_path, STORY_OF_ONE_PC, "--one-pc", "--reset-in", "8")
