"""The doctor: it finds what is wrong, says what to type, and changes nothing."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.scripts.installed_pc import InstalledPC, a_pc, copy_checkout
from trinity.setup import environment

pytestmark = pytest.mark.posix

CLIENT = '#!/bin/sh\n[ "$1" = --version ] && echo "{version} (Claude Code)"\nexit 0\n'


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_checkout(tmp_path_factory.mktemp("checkout") / "trinity")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, checkout: Path) -> Iterator[InstalledPC]:
    """Installed, with a stand-in that only states the client's version, and no daemon."""
    folder = tmp_path_factory.mktemp("pc")
    stand_in(folder / "claude", "2.1.328")
    with a_pc(folder, checkout, folder / "claude") as made:
        made.install("--no-timers", "--account", "mine", "--account-kind", "subscription")
        shutil.copytree(made.user, folder / "kept", symlinks=True)
        yield made


@pytest.fixture
def pc(template: InstalledPC) -> Iterator[InstalledPC]:
    """The template, as it was installed, at its own place: settings name absolute paths."""
    stand_in((template.commands / "claude").resolve(), "2.1.328")
    yield template
    if template.daemon():
        template.install("--uninstall", ok=False)
    (template.commands / "has_systemd").unlink(missing_ok=True)
    shutil.rmtree(template.user)
    shutil.copytree(template.user.parent / "kept", template.user, symlinks=True)


def stand_in(path: Path, version: str) -> None:
    path.write_text(CLIENT.format(version=version), encoding="utf-8")
    path.chmod(0o755)


def event(pc: InstalledPC, when: float | None = None) -> None:
    """A hook's line of a session in the profile."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(when or time.time()))
    line = {"kind": "event", "version": 1, "time": stamp, "event": "hook", "source": "hook", "name": "Stop"}
    line |= {"session_id": "s", "transcript_path": f"{pc.profile}/projects/-p/s.jsonl"}
    with open(pc.state / "events" / f"{stamp[:10]}.jsonl", "a", encoding="utf-8") as stream:
        stream.write(json.dumps(line, separators=(",", ":")) + "\n")


def test_a_pc_that_is_set_up_is_well(pc: InstalledPC) -> None:
    pc.has("cron")
    pc.install()
    event(pc)
    deadline = time.monotonic() + 15
    while pc.daemon() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    # a round of the daemon rewrites its own files; what counts here is the doctor's verdict
    done = pc.program("doctor")
    assert done.returncode == 0, done.stdout
    assert {subject for subject, found in pc.doctor().items() if found["state"] == "fail"} == set()
    assert pc.doctor()["daemon"]["state"] == "ok"
    assert "ok    fleet" in done.stdout


def test_it_changes_nothing(pc: InstalledPC) -> None:
    def state() -> dict[Path, tuple[int, int]]:
        kept = ("locks", "state_clone")  # asking the fleet takes its lock
        paths = [path for path in pc.state.rglob("*") if path.is_file() and path.parent.name not in kept]
        return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in paths}

    before, files = state(), pc.files()
    pc.doctor()
    assert state() == before and pc.files() == files


def test_without_an_installation_it_says_how_to_get_one(tmp_path: Path, checkout: Path) -> None:
    with a_pc(tmp_path, checkout) as pc:
        done = pc.program("doctor")
        assert done.returncode == 1 and f"  {checkout / 'install.sh'}" in done.stderr
        assert not pc.state.exists()


def break_hooks(pc: InstalledPC) -> None:
    pc.settings.write_text("{}", encoding="utf-8")


def break_one_hook(pc: InstalledPC) -> None:
    settings = json.loads(pc.settings.read_text(encoding="utf-8"))
    del settings["hooks"]["Stop"]
    pc.settings.write_text(json.dumps(settings), encoding="utf-8")


def break_settings(pc: InstalledPC) -> None:
    pc.settings.write_text("{", encoding="utf-8")


def disable_hooks(pc: InstalledPC) -> None:
    settings = json.loads(pc.settings.read_text(encoding="utf-8"))
    pc.settings.write_text(json.dumps(settings | {"disableAllHooks": True}), encoding="utf-8")


def lose_the_status_line(pc: InstalledPC) -> None:
    settings = json.loads(pc.settings.read_text(encoding="utf-8"))
    settings["statusLine"] = {"type": "command", "command": "date"}
    pc.settings.write_text(json.dumps(settings), encoding="utf-8")


def lose_the_interpreter_of_the_hooks(pc: InstalledPC) -> None:
    text = pc.settings.read_text(encoding="utf-8")
    pc.settings.write_text(text.replace(str(environment.base_interpreter()), "/nowhere/python3"), encoding="utf-8")


def remove_the_client(pc: InstalledPC) -> None:
    stand_in((pc.commands / "claude").resolve(), "nothing")


def age_the_client(pc: InstalledPC) -> None:
    stand_in((pc.commands / "claude").resolve(), "2.1.100")


def silence_the_hooks(pc: InstalledPC) -> None:
    conversation = pc.profile / "projects" / "-p" / "s.jsonl"
    conversation.parent.mkdir(parents=True)
    conversation.write_text("{}\n", encoding="utf-8")
    os.utime(conversation, (time.time() + 900, time.time() + 900))


def open_the_state(pc: InstalledPC) -> None:
    pc.state.chmod(0o755)


def lose_the_fleet(pc: InstalledPC) -> None:
    (pc.state / "remote.git").rename(pc.state / "gone.git")


def forget_the_account(pc: InstalledPC) -> None:
    config = json.loads((pc.state / "config.json").read_text(encoding="utf-8"))
    config["account"] = {"id": "0" * 16, "label": "", "kind": "unknown"}
    (pc.state / "config.json").write_text(json.dumps(config), encoding="utf-8")


def kill_the_daemon(pc: InstalledPC) -> None:
    pc.has("systemd")  # a fake one: it starts nothing
    pc.install()


def set_the_clock_back(pc: InstalledPC) -> None:
    event(pc)
    (path,) = (pc.state / "events").glob("*.jsonl")
    os.utime(path, (time.time() + 7200, time.time() + 7200))


@pytest.mark.parametrize(
    ("harm", "subject", "state", "text", "hint"),
    [
        (break_hooks, "hooks", "fail", "none of ours", "install.sh"),
        (break_one_hook, "hooks", "fail", "other entries", "install.sh"),
        (break_settings, "hooks", "fail", "not JSON", "mend it"),
        (disable_hooks, "hooks", "fail", "disableAllHooks", "set it to false"),
        (lose_the_status_line, "hooks", "fail", "other entries", "install.sh"),
        (lose_the_interpreter_of_the_hooks, "hooks", "fail", "'/nowhere/python3' is gone", "install.sh"),
        (remove_the_client, "client", "fail", "does not start", "install.sh"),
        (age_the_client, "client", "fail", "older than 2.1.197", "update"),
        (silence_the_hooks, "events", "fail", "do not fire", "start claude"),
        (open_the_state, "state", "fail", "others may read", "chmod 700"),
        (lose_the_fleet, "fleet", "fail", "remote.git", ""),
        (forget_the_account, "account", "warn", "whose limits", "--account-kind"),
        (forget_the_account, "fleet", "fail", "another account", "install.sh"),
        (kill_the_daemon, "daemon", "fail", "does not run", "systemctl --user status trinity-monitor"),
        (set_the_clock_back, "clock", "fail", "set back", "set the clock"),
    ],
)
def test_what_is_wrong_is_found_with_the_command_to_type_next(
    pc: InstalledPC, harm: Callable[[InstalledPC], None], subject: str, state: str, text: str, hint: str
) -> None:
    harm(pc)
    found = pc.doctor()[subject]
    assert found["state"] == state and text in found["text"] and hint in found["hint"]


def test_a_failure_is_in_the_exit_code_and_on_the_line_with_its_hint(pc: InstalledPC) -> None:
    break_hooks(pc)
    done = pc.program("doctor")
    lines = done.stdout.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("FAIL  hooks "))
    assert done.returncode == 1 and lines[at + 1].strip() == str(pc.checkout / "install.sh")
    assert lines[-1].startswith("1 failures")


def test_the_installer_mends_what_it_can(pc: InstalledPC) -> None:
    for harm in (break_one_hook, lose_the_interpreter_of_the_hooks, forget_the_account):
        harm(pc)
    pc.install("--no-timers")
    assert [subject for subject, found in pc.doctor().items() if found["state"] == "fail"] == []


def test_a_login_that_only_this_shell_has_is_named_and_its_value_is_not(pc: InstalledPC) -> None:
    found = pc.doctor(ANTHROPIC_API_KEY="sk-very-secret")["login"]
    assert found["state"] == "warn" and "ANTHROPIC_API_KEY" in found["text"]
    assert "sk-very-secret" not in json.dumps(found)


def test_it_looks_with_the_path_of_the_daemon(pc: InstalledPC) -> None:
    """A shell in which everything is found says nothing about cron, and the other way round."""
    assert pc.doctor(PATH="/nowhere")["fleet"]["state"] == "ok"
    record = pc.state / "setup" / "installed.json"
    installed = json.loads(record.read_text(encoding="utf-8"))
    record.write_text(json.dumps(installed | {"path": "/nowhere"}), encoding="utf-8")
    assert "no git" in pc.doctor()["fleet"]["text"]


def test_trouble_in_the_hooks_since_the_installation_is_counted(pc: InstalledPC) -> None:
    old, new = "2020-01-01T00:00:00Z", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 5))
    log = f"{old} Stop: long ago\n{new} Stop: ValueError: nothing on stdin\n{new} Stop: again\n"
    (pc.state / "logs" / "hooks.log").write_text(log, encoding="utf-8")
    found = pc.doctor()["hooks.log"]
    assert found["state"] == "warn" and "2 lines" in found["text"] and "again" in found["text"]


def test_a_plugin_beside_the_settings_is_told_to_step_aside(pc: InstalledPC) -> None:
    settings = json.loads(pc.settings.read_text(encoding="utf-8"))
    plugins = {"enabledPlugins": {"trinity@trinity": True}}
    pc.settings.write_text(json.dumps(settings | plugins, ensure_ascii=False), encoding="utf-8")
    assert "step aside" in pc.doctor()["plugin"]["text"]
    pc.settings.write_text(json.dumps(plugins), encoding="utf-8")
    found = pc.doctor()
    assert found["plugin"]["state"] == "warn" and found["hooks"]["state"] == "warn"
