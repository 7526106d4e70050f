"""The hooks in the real client, lowest and newest: each fires, in the settings and as a plugin, and counts once."""

import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.clients import LOWEST, Client
from tests.fake_api import ScriptedApi, bash, used_headers
from tests.hooks.hook_runner import FILES, PYTHON, HookRunner, copy_checkout, wait_until
from tests.hooks.test_statusline import soon
from trinity.hooks import registry

pytestmark = pytest.mark.posix
FORMS = ("settings", "plugin", "both")


def tool(name: str, **given: Any) -> dict[str, Any]:
    return {"tools": [{"name": name, "input": given}]}


EVERY_HOOK = {
    "steps": [
        tool("TaskCreate", subject="Do a thing", description="a whole thing", activeForm="Doing"),
        tool("TaskUpdate", taskId="1", status="completed"),
        bash("exit 3"),
        bash("echo one"),
        tool("Agent", description="sub job", prompt="run", subagent_type="general-purpose", run_in_background=False),
        {"text": "sub finished"},
    ],
    "default": {"text": "finished"},
}


def installed(client: Client, form: str, tmp_path: Path) -> tuple[HookRunner, list[str]]:
    """The hooks in the settings of this client, as a plugin, or both; and what to add to the command."""
    checkout = tmp_path / "checkout"
    copy_checkout(checkout)
    runner = HookRunner(client.home / ".trinity", checkout / "hooks")
    runner.home.mkdir(mode=0o700)
    client.extra["CALLER"] = "0"
    if form in ("settings", "both"):
        settings = {
            "hooks": registry.settings_hooks(PYTHON, str(runner.hooks), str(runner.home)),
            "statusLine": registry.status_line(PYTHON, str(runner.hooks), str(runner.home), str(client.configuration)),
        }
        client.configuration.mkdir(exist_ok=True)
        client.settings.write_text(json.dumps(settings, ensure_ascii=False, indent=2), encoding="utf-8")
        (runner.home / "registered").mkdir(mode=0o700)
        note = runner.home / "registered" / registry.profile_key(str(client.configuration))
        note.write_text(registry.settings_mark(str(runner.hooks)) + "\n", encoding="utf-8")
    return runner, ["--plugin-dir", str(checkout)] if form in ("plugin", "both") else []


def names(runner: HookRunner) -> Counter[str]:
    return Counter(event["name"] for event in runner.events() if event["event"] == "hook")


def _within(seconds: float, said: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while not said():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


@pytest.mark.parametrize("form", FORMS)
def test_every_hook_fires_and_counts_once(client: Client, api: ScriptedApi, tmp_path: Path, form: str) -> None:
    runner, more = installed(client, form, tmp_path)
    api.set_plan(EVERY_HOOK)
    done = client.headless("go", "--allowedTools", "Bash,TaskCreate,TaskUpdate,Agent", *more)
    assert done.returncode == 0, done.stderr
    expected = Counter(set(FILES) - {"StopFailure", "Notification", "PreCompact"})
    expected |= Counter({"PreToolUse": 5, "PostToolUse": 4, "PostToolBatch": 5})
    assert names(runner) == expected
    assert {event["session_id"] for event in runner.events()} == {done.session}
    assert {event["entrypoint"] for event in runner.events()} == {"sdk-cli"}
    assert runner.log() == []


@pytest.mark.parametrize("form", FORMS)
def test_a_headless_limit_is_recorded_and_acted_on(
    client: Client, version: str, api: ScriptedApi, tmp_path: Path, form: str
) -> None:
    """SessionEnd sees every limit. Newer clients may end StopFailure before its shell has run its first line (some 3 in
    100 runs on a busy machine), so there two recorded ones in at most six runs are what can be asked."""
    runner, more = installed(client, form, tmp_path)
    (runner.home / "python").write_text(PYTHON + "\n", encoding="utf-8")
    (runner.home / "last_sweep").write_bytes(b"")
    api.limit_until(soon()["rate_limits"]["five_hour"]["resets_at"])
    sessions: list[str] = []
    for _ in range(2 if version == LOWEST else 6):
        sessions.append(client.headless("go", *more).session)
        if len(sessions) >= 2 and _within(3, lambda: names(runner)["StopFailure"] >= 2):
            break
    expected = Counter(dict.fromkeys(("SessionStart", "UserPromptSubmit", "SessionEnd"), len(sessions)))
    failures = [event for event in runner.events() if event["name"] == "StopFailure"]
    assert names(runner) - Counter(StopFailure=len(failures)) == expected
    assert len(failures) >= 2
    told = [event["session_id"] for event in failures]
    assert len(set(told)) == len(told)
    assert set(told) <= set(sessions)
    assert {event["error"] for event in failures} == {"rate_limit"}
    assert all("limit · resets" in event["text"] for event in failures)
    wait_until(lambda: len(runner.started()) == len(sessions) + len(failures))
    assert runner.log() == []


def test_a_note_reaches_the_model_of_a_resumed_session(client: Client, api: ScriptedApi, tmp_path: Path) -> None:
    runner, _ = installed(client, "settings", tmp_path)
    session = client.headless("remember 4711").session
    (runner.home / "notes").mkdir(mode=0o700)
    (runner.home / "notes" / f"{session}.txt").write_text("parked at ten, resumed at two\n", encoding="utf-8")
    api.clear()
    client.headless("go on", "--resume", session)
    assert "parked at ten, resumed at two" in json.dumps(api.main_requests()[-1].body)


def test_the_status_line_is_shown_and_a_limit_on_the_terminal_recorded(
    client: Client, api: ScriptedApi, tmp_path: Path
) -> None:
    runner, _ = installed(client, "settings", tmp_path)
    api.set_plan({"headers": used_headers(0.8, 0.62)})
    (runner.home / "status_line").mkdir(mode=0o700)
    (runner.home / "status_line" / "text").write_text("PC1 HEALTHY\tnothing parked\n", encoding="utf-8")
    with client.tmux() as terminal:
        terminal.wait_for("PC1 HEALTHY · nothing parked")
        terminal.say("first of all")
        terminal.wait_for(r"PC1 HEALTHY · 5h 80% until \d\d:\d\d · 7d 62% until \w+ \d+ \w+ \d\d:\d\d · nothing parked")
        api.limit_until(soon()["rate_limits"]["five_hour"]["resets_at"])
        terminal.say("please go")
        wait_until(lambda: names(runner)["StopFailure"] == 1)
    windows = [event for event in runner.events() if event["event"] == "window"]
    assert windows[0]["five_hour"]["used_percentage"] == 80
    assert windows[0]["seven_day"]["used_percentage"] == 62
    assert sum(window["five_hour"]["used_percentage"] == 80 for window in windows) == 1
    (failure,) = [event for event in runner.events() if event.get("name") == "StopFailure"]
    assert failure["entrypoint"] == "cli"
    assert failure["error"] == "rate_limit"
    assert runner.log() == []
