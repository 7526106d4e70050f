"""The whole way of a handoff through a real embedded remote."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trinity import clock
from trinity.fleet import handoffs, heartbeats, journal, names, operations, outbox, view
from trinity.fleet.handoffs import Found
from trinity.fleet.state import Change, State
from trinity.home import Home

Record = dict[str, Any]


def do(state: State, operation: Record) -> Change:
    return state.change(operation["id"], operations.subject(operation), operations.decision(operation))


def held(state: State, handoff_id: str) -> Record:
    found = handoffs.find(state.last(), handoff_id)
    assert isinstance(found, Found), found
    return found.record


def test_a_handoff_goes_from_parked_to_done_and_every_step_is_one_commit(
    home: Home, state: State, new_record: Callable[..., Record]
) -> None:
    record = new_record(state="parked", parked_until=clock.iso(clock.now() - 1))
    outbox.put(home, operations.create("PC1", record), state)
    (delivered,) = outbox.deliver(home, state)
    assert delivered.outcome == "applied"
    assert outbox.pending(home) == []
    assert "pushed" in held(state, record["id"])["chain"]

    assert do(state, operations.wake("PC1", record["id"])).outcome == "applied"
    assert state.last().paths("wake/") == ["wake/PC1.json"]
    assert held(state, record["id"])["state"] == "queued"

    assert do(state, operations.claim("PC1", record["id"])).outcome == "applied"
    now = state.fetch()
    assert now.paths("wake/") == []
    assert len(now.paths("wake_archive/")) == 1
    name = names.handoff_file(record)
    assert [path for path in now.paths() if record["id"] in path] == [f"handoff/processed/{name}"]
    claimed = held(state, record["id"])
    assert (claimed["epoch"], claimed["owner"], claimed["attempts"]) == (1, "PC1", 1)

    assert journal.start_once(home, record["id"], 1)
    assert not journal.start_once(home, record["id"], 1)
    journal.note(home, record["id"], 1, pid=4711)
    assert (journal.read(home, record["id"], 1) or {})["pid"] == 4711

    assert do(state, operations.running("PC1", record["id"], 1, {"started": clock.iso()})).done
    assert do(state, operations.running("PC1", record["id"], 1, {"first_line": clock.iso()})).done
    assert do(state, operations.done("PC1", record["id"], 1, "resumed")).done
    ended = held(state, record["id"])
    assert ended["state"] == "done"
    assert set(ended["chain"]) == {"written", "pushed", "claimed", "started", "first_line"}

    beat = {"kind": "heartbeat", "version": 1, "pc": "PC1", "timestamp": clock.iso(), "status": "idle"}
    heartbeats.beat(state, beat)
    heartbeats.beat(state, beat | {"status": "working"})
    beats, problems = heartbeats.read_all(state)
    assert (beats["PC1"]["status"], problems) == ("working", {})
    view.write(home, state.last(), beats)
    assert (home.processed / name).read_bytes() == state.last().read(f"handoff/processed/{name}")
    assert (home.heartbeat / "PC1.json").exists()

    subjects = state.git("log", "--format=%s", "refs/trinity/next").decode().splitlines()
    assert subjects[-1] == "handoff: PC1 → PC1 (credit exhaustion)"
    assert len(subjects) == 6
