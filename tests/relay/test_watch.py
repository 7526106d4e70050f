"""When the daemon's loop calls a round: the loop itself, with rounds that only say that they were called."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from trinity.credit import event_log
from trinity.home import Home
from trinity.relay import watch

_LOOP = """\
import sys
from pathlib import Path
from trinity.home import Home
from trinity.relay.watch import Watch
raise SystemExit(Watch(Home(Path(sys.argv[1])), sys.argv[3:], float(sys.argv[2])).run())
"""
_ROUND = """\
import sys
from pathlib import Path
from trinity.credit import event_log
from trinity.home import Home
from trinity.relay import watch
home = Home(Path(sys.argv[1]))
with open(home.root / "rounds", "a") as file:
    print(file=file)
exec(sys.argv[2])
watch.write_round(home, None, None, [], 30.0)
"""


class Loop:
    def __init__(self, home: Home, interval: float, extra: str) -> None:
        self.home = home
        child = [sys.executable, "-c", _ROUND, str(home.root), extra]
        self.process = subprocess.Popen([sys.executable, "-c", _LOOP, str(home.root), str(interval), *child])

    def rounds(self) -> int:
        path = self.home.root / "rounds"
        return path.read_text(encoding="utf-8").count("\n") if path.exists() else 0

    def settled(self, least: int) -> int:
        """How many rounds there were when no more came for some intervals; `least` are waited for."""
        known, since = -1, time.monotonic()
        while time.monotonic() - since < (1.7 if known >= least else 60):
            if (now := self.rounds()) != known:
                known, since = now, time.monotonic()
            time.sleep(0.05)
        return known


@pytest.fixture
def start(home: Home) -> Iterator[Callable[..., Loop]]:
    started: list[Loop] = []

    def loop(interval: float = 0.3, extra: str = "") -> Loop:
        started.append(Loop(home, interval, extra))
        return started[-1]

    yield loop
    for one in started:
        one.process.terminate()
        assert one.process.wait(timeout=20) == 0 or sys.platform == "win32"


def test_an_idle_pc_is_left_alone_and_an_event_calls_a_round(home: Home, start: Callable[..., Loop]) -> None:
    loop = start()
    assert loop.settled(1) == 1
    event_log.append(home, {"event": "success", "source": "program"})
    assert loop.settled(2) == 2


def test_what_is_written_while_a_round_runs_calls_for_another_one(home: Home, start: Callable[..., Loop]) -> None:
    late = "event_log.append(home, {'event': 'success'}) if not event_log.days(home) else None"
    assert start(extra=late).settled(2) == 2


def test_a_call_while_a_round_runs_is_not_lost(home: Home, start: Callable[..., Loop]) -> None:
    once = "(home.root / 'round.called').exists() or watch.call(home)"
    assert start(interval=60, extra=once).settled(2) == 2


def test_a_call_does_not_wait_for_the_interval(home: Home, start: Callable[..., Loop]) -> None:
    loop = start(interval=3600)
    assert loop.settled(1) == 1
    watch.call(home)
    assert loop.settled(2) == 2


def test_a_round_that_fails_is_not_called_again_at_once(home: Home, start: Callable[..., Loop]) -> None:
    watch.write_round(home, 1.0, None, [], 30.0)  # long due
    loop = start(interval=3600, extra="raise SystemExit(1)")
    assert loop.settled(1) == 1
    assert json.loads((home.root / "round.json").read_text(encoding="utf-8"))["next_at"] > time.time() + 3000
