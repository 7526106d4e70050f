"""The plans for each system, read back by what would read them there."""

from __future__ import annotations

import plistlib
import shlex
import subprocess
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path, PureWindowsPath

import pytest

from trinity.errors import TrinityError
from trinity.setup import daemon, plan, services, services_systemd
from trinity.setup.plan import Advice, Remove, Run, Start, Step, Write
from trinity.setup.services import Target

ODD = "a b'c$d%e\"f"


def target(folder: Path, system: str = "linux", home: str = ".trinity") -> Target:
    return Target(
        system=system,
        user_home=folder,
        user="DESK\\ann & co",
        home=folder / home,
        python=folder / ODD / "bin" / "python",
        checkout=folder / "check out",
        path=f"/usr/bin:{folder}/{ODD}",
    )


def written(steps: Sequence[Step]) -> Write:
    (found,) = [step for step in steps if isinstance(step, Write)]
    return found


def commands(steps: Sequence[Step]) -> list[tuple[str, ...]]:
    return [step.command for step in steps if isinstance(step, Run)]


@pytest.fixture
def no_crontab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder first on the PATH, with a crontab that has no table and keeps what it is given."""
    folder = tmp_path / "bin"
    folder.mkdir()
    table = tmp_path / "table"
    fake = f"""#!/bin/sh
case $1 in
-l) [ -f {table} ] && exec cat {table}; echo "no crontab for me" >&2; exit 1 ;;
-r) rm {table} ;;
-) cat >{table} ;;
esac
"""
    (folder / "crontab").write_text(fake, encoding="utf-8")
    (folder / "crontab").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return table


def test_the_unit_names_the_daemon_word_for_word_and_keeps_it_running(tmp_path: Path) -> None:
    steps = services.install(target(tmp_path), "systemd")
    unit = written(steps)
    assert unit.path == tmp_path / ".config" / "systemd" / "user" / "trinity-monitor.service"
    lines = dict(line.split("=", 1) for line in unit.data.decode().splitlines() if "=" in line)
    # systemd undoes C escapes in double quotes, then %% and $$
    words = [part.replace("%%", "%").replace("$$", "$") for part in shlex.split(lines["ExecStart"])]
    assert tuple(words) == target(tmp_path).command
    assert shlex.split(lines["Environment"])[0].replace("%%", "%") == f"PATH={target(tmp_path).path}"
    assert lines["Restart"] == "always" and lines["WantedBy"] == "default.target"
    assert commands(steps) == [
        ("systemctl", "--user", "daemon-reload"),
        ("systemctl", "--user", "enable", "trinity-monitor.service"),
        ("systemctl", "--user", "restart", "trinity-monitor.service"),
        ("loginctl", "enable-linger"),
    ]


def test_lingering_that_is_not_allowed_is_told_and_no_failure() -> None:
    (linger,) = [
        step
        for step in services_systemd.install(("p",), "/bin", Path("/u"), "")
        if isinstance(step, Run) and "enable-linger" in step.command
    ]
    assert not linger.required and "sudo loginctl" in linger.hint


@pytest.mark.parametrize(
    ("chosen", "system"), [("systemd", "linux"), ("launchd", "macos"), ("task-scheduler", "windows"), ("none", "linux")]
)
def test_an_uninstall_removes_every_file_that_an_install_writes(chosen: str, system: str, tmp_path: Path) -> None:
    install = services.install(target(tmp_path, system), chosen)
    uninstall = services.uninstall(target(tmp_path, system), chosen)
    assert {step.path for step in install if isinstance(step, Write)} == {
        step.path for step in uninstall if isinstance(step, Remove)
    }


def test_two_state_folders_have_two_daemons(tmp_path: Path) -> None:
    names = {
        written(services.install(target(tmp_path, system, home), chosen)).path
        for home in (".trinity", "second")
        for chosen, system in (("systemd", "linux"), ("launchd", "macos"))
    }
    assert len(names) == 4
    assert services.mark(target(tmp_path)) != services.mark(target(tmp_path, home="second"))


def test_the_agent_of_macos_reads_back_as_what_was_meant(tmp_path: Path) -> None:
    steps = services.install(target(tmp_path, "macos"), "launchd")
    agent = plistlib.loads(written(steps).data)
    assert written(steps).path == tmp_path / "Library" / "LaunchAgents" / "com.trinity.monitor.plist"
    assert tuple(agent["ProgramArguments"]) == target(tmp_path).command
    assert agent["KeepAlive"] and agent["RunAtLoad"]
    assert agent["EnvironmentVariables"] == {"PATH": target(tmp_path).path}
    bootout, bootstrap = commands(steps)
    assert bootout[:2] == ("launchctl", "bootout") and bootstrap[:2] == ("launchctl", "bootstrap")


def test_the_task_of_windows_opens_no_console_and_runs_once_at_a_time(tmp_path: Path) -> None:
    steps = services.install(target(tmp_path, "windows"), "task-scheduler")
    data = written(steps).data
    assert data.startswith(b"\xff\xfe")
    space = {"t": "http://schemas.microsoft.com/windows/2004/02/mit/task"}
    task = ElementTree.fromstring(data.decode("utf-16"))

    def text(path: str) -> str:
        found = task.find(path, space)
        assert found is not None
        return found.text or ""

    assert PureWindowsPath(text("t:Actions/t:Exec/t:Command").replace("/", "\\")).name == "pythonw.exe"
    script, option, home = target(tmp_path).command[1:]
    assert text("t:Actions/t:Exec/t:Arguments") == f'"{script}" "{option}" "{home}"'
    assert text("t:Triggers/t:LogonTrigger/t:UserId") == "DESK\\ann & co"
    assert text("t:Settings/t:MultipleInstancesPolicy") == "IgnoreNew"
    assert text("t:Settings/t:ExecutionTimeLimit") == "PT0S"
    assert text("t:Settings/t:DisallowStartIfOnBatteries") == "false"
    assert [command[0] for command in commands(steps)] == ["schtasks", "schtasks"]


@pytest.mark.posix
def test_the_lines_in_the_crontab_start_the_daemon_and_nothing_else_is_touched(
    no_crontab: Path, tmp_path: Path
) -> None:
    theirs = b"MAILTO=me\n# trinity-monitor is a good thing\n5 4 * * * backup"
    no_crontab.write_bytes(theirs + b"\n")
    here = target(tmp_path)
    assert services.crontab() == theirs + b"\n"
    for _ in range(2):
        steps = [step for step in services.install(here, "cron") if not isinstance(step, Start)]
        plan.execute(steps, lambda text: None)
    table = no_crontab.read_bytes()
    assert table.startswith(theirs + b"\n")
    at_boot, guard = table[len(theirs) + 1 :].decode().splitlines()
    assert at_boot.startswith("@reboot ") and guard.startswith("*/5 * * * * ")
    # cron hands the line to sh, after \% became %
    ran = at_boot.removeprefix("@reboot ").replace("\\%", "%").replace("/bin/sh ", "echo ")
    said = subprocess.run(["sh", "-c", ran.partition(" >/dev/null")[0]], capture_output=True, text=True).stdout
    assert said.strip() == str(services.script(here))
    plan.execute(services.uninstall(here, "cron"), lambda text: None)
    assert no_crontab.read_bytes() == theirs + b"\n"
    assert not services.script(here).exists()


@pytest.mark.posix
def test_a_crontab_that_was_not_there_is_gone_again(no_crontab: Path, tmp_path: Path) -> None:
    steps = [step for step in services.install(target(tmp_path), "cron") if not isinstance(step, Start)]
    plan.execute(steps, lambda text: None)
    assert no_crontab.exists()
    plan.execute(services.uninstall(target(tmp_path), "cron"), lambda text: None)
    assert not no_crontab.exists()


@pytest.mark.posix
def test_the_started_daemon_has_the_path_and_its_arguments_whole(tmp_path: Path) -> None:
    here = target(tmp_path)
    here.python.parent.mkdir(parents=True)
    here.python.write_text('#!/bin/sh\nprintf "%s\\n" "$PATH" "$@"\n', encoding="utf-8")
    here.python.chmod(0o755)
    plan.execute([written(services.install(here, "none"))], lambda text: None)
    said = subprocess.run(["/bin/sh", services.script(here)], env={"PATH": "/bin"}, capture_output=True, text=True)
    assert said.stdout.splitlines() == [here.path, *here.command[1:]]


@pytest.mark.posix
def test_without_systemd_and_cron_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert services.kind("linux") == "none"
    (advice,) = [step for step in services.install(target(tmp_path), "none") if isinstance(step, Advice)]
    assert "after a restart type: sh " in advice.text


@pytest.mark.posix
def test_a_command_that_must_succeed_says_why_it_did_not() -> None:
    with pytest.raises(TrinityError, match="no such unit") as raised:
        plan.execute([Run(("sh", "-c", "echo no such unit >&2; exit 4"), hint="look there")], lambda text: None)
    assert raised.value.hint == "look there"
    with pytest.raises(TrinityError, match="no-such-command"):
        plan.execute([Run(("no-such-command",))], lambda text: None)


@pytest.mark.posix
def test_what_a_session_told_its_children_does_not_reach_the_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CLAUDECODE", "CLAUDE_PID", "CLAUDE_CODE_SESSION_ID", "CLAUDE_CODE_MESSAGING_TOKEN"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("CLAUDE_CODE_OAUTH_TOKEN", "login")
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", "/profile")
    kept = {name for name in plan.start_environment() if name.startswith("CLAUDE")}
    assert kept == {"CLAUDE_CODE_OAUTH_TOKEN", "CLAUDE_CONFIG_DIR"}


def test_a_daemon_that_never_was_does_not_run(tmp_path: Path) -> None:
    from trinity.home import Home

    assert not daemon.runs(Home(tmp_path / "nowhere"))
    assert not daemon.stop(Home(tmp_path / "nowhere"))
