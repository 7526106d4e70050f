"""The embedded remote keeps itself small, and loses nothing by it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.lib.fleet import history
from trinity import clock, git
from trinity.fleet import embedded, handoffs, heartbeats, operations
from trinity.fleet.state import State
from trinity.home import Home

Record = dict[str, Any]


PACK = """
import sys
from pathlib import Path
from trinity.fleet import embedded
from trinity.home import Home
embedded._LOOSE = 0
embedded.compact(Home(Path(sys.argv[1])))
"""


def _loose(remote: Path) -> int:
    return sum(1 for path in (remote / "objects").glob("[0-9a-f][0-9a-f]/*"))


def _filled(state: State, home: Home, new_record: Callable[..., Record]) -> list[str]:
    made = []
    while _loose(home.remote) < 100:
        operation = operations.create("PC1", new_record(), wake=False)
        change = state.change(operation["id"], operations.subject(operation), operations.decision(operation))
        assert change.done
        made.append(operation["id"])
    return made


def test_it_is_packed_once_a_day_and_goes_on(state: State, home: Home, new_record: Callable[..., Record]) -> None:
    assert embedded.due(home)
    made = _filled(state, home, new_record)
    before = state.fetch().oid
    assert state.alone(lambda: embedded.compact(home)) and not embedded.due(home)
    assert _loose(home.remote) == 0
    history.git(home.remote, "fsck", "--strict", "--no-dangling")
    assert state.fetch().oid == before and history.read(home.remote).operations == made
    last = operations.create("PC1", new_record(), wake=False)
    assert state.change(last["id"], operations.subject(last), operations.decision(last)).done
    assert len(handoffs.listing(state.fetch())[0]) == len(made) + 1
    os.utime(home.locks / "remote_packed", (0, time.time() - 86401))
    assert embedded.due(home)
    assert not state.alone(lambda: embedded.compact(home))  # a few loose objects are left alone


def test_packing_that_is_killed_loses_nothing_and_is_repeated(
    state: State, home: Home, new_record: Callable[..., Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    _filled(state, home, new_record)
    before = history.git(home.remote, "rev-parse", "trinity-state")
    killed = 0
    for _ in range(30):
        killed += _killed_in_gc(home)
        history.git(home.remote, "fsck", "--strict", "--no-dangling")
        assert history.git(home.remote, "rev-parse", "trinity-state") == before
        if killed == 2:
            break
    assert killed == 2
    # A lock that a killed git left is swept once nobody can hold it any more.
    monkeypatch.setattr(embedded, "_STALE_AFTER", 0.0)
    deadline = time.monotonic() + 60
    while embedded.due(home):
        assert time.monotonic() < deadline
        try:
            state.alone(lambda: embedded.compact(home))
        except git.GitError:
            time.sleep(0.1)
    assert _loose(home.remote) == 0
    last = operations.create("PC1", new_record(), wake=False)
    assert state.change(last["id"], operations.subject(last), operations.decision(last)).done


def _killed_in_gc(home: Home) -> bool:
    """Pack in a process, and kill that and git while git packs; False when it was too quick."""
    process = subprocess.Popen([sys.executable, "-c", PACK, str(home.root)])
    while process.poll() is None:
        try:
            below = psutil.Process(process.pid).children(recursive=True)
            packing = any("gc" in child.cmdline() for child in below)
        except psutil.Error:
            continue
        if packing:
            process.kill()
            for child in below:
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()
            process.wait()
            return True
    return False


def test_a_lock_that_a_killed_server_left_on_a_heartbeat_does_not_silence_the_pc(state: State, home: Home) -> None:
    beat: Record = {"kind": "heartbeat", "version": 1, "pc": "PC1", "timestamp": clock.iso(), "status": "alive"}
    heartbeats.beat(state, beat)
    lock = home.remote / "refs" / "trinity-hb" / "PC1.lock"
    lock.touch()
    os.utime(lock, (0, time.time() - 60))
    heartbeats.beat(state, {**beat, "status": "again"})
    assert not lock.exists() and heartbeats.read_all(state)[0]["PC1"]["status"] == "again"
