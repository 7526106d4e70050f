"""Scripted climbs to the wall of a 5-hour window: how many are seen before it, with time left to act.

    python tests/simulation/climbs.py [--seed N] [--climbs 200] [--shape 2.1.197] [--shape 2.1.328] [--mutant NAME]

Half of the climbs show percentages (in an interactive session's status line, which hears of them only with its own
answers), half do not. Accounts of the latter meet ten walls in turn, the first of them with nothing learned: it counts like
any other. Paces, pauses, bursts, several sessions and what a window holds (it varies by a tenth) are drawn from the seed.

Seen: WARNING or worse, by a window's own signal, at least five minutes before the first refusal, and still so then. Climbs
that never reach the wall are counted by themselves, with the warnings they got. Goals: more than 95 % with percentages, more
than 80 % without. A mutant has one part switched off, and must miss a goal. Exit 0 when the goals are met, else 1.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "lib"))

from tests.simulation.world import SHAPES, START, World, in_utc
from trinity.config import Ladder
from trinity.credit import transcript_lines
from trinity.credit.evaluation import Evaluation
from trinity.credit.pace import Pace

HOURS = 3600.0
LENGTH = 5 * HOURS
LEAD = 300.0
IN_TURN = 10
GOALS = {True: 0.95, False: 0.80}
MUTANTS = ("no thresholds", "no percentages", "nothing learned", "no tokens")
_CAPACITY = 8e6
_OFF = (1e6, 2e6, 3e6)


@dataclass
class Score:
    """Of climbs that reached the wall: how many were seen, and the minutes left then; and those that never reached it."""

    reached: int = 0
    seen: int = 0
    leads: list[float] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    unreached: int = 0
    warned_unreached: int = 0

    @property
    def share(self) -> float:
        return self.seen / self.reached if self.reached else 0.0


class Climb:
    """One window of one account, from its first request to the wall or to its reset."""

    def __init__(
        self, world: World, draw: random.Random, start: float, visible: bool, every: float, gap: tuple[float, float]
    ) -> None:
        self.world, self.draw, self.start, self.visible, self.every = world, draw, start, visible, every
        self.resets_at = start - start % 60 + LENGTH
        self.holds = _CAPACITY * draw.uniform(0.9, 1.1)
        self.gap = gap
        self.used = 0.0
        self.wall: float | None = None
        self.first: float | None = None

    def run(self, score: Score) -> None:
        draw, world = self.draw, self.world
        hours = draw.choice((draw.uniform(0.5, 1.5), draw.uniform(1.5, 3.5), draw.uniform(3.0, 5.4)))
        if draw.random() < 0.1:
            hours = draw.uniform(6, 20)  # a calm window
        sessions = draw.randint(1, 4)
        gap = draw.uniform(*self.gap)  # seconds between two answers, all sessions together
        each = self.holds / (hours * HOURS / gap)
        pauses = sorted(draw.uniform(0, hours * HOURS) for _ in range(draw.randint(0, 3)))
        shares = [0.05 if draw.random() < 0.3 else 1.0] + [1.0] * (
            sessions - 1
        )  # a person may look on while others work
        bursts = [draw.uniform(0, hours * HOURS) for _ in range(draw.randint(0, 2))]
        names = [f"{int(self.start)}-{n}" for n in range(sessions)]
        for name in names:
            entry = "cli" if self.visible and name == names[0] else "sdk-cli"
            world.hook(self.start, "UserPromptSubmit", name, entrypoint=entry)
            world.prompt(self.start, name)
        t, look_at = self.start, self.start
        while t < self.resets_at:
            fast = any(at <= t - self.start < at + 600 for at in bursts)
            t += draw.expovariate(1 / gap) / (2.5 if fast else 1)
            if pauses and t - self.start > pauses[0]:
                pauses.pop(0)
                t += draw.uniform(120, 1800)
            while look_at < t:
                self._looked(look_at, world.look(look_at))
                look_at += self.every
            if t >= self.resets_at:
                break
            name = draw.choices(names, shares)[0]
            if self.used >= self.holds:
                world.refused(t, name, "five_hour", self.resets_at)
                self.wall = t
                break
            self._answered(t, name, each * draw.lognormvariate(-0.3, 0.77), name == names[0])
        world.look(min(t, self.resets_at) + 1)
        for name in names:
            world.hook(t + 2, "SessionEnd", name)
        self._count(score, f"{hours:.1f} h, {sessions} sessions, every {gap:.0f} s")

    def _answered(self, t: float, name: str, weight: float, interactive: bool) -> None:
        # A tenth is output, the rest is mostly read from the cache: as real conversations are.
        tokens = {
            "input_tokens": int(weight * 0.05),
            "output_tokens": int(weight * 0.5 / 5),
            "cache_read_input_tokens": int(weight * 0.45 / 0.1),
        }
        self.world.prompt(t - 4, name, tool_result=True)
        self.world.answer(t, name, tokens)
        self.used += weight
        if self.visible and interactive:
            share = round(min(1.0, self.used / self.holds), 2)
            self.world.window(t, name, five_hour=(share * 100, self.resets_at))

    def _looked(self, t: float, answer: Evaluation) -> None:
        warned = any(signal.name == "five_hour" for signal in answer.signals)
        if not warned:
            self.first = None  # a warning that was taken back is none
        elif self.first is None:
            self.first = t

    def _count(self, score: Score, words: str) -> None:
        if self.wall is None:
            score.unreached += 1
            score.warned_unreached += self.first is not None
            return
        score.reached += 1
        lead = self.wall - self.first if self.first is not None else 0.0
        if lead >= LEAD:
            score.seen += 1
            score.leads.append(lead / 60)
        else:
            score.missed.append(f"{words}: {lead / 60:.0f} min before the wall")


def simulate(
    seed: int, climbs: int, shape: str, every: float = 60.0, mutant: str = "", gap: tuple[float, float] = (8, 40)
) -> dict[bool, Score]:
    """By whether percentages are visible: half of `climbs` each that reach the wall, looked at every so many seconds; `gap`
    seconds lie between two answers."""
    ladder = Ladder(window_used=_OFF) if mutant == "no thresholds" else Ladder()
    scores = {True: Score(), False: Score()}
    folder = Path(tempfile.mkdtemp(prefix="trinity-climbs-"))
    try:
        with _mutated(mutant):
            for visible, score in scores.items():
                world, start, turned = None, START, -1
                number = -1
                while score.reached < climbs // 2:
                    number += 1
                    draw = random.Random(f"{seed} {visible} {number}")
                    if world is None or (score.reached % IN_TURN == 0 and score.reached != turned):
                        turned = score.reached
                        world, start = World(folder / f"{visible}-{number}", shape, ladder), START
                    told = visible and mutant != "no percentages"
                    Climb(world, draw, start, told, every, gap).run(score)
                    start += LENGTH + draw.uniform(0.2, 14) * HOURS
                    if visible:
                        world = None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return scores


@contextmanager
def _mutated(mutant: str) -> Iterator[None]:
    with ExitStack() as stack:
        if mutant == "nothing learned":
            stack.enter_context(mock.patch.object(Pace, "_learn", lambda *_: None))
        elif mutant == "no tokens":
            stack.enter_context(mock.patch.object(transcript_lines, "weight", lambda message: 0.0))
        yield


def met(scores: dict[bool, Score]) -> bool:
    return all(score.share > GOALS[visible] for visible, score in scores.items())


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--climbs", type=int, default=200)
    parser.add_argument("--every", type=float, default=60.0, help="seconds between two evaluations")
    parser.add_argument("--shape", action="append", choices=SHAPES)
    parser.add_argument("--mutant", default="", choices=MUTANTS)
    parser.add_argument("--verbose", action="store_true", help="name the climbs that were missed")
    arguments = parser.parse_args(argv)
    in_utc()
    good = True
    for shape in arguments.shape or SHAPES:
        scores = simulate(arguments.seed, arguments.climbs, shape, arguments.every, arguments.mutant)
        for visible, score in scores.items():
            leads = sorted(score.leads) or [0.0]
            how = "with percentages   " if visible else "without percentages"
            print(
                f"{shape}  {how}  seen {score.seen} of {score.reached} ({score.share:.0%}, goal > {GOALS[visible]:.0%}),"
                f" minutes left: least {leads[0]:.0f}, median {leads[len(leads) // 2]:.0f};"
                f" never reached the wall: {score.unreached}, of these warned at the end: {score.warned_unreached}",
                flush=True,
            )
            for line in score.missed if arguments.verbose else []:
                print(f"    missed: {line}")
        good = good and met(scores)
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
