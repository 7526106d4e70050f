"""The interactive client at a limit: its own wait is left alone, and what it does not do is done once."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import pytest

from tests.fake_api import Request
from tests.relay.conftest import PROMPT, Pc
from tests.terminal import Terminal

pytestmark = pytest.mark.posix


def _stopped(pc: Pc, lasts: float) -> Terminal:
    """An interactive session that says something once and is stopped at the next request."""
    pc.api.set_plan({"steps": [{"tools": [{"name": "Bash", "input": {"command": "true"}}]}], "default": {"text": "ok"}})
    pc.limit = pc.api.limit_until(float("inf"), after=1, lasts=lasts)
    terminal = pc.client.tmux(PROMPT, "--permission-mode", "acceptEdits", "--allowedTools", "Bash")
    pc.api.wait_for(lambda requests: any(r.limited for r in requests), timeout=60)
    return terminal


def _states(found: list[dict[str, Any]]) -> list[str]:
    return [record["state"] for record in found]


def _served(pc: Pc) -> list[Request]:
    return [request for request in pc.api.main_requests() if not request.limited]


def test_it_is_resumed_once_in_tmux_where_so_configured(pc: Pc) -> None:
    pc.configure(resume={"interactive": "tmux", "own_wait_seconds": 3})
    pc.watch()
    with _stopped(pc, lasts=8):
        parked = pc.settle(lambda found: _states(found) == ["parked"], timeout=15)[0]
        assert parked["sessions"][0]["interactive"] is True
        session = parked["sessions"][0]["session_id"]
        found = pc.settle(lambda found: _states(found) in (["running"], ["done"]), timeout=110)
        assert pc.resumes() == 1 and found[0]["epoch"] == 1
        served = _served(pc)
        assert len(served) == 2 and served[1].session == session and PROMPT in served[1].text


def test_a_session_that_its_client_continued_is_not_resumed_a_second_time(newest_pc: Pc) -> None:
    newest_pc.configure(resume={"interactive": "tmux"})
    newest_pc.watch()
    with _stopped(newest_pc, lasts=4) as terminal:
        session = newest_pc.settle(lambda found: _states(found) == ["parked"], timeout=15)[0]["sessions"][0][
            "session_id"
        ]
        terminal.wait_for("ontinuing automatically", timeout=20)
        # The client itself goes on 30 to 100 s after the reset.
        done = newest_pc.settle(lambda found: _states(found) == ["done"], timeout=170)[0]
        assert "by itself" in done["outcome"] and newest_pc.resumes() == 0
        served = _served(newest_pc)
        assert [request.session for request in served] == [session] * 2
        time.sleep(8)
        assert len(_served(newest_pc)) == 2 and newest_pc.resumes() == 0


def test_a_client_that_died_during_its_own_wait_is_replaced(newest_pc: Pc) -> None:
    newest_pc.watch()  # interactive: offer, the default
    with _stopped(newest_pc, lasts=6) as terminal:
        newest_pc.settle(lambda found: _states(found) == ["parked"], timeout=15)
        terminal.wait_for("ontinuing automatically", timeout=20)
        os.kill(terminal.pid, signal.SIGKILL)
        done = newest_pc.settle(lambda found: _states(found) == ["done"], timeout=60)[0]
        assert newest_pc.resumes() == 1 and done["epoch"] == 1


def test_by_default_an_interactive_session_is_offered_and_not_started(newest_pc: Pc) -> None:
    newest_pc.configure(resume={"own_wait_seconds": 2})
    newest_pc.watch()
    with _stopped(newest_pc, lasts=4) as terminal:
        newest_pc.settle(lambda found: _states(found) == ["parked"], timeout=15)
        terminal.wait_for("ontinuing automatically", timeout=20)
        queued = newest_pc.settle(lambda found: _states(found) == ["queued"], timeout=40)[0]
        time.sleep(3)
        assert newest_pc.resumes() == 0
        status = newest_pc.program("evaluate_status").stdout
        assert f"trinity accept_handoff {queued['id']}" in status
