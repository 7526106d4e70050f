"""The `trinity` command: it finds the program, and it is never put over a file that is not ours."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from trinity.setup import launcher, plan
from trinity.setup.plan import Advice, Write

CHECKOUT = Path(__file__).resolve().parents[3]


def install(path: Path, python: str = sys.executable, home: str = "/x") -> None:
    plan.execute(launcher.install(path, "linux", Path(python), CHECKOUT, Path(home)), lambda text: None)


def trinity(path: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [path, *arguments], env={"PATH": "/usr/bin:/bin", **environment}, capture_output=True, encoding="utf-8"
    )


@pytest.mark.posix
def test_it_runs_the_program_of_that_name_with_the_state_folder(tmp_path: Path) -> None:
    path, home = tmp_path / "bin" / "trinity", tmp_path / "st'a\"te $x"
    home.mkdir(mode=0o700)
    install(path, home=str(home))
    done = trinity(path, "record-event", "success")
    assert (done.returncode, done.stderr) == (0, "")
    assert list((home / "events").glob("*.jsonl"))
    other = tmp_path / "other"
    trinity(path, "record_event", "success", TRINITY_HOME=str(other))
    assert (other / "events").is_dir()


@pytest.mark.posix
def test_it_passes_arguments_and_exit_codes_on(tmp_path: Path) -> None:
    install(tmp_path / "trinity")
    done = trinity(tmp_path / "trinity", "record_event", "no such event")
    assert done.returncode == 2 and done.stderr.startswith("record_event: error: ")


@pytest.mark.posix
@pytest.mark.parametrize("name", ["nothing", "../lib/trinity/files", "", "__init__"])
def test_a_program_that_is_not_there_is_a_usage_error(name: str, tmp_path: Path) -> None:
    install(tmp_path / "trinity")
    done = trinity(tmp_path / "trinity", name)
    assert done.returncode == 2 and "trinity: error: there is no program" in done.stderr


@pytest.mark.posix
def test_it_lists_every_program(tmp_path: Path) -> None:
    install(tmp_path / "trinity")
    done = trinity(tmp_path / "trinity", "--help")
    assert done.returncode == 0
    for program in (CHECKOUT / "scripts").glob("*.py"):
        assert f"  {program.stem} " in done.stdout


@pytest.mark.posix
def test_a_vanished_interpreter_is_said_with_what_mends_it(tmp_path: Path) -> None:
    gone = tmp_path / "python"
    gone.symlink_to("/nowhere/python3")
    install(tmp_path / "trinity", python=str(gone))
    done = trinity(tmp_path / "trinity", "status")
    assert done.returncode == 1 and f"mend it: {CHECKOUT / 'install.sh'}" in done.stderr


def test_a_file_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "trinity").write_text("#!/bin/sh\necho mine\n", encoding="utf-8")
    (advice,) = launcher.install(tmp_path / "trinity", "linux", Path("p"), CHECKOUT, Path("h"))
    assert isinstance(advice, Advice) and "not ours" in advice.text
    assert launcher.uninstall(tmp_path / "trinity") == []


def test_it_tells_when_it_would_not_be_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.pathsep.join(["/usr/bin", str(tmp_path)]))
    assert len(launcher.install(tmp_path / "trinity", "linux", Path("p"), CHECKOUT, Path("h"))) == 1
    monkeypatch.setenv("PATH", "/usr/bin")
    advice = launcher.install(tmp_path / "trinity", "linux", Path("p"), CHECKOUT, Path("h"))[-1]
    assert isinstance(advice, Advice) and "not on your PATH" in advice.text


def test_the_one_for_windows_hands_everything_on(tmp_path: Path) -> None:
    (step, *_) = launcher.install(tmp_path / "trinity.cmd", "windows", Path("py.exe"), CHECKOUT, Path("home"))
    assert isinstance(step, Write)
    lines = step.data.decode().split("\r\n")
    assert lines[0] == "@echo off" and lines[-2].endswith('dispatch.py" %*')
    assert 'if not defined TRINITY_HOME set "TRINITY_HOME=home"' in lines
