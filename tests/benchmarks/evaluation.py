"""What an evaluation costs with a long history behind it, as a ratio to one with a short history.

    python tests/benchmarks/evaluation.py [--quick] [--behind EVENTS] [--rounds N]

Two state folders with the same events in the window, one with 1,000 earlier events in its log and one with 10,000,000 (a
gigabyte, in the same day's file), take turns; before each evaluation one event is recorded. Goal: 1.15 for windows of
1,000, 10,000 and 100,000 events. The first evaluation without its cache reads the window anew; it is shown beside. A
benchmark, not a test: exit 0.
"""

from __future__ import annotations

import argparse
import gc
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "lib"))

from trinity import clock
from trinity.config import Config
from trinity.credit import evaluation, event_log
from trinity.home import Home, open_home

DAY = "2026-11-20"
MIDNIGHT = clock.parse(f"{DAY}T00:00:00Z")
WINDOW_FROM = MIDNIGHT + 22 * 3600
NOW = MIDNIGHT + 23 * 3600 - 60
LITTLE = 1000
GOAL = 1.15


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--behind", type=int, default=10_000_000, help="events in the long history")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--quick", action="store_true", help="small and inexact: shows that it runs")
    options = parser.parse_args(argv)
    if options.quick:
        options.behind, options.rounds = 20_000, 5
    with tempfile.TemporaryDirectory() as folder:
        little, much = _home(Path(folder, "little"), LITTLE), _home(Path(folder, "much"), options.behind)
        floor = _floor(options.rounds)
        print(f"python -S -c pass took {floor * 1000:.1f} ms; {LITTLE} and {options.behind} events behind the window")
        print(f"{'events in the window':<22}{'ratio':>7}{'goal':>7}{'evaluation':>14}{'first, without cache':>38}")
        for count in (100, 1000) if options.quick else (1000, 10_000, 100_000):
            _row(little, much, count, options.rounds, floor)
    return 0


def _row(little: Home, much: Home, count: int, rounds: int, floor: float) -> None:
    lengths = {home: event_log.path_of(home, DAY).stat().st_size for home in (little, much)}
    for home in lengths:
        with event_log.path_of(home, DAY).open("ab") as stream:
            stream.writelines(_line(WINDOW_FROM + n * 3500 / count) for n in range(count))
    first: dict[Home, list[float]] = {little: [], much: []}
    later: dict[Home, list[float]] = {little: [], much: []}
    for _ in range(3):
        for home in lengths:
            (home.events / "picture.json").unlink(missing_ok=True)
            first[home].append(_evaluate(home, count))
    for number in range(rounds):
        # By turns, and not always the same one first.
        for home in (little, much) if number % 2 else (much, little):
            with event_log.path_of(home, DAY).open("ab") as stream:
                stream.write(_line(NOW - 1))
            later[home].append(_evaluate(home, count + number + 1))
    for home, length in lengths.items():
        (home.events / "picture.json").unlink()
        with event_log.path_of(home, DAY).open("r+b") as stream:
            stream.truncate(length)
    ratio, cold = (median(times[much]) / median(times[little]) for times in (later, first))
    took, anew = median(later[much]), median(first[much])
    shown = f"{took * 1000:.1f} ms ({took / floor:.1f} x)".rjust(16)
    print(f"{count:<22}{ratio:>7.3f}{GOAL:>7}{shown}{f'{anew * 1000:.0f} ms, ratio {cold:.3f}':>36}{_missed(ratio)}")


def _missed(ratio: float) -> str:
    return "   missed" if ratio > GOAL else ""


def _home(root: Path, behind: int) -> Home:
    home = open_home(root, create=True)
    seconds = 21 * 3600
    with event_log.path_of(home, DAY).open("wb") as stream:
        written = 0
        for second in range(seconds):
            due = behind * (second + 1) // seconds
            stream.write(_line(MIDNIGHT + second) * (due - written))
            written = due
    return home


def _line(t: float) -> bytes:
    stamp = clock.iso(t, milliseconds=True)
    return f'{{"kind":"event","version":1,"time":"{stamp}","event":"success","source":"program"}}\n'.encode()


def _evaluate(home: Home, expected: int) -> float:
    gc.collect()
    begin = time.perf_counter()
    answer = evaluation.evaluate(home, Config(), NOW)
    took = time.perf_counter() - begin
    if answer.counts.calls != expected:
        raise SystemExit(f"{answer.counts.calls} calls were counted, {expected} recorded")
    return took


def _floor(rounds: int) -> float:
    took = []
    for _ in range(rounds):
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-S", "-c", "pass"], check=True)
        took.append(time.perf_counter() - begin)
    return median(took)


if __name__ == "__main__":
    raise SystemExit(main())
