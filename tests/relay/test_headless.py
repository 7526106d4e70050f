"""`claude -p` at a 5-hour limit: stopped, parked, resumed once, in the same conversation."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.api.plan import bash
from tests.relay.conftest import CHECKOUT, PROMPT, Pc

pytestmark = pytest.mark.posix


def _parked(pc: Pc) -> dict[str, object]:
    return pc.settle(lambda found: [r["state"] for r in found] == ["parked"], timeout=15)[0]


def _one_done(pc: Pc, session: str, timeout: float = 110) -> dict[str, object]:
    """The handoff of `session` is done, after one start, whose request held the earlier turns."""
    done = pc.settle(lambda found: [r["state"] for r in found] == ["done"], timeout)[0]
    assert pc.resumes() == 1, pc.story([done])
    assert done["sessions"][0]["session_id"] == session and done["epoch"] == 1
    chain = [done["chain"][link] for link in ("written", "pushed", "seen", "claimed", "started", "first_line")]
    assert chain == sorted(chain)
    served = [request for request in pc.api.main_requests(session) if not request.limited]
    assert len(served) == 2, [request.text[-200:] for request in served]
    # The prompt and the tool call of the first turn, then what Trinity says.
    assert PROMPT in served[1].text and "echo one > a.txt" in served[1].text
    assert "The usage limit that stopped this session has been reset" in served[1].text
    assert (pc.client.project / "a.txt").read_text(encoding="utf-8") == "one\n"
    return done


def test_it_is_parked_and_resumed_once_in_the_same_conversation(pc: Pc) -> None:
    pc.watch()
    session = pc.stopped(lasts=8)
    parked = _parked(pc)
    assert parked["limit"]["type"] == "five_hour" and parked["to_pc"] == "PC1"  # type: ignore[index]
    assert parked["current_work"]["last_prompt"] == PROMPT  # type: ignore[index]
    _one_done(pc, session)
    first = next(r.time for r in pc.api.main_requests(session) if not r.limited and "has been reset" in r.text)
    assert first >= pc.limit.until


def test_a_killed_daemon_and_one_started_after_the_reset_resume_it_once(newest_pc: Pc) -> None:
    newest_pc.watch()
    session = newest_pc.stopped(lasts=6)
    _parked(newest_pc)
    newest_pc.unwatch()
    time.sleep(8)
    assert newest_pc.resumes() == 0
    newest_pc.watch()
    _one_done(newest_pc, session)


def test_a_pc_that_sleeps_through_the_reset_resumes_it_once(newest_pc: Pc) -> None:
    newest_pc.watch()
    session = newest_pc.stopped(lasts=6)
    _parked(newest_pc)
    assert newest_pc.daemon is not None
    os.kill(newest_pc.daemon.pid, signal.SIGSTOP)
    time.sleep(8)
    assert newest_pc.resumes() == 0
    os.kill(newest_pc.daemon.pid, signal.SIGCONT)
    _one_done(newest_pc, session)


def test_a_daemon_killed_again_and_again_resumes_it_once(newest_pc: Pc) -> None:
    newest_pc.watch()
    session = newest_pc.stopped(lasts=5)
    _parked(newest_pc)
    kills = 0
    while newest_pc.resumes() == 0 or kills < 12:
        assert kills < 120, newest_pc.story(newest_pc.handoffs())
        newest_pc.unwatch()
        kills += 1
        newest_pc.watch()
        time.sleep(0.3 + 0.07 * (kills % 9))
    _one_done(newest_pc, session)


def test_a_reset_that_moved_back_is_followed(newest_pc: Pc) -> None:
    newest_pc.watch()
    session = newest_pc.stopped(lasts=10)
    before = _parked(newest_pc)
    later = time.time() + 16
    newest_pc.api.move_reset(later)
    newest_pc.limit.after = 0
    assert newest_pc.client.headless("something else").returncode == 1
    newest_pc.settle(lambda found: all(r["parked_until"] != before["parked_until"] for r in found) and len(found) == 2)
    newest_pc.settle(lambda found: [r["state"] for r in found] == ["done", "done"], timeout=90)
    assert newest_pc.resumes() == 2  # one of each conversation
    first = min(r.time for r in newest_pc.api.main_requests(session) if not r.limited and "has been reset" in r.text)
    assert first >= later - 1


def test_a_resume_that_meets_the_limit_again_is_parked_again_and_not_doubled(newest_pc: Pc) -> None:
    newest_pc.watch()
    session = newest_pc.stopped(lasts=5)
    _parked(newest_pc)
    # The limit lasts longer than the server had said: the resume is refused, with a new reset.
    newest_pc.api.move_reset(time.time() + 16)
    newest_pc.limit.after = 0
    newest_pc.settle(lambda found: [(r["epoch"], r["state"]) for r in found] == [(1, "parked")])
    done = newest_pc.settle(lambda found: [r["state"] for r in found] == ["done"], timeout=90)[0]
    assert done["epoch"] == 2 and newest_pc.resumes() == 2
    assert len([r for r in newest_pc.api.main_requests(session) if not r.limited]) == 2


def test_a_session_without_any_hook_is_found_by_the_daemon(newest_pc: Pc) -> None:
    newest_pc.client.settings.write_text('{"disableAllHooks": true}', encoding="utf-8")
    newest_pc.watch()
    session = newest_pc.stopped(lasts=6)
    _parked(newest_pc)
    _one_done(newest_pc, session)


def test_paused_nothing_is_started_and_afterwards_it_is(newest_pc: Pc) -> None:
    newest_pc.watch()
    session = newest_pc.stopped(lasts=4)
    _parked(newest_pc)
    assert newest_pc.program("pause", "on").returncode == 0
    time.sleep(11)
    assert newest_pc.resumes() == 0
    assert newest_pc.program("pause", "off").returncode == 0
    _one_done(newest_pc, session)


def test_a_conversation_that_is_gone_is_continued_from_the_text(newest_pc: Pc) -> None:
    session = newest_pc.stopped(lasts=3)
    _parked(newest_pc)
    transcript = newest_pc.client.transcript(session)
    transcript.rename(transcript.with_suffix(".gone"))
    newest_pc.watch()
    newest_pc.settle(lambda found: [r["state"] for r in found] == ["done"])
    last = [r for r in newest_pc.api.main_requests() if not r.limited][-1]
    assert last.session != session and "new session in the same folder" in last.text and PROMPT in last.text


def test_a_conversation_that_the_client_refuses_is_continued_from_the_text(newest_pc: Pc) -> None:
    session = newest_pc.stopped(lasts=3)
    _parked(newest_pc)
    transcript = newest_pc.client.transcript(session)
    transcript.write_bytes(b'{"type":"user"}\n' * 40)  # there, and of no use
    newest_pc.watch()
    newest_pc.settle(lambda found: [r["state"] for r in found] == ["done"])
    last = [r for r in newest_pc.api.main_requests() if not r.limited][-1]
    assert "new session in the same folder" in last.text and PROMPT in last.text


def test_several_rounds_at_once_resume_it_once(newest_pc: Pc) -> None:
    session = newest_pc.stopped(lasts=2)
    _parked(newest_pc)
    time.sleep(8)
    command = [sys.executable, str(CHECKOUT / "scripts" / "credit_monitor.py"), "--once"]
    rounds = [
        subprocess.Popen(command, env=newest_pc.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(4)
    ]
    for process in rounds:
        process.wait(timeout=60)
    newest_pc.watch()
    _one_done(newest_pc, session)


def test_no_more_resumes_a_night_than_configured(newest_pc: Pc) -> None:
    newest_pc.configure(resume={"max_resumes": 0})
    newest_pc.watch()
    session = newest_pc.stopped(lasts=3)
    _parked(newest_pc)
    found = newest_pc.settle(lambda found: [r["state"] for r in found] == ["queued"])
    time.sleep(3)
    assert newest_pc.resumes() == 0
    # A person may still say so.
    accepted = newest_pc.program("accept_handoff", found[0]["id"][:8])
    assert accepted.returncode == 0, accepted.stderr
    _one_done(newest_pc, session)


def test_a_session_that_went_into_a_subfolder_is_resumed_where_it_began(pc: Pc) -> None:
    (pc.client.project / "sub").mkdir()
    pc.api.set_plan({"steps": [bash("cd sub")], "default": {"text": "all is done"}})
    pc.limit = pc.api.limit_until(float("inf"), after=1, lasts=3)
    assert pc.client.headless(PROMPT, "--permission-mode", "acceptEdits", "--allowedTools", "Bash").returncode == 1
    parked = _parked_after_a_look(pc)
    outside = str(pc.client.project / "a.txt")
    write = {"tools": [{"name": "Write", "input": {"file_path": outside, "content": "one"}}]}
    pc.api.set_plan({"steps": [write], "default": {"text": "all is done"}})
    pc.watch()
    done = pc.settle(lambda found: [r["state"] for r in found] == ["done"], timeout=60)[0]
    assert done["sessions"][0]["cwd"] == parked["sessions"][0]["cwd"] == str(pc.client.project)  # type: ignore[index]
    assert {request.session for request in pc.api.main_requests()} == {done["sessions"][0]["session_id"]}
    assert (pc.client.project / "a.txt").read_text(encoding="utf-8") == "one"


def _parked_after_a_look(pc: Pc) -> dict[str, object]:
    pc.program("evaluate_status", "--act")
    return _parked(pc)
