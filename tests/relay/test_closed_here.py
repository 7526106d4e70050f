"""A conversation that was handed away, on the PC it left: refused in the real clients, and open again when it is back."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.api.plan import bash
from tests.clients import VERSIONS, Client
from tests.fake_api import ScriptedApi
from tests.hooks.hook_runner import wait_until
from tests.relay.pair import ALLOWED, Pair
from trinity.credit import sessions
from trinity.work import fence

pytestmark = pytest.mark.posix


@pytest.fixture(params=VERSIONS)
def pair(request: pytest.FixtureRequest, make_client: Callable[..., Client], api: ScriptedApi, tmp_path: Path) -> Pair:
    return Pair(make_client, api, tmp_path, request.param)


def _kept(pair: Pair, session: str) -> list[str]:
    return [path.read_text("utf-8") for path in fence.held_prompts(pair.one.home, session)]


def test_what_is_typed_where_work_left_is_kept_and_asks_nobody_until_it_is_taken_back(pair: Pair) -> None:
    one, api = pair.one, pair.api
    api.set_plan({"default": {"text": "here I am"}})
    with one.client.tmux("first of all") as terminal:
        terminal.wait_for("here I am", timeout=60)
        wait_until(lambda: bool(sessions.live_clients(one.client.configuration)))
        session = str(sessions.live_clients(one.client.configuration)[0]["session_id"])
        sent = one.program("save_handoff", "--to", "PC2", "--session", session)
        assert sent.returncode == 0, sent.stderr
        handoff = sent.stdout.split()[1]
        asked = len(api.requests)
        terminal.say("typed where it is still open")
        terminal.wait_for("went to PC2")
        assert terminal.ended is None  # a client that waits for no reset is left open, with what is typed in it
        refused = one.client.headless("sent to a resume", "--resume", session)
        assert "went to PC2" in refused.text and f"trinity accept_handoff {handoff} --take-back" in refused.text
        assert _kept(pair, session) == ["typed where it is still open", "sent to a resume"]
        assert not [request for request in api.requests[asked:] if request.main]

        # A fork is a conversation of its own: it is not closed, and the one it came from stays so.
        fork = one.client.headless("as another one", "--resume", session, "--fork-session")
        assert fork.returncode == 0 and fork.session != session and "first of all" in api.main_requests()[-1].text
        assert fence.is_raised(one.home, session) and not fence.is_raised(one.home, fork.session)

        # Nobody has taken it: it is where it was, and goes on in the same window.
        back = pair.json(one, "accept_handoff", handoff, "--take-back")
        assert back["session"]["cwd"] == str(pair.work) and pair.parts() == []
        api.set_plan({"default": {"text": "and here again"}})
        terminal.say("typed once more")
        terminal.wait_for("and here again", timeout=60)
    assert pair.record(one, handoff)["state"] == "done"
    assert pair.two.program("accept_handoff").returncode == 0 and pair.two.resumes() == 0


def test_a_client_that_waits_for_its_reset_is_ended_when_its_work_leaves(
    make_client: Callable[..., Client], api: ScriptedApi, tmp_path: Path
) -> None:
    """Only the newest client waits by itself; nothing is written into the project for it."""
    pair = Pair(make_client, api, tmp_path, "newest")
    one = pair.one
    api.set_plan({"steps": [bash("true")], "default": {"text": "ok"}})
    api.limit_until(float("inf"), after=1, lasts=3600, account=one.client.token)
    with one.client.tmux("go", *ALLOWED) as terminal:
        terminal.wait_for("ontinuing automatically", timeout=60)
        session = str(sessions.live_clients(one.client.configuration)[0]["session_id"])
        assert one.program("save_handoff", "--to", "PC2", "--session", session).returncode == 0
        terminal.wait()
    asked = len(api.main_requests())
    api.move_reset(time.time() - 1)
    assert fence.is_raised(one.home, session) and not sessions.live_clients(one.client.configuration)
    assert not (pair.work / ".claude").exists()
    assert "went to PC2" in one.client.headless("go on", "--resume", session).text
    assert len(api.main_requests()) == asked
