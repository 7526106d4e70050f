"""The view of the state in the home, the heartbeats, the journal and the rotation."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.lib.fleet import history
from trinity import clock
from trinity.errors import BadRecord, TrinityError, UsageError
from trinity.fleet import heartbeats, journal, names, operations, rotation, view
from trinity.fleet.state import State
from trinity.home import Home

Record = dict[str, Any]
LIB = Path(__file__).resolve().parents[3] / "lib"


def put(state: State, files: dict[str, bytes | None]) -> None:
    assert state.change(names.new_id(), "test", lambda tree: files).done


def beat(pc: str, **given: object) -> Record:
    return {"kind": "heartbeat", "version": 1, "pc": pc, "timestamp": clock.iso(), "status": "idle", **given}


def test_the_view_follows_the_state_and_only_what_changed_is_written(home: Home, state: State) -> None:
    name = f"handoff_PC1_to_PC2_20261120_100000_{names.new_id()}.json"
    put(state, {"handoff/" + name: b"1", "wake/PC2.json": b"2", "dead/x.json": b"3"})
    assert view.write(home, state.last()) == 2
    assert (home.handoff / name).read_bytes() == b"1"
    if os.name == "posix":
        assert stat.S_IMODE((home.handoff / name).stat().st_mode) == 0o400
    assert view.write(home, state.last()) == 0
    put(state, {"handoff/" + name: None, "handoff/processed/" + name: b"4"})
    assert view.write(home, state.last(), {"PC2": beat("PC2")}) == 3
    assert not (home.handoff / name).exists()
    assert (home.processed / name).read_bytes() == b"4"
    assert (home.heartbeat / "PC2.json").exists()
    assert view.write(home, state.last()) == 0, "heartbeats that were not asked for stay"
    assert view.write(home, state.last(), {}) == 1
    assert not (home.heartbeat / "PC2.json").exists()


def test_what_the_view_did_not_write_it_does_not_remove(home: Home, state: State) -> None:
    put(state, {"wake/PC2.json": b"2"})
    home.wake.mkdir()
    (home.wake / "notes.txt").write_text("mine")
    (home.wake / "PC2.json").write_text("mine too")
    view.write(home, state.last())
    assert (home.wake / "PC2.json").read_bytes() == b"2"
    assert any(path.read_text() == "mine too" for path in home.quarantine.iterdir())
    put(state, {"wake/PC2.json": None})
    view.write(home, state.last())
    assert sorted(path.name for path in home.wake.iterdir()) == ["notes.txt"]


def test_a_change_to_the_view_is_undone_when_the_record_changes_and_a_lost_file_comes_back(
    home: Home, state: State
) -> None:
    put(state, {"wake/PC2.json": b"2"})
    view.write(home, state.last())
    (home.wake / "PC2.json").unlink()
    assert view.write(home, state.last()) == 1
    (home.root / "view.json").write_bytes(b"{")
    assert view.write(home, state.last()) == 1
    assert (home.wake / "PC2.json").read_bytes() == b"2"


def test_no_link_is_followed(home: Home, state: State, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "PC2.json").write_text("precious")
    put(state, {"wake/PC2.json": b"2"})
    home.wake.mkdir()
    (home.wake / "PC2.json").symlink_to(elsewhere / "PC2.json")
    view.write(home, state.last())
    assert (elsewhere / "PC2.json").read_text() == "precious"
    assert (home.wake / "PC2.json").read_bytes() == b"2"
    put(state, {"wake/PC2.json": b"3"})
    (home.wake / "PC2.json").unlink()
    home.wake.rmdir()
    home.wake.symlink_to(elsewhere)
    with pytest.raises(TrinityError, match="link"):
        view.write(home, state.last())
    assert (elsewhere / "PC2.json").read_text() == "precious"


def test_a_list_that_names_foreign_paths_removes_nothing_outside(home: Home, state: State, tmp_path: Path) -> None:
    (tmp_path / "precious.json").write_text("1")
    (home.root / "view.json").write_text('{"wake/../../precious.json": "", "../precious.json": "", "config.json": ""}')
    view.write(home, state.last())
    assert (tmp_path / "precious.json").exists()


def test_every_pc_replaces_its_own_heartbeat_and_sees_all_of_them(
    new_state: Callable[..., State], remote: Path
) -> None:
    first, second = new_state("PC1"), new_state("PC2")
    heartbeats.beat(first, beat("PC1"))
    heartbeats.beat(second, beat("PC2"))
    heartbeats.beat(first, beat("PC1", status="working"))
    records, problems = heartbeats.read_all(second)
    assert {pc: record["status"] for pc, record in records.items()} == {"PC1": "working", "PC2": "idle"}
    assert problems == {}
    assert history.git(remote, "rev-list", "--count", "refs/trinity-hb/PC1").strip() == b"1"
    first.alone(lambda: first.clone.build("test"))  # a clone that knows no earlier beat
    heartbeats.beat(first, beat("PC1", status="again"))
    assert heartbeats.read_all(second)[0]["PC1"]["status"] == "again"
    history.git(remote, "update-ref", "-d", "refs/trinity-hb/PC1")
    assert set(heartbeats.read_all(second)[0]) == {"PC2"}


def test_a_heartbeat_that_cannot_be_read_is_reported_and_the_others_are_there(
    new_state: Callable[..., State], remote: Path
) -> None:
    state = new_state("PC1")
    heartbeats.beat(state, beat("PC1"))
    identity = ["-c", "user.name=x", "-c", "user.email=x@x"]
    for ref, content in (("PC2", b"{"), ("PC3", b'{"kind":"heartbeat"}'), ("PC4", None), ("pc5", b"{}")):
        listed = b""
        if content is not None:
            blob = history.git(remote, "hash-object", "-w", "--stdin", stdin=content).strip()
            listed = b"100644 blob " + blob + b"\theartbeat.json\n"
        tree = history.git(remote, "mktree", stdin=listed).decode().strip()
        commit = history.git(remote, *identity, "commit-tree", "-m", "x", tree).decode().strip()
        history.git(remote, "update-ref", f"refs/trinity-hb/{ref}", commit)
    own = history.git(remote, "rev-parse", "refs/trinity-hb/PC1").decode().strip()
    history.git(remote, "update-ref", "refs/trinity-hb/PC6", own)
    records, problems = heartbeats.read_all(state)
    assert set(records) == {"PC1"}
    assert set(problems) == {"PC2", "PC3", "PC4", "PC6", "pc5"}
    with pytest.raises(BadRecord):
        heartbeats.beat(state, {"kind": "heartbeat", "version": 1, "pc": "PC1"})


def test_of_many_processes_one_starts_an_epoch(home: Home) -> None:
    handoff_id = names.new_id()
    program = (
        "import sys\nfrom trinity.fleet import journal\nfrom trinity.home import open_home\n"
        "sys.stdin.readline(); print(journal.start_once(open_home(sys.argv[1]), sys.argv[2], 3))\n"
    )
    starters = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(home.root), handoff_id],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(LIB)},
            text=True,
        )
        for _ in range(6)
    ]
    answers = [starter.communicate("go\n")[0].strip() for starter in starters]
    assert sorted(answers) == ["False"] * 5 + ["True"]
    assert journal.start_once(home, handoff_id, 4)


def test_a_torn_journal_entry_still_says_that_the_epoch_was_started(home: Home) -> None:
    handoff_id = names.new_id()
    (home.journal / f"{handoff_id}.e1").write_bytes(b"")
    assert not journal.start_once(home, handoff_id, 1)
    journal.note(home, handoff_id, 1, pid=7)
    entry = journal.read(home, handoff_id, 1)
    assert entry is not None and (entry["pid"], entry["torn"]) == (7, True)
    assert journal.read(home, handoff_id, 2) is None
    with pytest.raises(UsageError):
        journal.start_once(home, "../x", 1)


def test_work_goes_round() -> None:
    order = ["PC1", "PC2", "PC3"]
    assert [rotation.next_pc(order, pc) for pc in [*order, "PC9"]] == ["PC2", "PC3", "PC1", "PC1"]
    assert rotation.next_pc(["PC1"], "PC1") == "PC1"
    assert rotation.next_pc([], "PC1") == "PC1"


def test_two_pcs_that_found_the_fleet_at_the_same_time_agree_on_one_salt(new_state: Callable[..., State]) -> None:
    first, second = new_state("PC1"), new_state("PC2")
    for state, salt in ((first, "a" * 32), (second, "b" * 32)):
        document = {
            "kind": "fleet",
            "version": 1,
            "salt": salt,
            "rotation": [state.pc],
            "pcs": {state.pc: {"account": {"id": "0" * 16, "label": "", "kind": "unknown"}}},
        }
        for _ in range(2):
            operation = operations.put_fleet(state.pc, document)
            change = state.change(operation["id"], operations.subject(operation), operations.decision(operation))
        assert change.outcome == "unchanged"
    fleet = rotation.read(first.fetch())
    assert isinstance(fleet, dict)
    assert (fleet["salt"], fleet["rotation"], sorted(fleet["pcs"])) == ("a" * 32, ["PC1", "PC2"], ["PC1", "PC2"])
