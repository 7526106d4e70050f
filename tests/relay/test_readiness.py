"""What a round does about ready worktrees: it starts the process that makes them, and one that gives them up."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Program
from tests.hooks.hook_runner import wait_until
from trinity import config, locks
from trinity.config import Config
from trinity.home import Home
from trinity.relay import readiness
from trinity.work.carry import ready_place

pytestmark = pytest.mark.posix


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    folder = tmp_path / "projects" / "big"
    folder.mkdir(parents=True)
    (folder / "a.txt").write_text("one\n", encoding="utf-8")
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


def _configure(home: Home, tmp_path: Path, **changes: Any) -> Config:
    made = Config(profiles=(str(tmp_path / ".claude"),), **changes)
    config.save(home, made)
    return made


def _at_rest(home: Home) -> None:
    """No maker runs any more."""
    with locks.hold_inherited(home.root / "work" / ".ready" / "maker.lock", timeout=20):
        pass


def test_a_round_has_it_made_beforehand_and_given_up_when_switched_off(
    home: Home, program: Program, tmp_path: Path, clone: Path
) -> None:
    settings = _configure(home, tmp_path, ready_worktrees=(str(clone),))
    place = ready_place.of(readiness.folder(home, settings), clone)
    assert program("accept_handoff").returncode == 0
    wait_until(lambda: place.made() is not None)
    _at_rest(home)
    assert (place.tree / "a.txt").read_text(encoding="utf-8") == "one\n"
    assert "is ready: 1 files" in (home.logs / "handoff.log").read_text(encoding="utf-8")
    _configure(home, tmp_path, ready_worktrees=False)
    assert program("accept_handoff").returncode == 0
    wait_until(lambda: ready_place.listed(place.folder) == [])
    _at_rest(home)
    listed = subprocess.run(["git", "worktree", "list"], cwd=clone, capture_output=True, text=True, check=True).stdout
    assert len(listed.splitlines()) == 1


def test_while_acting_is_paused_none_is_made(home: Home, program: Program, tmp_path: Path, clone: Path) -> None:
    _configure(home, tmp_path, ready_worktrees=(str(clone),))
    assert program("pause", "on").returncode == 0 and program("accept_handoff").returncode == 0
    assert not (home.root / "work").exists()


def test_the_process_that_makes_it_gives_way_to_others(home: Home, tmp_path: Path) -> None:
    code = "import os, sys; from trinity import priority; priority.lower(); print(os.nice(0))"
    done = subprocess.run([*readiness.command(home)[:2], "-c", _with_library(code)], capture_output=True, text=True)
    assert int(done.stdout) >= 15, done.stderr


def _with_library(code: str) -> str:
    return f"import sys; sys.path.insert(0, {str(Path(readiness.__file__).parents[2])!r}); {code}"


def test_the_process_for_what_was_configured_wrongly_says_so(home: Home, tmp_path: Path) -> None:
    _configure(home, tmp_path, ready_worktrees=(str(tmp_path / "nowhere"),))
    (home.root / "work" / ".ready").mkdir(parents=True)
    subprocess.run(readiness.command(home), check=True)
    assert "is no clone" in (home.logs / "handoff.log").read_text(encoding="utf-8")
    home.config_file.write_text(json.dumps({"kind": "config"}), encoding="utf-8")
    subprocess.run(readiness.command(home), check=True)
    assert "no worktree is made ready" in (home.logs / "handoff.log").read_text(encoding="utf-8")
