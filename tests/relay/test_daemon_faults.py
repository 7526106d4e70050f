"""The daemon's loop sleeps nearly always: nothing may happen that it sleeps through."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.stage import CHECKOUT, Stage
from trinity import clock
from trinity.credit import evaluation, event_log
from trinity.face import credit_monitor
from trinity.fleet import operations
from trinity.home import Home
from trinity.relay import pausing, watch
from trinity.relay.link import Link

pytestmark = pytest.mark.posix

LOOP = """
import sys
from pathlib import Path
from trinity.home import Home
from trinity.relay.watch import Watch
Watch(Home(Path(sys.argv[1])), [sys.executable, "-c", sys.argv[2]], 0.2).run()
"""


class Loop:
    """The loop with a child that only notes its begin, and takes a while."""

    def __init__(self, home: Home, seconds: float = 0.0) -> None:
        self.notes = home.root / "rounds"
        child = f"import time; open({str(self.notes)!r}, 'a').write('x'); time.sleep({seconds})"
        environment = {"PYTHONPATH": str(CHECKOUT / "lib")}
        self.process = subprocess.Popen([sys.executable, "-c", LOOP, str(home.root), child], env=environment)

    def rounds(self) -> int:
        return len(self.notes.read_text(encoding="ascii")) if self.notes.exists() else 0

    def has(self, rounds: int, timeout: float = 10) -> bool:
        return _soon(lambda: self.rounds() >= rounds, timeout)


def _soon(wanted: Callable[[], object], timeout: float = 15) -> bool:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if wanted():
            return True
        time.sleep(0.05)
    return False


@pytest.fixture
def loops() -> Iterator[list[Loop]]:
    made: list[Loop] = []
    yield made
    for loop in made:
        loop.process.kill()
        loop.process.wait()


def test_an_event_during_a_round_brings_another_one_and_silence_none(home: Home, loops: list[Loop]) -> None:
    watch.write_round(home, None, None, [], 30)
    loops.append(Loop(home, seconds=1))
    assert loops[0].has(1)
    event_log.append(home, {"event": "success", "source": "program"})
    assert loops[0].has(2)
    time.sleep(3)
    assert loops[0].rounds() == 2


def test_a_call_during_a_round_is_not_lost(home: Home, loops: list[Loop]) -> None:
    loops.append(Loop(home, seconds=1))
    assert loops[0].has(1)
    watch.call(home)
    watch.write_round(home, None, None, [], 30)  # as the round that is under way ends
    assert loops[0].has(2)


@pytest.mark.parametrize("text", ["[]", "null", '{"next_at": "soon", "profiles": 3, "poll_seconds": {}}', "{"])
def test_a_damaged_time_of_the_next_round_ends_nothing(home: Home, loops: list[Loop], text: str) -> None:
    (home.root / "round.json").write_text(text, encoding="utf-8")
    loops.append(Loop(home))
    assert loops[0].has(1)
    assert loops[0].process.poll() is None


# With real rounds


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    daemon = made.program("credit_monitor", "--interval", "1", stdout=subprocess.DEVNULL)
    yield made
    daemon.kill()
    daemon.wait()


def _states(stage: Stage) -> list[str]:
    return [record["state"] for record in stage.handoffs()]


def test_work_goes_on_when_a_pause_ends_by_itself(stage: Stage) -> None:
    pausing.pause(stage.home, time.time() + 6)
    stage.stopped("s", resets_in=0.3)
    time.sleep(4)
    assert stage.starts() == []
    assert _soon(lambda: _states(stage) == ["done"]), stage.story()


def test_what_a_person_queues_again_is_started(stage: Stage) -> None:
    stage.stopped("s", resets_in=3600)
    assert _soon(lambda: _states(stage) == ["parked"]), stage.story()
    record = stage.handoffs()[0]
    Link(stage.home, stage.config).submit(operations.bury("PC1", record["id"], "not now"))
    time.sleep(3)
    assert stage.program("handoffs", "requeue", record["id"], stdout=subprocess.DEVNULL).wait(timeout=30) == 0
    assert _soon(lambda: _states(stage) == ["done"]), stage.story()


def test_a_clock_that_was_ahead_hides_no_session(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    evaluation.evaluate(stage.home, stage.config, clock.now() + 86400)
    stage.stopped("s", resets_in=3600)  # no hook told of it
    assert [session.id for session in evaluation.evaluate(stage.home, stage.config).stopped] == ["s"]


def test_a_forced_handoff_does_not_end_a_pause_of_a_person(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    pausing.pause(stage.home, None)
    credit_monitor.trigger_handoff(force=True, state_home=stage.home.root)
    pause = pausing.read(stage.home)
    assert pause is not None and pause.until is None
