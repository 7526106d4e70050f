"""An ordinary session whose fleet has not answered for an hour: it is not asked about, told anything, or slowed down."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.api.plan import bash
from tests.clients import Client
from tests.fake_api import ScriptedApi
from tests.relay.pair import join
from trinity import clock, config, git
from trinity.credit import evaluation
from trinity.relay import accept, board
from trinity.work import lease

pytestmark = pytest.mark.posix
HOUR = 3600.0
BETWEEN = 60.0


def test_an_ordinary_session_notices_nothing_of_a_fleet_that_is_away(
    client: Client, api: ScriptedApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = git.init_bare(tmp_path / "fleet.git", server=True).path
    pc = join(client, api, "PC1", fleet)
    pc.program("accept_handoff")
    fleet.rename(tmp_path / "away.git")
    api.set_plan({"steps": [bash("echo one > one.txt")], "default": {"text": "finished"}})
    allowed = ("--permission-mode", "acceptEdits", "--allowedTools", "Bash")
    session = client.headless("go", *allowed).session
    # Accepted work on the same PC would lose its lease in this time; nobody else does.
    lease.grant(pc.home, "another", handoff_id="01a1f899755658d4", epoch=1, seconds=1, since=clock.boottime() - 2)

    real, real_boot, passed = clock.now, clock.boottime, 0.0
    monkeypatch.setattr(clock, "now", lambda: real() + passed)
    monkeypatch.setattr(clock, "boottime", lambda: real_boot() + passed)
    settings = config.load(pc.home)
    while passed < HOUR:
        passed += BETWEEN
        answer = evaluation.evaluate(pc.home, settings)
        made = accept.run(pc.home, settings, answer)
        board.write(pc.home, settings, answer)
        assert made.link.offline and not made.lines and not made.waiting
        assert made.next_at is None or made.next_at > clock.now()  # no busy loop
    monkeypatch.undo()

    api.set_plan({"steps": [bash("echo two > two.txt")], "default": {"text": "and more"}})
    done = client.headless("and then", "--resume", session, *allowed)
    assert (done.returncode, done.text) == (0, "and more") and (client.project / "two.txt").exists()
    assert all("rinity" not in request.text for request in api.main_requests())
    assert not pc.home.fence.exists() and not list(pc.home.held.iterdir()) and not list(pc.home.outbox.glob("*.json"))
    events = "".join(path.read_text("utf-8") for path in pc.home.events.glob("*.jsonl"))
    assert '"name":"Stop"' in events and '"refused"' not in events
    assert not (pc.home.logs / "hooks.log").exists() and not (pc.home.logs / "alarms.log").exists()
