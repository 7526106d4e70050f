"""The real clients, lowest and newest, with a carried conversation, where somebody's own clone lies at its old place."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.clients import Client
from tests.fake_api import ScriptedApi, bash
from tests.hooks.test_real_clients import installed, tool
from trinity.home import Home
from trinity.work import guard

pytestmark = pytest.mark.posix
BYPASS = ("--permission-mode", "bypassPermissions")
SESSION = "5e551011-0000-4000-8000-000000000001"
AGENT = tool("Agent", description="sub job", prompt="run", subagent_type="general-purpose", run_in_background=False)
ON_OLD = [
    tool("Edit", file_path="OLD/a.txt", old_string="theirs", new_string="ours"),
    tool("Write", file_path="OLD/new.txt", content="ours"),
    tool("Write", file_path="OLD/a.txt", content="ours"),
    tool("NotebookEdit", notebook_path="OLD/n.ipynb", new_source="ours", cell_type="code", edit_mode="insert"),
    tool("Read", file_path="OLD/a.txt"),
    tool("Write", file_path="../old/new.txt", content="ours"),
    bash("echo ours > OLD/a.txt"),
    bash("cd OLD && echo ours > a.txt"),
    bash("echo ours > ~/old/a.txt"),
    bash("echo ours > $HOME/old/a.txt"),
    bash("cd .. && echo ours > old/a.txt"),
    bash("echo ours > way/a.txt"),
    bash("O=OLD; echo ours > $O/new.txt"),
    bash("sed -i s/theirs/ours/ '../old/a.txt'"),
    bash("python3 -c \"open('OLD/a.txt', 'w').write('ours')\""),
    bash("git -C OLD commit -qam ours"),
    bash("git -C ../old clean -fdx"),
    bash("cat > OLD/new.txt <<'E'\nours\nE"),
    bash("rm -f ../ol?/a.txt"),
    bash("find ~ -name a.txt -not -path '*/project/*' -delete"),
    bash("echo a.txt | xargs -I% cp mine.txt OLD/%"),
    bash("mv OLD OLD.away"),
]
COMMANDS = sum("command" in step["tools"][0]["input"] for step in ON_OLD)


@pytest.fixture(autouse=True)
def _bypass_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client refuses to bypass permissions as root unless it is told that it runs in a sandbox."""
    before: Callable[..., dict[str, str]] = Client.environment
    monkeypatch.setattr(Client, "environment", lambda self, **more: {**before(self, **more), "IS_SANDBOX": "1"})


def theirs(client: Client) -> Path:
    """Somebody's own clone, with work of theirs; a link in our project leads there."""
    old = client.home / "old"
    old.mkdir()
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=old, check=True)
    (old / "a.txt").write_text("theirs\n", encoding="utf-8")
    subprocess.run(["git", "add", "a.txt"], cwd=old, check=True)
    subprocess.run(["git", "-c", "user.name=A", "-c", "user.email=a@b", "commit", "-qm", "theirs"], cwd=old, check=True)
    (old / "a.txt").write_text("theirs, later\n", encoding="utf-8")
    (client.project / "way").symlink_to(old)
    return old


def state(folder: Path) -> dict[str, Any]:
    """Every name below the folder, with its bytes and times."""
    found: dict[str, Any] = {}
    for where, folders, names in os.walk(folder):
        for name in [*folders, *names]:
            path = Path(where, name)
            content = path.read_bytes() if path.is_file() else b""
            found[str(path)] = (path.lstat().st_mtime_ns, path.lstat().st_size, content)
    return found


def steps(old: Path) -> list[Any]:
    made: list[Any] = json.loads(json.dumps(ON_OLD).replace("OLD", str(old)))
    return made


OWN = [
    bash("echo ours > mine.txt && sed -i s/ours/own/ mine.txt"),
    tool("Read", file_path="NEW/mine.txt"),
    tool("Edit", file_path="NEW/mine.txt", old_string="own", new_string="ours again"),
    tool("Write", file_path="NEW/written.txt", content="once in OLD"),
]


@pytest.mark.parametrize(("layers", "mode"), [("both", "acceptEdits"), ("guard", "bypassPermissions")])
def test_a_carried_session_changes_nothing_in_the_old_place(
    client: Client, api: ScriptedApi, tmp_path: Path, layers: str, mode: str
) -> None:
    """By the guard alone, where nothing else asks, and together with the deny rules; work in the new place goes on."""
    runner, _ = installed(client, "settings", tmp_path)
    old = theirs(client)
    before = state(old)
    own = json.loads(json.dumps(OWN).replace("NEW", str(client.project)).replace("OLD", str(old)))
    api.set_plan({"steps": [*steps(old), *own], "default": {"text": "finished"}})
    guard.raise_guard(Home(runner.home), SESSION, [str(old)], str(client.project))
    rules = guard.client_arguments([str(old)], str(client.project)) if layers != "guard" else []
    done = client.headless(
        "go", "--session-id", SESSION, "--permission-mode", mode, "--allowedTools", "Bash", *rules, timeout=150
    )
    assert done.text == "finished"
    assert state(old) == before
    assert (client.project / "mine.txt").read_text(encoding="utf-8") == "ours again\n"
    assert (client.project / "written.txt").read_text(encoding="utf-8") == f"once in {old}"
    # what the client itself refuses first does not come to the hook
    assert [event["tool"] for event in runner.events() if event.get("refused")].count("Bash") == COMMANDS
    assert runner.log() == []


def test_a_subagent_is_kept_out_like_its_parent(client: Client, api: ScriptedApi, tmp_path: Path) -> None:
    runner, _ = installed(client, "settings", tmp_path)
    old = theirs(client)
    before = state(old)
    api.set_plan({"steps": [AGENT, *steps(old)[6:9]], "default": {"text": "finished"}})
    guard.raise_guard(Home(runner.home), SESSION, [str(old)], str(client.project))
    client.headless("go", "--session-id", SESSION, *BYPASS)
    assert state(old) == before
    refused = [event for event in runner.events() if event.get("refused")]
    assert len(refused) == 3 and all(event.get("agent_id") for event in refused)


def test_a_fork_is_kept_out_like_the_session_it_comes_from(client: Client, api: ScriptedApi, tmp_path: Path) -> None:
    runner, _ = installed(client, "settings", tmp_path)
    old = theirs(client)
    before = state(old)
    guard.raise_guard(Home(runner.home), SESSION, [str(old)], str(client.project))
    client.headless("go", "--session-id", SESSION, *BYPASS)
    api.set_plan({"steps": steps(old)[6:9], "default": {"text": "finished"}})
    fork = client.headless("go on", "--resume", SESSION, "--fork-session", *BYPASS)
    assert fork.session != SESSION and fork.text == "finished"
    assert state(old) == before
    # and nobody else is: a session of another folder has no old paths in its head
    other = client.home / "other"
    other.mkdir()
    api.set_plan({"steps": steps(old)[6:7]})
    client.headless("something new", *BYPASS, cwd=other)
    assert (old / "a.txt").read_text(encoding="utf-8") == "ours\n"


def test_without_guard_and_rules_the_old_place_is_changed(client: Client, api: ScriptedApi, tmp_path: Path) -> None:
    """The control: the plan above does reach it."""
    installed(client, "settings", tmp_path)
    old = theirs(client)
    before = state(old)
    api.set_plan({"steps": steps(old)[6:8], "default": {"text": "finished"}})
    client.headless("go", *BYPASS)
    assert state(old) != before
