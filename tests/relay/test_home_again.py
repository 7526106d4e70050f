"""What was handed away comes home: the newest at every Stop, all of it at the end, and at any moment when it is recalled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.api.plan import bash
from tests.clients import VERSIONS, Client
from tests.fake_api import ScriptedApi
from tests.relay.pair import ALLOWED, STATUS, Pair, git_of
from tests.terminal import Terminal
from trinity.work import fence

pytestmark = pytest.mark.posix


@pytest.fixture(params=VERSIONS)
def pair(request: pytest.FixtureRequest, make_client: Callable[..., Client], api: ScriptedApi, tmp_path: Path) -> Pair:
    return Pair(make_client, api, tmp_path, request.param)


@pytest.fixture
def newest_pair(make_client: Callable[..., Client], api: ScriptedApi, tmp_path: Path) -> Pair:
    return Pair(make_client, api, tmp_path, "newest")


def test_every_stop_is_published_and_running_work_is_taken_back(pair: Pair) -> None:
    two = pair.two
    session, handoff = pair.sent(bash("echo two > b.txt"))
    taken = two.program("accept_handoff", handoff, "--no-launch")
    assert taken.returncode == 0 and f"--resume {session}" in taken.stdout
    with two.client.tmux("--resume", session, "go on", *ALLOWED, cwd=pair.place()) as terminal:
        terminal.wait_for("all is done", timeout=60)
        first = pair.rounds(two, lambda: (r := pair.record(two, handoff))["parts"]["epoch"] == r["epoch"] and r)
        assert (first["state"], first["owner"], first["parts"]["number"]) == ("running", "PC2", 1)
        assert pair.parts() == [first["epoch"]]  # what was sent first is needed by nobody
        assert (two.home.root / "round.called").exists()  # by the Stop hook
        pair.api.set_plan({"steps": [bash("echo three > c.txt")], "default": {"text": "that too"}})
        terminal.say("and the third")
        terminal.wait_for("that too", timeout=60)
        second = pair.rounds(two, lambda: (r := pair.record(two, handoff))["parts"]["number"] == 2 and r)
        assert pair.parts() == [first["epoch"]] and second["parts"]["oid"] != first["parts"]["oid"]
        _taken_back_while_it_runs(pair, session, handoff, first["epoch"], terminal)


def _taken_back_while_it_runs(pair: Pair, session: str, handoff: str, epoch: int, terminal: Terminal) -> None:
    one, two = pair.one, pair.two
    # PC1's person goes on with other things meanwhile, and then wants the work back.
    (pair.work / "changed.txt").write_text("my own later edit\n", encoding="utf-8")
    (pair.work / "mine.txt").write_text("mine\n", encoding="utf-8")
    before = git_of(pair.work, *STATUS), git_of(pair.work, "reflog"), git_of(pair.work, "stash", "list")
    back = pair.json(one, "accept_handoff", handoff, "--take-back")
    assert back["equal"], back["differences"]
    place = Path(back["session"]["cwd"])
    assert git_of(place, *STATUS) == git_of(pair.place(), *STATUS)
    assert [(place / name).read_text("utf-8") for name in ("a.txt", "b.txt", "c.txt")] == ["one\n", "two\n", "three\n"]
    assert (place / "changed.txt").read_text("utf-8") == "after\n" and not (place / "mine.txt").exists()
    assert (git_of(pair.work, *STATUS), git_of(pair.work, "reflog"), git_of(pair.work, "stash", "list")) == before
    taken = pair.record(one, handoff)
    assert (taken["state"], taken["epoch"]) == ("done", epoch + 1) and "taken back" in taken["outcome"]
    again = one.program("accept_handoff", handoff, "--take-back")
    assert again.returncode == 1 and str(place) in again.stderr

    # PC2 learns at its next contact that it has lost it: its client is ended, its result named, nothing is published.
    said = two.program("accept_handoff")
    assert "PC1 has it now" in said.stdout and str(pair.place()) in said.stdout
    terminal.wait()
    assert fence.is_raised(two.home, session) and not list(two.home.lease.glob("*"))
    assert pair.place().is_dir() and str(pair.place()) in two.program("evaluate_status").stdout
    asked = len(pair.api.main_requests())
    refused = two.client.headless("go on", "--resume", session, cwd=pair.place())
    assert "PC1" in refused.stdout + refused.stderr and len(pair.api.main_requests()) == asked

    # At home the conversation goes on under the new folder, and stays out of the folder it came from.
    pair.api.lift()
    pair.api.set_plan({"steps": [bash(f"echo no > {pair.work}/a.txt")], "default": {"text": "at home"}})
    done = one.client.headless("what next?", "--resume", session, *ALLOWED, cwd=place)
    assert done.text == "at home" and "and the third" in pair.served(one, session)[-1].text
    assert (git_of(pair.work, *STATUS), git_of(pair.work, "reflog"), git_of(pair.work, "stash", "list")) == before


def test_a_result_comes_home_by_itself_and_is_told(newest_pair: Pair) -> None:
    pair, one, two = newest_pair, newest_pair.one, newest_pair.two
    session, handoff = pair.sent(bash("echo two > b.txt"))
    pair.rounds(two, lambda: pair.record(two, handoff)["state"] == "done")
    assert pair.parts()
    came = one.program("accept_handoff").stdout
    assert f"trinity accept_handoff {handoff} --take-back" in came
    assert pair.parts() == []  # the remote is rid of it: it is here
    for told in (one.program("evaluate_status").stdout, (one.home.status_line / "text").read_text("utf-8")):
        assert "done on PC2" in told
    assert one.program("accept_handoff").stdout.count("done on PC2") == 0  # once
    pair.fleet.rename(pair.fleet.with_name("away.git"))
    back = pair.json(one, "accept_handoff", handoff, "--take-back")
    assert back["equal"] and git_of(Path(back["session"]["cwd"]), *STATUS) == git_of(pair.place(), *STATUS)
    assert "done on PC2" not in one.program("evaluate_status").stdout
    pair.api.lift()
    again = one.client.headless("what next?", "--resume", session, cwd=Path(back["session"]["cwd"]))
    assert again.returncode == 0 and "echo two > b.txt" in pair.served(one, session)[-1].text
