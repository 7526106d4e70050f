"""The real clients, lowest and newest, in a conversation that was handed away, or accepted under a lease."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.clients import Client
from tests.fake_api import ScriptedApi, bash
from tests.hooks.hook_runner import wait_until
from tests.hooks.test_fence import TAKE_BACK, close, held
from tests.hooks.test_real_clients import installed, names
from tests.terminal import Terminal
from trinity import clock
from trinity.credit import sessions
from trinity.home import Home
from trinity.work import ending, fence, lease

pytestmark = pytest.mark.posix
BYPASS = ("--permission-mode", "bypassPermissions")


@pytest.fixture(autouse=True)
def _bypass_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client refuses to bypass permissions as root unless it is told that it runs in a sandbox."""
    monkeypatch.setattr(Client, "environment", _with_sandbox(Client.environment))


def _with_sandbox(before: Callable[..., dict[str, str]]) -> Callable[..., dict[str, str]]:
    return lambda self, **more: {**before(self, **more), "IS_SANDBOX": "1"}


def typed(terminal: Terminal, text: str) -> None:
    terminal.wait_for("❯")
    time.sleep(1)
    terminal.say(text)


def test_what_is_typed_or_resumed_is_refused_and_kept_and_nothing_is_asked(
    client: Client, api: ScriptedApi, tmp_path: Path
) -> None:
    runner, _ = installed(client, "settings", tmp_path)
    with client.tmux("first of all") as terminal:
        api.wait_for(lambda requests: len(requests) == 1)
        wait_until(lambda: names(runner)["Stop"] == 1)
        session = str(runner.events()[0]["session_id"])
        close(runner, session)
        api.clear()
        typed(terminal, "typed into the open session")
        terminal.wait_for("went to PC2")
        assert TAKE_BACK in "".join(line.strip() + " " for line in terminal.scrollback().splitlines())
    with client.tmux("--resume", session) as terminal:
        terminal.wait_for("went to PC2")
        typed(terminal, "typed into the resumed session")
        wait_until(lambda: len(held(runner)) == 2)
    done = client.headless("sent to a headless resume", "--resume", session)
    assert "went to PC2" in done.text and TAKE_BACK in done.text
    client.headless("sent to the newest of the folder", "--continue")
    client.headless("/compact", "--resume", session)
    assert [file.read_text(encoding="utf-8") for file in held(runner)] == [
        "typed into the open session",
        "typed into the resumed session",
        "sent to a headless resume",
        "sent to the newest of the folder",
    ]
    assert [request.path for request in api.requests if request.main or "messages" in request.path] == []
    assert runner.log() == []
    fence.lower_fence(Home(runner.home), session)
    assert client.headless("go on", "--resume", session).text == "done"


@pytest.mark.parametrize("fenced", [None, "another"])
def test_an_ordinary_session_notices_nothing(
    client: Client, api: ScriptedApi, tmp_path: Path, fenced: str | None
) -> None:
    runner, _ = installed(client, "settings", tmp_path)
    if fenced:
        close(runner, fenced)
    api.set_plan({"steps": [bash("echo one > one.txt")], "default": {"text": "finished"}})
    done = client.headless("go", *BYPASS)
    assert (done.text, done.returncode) == ("finished", 0)
    client.headless("and more", "--resume", done.session)
    assert (client.project / "one.txt").exists() and len(api.main_requests()) == 3
    assert not any(event.get("refused") for event in runner.events())
    assert held(runner) == [] and runner.log() == []
    assert (runner.home / "fence").exists() == (fenced is not None)


def running(client: Client, *arguments: str) -> tuple[Any, str]:
    """A headless session under an id that is known before it ends."""
    session = "5e551011-0000-4000-8000-000000000001"
    return client.start_headless("go", "--session-id", session, *BYPASS, *arguments), session


def test_a_running_turn_ends_with_its_batch_of_tools(client: Client, api: ScriptedApi, tmp_path: Path) -> None:
    runner, _ = installed(client, "settings", tmp_path)
    api.set_plan(
        {"steps": [bash("touch began; sleep 3; touch one"), bash("touch two")], "default": {"text": "finished"}}
    )
    process, session = running(client)
    wait_until((client.project / "began").exists)
    close(runner, session)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert (client.project / "one").exists() and not (client.project / "two").exists()
    assert len(api.main_requests()) == 1
    assert [event["name"] for event in runner.events() if event.get("refused")] == ["PostToolBatch"]


def test_a_tool_that_was_asked_for_before_does_not_run_after(client: Client, api: ScriptedApi, tmp_path: Path) -> None:
    runner, _ = installed(client, "settings", tmp_path)
    api.set_plan({"steps": [bash("touch one", delay=3), bash("touch two")], "default": {"text": "finished"}})
    process, session = running(client)
    api.wait_for(lambda requests: len(requests) == 1)
    close(runner, session)
    process.communicate(timeout=60)
    assert not (client.project / "one").exists() and not (client.project / "two").exists()
    assert len(api.main_requests()) == 1


def test_the_clients_own_continuation_after_the_reset_is_refused(
    make_client: Callable[..., Client], api: ScriptedApi, tmp_path: Path
) -> None:
    """The newest client goes on by itself 30 to 90 s after the reset, with no request when it is refused."""
    client = make_client("newest")
    runner, _ = installed(client, "settings", tmp_path)
    api.limit_until(float("inf"), after=1, lasts=4)
    api.set_plan({"steps": [bash("true")], "default": {"text": "finished"}})
    with client.tmux("go", "--permission-mode", "acceptEdits", "--allowedTools", "Bash") as terminal:
        terminal.wait_for("ontinuing automatically", timeout=60)
        close(runner, str(runner.events()[0]["session_id"]))
        asked = len(api.main_requests())
        terminal.wait_for("went to PC2", timeout=150)
        time.sleep(3)
    assert len(api.main_requests()) == asked == 2
    assert [(e["name"], e.get("auto")) for e in runner.events() if e.get("refused")] == [("UserPromptSubmit", True)]
    assert held(runner) == [] and runner.log() == []


def test_a_waiting_client_is_ended_and_its_neighbour_is_not(client: Client, api: ScriptedApi, tmp_path: Path) -> None:
    runner, _ = installed(client, "settings", tmp_path)
    with client.tmux("first") as one, client.tmux("second") as other:
        wait_until(lambda: names(runner)["Stop"] == 2)
        wait_until(lambda: len(sessions.live_clients(client.configuration)) == 2)
        by_pid = {found["pid"]: found["session_id"] for found in sessions.live_clients(client.configuration)}
        session = by_pid[one.pid]
        assert ending.end_client(client.configuration, session, pid=other.pid).left == (one.pid,)
        one.wait()
        assert other.ended is None
        assert ending.end_client(client.configuration, session) == ending.Ended()
        assert ending.end_client(client.configuration, by_pid[other.pid], pid=other.pid).stayed == ()
        other.wait()


def test_no_tool_of_accepted_work_runs_after_its_lease(client: Client, api: ScriptedApi, tmp_path: Path) -> None:
    runner, _ = installed(client, "settings", tmp_path)
    home = Home(runner.home)
    api.set_plan({"steps": [bash("touch one; sleep 3"), bash("touch two"), bash("touch three")]})
    process, session = running(client)
    lease.grant(home, session, handoff_id="01a1f899755658d4", epoch=1, seconds=600)
    wait_until((client.project / "one").exists)
    lease.grant(home, session, handoff_id="01a1f899755658d4", epoch=1, seconds=1, since=clock.boottime() - 2)
    process.communicate(timeout=60)
    assert not (client.project / "two").exists() and not (client.project / "three").exists()
    assert "has run out" in json.dumps(api.main_requests()[-1].body)
