"""What was done to close a conversation here is undone when it is opened."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from trinity import clock
from trinity.home import Home
from trinity.relay import closing
from trinity.work import ending, fence

RECORD: dict[str, Any] = {"id": "01a1f899755658d4", "epoch": 0, "sessions": [{"session_id": "5e55"}]}
OPERATION = {"id": "0123456789abcdef"}


def test_a_wait_that_was_switched_off_with_the_fence_is_switched_on_with_it(home: Home, tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    closing.close_here(home, RECORD, "PC2")
    facts = {"handoff_id": RECORD["id"], "to_pc": "PC2", "since": "2026-11-29T20:00:00Z", "take_back": "x"}
    switched = ending.switch_wait_off(project)
    fence.raise_fence(home, "5e55", **facts, switched_off=[str(switched)])
    assert closing.open_here(home, "5e55") and not fence.is_raised(home, "5e55")
    assert not (project / ".claude" / "settings.local.json").exists()
    assert not closing.open_here(home, "5e55")


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff"])
def test_a_damaged_fence_is_opened_too_and_touches_no_settings(home: Home, content: bytes) -> None:
    closing.close_here(home, RECORD, "PC2")
    closing.close_here(home, {**RECORD, "sessions": [{"session_id": "other"}]}, "PC3")
    (home.fence / "5e55.json").write_bytes(content)
    assert fence.is_raised(home, "5e55") and fence.switched_off(home, "5e55") == []
    assert closing.open_here(home, "5e55")
    assert fence.is_raised(home, "other")


def _seen(home: Home, *records: dict[str, Any]) -> tuple[Any, Any]:
    """What `close_left` looks at, on PC1; the fleet has the operation that sent it away."""
    state = SimpleNamespace(find=lambda operation, _: "oid" if operation == OPERATION["id"] else None)
    link = SimpleNamespace(
        home=home, config=SimpleNamespace(pc="PC1"), handoffs=lambda _: [{**RECORD, **r} for r in records], state=state
    )
    return link, None


@pytest.mark.parametrize("state", ["queued", "running", "done"])
def test_what_left_by_a_program_that_was_killed_then_is_closed_by_the_next_round(home: Home, state: str) -> None:
    closing.leaves(home, RECORD, OPERATION)
    closing.close_left(*_seen(home))  # it is not known yet
    assert not fence.is_raised(home, "5e55")
    left = {"state": state, "owner": None if state == "queued" else "PC2", "to_pc": "PC2", "epoch": 1}
    closing.close_left(*_seen(home, left))
    assert fence.is_raised(home, "5e55")
    # taken back since: it is not closed once more
    closing.open_here(home, "5e55")
    closing.close_left(*_seen(home, left))
    assert not fence.is_raised(home, "5e55") and list(home.journal.iterdir()) == []


def test_what_did_not_leave_stays_open(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    closing.leaves(home, RECORD, OPERATION)
    here = {"state": "parked", "owner": None, "to_pc": "PC1"}
    closing.close_left(*_seen(home, {**here, "epoch": 0}))  # another program may be sending it at this moment
    assert len(list(home.journal.iterdir())) == 1
    closing.close_left(*_seen(home, {**here, "epoch": 1}))
    assert not fence.is_raised(home, "5e55") and list(home.journal.iterdir()) == []
    closing.leaves(home, RECORD, OPERATION)
    monkeypatch.setattr(clock, "now", lambda: time.time() + 2 * 86400)
    closing.close_left(*_seen(home))
    assert list(home.journal.iterdir()) == []


def test_what_a_person_has_ended_before_anybody_took_it_is_not_closed_afterwards(home: Home) -> None:
    closing.leaves(home, RECORD, OPERATION)
    closing.close_left(*_seen(home, {"state": "done", "owner": None, "to_pc": "PC2", "epoch": 0}))
    assert not fence.is_raised(home, "5e55") and list(home.journal.iterdir()) == []


def test_a_mark_that_cannot_be_read_holds_up_no_other(home: Home) -> None:
    (home.journal / "0000000000000000.leaving").write_bytes(b"{")
    closing.leaves(home, RECORD, OPERATION)
    closing.close_left(*_seen(home, {"state": "running", "owner": "PC2", "to_pc": "PC2", "epoch": 1}))
    assert fence.is_raised(home, "5e55")
