"""Leases: counted on one's own clock, never from another's, and the holder stops before anybody takes its work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trinity import clock
from trinity.fleet import heartbeats, lease, operations, rescue
from trinity.fleet.lease import ACCEPT_SECONDS, FENCE_SECONDS, LEASE_SECONDS, Overdue
from trinity.fleet.state import State
from trinity.home import Home, open_home

Record = dict[str, Any]
NOW = clock.parse("2026-11-20T10:00:00Z")


class Clock:
    def __init__(self, at: float = 1000.0) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at

    def look(self, home: Home, marks: dict[str, str], seconds: float, steps: int) -> dict[str, float]:
        for _ in range(steps):
            self.at += seconds
            seen = lease.silence(home, marks, tick=self)
        return seen


def test_a_heartbeat_that_does_not_change_is_counted_and_one_that_does_starts_anew(home: Home) -> None:
    tick = Clock()
    assert lease.silence(home, {"PC2": "a", "PC3": "x"}, tick=tick) == {"PC2": 0.0, "PC3": 0.0}
    assert tick.look(home, {"PC2": "a", "PC3": "x"}, 30, 10) == {"PC2": 300.0, "PC3": 300.0}
    assert tick.look(home, {"PC2": "b", "PC3": "x"}, 30, 1) == {"PC2": 0.0, "PC3": 330.0}
    assert tick.look(home, {"PC3": "x"}, 30, 1) == {"PC3": 360.0}
    assert tick.look(home, {"PC2": "b", "PC3": "x"}, 30, 1) == {"PC2": 0.0, "PC3": 390.0}


@pytest.mark.parametrize("away", [3600.0, 86400.0 * 30, -900.0])
def test_nobody_is_taken_for_dead_because_this_pc_slept_was_offline_or_was_started_anew(
    home: Home, away: float
) -> None:
    tick = Clock()
    lease.silence(home, {"PC2": "a"}, tick=tick)
    tick.at += away
    assert lease.silence(home, {"PC2": "a"}, tick=tick)["PC2"] <= lease.GAP_SECONDS < LEASE_SECONDS


def test_a_damaged_memory_is_counted_anew(home: Home) -> None:
    (home.root / "silence.json").write_text("{", encoding="utf-8")
    assert lease.silence(home, {"PC2": "a"}, tick=Clock()) == {"PC2": 0.0}


def test_the_holder_stops_itself_before_anybody_may_take_over(home: Home) -> None:
    tick = Clock()
    assert lease.remaining(home, tick) == 0.0
    lease.renew(home, tick(), tick)
    assert lease.remaining(home, tick) == FENCE_SECONDS
    tick.at += FENCE_SECONDS - 1
    assert lease.remaining(home, tick) == 1.0
    tick.at += 2
    assert lease.remaining(home, tick) == 0.0
    lease.renew(home, tick(), tick)
    tick.at -= 500  # a clock that went back: the system was started anew
    assert lease.remaining(home, tick) == 0.0
    (home.root / "lease.json").write_text("[]", encoding="utf-8")
    assert lease.remaining(home, tick) == 0.0


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(looks=st.lists(st.floats(0, 4000), max_size=40), beats=st.sets(st.integers(0, 40)))
def test_what_is_counted_is_never_more_than_the_true_silence(
    tmp_path_factory: pytest.TempPathFactory, looks: list[float], beats: set[int]
) -> None:
    home, tick, last, mark = open_home(tmp_path_factory.mktemp("l") / "h", create=True), Clock(), 1000.0, 0
    for number, wait in enumerate(looks):
        tick.at += wait
        if number in beats:
            mark, last = mark + 1, tick.at
        assert lease.silence(home, {"PC2": str(mark)}, tick=tick)["PC2"] <= tick.at - last


def test_how_often_a_pc_beats_grows_with_the_fleet() -> None:
    assert [lease.heartbeat_seconds(pcs) for pcs in (1, 3, 4, 10)] == [60, 60, 80, 200]


def test_marks_are_those_of_the_last_fetch(new_state: Callable[..., State]) -> None:
    beat = {"kind": "heartbeat", "version": 1, "timestamp": clock.iso(), "status": "alive"}
    first = heartbeats.beat(new_state("PC2"), {**beat, "pc": "PC2"})
    looking = new_state("PC3")
    assert heartbeats.marks(looking) == {}
    heartbeats.read_all(looking)
    assert heartbeats.marks(looking) == {"PC2": first}
    second = heartbeats.beat(new_state("PC2"), {**beat, "pc": "PC2", "status": "busy"})
    heartbeats.read_all(looking)
    assert heartbeats.marks(looking) == {"PC2": second}


def handoff(new_record: Callable[..., Record], **given: object) -> Record:
    return new_record(to_pc="PC2", **given)


def test_only_what_waits_too_long_or_has_a_silent_holder_is_overdue(new_record: Callable[..., Record]) -> None:
    queued, held = handoff(new_record), handoff(new_record, held={"pc": "PC2", "why": "the first from PC1"})
    runs = handoff(new_record, state="running", owner="PC2", epoch=1)
    manual = handoff(new_record, state="running", owner="PC2", epoch=1, takeover="manual")
    parked = handoff(new_record, state="parked", parked_until="2026-11-20T11:00:00Z")
    for_ever = handoff(new_record, state="parked")
    records = [queued, held, runs, manual, parked, for_ever]
    assert set(lease.waiting(records, NOW)) == {queued["id"]}
    assert set(lease.waiting(records, NOW + 3600)) == {queued["id"], parked["id"]}  # due, and nobody wakes it
    assert lease.overdue(records, {"PC2": LEASE_SECONDS - 1}, {queued["id"]: ACCEPT_SECONDS - 1}, "PC3") == []
    late = lease.overdue(records, {"PC2": LEASE_SECONDS}, {queued["id"]: ACCEPT_SECONDS}, "PC3")
    assert [(each.record["id"], each.crash) for each in late] == [(queued["id"], False), (runs["id"], True)]
    assert late[0].why == "PC2 did not accept it within 10 min"
    assert [each.record["id"] for each in lease.overdue(records, {"PC2": 9999}, {}, "PC2")] == []


FLEET = {
    "rotation": ["PC1", "PC2", "PC3"],
    "pcs": {pc: {"account": {"id": pc.lower().ljust(8, "0"), "kind": "api"}} for pc in ("PC1", "PC2", "PC3")},
}
USED_UP = {"credit_status": "EXHAUSTED"}


def limit(resets_at: str) -> Record:
    return {"scope": "account", "model": None, "resets_at": resets_at}


def test_what_is_not_accepted_goes_to_the_next_one_and_only_in_the_epoch_it_was_seen_in(
    new_record: Callable[..., Record],
) -> None:
    late = Overdue(handoff(new_record, epoch=4), "PC2 did not accept it within 10 min", False)
    made = rescue.propose("PC3", FLEET, {"PC1": USED_UP, "PC3": {}}, late, {}, NOW)
    assert made.operation is not None
    assert (made.operation["type"], made.operation["to_pc"], made.operation["decided_in"]) == ("reroute", "PC3", 4)
    assert made.text.endswith("PC2 did not accept it within 10 min; to PC3")


def test_when_nobody_else_can_it_is_parked_where_something_is_left_first(new_record: Callable[..., Record]) -> None:
    record = handoff(new_record, limit=limit("2026-11-20T15:00:00Z"))
    late = Overdue(record, "PC2 did not accept it within 10 min", False)
    third = {**USED_UP, "limits": [limit("2026-11-20T12:00:00Z")]}
    made = rescue.propose("PC3", FLEET, {"PC3": third}, late, {}, NOW)
    assert made.operation is not None
    asked = [made.operation[name] for name in ("type", "to_pc", "parked_until")]
    assert asked == ["reroute", "PC3", "2026-11-20T12:00:00Z"]
    late = Overdue({**record, "to_pc": "PC1"}, "x", False)
    made = rescue.propose("PC3", FLEET, {"PC2": USED_UP, "PC3": USED_UP}, late, {}, NOW)
    assert made.operation is not None and (made.operation["type"], made.operation["to_pc"]) == ("park", "PC1")
    late = Overdue({**record, "limit": limit("2026-11-20T09:00:00Z")}, "x", False)
    made = rescue.propose("PC3", FLEET, {"PC3": USED_UP}, late, {}, NOW)
    assert made.operation is not None and (made.operation["type"], made.operation["to_pc"]) == ("reroute", "PC1")


def test_what_nobody_takes_comes_home_if_home_is_there(new_record: Callable[..., Record]) -> None:
    late = Overdue(handoff(new_record), "PC2 did not accept it within 10 min", False)
    made = rescue.propose("PC3", FLEET, {"PC3": USED_UP}, late, {"PC1": LEASE_SECONDS - 1}, NOW)
    assert made.operation is not None and (made.operation["type"], made.operation["to_pc"]) == ("reroute", "PC1")
    assert made.operation["reason"] == late.why and made.text.endswith("back to PC1")
    made = rescue.propose("PC3", FLEET, {"PC3": USED_UP}, late, {"PC1": LEASE_SECONDS}, NOW)
    assert made.operation is None and made.text.endswith("nobody else can take it")


def test_a_silent_holders_work_goes_to_a_live_pc_that_has_something_left(new_record: Callable[..., Record]) -> None:
    record = handoff(new_record, state="running", owner="PC2", epoch=3)
    late = Overdue(record, "PC2 has been silent for 15 min", True)
    made = rescue.propose("PC3", FLEET, {"PC1": USED_UP, "PC3": {}, "PC2": {}}, late, {"PC2": 900.0}, NOW)
    assert made.operation is not None
    assert [made.operation[name] for name in ("type", "to_pc", "epoch")] == ["takeover", "PC3", 3]
    made = rescue.propose("PC3", FLEET, {"PC1": USED_UP, "PC3": USED_UP}, late, {"PC2": 900.0}, NOW)
    assert made.operation is None and made.text.endswith("nobody else can take it")
    # Home has nothing left either, but one knows until when: it waits there, not with a PC that is gone.
    late = Overdue({**record, "limit": limit("2026-11-20T11:00:00Z")}, "x", True)
    first = {**USED_UP, "limits": [limit("2026-11-20T12:00:00Z")]}
    made = rescue.propose("PC3", FLEET, {"PC1": first, "PC3": USED_UP}, late, {"PC2": 900.0}, NOW)
    assert made.operation is not None
    asked = [made.operation[name] for name in ("type", "to_pc", "parked_until")]
    assert asked == ["takeover", "PC1", "2026-11-20T12:00:00Z"]


def test_of_two_that_reroute_the_same_only_one_does(
    new_state: Callable[..., State], new_record: Callable[..., Record]
) -> None:
    def do(state: State, operation: Record) -> str:
        change = state.change(operation["id"], operations.subject(operation), operations.decision(operation))
        return change.reason or change.outcome

    record = handoff(new_record)
    one, other = new_state("PC1"), new_state("PC3")
    assert do(one, operations.create("PC1", record)) == "applied"
    seen = [operations.reroute(pc, record["id"], "PC3", 0) for pc in ("PC1", "PC3")]
    assert do(one, seen[0]) == "applied"
    assert "is in epoch 1, not 0" in do(other, seen[1])
    assert "meant for PC3" in do(new_state("PC2"), operations.claim("PC2", record["id"]))
