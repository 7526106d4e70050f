"""An unattended session is stopped between two tools before the wall, and goes on; a person's session is only warned."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.api.limits import used_headers
from tests.clients import Client
from tests.fake_api import ScriptedApi
from tests.relay.conftest import Pc
from tests.relay.test_two_pcs import _join
from trinity import git
from trinity.credit import event_log

pytestmark = pytest.mark.posix
ALONE = "write many lines, nobody looks"
PERSON = "a person asks for something"
ARGUMENTS = ("--permission-mode", "acceptEdits", "--allowedTools", "Bash")


def _line(n: int, **more: Any) -> dict[str, Any]:
    """Two tools at once: each leaves its own line, so that one that ran twice, or did not run, is seen."""
    tools = [{"name": "Bash", "input": {"command": f"echo {n}{part} >> lines.txt"}} for part in "ab"]
    return {"tools": tools, **more}


def _at_work(pc: Pc) -> subprocess.Popen[str]:
    """A `claude -p` that would go on for minutes, and has begun."""
    pc.api.set_plan({"steps": [_line(n, delay=0.2) for n in range(2000)]}, prompt=ALONE)
    process = pc.client.start_headless(ALONE, *ARGUMENTS)
    pc.api.wait_for(lambda requests: len(requests) > 2, timeout=60)
    return process


def _result(process: subprocess.Popen[str]) -> dict[str, Any]:
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stdout + stderr
    document: dict[str, Any] = json.loads(stdout.strip().splitlines()[-1])
    return document


def _lines(pc: Pc) -> list[str]:
    return (pc.client.project / "lines.txt").read_text(encoding="utf-8").split()


def _each_once(lines: list[str]) -> int:
    """How many steps ran; both tools of each, once, in order."""
    steps = len(lines) // 2
    assert sorted(lines, key=lambda line: (int(line[:-1]), line[-1])) == [f"{n}{p}" for n in range(steps) for p in "ab"]
    return steps


def test_a_climb_stops_it_between_two_tools_and_the_person_goes_on(pc: Pc) -> None:
    pc.watch()
    process = _at_work(pc)
    reset = time.time() + 3600
    climb = [
        {"tools": [{"name": "Bash", "input": {"command": "true"}}], "headers": used_headers(used, 0.3, reset)}
        for used in (0.62, 0.74, 0.88, 0.93, 0.97)
    ]
    full = {"text": "here it is", "headers": used_headers(0.97, 0.3, reset)}
    pc.api.set_plan({"steps": climb, "default": full}, prompt=PERSON)
    with pc.client.tmux(PERSON, *ARGUMENTS) as terminal:
        stopped = _result(process)
        assert stopped["terminal_reason"] == "hook_stopped"
        parked = pc.settle(lambda found: [r["state"] for r in found] == ["parked"])[0]
        assert parked["sessions"][0]["session_id"] == stopped["session_id"]
        assert parked["limit"]["type"] == "five_hour" and parked["limit"]["source"] == "drain"
        done = _each_once(_lines(pc))
        assert len(pc.api.main_requests(stopped["session_id"])) == done
        # The person is told, and served.
        terminal.wait_for("here it is", timeout=60)
        # The provider moves the reset, and the wait follows.
        reset = float(int(time.time() + 40))
        pc.api.set_plan({"default": {"text": "that, too", "headers": used_headers(0.98, 0.3, reset)}}, prompt=PERSON)
        terminal.write("and one thing more")
        terminal.keys("Enter")
        terminal.wait_for("that, too", timeout=60)
        terminal.wait_for("EXHAUSTED .five-hour window 9[78] % used", timeout=60)
        # A client ends a status line that is slow on a busy machine, and an idle one does not call it again.
        _full(pc, 98, reset - time.time() + 0.5)
        person = next(r.session for r in pc.api.main_requests() if PERSON in r.first_prompt)
        assert len(pc.api.main_requests(person)) == 7
        pc.api.set_plan({"steps": [_line(done)], "default": {"text": "all is done"}}, prompt=ALONE)
        pc.settle(lambda found: [r["state"] for r in found] == ["done"], timeout=150)
    resumed = pc.api.main_requests(stopped["session_id"])[done:]
    assert resumed[0].time >= reset and f"echo {done - 1}b" in resumed[0].text
    assert _each_once(_lines(pc)) == done + 1 and pc.resumes() == 1
    assert not list(pc.home.drain.glob("*"))


def _full(pc: Pc, used: float, resets_in: float) -> None:
    """The status line of another session has said so."""
    window = {"used_percentage": used, "resets_at": int(time.time() + resets_in)}
    event_log.append(pc.home, {"event": "window", "source": "status_line", "session_id": "other", "five_hour": window})


def test_work_that_was_stopped_goes_to_a_pc_that_may_and_can(
    make_client: Callable[..., Client], api: ScriptedApi, tmp_path: Path
) -> None:
    fleet = git.init_bare(tmp_path / "fleet.git", server=True).path
    one, two = (
        _join(make_client("newest", name=f"pc{n}", token=f"token-of-pc{n}"), api, f"PC{n}", fleet, "api")
        for n in (1, 2)
    )
    try:
        for pc in (one, two):
            pc.configure_top(poll_seconds=1)
            pc.watch()
        process = _at_work(one)
        _full(one, 98, 3600)
        stopped = _result(process)
        done = _each_once(_lines(one))
        api.set_plan({"default": {"text": "all is done"}}, prompt=ALONE)
        record = two.settle(lambda found: [r["state"] for r in found] == ["done"], timeout=60)[0]
        assert record["owner"] == "PC2" and two.resumes() == 1 and one.resumes() == 0
        asked = [r for r in api.main_requests(stopped["session_id"]) if r.account == two.client.token]
        assert f"echo {done - 1}b" in asked[0].text and len(asked) == 1
    finally:
        one.unwatch()
        two.unwatch()


def test_a_resumed_session_is_drained_again_and_goes_on_in_one_handoff(newest_pc: Pc) -> None:
    newest_pc.watch()
    process = _at_work(newest_pc)
    _full(newest_pc, 97, 30)
    session = _result(process)["session_id"]
    newest_pc.settle(lambda found: [r["state"] for r in found] == ["parked"])
    # The provider starts the window anew before its time; soon that one is as good as used up, too.
    _full(newest_pc, 3, 3600)
    newest_pc.settle(lambda found: [r["state"] for r in found] == ["running"], timeout=60)
    _full(newest_pc, 99, 3600)
    again = newest_pc.settle(lambda found: [(r["state"], r["epoch"]) for r in found] == [("parked", 1)], timeout=60)[0]
    assert again["sessions"][0]["session_id"] == session
    _full(newest_pc, 1, 7200)
    newest_pc.settle(lambda found: [(r["state"], r["epoch"]) for r in found] == [("running", 2)], timeout=60)
    newest_pc.api.set_plan({"default": {"text": "all is done"}}, prompt=ALONE)
    newest_pc.settle(lambda found: [r["state"] for r in found] == ["done"], timeout=60)
    _each_once(_lines(newest_pc))
    assert newest_pc.resumes() == 2


def test_paused_nothing_is_stopped(newest_pc: Pc) -> None:
    newest_pc.watch()
    process = _at_work(newest_pc)
    assert newest_pc.program("pause", "on").returncode == 0
    _full(newest_pc, 99, 3600)
    before = len(newest_pc.api.main_requests())
    newest_pc.api.wait_for(lambda requests: len(requests) > before + 20, timeout=60)
    newest_pc.api.set_plan({"default": {"text": "all is done"}}, prompt=ALONE)
    assert _result(process)["result"] == "all is done"
    assert newest_pc.handoffs() == []
