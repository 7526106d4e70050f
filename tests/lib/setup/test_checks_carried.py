"""The doctor says what work from other PCs would miss here, and what open work misses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trinity import files
from trinity.config import AfterRestore, Config
from trinity.fleet import journal
from trinity.home import Home
from trinity.relay import board
from trinity.setup import checks_carried
from trinity.setup.checks import Finding, Patient
from trinity.work import handoff


def found(home: Home, **settings: Any) -> list[Finding]:
    return list(checks_carried.carried(Patient(home, Config(pc="PC2", **settings), Path("/"))))


def test_a_pc_that_misses_nothing_is_well(home: Home, tmp_path: Path) -> None:
    assert [finding.state for finding in found(home)] == ["ok"]
    assert [finding.state for finding in found(home, roots=(str(tmp_path),))] == ["ok"]


def test_a_root_and_a_command_that_are_not_there_are_named(home: Home, tmp_path: Path) -> None:
    after = AfterRestore(("no-such-program-here",), {"https://host/a": ("sh",)})
    said = found(home, roots=(str(tmp_path / "gone"),), after_restore=after, ready_worktrees=(str(tmp_path),))
    assert [finding.state for finding in said] == ["warn", "warn", "warn"]
    assert "gone" in said[0].text and "no clone" in said[1].text and "no-such-program-here" in said[2].text


def test_what_open_work_lacks_here_is_said_with_its_handoff(home: Home) -> None:
    record = handoff.build(
        now=0.0, from_pc="PC1", to_pc="PC2", reason="x", account="0" * 16, credit_state={}, limit=None,
        sessions=[], current_work={}, task_queue=[{"id": "t", "priority": "high", "description": "d"}], excerpts=[],
        parked=False, parked_until=None,
    )  # fmt: skip
    record |= {"state": "running", "owner": "PC2", "epoch": 3}
    home.handoff.mkdir(exist_ok=True)
    files.write_json(home.handoff / f"handoff_{record['id']}.json", record)
    assert [one["id"] for one in board.open_handoffs(home)] == [record["id"]]
    assert journal.start_once(home, record["id"], 2)
    journal.note(home, record["id"], 2, lacking=["command-line tools that are not installed here: make"])
    (only,) = found(home)
    assert only.state == "warn" and "make" in only.text and record["id"] in only.hint
    record |= {"owner": "PC3"}
    files.write_json(home.handoff / f"handoff_{record['id']}.json", record)
    assert [finding.state for finding in found(home)] == ["ok"]
