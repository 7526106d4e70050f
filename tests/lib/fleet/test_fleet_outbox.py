"""The outbox: safe before it is said, delivered once, and never stuck behind a damaged one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.lib.fleet import history
from trinity import git
from trinity.errors import BadRecord
from trinity.fleet import embedded, handoffs, names, operations, outbox
from trinity.fleet.handoffs import Found
from trinity.fleet.state import State, open_state
from trinity.home import Home

Record = dict[str, Any]
NewRecord = Callable[..., Record]
LIB = Path(__file__).resolve().parents[3] / "lib"


def outcomes(delivered: list[outbox.Delivered]) -> list[str]:
    return [each.outcome for each in delivered]


def test_what_was_put_before_a_crash_is_delivered_by_the_next_process(
    home: Home, state: State, new_record: NewRecord
) -> None:
    operation = operations.create("PC1", new_record())
    program = (
        "import json,os,sys\nfrom trinity.fleet import outbox\nfrom trinity.home import open_home\n"
        "outbox.put(open_home(sys.argv[1]), json.load(sys.stdin))\nos.kill(os.getpid(), 9)\n"
    )
    subprocess.run(
        [sys.executable, "-c", program, str(home.root)],
        input=json.dumps(operation).encode(),
        env={**os.environ, "PYTHONPATH": str(LIB)},
        check=False,
    )
    assert [kept["id"] for kept in outbox.pending(home)] == [operation["id"]]
    assert outcomes(outbox.deliver(home, state)) == ["applied"]
    assert outbox.pending(home) == []
    assert outbox.deliver(home, state) == []


def test_a_crash_after_the_change_and_before_it_was_noted_delivers_once(
    home: Home, state: State, new_record: NewRecord
) -> None:
    operation = operations.create("PC1", new_record())
    outbox.put(home, operation, state)
    (kept,) = home.outbox.glob("*.json")
    content = kept.read_bytes()
    assert outcomes(outbox.deliver(home, state)) == ["applied"]
    kept.write_bytes(content)
    again = open_state(home, home.remote, "PC1")
    assert outcomes(outbox.deliver(home, again)) == ["applied"]
    assert outbox.pending(home) == []
    assert history.read(home.remote).operations == [operation["id"]]


def test_of_the_last_words_about_one_epoch_the_newest_is_kept(home: Home, state: State) -> None:
    for operation in (
        operations.done("PC1", "0123456789abcdef", 1, "of another epoch"),
        operations.done("PC1", "0123456789abcdef", 2, "first"),
        operations.release("PC1", "0123456789abcdef", 2),
        operations.running("PC1", "0123456789abcdef", 2, {}),
        operations.done("PC1", "0123456789abcdef", 2, "second"),
    ):
        outbox.put(home, operation, state)
    kept = [(each["type"], each["epoch"], each.get("outcome")) for each in outbox.pending(home)]
    assert kept == [("done", 1, "of another epoch"), ("release", 2, None), ("running", 2, None), ("done", 2, "second")]


def test_a_last_word_that_names_parts_gives_way_only_to_one_that_does_too(home: Home, state: State) -> None:
    made = {"ref": "refs/trinity/work/0123456789abcdef.e2", "oid": "0" * 40, "epoch": 2, "number": 1, "bytes": 9}
    for parts in (made, None, None):
        outbox.put(home, operations.repark("PC1", "0123456789abcdef", 2, None, "limit", {}, parts), state)
    assert [each["parts"] for each in outbox.pending(home)] == [made, None]


def test_offline_is_no_error_and_everything_waits_in_order(home: Home, tmp_path: Path, new_record: NewRecord) -> None:
    remote = tmp_path / "not-there-yet.git"
    state = open_state(home, remote, "PC1")
    record = new_record()
    outbox.put(home, operations.create("PC1", record), state)
    outbox.put(home, operations.park("PC1", record["id"], "2030-01-01T00:00:00Z"), state)
    assert outcomes(outbox.deliver(home, state)) == ["waiting", "waiting"]
    assert len(outbox.pending(home)) == 2
    git.init_bare(remote, server=True)
    assert outcomes(outbox.deliver(home, state)) == ["applied", "applied"]
    assert [each["state"] for each in history.read(remote).records[record["id"]]] == ["queued", "parked"]
    assert outbox.pending(home) == []


POISON = [
    b"",
    b"{",
    b"[]",
    b'{"kind": "operation", "version": 1}',
    b'{"kind": "operation", "kind": "operation"}',
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"kind":"operation","version":1,"id":"00112233445566aa","type":"create","pc":"PC1",'
    b'"time":"2026-01-01T00:00:00Z","record":{"id":"../../x"},"wake":true}',
    b'{"kind":"operation","version":1,"id":"00112233445566aa","type":"bury_file","pc":"PC1",'
    b'"time":"2026-01-01T00:00:00Z","path":"../../etc/passwd"}',
]


@pytest.mark.parametrize("poison", POISON, ids=range(len(POISON)))
def test_a_damaged_operation_is_put_aside_and_the_next_one_delivered(
    poison: bytes, home: Home, state: State, new_record: NewRecord
) -> None:
    (home.outbox / "00000000000000000001-poison.json").write_bytes(poison)
    outbox.put(home, operations.create("PC1", new_record()), state)
    assert outcomes(outbox.deliver(home, state)) == ["quarantined", "applied"]
    assert any(path.read_bytes() == poison for path in home.quarantine.iterdir())
    assert list(home.outbox.iterdir()) == []


def test_an_operation_of_a_newer_trinity_is_left_alone(home: Home, state: State) -> None:
    newer = home.outbox / "00000000000000000001-newer.json"
    newer.write_text('{"kind": "operation", "version": 2}', encoding="utf-8")
    assert outcomes(outbox.deliver(home, state)) == ["waiting"]
    assert newer.exists()


def test_a_refused_change_says_why_and_one_with_content_is_not_thrown_away(
    home: Home, state: State, new_record: NewRecord
) -> None:
    record = new_record()
    for operation in (
        operations.create("PC1", record),
        operations.create("PC1", record),
        operations.claim("PC1", names.new_id()),
    ):
        outbox.put(home, operation, state)
    first, second, third = outbox.deliver(home, state)
    assert (first.outcome, second.outcome, third.outcome) == ("applied", "refused", "refused")
    assert "exists already" in second.reason and "there is no handoff" in third.reason
    assert outbox.pending(home) == []
    assert len([path for path in home.quarantine.iterdir() if path.suffix == ".json"]) == 1


def test_what_a_server_rejects_is_kept_and_holds_up_only_its_own_handoff(
    new_state: Callable[..., State], remote: Path, new_record: NewRecord
) -> None:
    state = new_state("PC1")
    bad, good = new_record(reason="forbidden"), new_record()
    hook = remote / "hooks" / "pre-receive"
    hook.parent.mkdir()
    body = '#!/bin/sh\nread old new ref\nif git log -1 --format=%s "$new" | grep -q forbidden; then exit 1; fi\n'
    hook.write_text(body, encoding="utf-8", newline="\n")
    hook.chmod(0o755)
    for operation in (
        operations.create("PC1", bad),
        operations.park("PC1", bad["id"], "2030-01-01T00:00:00Z"),
        operations.create("PC1", good),
    ):
        outbox.put(state.home, operation, state)
    assert outcomes(outbox.deliver(state.home, state)) == ["rejected", "waiting", "applied"]
    assert len(outbox.pending(state.home)) == 2
    hook.unlink()
    assert outcomes(outbox.deliver(state.home, state)) == ["applied", "applied"]


def test_a_change_that_the_remote_forgot_is_brought_back(home: Home, new_record: NewRecord) -> None:
    remote = embedded.make(home)
    state = open_state(home, remote, "PC1")
    record = new_record()
    operation = operations.create("PC1", record)
    outbox.put(home, operation, state)
    (kept,) = home.outbox.glob("*.json")
    content = kept.read_bytes()
    outbox.deliver(home, state)
    # The machine died before the outbox was cleared, and the remote comes back from a backup, the memory with it.
    history.git(remote, "update-ref", "-d", "refs/heads/trinity-state")
    (home.root / "state_seen.json").unlink()
    kept.write_bytes(content)
    again = open_state(home, remote, "PC1")
    assert outcomes(outbox.deliver(home, again)) == ["applied"]
    assert isinstance(handoffs.find(again.fetch(), record["id"]), Found)


def test_what_is_no_operation_cannot_be_put(home: Home, new_record: NewRecord) -> None:
    with pytest.raises(BadRecord):
        outbox.put(home, {"kind": "operation"})
    with pytest.raises(BadRecord):
        operations.create("PC1", new_record(to_pc="../x"))
    assert list(home.outbox.iterdir()) == []
