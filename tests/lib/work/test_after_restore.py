"""The user's command for unpacked work runs as it was written, not longer than it may, and its failure is said."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.hooks.hook_runner import wait_until
from trinity.config import AfterRestore
from trinity.work import after_restore

LONG = 60


def python(text: str) -> tuple[str, ...]:
    return (sys.executable, "-c", text)


def test_it_runs_in_the_folder_without_a_shell_and_its_output_is_kept(tmp_path: Path) -> None:
    code = "import os,sys; open('made','w').write(sys.argv[1]); print('said'); sys.exit('stdin' if sys.stdin.read() else 0)"
    ran = after_restore.run((*python(code), "$HOME; `x`"), tmp_path, tmp_path / "out", LONG)
    assert ran.failure == "" and (tmp_path / "made").read_text(encoding="utf-8") == "$HOME; `x`"
    assert b"said" in (tmp_path / "out").read_bytes()


def test_its_failure_is_said_with_its_last_words(tmp_path: Path) -> None:
    ran = after_restore.run(
        python("print('first'); print('no such package'); raise SystemExit(3)"), tmp_path, tmp_path / "o", LONG
    )
    assert "status 3" in ran.failure and "no such package" in ran.failure and str(tmp_path / "o") in ran.failure
    for program in (str(tmp_path / "missing"), str(tmp_path)):
        assert "cannot be started" in after_restore.run((program,), tmp_path, tmp_path / "o", LONG).failure


def test_one_that_takes_too_long_is_ended_with_its_children(tmp_path: Path) -> None:
    code = (
        "import subprocess,sys,time; c=subprocess.Popen([sys.executable,'-c','import time; time.sleep(600)']);"
        "open('new','w').write(str(c.pid)); import os; os.replace('new','pid'); time.sleep(600)"
    )
    parent = subprocess.Popen(python(code), cwd=tmp_path)
    wait_until((tmp_path / "pid").exists)
    child = int((tmp_path / "pid").read_text(encoding="utf-8"))
    after_restore.end(parent.pid)
    assert parent.wait(LONG) != 0
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE
    ran = after_restore.run(python("import time; time.sleep(600)"), tmp_path, tmp_path / "o", 0.2)
    assert "longer than 0.2 s" in ran.failure


@pytest.mark.parametrize(
    ("remote", "expected"),
    [("git@host:a/b.git", ("of", "b")), ("https://host/a/c", ("general",)), ("ssh://git@host/a/b", ("of", "b"))],
)
def test_a_project_has_its_own_command_by_any_address(remote: str, expected: tuple[str, ...]) -> None:
    configured = AfterRestore(("general",), {"https://host/a/b": ("of", "b")})
    assert after_restore.chosen(configured, [remote]) == expected
    assert after_restore.chosen(AfterRestore(), [remote]) == ()
