"""The wait of a client that cannot be ended is switched off in its project's own settings, and on again."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from trinity.errors import TrinityError
from trinity.work import ending


def settings(project: Path) -> Path:
    return project / ".claude" / "settings.local.json"


def record(profile: Path, process: int, session: str, **more: object) -> None:
    """As a client registers itself."""
    (profile / "sessions").mkdir(parents=True, exist_ok=True)
    document = {"pid": process, "sessionId": session, "cwd": str(profile), **more}
    (profile / "sessions" / f"{process}.json").write_text(json.dumps(document), encoding="utf-8")


def test_a_wait_is_switched_off_beside_what_stands_there_and_on_again(tmp_path: Path) -> None:
    (tmp_path / ".claude").mkdir()
    before = {"zeta": 1, "permissions": {"allow": ["Bash(ls)"]}}
    settings(tmp_path).write_text(json.dumps(before), encoding="utf-8")
    assert ending.switch_wait_off(tmp_path) == settings(tmp_path)
    said = json.loads(settings(tmp_path).read_text(encoding="utf-8"))
    assert said == {**before, "autoContinueAtUsageLimit": False} and next(iter(said)) == "zeta"
    assert ending.switch_wait_off(tmp_path) is None
    assert ending.switch_wait_on(tmp_path)
    assert json.loads(settings(tmp_path).read_text(encoding="utf-8")) == before
    assert not ending.switch_wait_on(tmp_path)


def test_a_file_that_was_made_for_it_goes_with_it(tmp_path: Path) -> None:
    ending.switch_wait_off(tmp_path)
    assert ending.switch_wait_on(tmp_path)
    assert not settings(tmp_path).exists()


@pytest.mark.parametrize("content", ["[]", "{", '"x"'])
def test_settings_that_are_not_understood_are_left_alone(tmp_path: Path, content: str) -> None:
    (tmp_path / ".claude").mkdir()
    settings(tmp_path).write_text(content, encoding="utf-8")
    with pytest.raises(TrinityError):
        ending.switch_wait_off(tmp_path)
    assert settings(tmp_path).read_text(encoding="utf-8") == content


@pytest.mark.posix
def test_a_client_that_does_not_leave_gets_its_wait_switched_off(tmp_path: Path) -> None:
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", stubborn], stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        record(tmp_path, process.pid, "5e55")
        ended = ending.end_client(tmp_path, "5e55", seconds=0.3)
        process.kill()
    assert ended == ending.Ended(stayed=(process.pid,), switched_off=(settings(tmp_path),))


def test_a_process_that_is_no_client_is_left_alone(tmp_path: Path) -> None:
    """The number that a hook reported once may have been given to another process since."""
    assert ending.end_client(tmp_path, "5e55", pid=os.getppid()) == ending.Ended()


@pytest.mark.posix
def test_a_client_elsewhere_is_not_asked(tmp_path: Path) -> None:
    """It runs in another container, where its number means another process."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        record(tmp_path, process.pid, "5e55", pidDomain="linux:pid:[1]")
        ended = ending.end_client(tmp_path, "5e55", seconds=0.3)
        assert process.poll() is None
        process.kill()
    assert (ended.left, ended.stayed) == ((), (process.pid,) if sys.platform == "linux" else ())
