"""install.sh and install.py, from a bare environment: everything is put in, works, and comes out again."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.clients import Client
from tests.fake_api import ScriptedApi
from tests.hooks.test_real_clients import EVERY_HOOK
from tests.scripts.installed_pc import CHECKOUT, InstalledPC, a_pc, copy_checkout
from trinity.hooks import registry
from trinity.setup import environment

pytestmark = pytest.mark.posix

SETTINGS = """{
    "statusLine": {"type": "command", "command": "echo before: $(cat | wc -c)", "padding": 1},
    "hooks": {
        "SessionEnd": [ {"hooks": [{"type": "command", "command": "echo ended >>\\"$HOME/foreign\\""}]} ]
    },
    "model": "sonnet"
}
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_checkout(tmp_path_factory.mktemp("checkout") / "trinity of ann's")


@pytest.fixture
def pc(tmp_path: Path, checkout: Path) -> Iterator[InstalledPC]:
    with a_pc(tmp_path, checkout) as made:
        yield made


def wait_until(true: Callable[[], object], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)


def config(pc: InstalledPC) -> dict[str, Any]:
    return dict(json.loads((pc.state / "config.json").read_text(encoding="utf-8")))


def fleet(pc: InstalledPC, url: Path | None = None) -> dict[str, Any]:
    command = ["git", "-C", str(url or pc.state / "remote.git"), "show", "trinity-state:fleet.json"]
    return dict(json.loads(subprocess.run(command, capture_output=True, check=True).stdout))


# In, twice, and out again


def test_it_installs_from_a_bare_environment_and_gives_everything_back(pc: InstalledPC) -> None:
    pc.profile.mkdir()
    pc.settings.write_text(SETTINGS, encoding="utf-8")
    (pc.profile / "CLAUDE.md").write_text("mine", encoding="utf-8")
    before = pc.files()
    done = pc.install()
    assert "At a usage limit now:" in done.stdout
    wait_until(pc.daemon)
    assert pc.files()[".claude/settings.json.before-trinity"] == SETTINGS.encode()
    pc.install("--uninstall")
    assert pc.files() == before
    wait_until(lambda: pc.daemon() is None)
    assert (pc.state / "events").is_dir()


def test_twice_is_once(pc: InstalledPC) -> None:
    pc.has("cron")
    pc.install("--account", "work", "--account-kind", "seat")
    first, table, state = pc.files(), (pc.commands / "table").read_bytes(), fleet(pc)
    pc.install()
    assert pc.files() == first
    assert (pc.commands / "table").read_bytes() == table
    assert fleet(pc) == state
    assert config(pc)["account"]["label"] == "work"


def test_a_second_call_with_nothing_to_do_is_quick(pc: InstalledPC) -> None:
    pc.install("--no-timers")
    started = time.monotonic()
    pc.install("--no-timers")
    # a new environment takes ten times this; the bound is loose because the machine is shared
    assert time.monotonic() - started < 8


def test_a_dry_run_changes_nothing(pc: InstalledPC) -> None:
    pc.profile.mkdir()
    pc.settings.write_text(SETTINGS, encoding="utf-8")
    before = pc.files()
    done = pc.install("--dry-run")
    assert "register 14 hooks" in done.stdout and "echo before" in done.stdout
    assert pc.files() == before and not pc.state.exists() and not pc.told()
    pc.install("--no-timers")
    installed = pc.files()
    assert "our entries out" in pc.install("--uninstall", "--dry-run").stdout
    assert pc.files() == installed


@pytest.mark.parametrize(
    ("system", "sign"),
    [
        ("macos", "Library/LaunchAgents/com.trinity.monitor.plist"),
        ("windows", "schtasks /Create /TN 'Trinity monitor'"),
    ],
)
def test_the_plans_of_other_systems_are_shown(pc: InstalledPC, system: str, sign: str) -> None:
    assert sign in pc.install("--dry-run", "--system", system).stdout
    document = json.loads(pc.install("--dry-run", "--system", system, "--json").stdout)
    assert {step["step"] for step in document["steps"]} >= {"write", "run"}
    assert pc.install("--system", system, ok=False).returncode == 2


def test_an_uninstall_of_nothing_is_no_failure(pc: InstalledPC) -> None:
    assert "nothing is installed" in pc.install("--uninstall").stdout


# Settings that are in the way


@pytest.mark.parametrize("text", ["{", "[]", '{"hooks": []}', '{"disableAllHooks": true}'])
def test_settings_in_the_way_are_refused_before_anything_is_changed(pc: InstalledPC, text: str) -> None:
    pc.profile.mkdir()
    pc.settings.write_text(text, encoding="utf-8")
    before = pc.files()
    done = pc.install(ok=False)
    assert done.returncode == 1
    message, hint = done.stderr.splitlines()
    assert message.startswith("install: error: ") and str(pc.settings) in message and hint.startswith("  ")
    assert pc.files() == before and not pc.state.exists() and not pc.told()


def test_without_hooks_the_settings_are_not_even_read(pc: InstalledPC) -> None:
    pc.profile.mkdir()
    pc.settings.write_text("{", encoding="utf-8")
    pc.install("--no-hooks", "--no-timers")
    assert pc.settings.read_text(encoding="utf-8") == "{"


def test_an_uninstall_does_the_rest_when_one_profile_is_broken(pc: InstalledPC) -> None:
    second = pc.user / "second"
    pc.install("--no-timers", "--profile", str(pc.profile), "--profile", str(second))
    pc.settings.write_text("{", encoding="utf-8")
    done = pc.install("--uninstall", ok=False)
    assert done.returncode == 1 and str(pc.settings) in done.stderr
    assert not second.exists() and not (pc.user / ".local" / "bin" / "trinity").exists()
    pc.settings.write_text("{}", encoding="utf-8")
    pc.install("--uninstall")
    assert pc.settings.read_text(encoding="utf-8") == "{}"


def test_several_profiles_are_set_up_and_remembered(pc: InstalledPC) -> None:
    second = pc.user / "work profile"
    second.mkdir()
    pc.install("--no-timers", CLAUDE_CONFIG_DIR=str(second) + "/")
    assert config(pc)["profiles"] == [str(second)] and not pc.profile.exists()
    pc.install("--no-timers", "--profile", str(pc.profile))
    assert config(pc)["profiles"] == [str(pc.profile), str(second)]
    pc.install("--no-timers")
    assert config(pc)["profiles"] == [str(pc.profile), str(second)]
    pc.install("--uninstall")
    assert not (second / "settings.json").exists() and not pc.settings.exists()


# The daemon


def test_systemd_is_given_a_unit_and_lingering_and_both_are_taken_away(pc: InstalledPC) -> None:
    pc.has("systemd")
    pc.install()
    unit = pc.user / ".config" / "systemd" / "user" / "trinity-monitor.service"
    assert pc.told() == [
        "systemctl --user daemon-reload",
        "systemctl --user enable trinity-monitor.service",
        "systemctl --user restart trinity-monitor.service",
        "loginctl enable-linger",
    ]
    line = next(line for line in unit.read_text(encoding="utf-8").splitlines() if line.startswith("ExecStart="))
    words = shlex.split(line.removeprefix("ExecStart="))
    assert words[0] == str(environment.python(pc.checkout)) and words[-1] == str(pc.state)
    pc.install()
    pc.install("--uninstall")
    assert "loginctl disable-linger" in pc.told()
    assert "systemctl --user disable --now trinity-monitor.service" in pc.told()
    assert not unit.exists()


def test_lingering_of_before_stays(pc: InstalledPC) -> None:
    pc.has("systemd")
    (pc.commands / "lingers").touch()
    pc.install()
    pc.install("--uninstall")
    assert (pc.commands / "lingers").exists()


def test_cron_keeps_the_daemon_running(pc: InstalledPC) -> None:
    pc.has("cron")
    (pc.commands / "table").write_text("0 5 * * * theirs\n", encoding="utf-8")
    pc.install()
    wait_until(pc.daemon)
    first = pc.daemon()
    lines = (pc.commands / "table").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "0 5 * * * theirs" and [line.split()[0] for line in lines[1:]] == ["@reboot", "*/5"]
    # what cron would do every five minutes, while the daemon lives and when it was killed
    guard = lines[2].removeprefix("*/5 * * * * ").partition(" #")[0]
    pc.run("sh", "-c", guard)
    assert pc.daemon() == first
    assert first is not None
    os.kill(first, 9)
    wait_until(lambda: pc.daemon() is None)
    started = subprocess.Popen(["/bin/sh", "-c", guard], env={"HOME": str(pc.user), "PATH": "/usr/bin:/bin"})
    wait_until(pc.daemon)
    pc.install("--uninstall")
    assert (pc.commands / "table").read_text(encoding="utf-8") == "0 5 * * * theirs\n"
    started.wait(15)
    assert pc.daemon() is None


def test_an_upgrade_replaces_the_running_daemon(pc: InstalledPC) -> None:
    pc.has("cron")
    pc.install()
    wait_until(pc.daemon)
    first = pc.daemon()
    pc.install()
    wait_until(lambda: pc.daemon() not in (None, first))


def test_without_systemd_and_cron_it_says_what_to_do(pc: InstalledPC) -> None:
    done = pc.install()
    assert "nothing on this system starts programs for you" in done.stderr
    script = pc.state / "setup" / "monitor.sh"
    assert f"after a restart type: sh {script} &" in done.stderr and script.exists()


def test_a_pc_that_gets_systemd_later_has_one_daemon(pc: InstalledPC) -> None:
    pc.has("cron")
    pc.install()
    wait_until(pc.daemon)
    pc.has("systemd")
    pc.install()
    assert not (pc.commands / "table").exists()
    assert "trinity-monitor.service" in pc.told()[-2]


# Configuration and fleet


def test_the_account_is_a_salted_hash_in_a_fleet_of_one(pc: InstalledPC) -> None:
    pc.install("--no-timers", "--pc", "DESK", "--account", "ann's seat", "--account-kind", "seat")
    entry = fleet(pc)["pcs"]["DESK"]
    assert entry["account"] == config(pc)["account"]
    assert entry["account"]["kind"] == "seat" and "ann" not in entry["account"]["id"]
    assert fleet(pc)["rotation"] == ["DESK"]
    pc.install("--no-timers", "--account", "another")
    assert fleet(pc)["pcs"]["DESK"]["account"]["id"] != entry["account"]["id"]
    assert fleet(pc)["pcs"]["DESK"]["account"]["kind"] == "seat"


def test_the_rotation_may_name_pcs_that_come_later(pc: InstalledPC) -> None:
    pc.install("--no-timers", "--rotation", "PC1,PC2,PC3")
    assert fleet(pc)["rotation"] == ["PC1", "PC2", "PC3"]
    assert pc.install("--rotation", "PC2,PC3", ok=False).returncode == 2
    assert pc.install("--rotation", "PC1,PC1", ok=False).returncode == 2
    assert pc.install("--pc", "no name", ok=False).returncode == 2


def test_a_fleet_remote_is_stored_and_used(pc: InstalledPC, tmp_path: Path, checkout: Path) -> None:
    remote = tmp_path / "fleet.git"
    subprocess.run(["git", "init", "--quiet", "--bare", str(remote)], check=True)
    pc.install("--no-timers", "--fleet", str(remote))
    assert config(pc)["fleet_url"] == str(remote) and not (pc.state / "remote.git").exists()
    assert list(fleet(pc, remote)["pcs"]) == ["PC1"]
    with a_pc(tmp_path / "second", checkout) as second:
        second.install("--no-timers", "--fleet", str(remote), "--pc", "PC2")
    assert fleet(pc, remote)["rotation"] == ["PC1", "PC2"]


def test_three_pcs_join_one_fleet_two_of_them_at_once(tmp_path: Path, checkout: Path) -> None:
    remote = tmp_path / "fleet.git"
    subprocess.run(["git", "init", "-q", "--bare", str(remote)], check=True)
    with ExitStack() as stack:
        pcs = {name: stack.enter_context(a_pc(tmp_path / name, checkout)) for name in ("PC1", "PC2", "PC3")}
        for pc in pcs.values():
            (pc.user / "projects" / "program" / ".git").mkdir(parents=True)

        def join(name: str) -> str:
            account = ("--account", f"of {name}", "--account-kind", "api", "--root", str(pcs[name].user / "projects"))
            return pcs[name].install("--pc", name, "--fleet", str(remote), "--no-timers", *account).stdout

        join("PC1")
        with ThreadPoolExecutor() as pool:
            list(pool.map(join, ("PC2", "PC3")))
        assert set(fleet(pcs["PC1"], remote)["pcs"]) == set(fleet(pcs["PC1"], remote)["rotation"]) == set(pcs)
        assert len({entry["account"]["id"] for entry in fleet(pcs["PC1"], remote)["pcs"].values()}) == 3
        found = pcs["PC3"].doctor()
        assert found["fleet"]["state"] == "ok" and all(name in found["fleet"]["text"] for name in pcs)
        assert found["carried"]["state"] == "ok" and str(pcs["PC3"].user / "projects") in found["carried"]["text"]
        (pcs["PC3"].user / "projects" / "program" / ".gitattributes").write_text("*.bin filter=lfs\n", encoding="utf-8")
        if not shutil.which("git-lfs"):
            assert pcs["PC3"].doctor()["git"]["hint"] == "install git-lfs"
        # each says where work would go from it now
        said = pcs["PC1"].program("evaluate_status", "--act", "--dry-run").stdout
        assert said.count("the work would go there") == 1


def test_a_fleet_that_does_not_answer_is_told_and_the_rest_is_done(pc: InstalledPC, tmp_path: Path) -> None:
    done = pc.install("--no-timers", "--fleet", str(tmp_path / "nowhere.git"))
    assert "the fleet does not know this PC yet" in done.stderr
    assert pc.settings.exists()
    subprocess.run(["git", "init", "--quiet", "--bare", str(tmp_path / "nowhere.git")], check=True)
    pc.install("--no-timers")
    assert list(fleet(pc, tmp_path / "nowhere.git")["pcs"]) == ["PC1"]


def test_an_older_configuration_is_migrated_once_with_a_backup(pc: InstalledPC) -> None:
    pc.install("--no-timers")
    old = {"kind": "config", "version": 1, "pc": "OLD", "ladder": {"rate_limits": [2, 4, 6]}}
    (pc.state / "config.json").write_text(json.dumps(old), encoding="utf-8")
    for _ in range(2):
        pc.install("--no-timers")
    assert config(pc)["pc"] == "OLD" and config(pc)["ladder"]["rate_limits"] == [2, 4, 6]
    assert config(pc)["ladder"]["slow_streak"] == [3, 5]
    (backup,) = (pc.state / "setup").glob("config-before-*.json")
    assert json.loads(backup.read_text(encoding="utf-8")) == old


def test_a_configuration_of_a_newer_trinity_is_left_alone(pc: InstalledPC) -> None:
    pc.install("--no-timers")
    newer = b'{"kind": "config", "version": 99, "pc": "PC1"}'
    (pc.state / "config.json").write_bytes(newer)
    done = pc.install("--no-timers", ok=False)
    assert done.returncode == 1 and "git pull" in done.stderr
    assert (pc.state / "config.json").read_bytes() == newer


# The shell files and the environment


def test_arguments_reach_the_program_as_they_are(pc: InstalledPC) -> None:
    assert "--uninstall" in pc.install("--help").stdout
    done = pc.install("--no-timers", "--no-hooks", "--account", 'a "b" $c é')
    assert done.returncode == 0 and config(pc)["account"]["label"] == 'a "b" $c é'


def test_a_shim_of_a_version_manager_is_resolved(pc: InstalledPC, tmp_path: Path) -> None:
    shims = tmp_path / "shims"
    shims.mkdir()
    (shims / "python3").write_text(f'#!/bin/sh\nexec "{environment.base_interpreter()}" "$@"\n', encoding="utf-8")
    (shims / "python3").chmod(0o755)
    pc.install("--no-timers", PATH=f"{shims}:{pc.environment['PATH']}", TRINITY_PYTHON="")
    assert str(shims) not in pc.settings.read_text(encoding="utf-8")
    assert str(shims) not in (pc.state / "python").read_text(encoding="utf-8")


def test_without_a_python_it_says_which_to_install(pc: InstalledPC, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("sh", "dirname"):
        (bare / name).symlink_to(str(shutil.which(name)))
    (bare / "python3").write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")  # too old
    (bare / "python3").chmod(0o755)
    copied = tmp_path / "copied"
    copied.mkdir()
    shutil.copy2(CHECKOUT / "install.sh", copied / "install.sh")
    done = pc.run("/bin/sh", str(copied / "install.sh"), PATH=str(bare), TRINITY_PYTHON="")
    assert done.returncode == 1 and "no Python 3.11 or newer" in done.stderr and "TRINITY_PYTHON" in done.stderr


def test_a_vanished_interpreter_is_found_by_the_doctor_and_mended_by_the_installer(tmp_path: Path) -> None:
    """The registry is asked here, as at a user's: the environment is really made."""
    checkout = copy_checkout(tmp_path / "checkout")
    with a_pc(tmp_path, checkout) as pc:
        pc.install("--no-timers")
        for link in (checkout / ".venv" / "bin").glob("python*"):
            link.unlink()
            link.symlink_to("/nowhere/python3")
        base = str(environment.base_interpreter())
        done = pc.run(base, str(checkout / "scripts" / "doctor.py"))
        assert done.returncode == 1
        assert "the interpreter of .venv is gone" in done.stdout and f"{checkout}/install.sh" in done.stdout
        packages = {key: value for key, value in os.environ.items() if key.startswith("PIP_")}
        assert pc.run(str(checkout / "install.sh"), "--no-timers", **packages).returncode == 0
        assert pc.doctor()["interpreter"]["state"] == "ok"


def test_the_demo_runs_in_the_environment_and_leaves_nothing(tmp_path: Path) -> None:
    """With a demo of three lines in the demo's place: what it shows is tested with it."""
    checkout = copy_checkout(tmp_path / "checkout")
    (checkout / "tests").mkdir()
    demo = "import json, sys\nfrom pathlib import Path\nprint(sys.prefix)\nraise SystemExit(7)\n"
    (checkout / "tests" / "demo.py").write_text(demo, encoding="utf-8")

    def names() -> list[Path]:
        return sorted(path for path in checkout.rglob("*") if ".venv" not in path.parts)

    before = names()
    with a_pc(tmp_path, checkout) as pc:
        done = pc.install("--demo", ok=False)
        assert (done.returncode, done.stdout) == (7, f"{checkout / '.venv'}\n")
        assert names() == before and pc.files() == {} and not pc.state.exists() and not pc.told()


def test_the_powershell_file_is_whole_and_only_calls_the_installer() -> None:
    import tree_sitter_powershell
    from tree_sitter import Language, Node, Parser

    text = (CHECKOUT / "install.ps1").read_bytes()
    root = Parser(Language(tree_sitter_powershell.language())).parse(text).root_node

    def nodes(node: Node) -> Iterator[Node]:
        yield node
        for child in node.children:
            yield from nodes(child)

    assert not [node for node in nodes(root) if node.type == "ERROR" or node.is_missing]
    # invoked with the call operator: candidates are tried, then the one program is run with what was given
    calls = [
        node.text.decode() for node in nodes(root) if node.type == "command" and node.text and node.text[:1] == b"&"
    ]
    assert len(calls) == 2 and calls[-1] == "& $python -B $install @args"
    assert b"Join-Path (Join-Path $PSScriptRoot 'scripts') 'install.py'" in text
    assert b"exit $LASTEXITCODE" in text.splitlines()[-1]


# With the real client


def test_hooks_that_the_client_does_not_run_are_told(pc: InstalledPC) -> None:
    """A hook of an unknown type turns off every hook of the file in 2.1.197, and nothing says so."""
    (pc.commands / "claude").write_text("#!/bin/sh\necho 9.9.9\n", encoding="utf-8")
    (pc.commands / "claude").chmod(0o755)
    assert "ran none of the hooks" in pc.install("--no-timers").stderr


def test_with_json_everything_is_one_document(pc: InstalledPC) -> None:
    document = json.loads(pc.install("--no-timers", "--json").stdout)
    assert document["config"] == config(pc) and document["changed_profiles"] == [str(pc.profile)]
    assert document["doctor"]["checks"] and document["at_a_limit_now"]


@pytest.fixture
def real(tmp_path: Path, checkout: Path, client: Client) -> Iterator[InstalledPC]:
    with a_pc(tmp_path / "real", checkout, client.binary) as pc:
        client.home = pc.user
        client.trust(client.project)
        # at its first start this client moves a setting of its own into settings.json; that is not ours to test here
        pc.run(str(client.binary), "--init-only", DISABLE_AUTOUPDATER="1")
        pc.profile.mkdir(exist_ok=True)
        pc.settings.write_text(SETTINGS, encoding="utf-8")
        yield pc


def test_every_hook_fires_in_the_real_client_and_the_foreign_one_too(
    real: InstalledPC, client: Client, api: ScriptedApi
) -> None:
    real.install("--no-timers")
    assert real.doctor()["events"]["state"] == "ok"  # the installer let the client start once, without a request
    assert not api.main_requests()
    for path in (real.state / "events").glob("*.jsonl"):
        path.unlink()
    (real.user / "foreign").unlink()
    api.set_plan(EVERY_HOOK)
    done = client.headless("go", "--allowedTools", "Bash,TaskCreate,TaskUpdate,Agent")
    api.set_plan({})
    api.limit_until(time.time() + 3600)
    client.headless("once more")

    def fired() -> set[str]:
        lines = [line for path in (real.state / "events").glob("*.jsonl") for line in path.read_text().splitlines()]
        return set(Counter(event["name"] for event in map(json.loads, lines) if event["event"] == "hook"))

    assert done.returncode == 0
    wait_until(lambda: fired() == {hook.event for hook in registry.HOOKS} - {"Notification", "PreCompact"})
    assert (real.user / "foreign").read_text(encoding="utf-8") == "ended\nended\n"
    assert not (real.state / "logs" / "hooks.log").exists()
    real.install("--uninstall")
    assert real.settings.read_text(encoding="utf-8") == SETTINGS
    client.headless("after the uninstall")
    assert (real.user / "foreign").read_text(encoding="utf-8") == "ended\nended\nended\n"


def test_the_status_line_of_before_and_ours_are_shown_in_the_real_client(real: InstalledPC, client: Client) -> None:
    real.install("--no-timers")
    (real.state / "status_line" / "text").write_text("PC1 HEALTHY\n", encoding="utf-8")
    with client.tmux() as terminal:
        terminal.wait_for("before: ")
        terminal.wait_for("PC1 HEALTHY")


def test_a_file_that_the_client_wrote_anew_is_known_and_given_back(
    tmp_path: Path, checkout: Path, client: Client
) -> None:
    """At its first start the client moves `autoUpdates` from its own file into `env` of the settings."""
    with a_pc(tmp_path / "real", checkout, client.binary) as pc:
        pc.profile.mkdir()
        pc.settings.write_text(SETTINGS, encoding="utf-8")
        client.home = pc.user
        client.trust(client.project)
        pc.install("--no-timers")
        now = json.loads(pc.settings.read_text(encoding="utf-8"))
        assert now["env"] and pc.doctor()["hooks"]["state"] == "ok"
        pc.install("--uninstall")
        assert json.loads(pc.settings.read_text(encoding="utf-8")) == json.loads(SETTINGS) | {"env": now["env"]}
