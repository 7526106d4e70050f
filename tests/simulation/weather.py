"""Thirty days of heavy normal work in bad weather: how many bursts of refusals end in a false EXHAUSTED.

    python tests/simulation/weather.py [--seed N] [--days 30] [--shape 2.1.197] [--shape 2.1.328] [--mutant NAME]

Several sessions work the day long. Bursts of 429, bursts of 529 and slow hours come over them; no limit is ever met. Clients
try again as theirs of that shape do (11 times in about 184 s; 2.1.197 with a subscription gives up on a 429 at once), and
only what outlasts them is written down. A session that was stopped is started again some minutes later.

A burst is one episode, from its start until the next one, an hour at most. Goal: less than 1 % of the bursts that hit a
request see EXHAUSTED. Bursts that hit nothing are counted by themselves. A mutant has one part broken, and must miss the
goal. Exit 0 when the goal is met, else 1.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "lib"))

from tests.simulation.world import SHAPES, START, World, in_utc
from trinity.config import Ladder
from trinity.credit.window import Window

GOAL = 0.01
MUTANTS = ("one is too many", "every error counts tenfold")
_DAY = 86400.0
_HOUR = 3600.0
_FAILS = 0.9  # of the requests during a burst
_TOKENS = {"input_tokens": 900, "output_tokens": 700, "cache_read_input_tokens": 40_000}


@dataclass
class Burst:
    """`kind`: "rate_limit", "overloaded" or "slow"."""

    kind: str
    start: float
    end: float
    hit: int = 0
    exhausted: bool = False


@dataclass
class Score:
    """What came, what it did to requests and to clients, and what was made of it."""

    bursts: Counter[str] = field(default_factory=Counter)
    hit: Counter[str] = field(default_factory=Counter)
    exhausted: Counter[str] = field(default_factory=Counter)
    refused: int = 0  # requests
    given_up: int = 0  # clients whose tries were used up: an error line each
    slow: int = 0
    answers: int = 0

    @property
    def share(self) -> float:
        hit = sum(self.hit.values())
        return sum(self.exhausted.values()) / hit if hit else 1.0


def _bursts(draw: random.Random, morning: float, hours: float) -> list[Burst]:
    found = []
    for kind, most in (("rate_limit", 5), ("overloaded", 5), ("slow", 2)):
        for _ in range(draw.randint(most // 2, most)):
            start = morning + draw.uniform(0.2, hours) * _HOUR
            # Half of them pass within a minute, one in twenty takes more than eight.
            length = draw.lognormvariate(4.1, 1.2) if kind != "slow" else draw.uniform(0.3, 1.2) * _HOUR
            found.append(Burst(kind, start, start + min(length, 1500.0 if kind != "slow" else _HOUR)))
    return sorted(found, key=lambda burst: burst.start)


class Day:
    """One day's work of one PC."""

    def __init__(
        self, world: World, draw: random.Random, morning: float, score: Score, hours: tuple[float, float]
    ) -> None:
        self.world, self.draw, self.morning, self.score = world, draw, morning, score
        self.hours = draw.uniform(*hours)
        self.bursts = _bursts(draw, morning, self.hours)

    def run(self, every: float) -> None:
        sessions = {f"{int(self.morning)}-{n}": self.morning + 60.0 * n for n in range(self.draw.randint(2, 6))}
        asked: list[tuple[float, str]] = [(t, name) for name, t in sessions.items()]
        evening, look_at = self.morning + self.hours * _HOUR, self.morning
        for name in sessions:
            self.world.hook(self.morning, "UserPromptSubmit", name, entrypoint="sdk-cli")
        while asked:
            asked.sort()
            t, name = asked.pop(0)
            while look_at < t:
                look_at = self._look(look_at, every)
            if t >= evening:
                continue
            # Its answer is written before whatever another session writes later: time moves on by the asking.
            asked.append((self._ask(t, name), name))
        self._count()

    def _ask(self, t: float, name: str) -> float:
        """One request of `name` at `t`, tried again as its client would; when it asks the next time."""
        draw = self.draw
        self.world.prompt(t, name, tool_result=True)
        tries, at = self._tries(t), t
        for number in range(tries):
            burst = self._refusing(at)
            if burst is None:
                slow = next((b for b in self.bursts if b.kind == "slow" and b.start <= at < b.end), None)
                took = draw.lognormvariate(1.6, 0.6) * (draw.uniform(2, 6) if slow else 1)
                if slow is not None:
                    slow.hit, self.score.slow = slow.hit + 1, self.score.slow + 1
                self.world.answer(at + took, name, _TOKENS)
                self.score.answers += 1
                return at + took + draw.expovariate(1 / 15)
            burst.hit, self.score.refused = burst.hit + 1, self.score.refused + 1
            kind = burst.kind
            at += min(32.0, 0.5 * 2**number) * draw.uniform(1, 1.25) if number < tries - 1 else 0.2
        self.world.refused(at, name, kind)
        self.score.given_up += 1
        # Somebody, or what started it, tries again.
        again = at + draw.uniform(120, 900)
        self.world.hook(again, "UserPromptSubmit", name, entrypoint="sdk-cli")
        return again

    def _tries(self, t: float) -> int:
        at_once = self.world.shape == "2.1.197" and self._kind(t) == "rate_limit" and self.subscription
        return 1 if at_once else 11

    @property
    def subscription(self) -> bool:
        return int(self.morning // _DAY) % 2 == 0

    def _kind(self, t: float) -> str:
        return next((b.kind for b in self.bursts if b.kind != "slow" and b.start <= t < b.end), "")

    def _refusing(self, t: float) -> Burst | None:
        found = next((b for b in self.bursts if b.kind != "slow" and b.start <= t < b.end), None)
        return found if found is not None and self.draw.random() < _FAILS else None

    def _look(self, t: float, every: float) -> float:
        answer = self.world.look(t)
        begun = [burst for burst in self.bursts if burst.start <= t < burst.start + _HOUR]
        if answer.status == "EXHAUSTED" and begun:
            begun[-1].exhausted = True
        # Closely while something goes on, seldom else.
        return t + (every if any(b.start <= t < b.end + 900 for b in begun) else 5 * every)

    def _count(self) -> None:
        for burst in self.bursts:
            self.score.bursts[burst.kind] += 1
            self.score.hit[burst.kind] += burst.hit > 0
            self.score.exhausted[burst.kind] += burst.exhausted


def simulate(
    seed: int, days: int, shape: str, every: float = 60.0, mutant: str = "", hours: tuple[float, float] = (8, 15)
) -> Score:
    """`days` of work of so many `hours`, looked at every so many seconds around each burst."""
    score = Score()
    folder = Path(tempfile.mkdtemp(prefix="trinity-weather-"))
    ladder = Ladder(rate_limits=(1, 1, 1)) if mutant == "one is too many" else Ladder()
    try:
        with _mutated(mutant):
            world = World(folder, shape, ladder)
            for day in range(days):
                Day(world, random.Random(f"{seed} {day}"), START + day * _DAY, score, hours).run(every)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return score


@contextmanager
def _mutated(mutant: str) -> Iterator[None]:
    plain, refused = Window.add_error, Window.add_rate_limit

    def tenfold(self: Window, t: float, rate_limit: bool = False) -> None:
        for _ in range(10):
            plain(self, t, rate_limit)

    def refused_tenfold(self: Window, t: float) -> None:
        for _ in range(10):
            refused(self, t)

    with ExitStack() as stack:
        if mutant == "every error counts tenfold":
            stack.enter_context(mock.patch.object(Window, "add_error", tenfold))
            stack.enter_context(mock.patch.object(Window, "add_rate_limit", refused_tenfold))
        yield


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--every", type=float, default=60.0, help="seconds between two evaluations during a burst")
    parser.add_argument("--shape", action="append", choices=SHAPES)
    parser.add_argument("--mutant", default="", choices=MUTANTS)
    arguments = parser.parse_args(argv)
    in_utc()
    good = True
    for shape in arguments.shape or SHAPES:
        score = simulate(arguments.seed, arguments.days, shape, arguments.every, arguments.mutant)
        print(
            f"{shape}  {sum(score.exhausted.values())} of {sum(score.hit.values())} bursts ended in EXHAUSTED"
            f" ({score.share:.2%}, goal < {GOAL:.0%}): {dict(score.exhausted)}\n"
            f"    bursts {dict(score.bursts)}, of these hit a request {dict(score.hit)}; {score.answers} answers,"
            f" {score.refused} requests refused, {score.given_up} times a client gave up, {score.slow} slow answers",
            flush=True,
        )
        good = good and score.share < GOAL
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
