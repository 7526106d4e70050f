"""What a conversation had around it travels by name, and what another PC lacks of it is said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.hooks.hook_runner import wait_until
from trinity import schema
from trinity.work import surroundings

pytestmark = pytest.mark.posix
SESSION = "5e551011-0000-4000-8000-000000000001"
TOKEN = "ghp_abcdefghijklmnopqrstuvwxyz0123456789"


def use(name: str, **given: Any) -> str:
    block = {"type": "tool_use", "name": name, "input": given}
    return json.dumps({"type": "assistant", "message": {"content": [{"type": "text", "text": "x"}, block]}}) + "\n"


def pc(top: Path, *, tools: tuple[str, ...] = (), env: tuple[str, ...] = (), memory: str | None = None) -> Path:
    """A profile, its programs in `bin`, and a project folder beside it."""
    profile = top / ".claude"
    (profile / "projects" / "slug").mkdir(parents=True)
    (top / "bin").mkdir()
    (top / "app" / ".git").mkdir(parents=True)
    for name in tools:
        (top / "bin" / name).write_text("#!/bin/sh\n", encoding="utf-8")
        (top / "bin" / name).chmod(0o755)
    settings = {
        "env": dict.fromkeys(env, "value-of-a-variable"),
        "enabledPlugins": {"lint@team": True, "old@team": False},
    }
    (profile / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    if memory is not None:
        (profile / "CLAUDE.md").write_text(memory, encoding="utf-8")
    return profile


def collected(top: Path, profile: Path, text: str) -> dict[str, Any]:
    transcript = profile / "projects" / "slug" / f"{SESSION}.jsonl"
    transcript.write_text(text, encoding="utf-8")
    session = {
        "session_id": SESSION,
        "cwd": str(top / "app"),
        "transcript_path": str(transcript),
        "config_dir": str(profile),
        "client_version": "2.1.328",
    }
    made = surroundings.collect(session, top / "app")
    schema.validate("surroundings", made, "here")
    return made


def test_names_travel_and_values_do_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    profile = pc(tmp_path, tools=("frobnicate", "unused"), env=("DATABASE", "ANTHROPIC_API_KEY"), memory="always test")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    (tmp_path / ".claude.json").write_text(
        json.dumps({
            "mcpServers": {"tracker": {"command": "tracker", "env": {"KEY": "secret-of-a-server"}}},
            "projects": {str(tmp_path / "app"): {"mcpServers": {"local": {}}}, "/elsewhere": {"mcpServers": {"no": {}}}},
        }),
        encoding="utf-8",
    )  # fmt: skip
    text = (
        use("Bash", command="X=1 sudo frobnicate --all | sort; if not-there; then echo unused; fi")
        + use("mcp__wiki__search", query="x")
        + use("Bash", command=f"server --token {TOKEN}", run_in_background=True)
        + '{"tool_use" broken\n'
    )
    made = collected(tmp_path, profile, text)
    assert made["mcp_servers"] == ["local", "tracker", "wiki"]
    assert made["tools"] == ["echo", "frobnicate", "sort"] or made["tools"] == ["frobnicate", "sort"]
    assert made["environment"] == ["DATABASE"] and made["plugins"] == ["lint@team"]
    assert made["session_folder"].endswith(f"slug/{SESSION}")
    assert made["shells"][0].startswith("server --token [REDACTED")
    for secret in ("value-of-a-variable", "secret-of-a-server", TOKEN, "always test"):
        assert secret not in json.dumps(made)


def test_a_program_that_goes_on_in_the_folder_is_named(tmp_path: Path) -> None:
    profile = pc(tmp_path)
    server = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], cwd=tmp_path / "app")
    try:
        wait_until(lambda: bool(collected(tmp_path, profile, "")["processes"]))
        assert f"process {server.pid}: " in "".join(collected(tmp_path, profile, "")["processes"])
    finally:
        server.kill()
        server.wait()


def test_what_is_missing_is_said_and_what_is_there_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there, here = tmp_path / "there", tmp_path / "here"
    first = pc(there, tools=("frobnicate",), env=("DATABASE", "OTHER"), memory="always test")
    second = pc(here, env=("OTHER",), memory="never test")
    plain = os.environ["PATH"]
    monkeypatch.setenv("PATH", f"{there / 'bin'}:{plain}")
    text = use("Bash", command="frobnicate; sort x") + use("mcp__wiki__search") + use("mcp__own__search")
    made = collected(there, first, text)
    monkeypatch.setenv("PATH", plain)
    project = {"mcpServers": {"own": {"command": "own-server", "args": ["${OWN_KEY}"]}}}
    (here / "app" / ".mcp.json").write_text(json.dumps(project), encoding="utf-8")
    client = here / "claude"
    client.write_text("#!/bin/sh\necho '2.1.197 (Claude Code)'\n", encoding="utf-8")
    client.chmod(0o755)
    said = "\n".join(surroundings.lacking(made, second, here / "app", str(client)))
    for words in (
        "older than 2.1.328",
        "not configured here: wiki",
        "'own-server' of the MCP server 'own'",
        "'own' needs environment variables not set here: OWN_KEY",
        "not installed here: frobnicate",
        "not set here: DATABASE",
        "CLAUDE.md: differs",
    ):
        assert words in said, words
    assert "sort" not in said and "OTHER" not in said and "plugins" not in said and "system" not in said
    # the same PC lacks nothing
    monkeypatch.setenv("PATH", f"{there / 'bin'}:{plain}")
    assert surroundings.lacking({**made, "mcp_servers": []}, first, there / "app", None) == []


def test_what_ran_beside_is_said(tmp_path: Path) -> None:
    made = {"shells": ["npm run dev"], "processes": ["process 7: node x"]}
    assert [text.partition(": ")[2] for text in surroundings.left_running(made)] == [
        '"npm run dev"',
        "process 7: node x",
    ]
    assert surroundings.left_running({"shells": [], "processes": []}) == []
