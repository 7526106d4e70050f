"""Many PCs, one remote: nothing is accepted twice and nothing is lost, and the same race finds the obvious ways out.

`tests/faults/race.py` runs it by hand, ten rounds at a time.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.race import check, race

HANDOFFS = 12
ROUNDS = 5


@pytest.mark.parametrize("pcs", [3, 5])
def test_twelve_handoffs_raced_by_real_processes_are_each_claimed_once(pcs: int, tmp_path: Path) -> None:
    outcome = race(tmp_path, "swap", pcs, HANDOFFS, seed=pcs)
    check(outcome)
    assert outcome.twice() == outcome.never() == []


@pytest.mark.parametrize("protocol", ["move", "ack", "field"])
def test_the_obvious_protocols_accept_handoffs_twice(protocol: str, tmp_path: Path) -> None:
    for number in range(ROUNDS):
        if race(tmp_path / str(number), protocol, 5, HANDOFFS, seed=number).twice():
            return
    raise AssertionError(f"{ROUNDS} rounds of '{protocol}' without a double: the race is too tame to prove anything")
