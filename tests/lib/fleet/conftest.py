"""Real homes, real remotes and records for the fleet's tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trinity import clock, git
from trinity.fleet import embedded, names
from trinity.fleet.state import State, open_state
from trinity.home import Home, open_home

Record = dict[str, Any]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return open_home(tmp_path / "home", create=True)


@pytest.fixture
def state(home: Home) -> State:
    return open_state(home, embedded.make(home), "PC1")


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    """A fleet remote that is nobody's own."""
    return git.init_bare(tmp_path / "fleet.git", server=True).path


@pytest.fixture
def new_state(tmp_path: Path, remote: Path) -> Callable[..., State]:
    """Makes the state as another PC sees it."""

    def make(pc: str, **limits: float) -> State:
        return open_state(open_home(tmp_path / pc, create=True), remote, pc, **limits)

    return make


@pytest.fixture
def new_record() -> Callable[..., Record]:
    """Makes a new handoff record."""

    def make(**given: object) -> Record:
        record: Record = {
            "kind": "handoff",
            "version": 1,
            "id": names.new_id(),
            "from_pc": "PC1",
            "to_pc": "PC1",
            "timestamp": clock.iso(),
            "reason": "credit_exhaustion",
            "task_queue": [{"id": "t1", "priority": "high", "description": "go on"}],
            "current_work": {},
            "credit_state": {"rate_limit_count": 1, "error_rate": 0.0, "avg_response_time": 1.5},
            "state": "queued",
            "epoch": 0,
            "owner": None,
            "attempts": 0,
            "hops": 0,
            "parked_until": None,
            "chain": {"written": clock.iso()},
        }
        return record | given

    return make
