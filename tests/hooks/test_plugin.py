"""The plugin form: the same table as the settings, its own interpreter, and no event counted twice."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.clients import Client
from tests.hooks import hook_runner
from tests.hooks.hook_runner import CHECKOUT, FILES, HookRunner, payload, payload_of, wait_until
from trinity.hooks import registry

PYTHON, HOOKS, HOME = "/opt/py/bin/python3.11", "/opt/trinity/hooks", "/home/user/.trinity"


def entries(hooks: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(event, entry) for event, groups in hooks.items() for group in groups for entry in group["hooks"]]


def test_hooks_json_is_what_the_table_says() -> None:
    written = (CHECKOUT / "hooks" / "hooks.json").read_text(encoding="utf-8")
    assert written == json.dumps(registry.plugin_hooks(), indent=2) + "\n"


def test_the_table_names_every_hook_file_and_every_event_here() -> None:
    assert {hook.event: hook.file for hook in registry.HOOKS} == FILES
    stood = {file.name for file in (CHECKOUT / "hooks").glob("*.*")}
    behind = {"stop_failure.py", "stop_failure.ps1", "statusline.py", "hooks.json"}
    assert stood == {*FILES.values(), *behind}


@pytest.mark.parametrize("windows", [False, True])
def test_every_entry_is_in_exec_form_with_absolute_paths_and_a_number_as_timeout(windows: bool) -> None:
    folder = "C:\\trinity\\hooks" if windows else HOOKS
    for event, entry in entries(registry.settings_hooks(PYTHON, folder, HOME, windows)):
        assert entry["type"] == "command"
        assert isinstance(entry["timeout"], int)
        assert entry["args"][-1] == HOME
        if event == "StopFailure":
            assert PYTHON in entry["args"]
            assert entry["command"] == ("powershell.exe" if windows else "/bin/sh")
        else:
            assert (entry["command"], entry["args"][:2]) == (PYTHON, ["-I", "-S"])
            assert entry["args"][2] == folder + ("\\" if windows else "/") + FILES[event]


def test_our_entries_are_known_and_foreign_ones_are_not() -> None:
    ours = [entry for _, entry in entries(registry.settings_hooks(PYTHON, HOOKS, HOME))]
    ours += [entry for _, entry in entries(registry.settings_hooks("C:\\p\\python.exe", "D:\\t\\hooks", "C:\\h", True))]
    ours.append(registry.status_line(PYTHON, HOOKS, HOME, "/home/user/.claude"))
    ours.append(registry.status_line("C:\\p p\\python.exe", "D:\\t\\hooks", "C:\\h", "C:\\u\\.claude"))
    assert all(registry.is_ours(entry) for entry in ours)
    foreign: list[object] = [
        {"type": "command", "command": "python3 hooks/stop.py"},
        {"type": "command", "command": "python3", "args": ["hooks/pre_tool_use.py"]},
        {"type": "command", "command": "~/hooks/statusline.py"},
        {"type": "prompt", "prompt": "hooks/stop.py"},
        {"args": 7},
        "hooks/stop.py",
        None,
    ]
    assert not any(registry.is_ours(entry) for entry in foreign)


def test_the_status_line_command_survives_a_shell(runner: HookRunner, tmp_path: Path) -> None:
    runner.home = tmp_path / "my $HOME 'here'"
    runner.home.mkdir(mode=0o700)
    setting = registry.status_line(hook_runner.PYTHON, str(runner.hooks), str(runner.home), "/x/.claude")
    done = subprocess.run(
        ["/bin/sh", "-c", str(setting["command"])], input=b"{}", capture_output=True, env=runner.environ(), check=True
    )
    assert done.stdout == b"trinity: no status yet\n"
    assert runner.log() == []


def register(runner: HookRunner, configuration: Path, written: bool = True) -> None:
    """What the installer leaves: hooks in the settings, and a note of it in the state folder."""
    configuration.mkdir(parents=True, exist_ok=True)
    hooks = registry.settings_hooks(PYTHON, HOOKS, str(runner.home)) if written else {}
    settings = json.dumps({"hooks": hooks, "theme": "dark"}, ensure_ascii=False, indent=2)
    (configuration / "settings.json").write_text(settings, encoding="utf-8")
    (runner.home / "registered").mkdir(mode=0o700, exist_ok=True)
    note = runner.home / "registered" / registry.profile_key(str(configuration))
    note.write_text(registry.settings_mark(HOOKS) + "\n", encoding="utf-8")


@pytest.mark.parametrize("event", FILES)
def test_the_plugins_copy_steps_aside_for_the_settings(runner: HookRunner, tmp_path: Path, event: str) -> None:
    runner.environment = {"TRINITY_HOME": str(runner.home), "HOME": str(tmp_path)}
    register(runner, tmp_path / ".claude")
    runner.run(FILES[event], payload_of(event), home="plugin")
    runner.run(FILES[event], payload_of(event))
    wait_until(lambda: len(runner.events()) == 1 and not list(runner.home.glob("held/*")))
    assert runner.log() == []


def test_the_plugin_records_when_nothing_is_registered_for_this_profile(runner: HookRunner, tmp_path: Path) -> None:
    runner.environment = {"TRINITY_HOME": str(runner.home), "HOME": str(tmp_path)}
    runner.run("stop.py", payload("2.1.328/Stop"), home="plugin")
    register(runner, tmp_path / ".claude")
    runner.environment["CLAUDE_CONFIG_DIR"] = str(tmp_path / "work profile")
    runner.run("stop.py", payload("2.1.328/Stop"), home="plugin")
    assert len(runner.events()) == 2
    register(runner, tmp_path / "work profile")
    runner.environment["CLAUDE_CONFIG_DIR"] += "/"
    runner.run("stop.py", payload("2.1.328/Stop"), home="plugin")
    assert len(runner.events()) == 2


def test_the_plugin_records_again_when_the_settings_lost_the_hooks(runner: HookRunner, tmp_path: Path) -> None:
    runner.environment = {"TRINITY_HOME": str(runner.home), "HOME": str(tmp_path)}
    register(runner, tmp_path / ".claude", written=False)
    runner.run("stop.py", payload("2.1.328/Stop"), home="plugin")
    (tmp_path / ".claude" / "settings.json").unlink()
    runner.run("stop.py", payload("2.1.328/Stop"), home="plugin")
    assert len(runner.events()) == 2


@pytest.mark.parametrize("manifest", ["", ".claude-plugin/plugin.json", ".claude-plugin/marketplace.json"])
def test_the_client_accepts_the_plugin(client: Client, manifest: str) -> None:
    done = subprocess.run(
        [str(client.binary), "plugin", "validate", "--strict", str(CHECKOUT / manifest)],
        capture_output=True,
        text=True,
        env=client.environment(),
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
