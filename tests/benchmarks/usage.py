"""What a usage report costs beside ccusage 20 (native), over generated transcripts, as ratios; totals must be equal.

    python tests/benchmarks/usage.py [--quick] [--mb MEGABYTES] [--rounds N] [--keep DIR]

Both say the same things in the same run, by turns: `ccusage claude daily --json` and `usage_report.py --json` over all
days. First: there is no ledger yet. Later: nothing is new, and one file has grown by an answer. Goals: first wall and CPU
0.55 at 1000 MB (0.65 at 100 MB), later 0.02 at 1000 MB, memory 0.5, each a ratio to ccusage's full run. "ledger" is the
reading alone, without the report's own start and sums. Memory is that of all processes at their largest moment.
Totals that differ end it with 1; a ratio never does.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(CHECKOUT / "lib"), str(CHECKOUT)]

import psutil

from tests import ccusage, transcripts

REPORT = [sys.executable, str(CHECKOUT / "scripts" / "usage_report.py"), "--json", "--since", "2026-01-01"]
LEDGER = [
    sys.executable, "-S", "-c",
    "import sys; sys.path[:0] = sys.argv[1].split('|'); from pathlib import Path; "
    "from trinity.home import open_home; from trinity.usage import updating; "
    "updating.bring(open_home(sys.argv[2], create=True), [sys.argv[3]], '0' * 16)",
]  # fmt: skip


@dataclass
class Run:
    """Seconds of wall and CPU (children included), and bytes of the largest moment of all its processes together."""

    wall: float
    cpu: float
    memory: int
    output: bytes


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mb", type=float, default=1000, help="megabytes of transcripts (default: 1000)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="generate below this folder, or take what is there")
    parser.add_argument(
        "--quick", action="store_true", help="100 MB once: shows that it runs and that totals are equal"
    )
    options = parser.parse_args(argv)
    if options.quick:
        options.mb, options.rounds = 100, 1
    with tempfile.TemporaryDirectory() as folder:
        place = options.keep or Path(folder)
        profile = place / "user" / ".claude"
        if not profile.exists():
            transcripts.generate(profile, options.mb)
        return _compare(profile, Path(folder) / "state", options.mb, options.rounds)


def _compare(profile: Path, state: Path, megabytes: float, rounds: int) -> int:
    runs: dict[str, list[Run]] = {
        name: [] for name in ("ccusage", "first", "ledger", "nothing new", "ledger again", "grown")
    }
    grown = sorted(profile.rglob("*.jsonl"))[0]
    equal = True
    for number in range(rounds):
        runs["ccusage"].append(_run(ccusage.command("daily"), ccusage.environment(profile)))
        shutil.rmtree(state, ignore_errors=True)
        runs["ledger"].append(_run(_ledger(state, profile), _environment(profile, state)))
        runs["ledger again"].append(_run(_ledger(state, profile), _environment(profile, state)))
        shutil.rmtree(state, ignore_errors=True)
        for name in ("first", "nothing new"):
            runs[name].append(_run(REPORT, _environment(profile, state)))
            equal = equal and _same(runs["ccusage"][-1].output, runs[name][-1].output)
        _grow(grown, number)
        runs["grown"].append(_run(REPORT, _environment(profile, state)))
        equal = equal and _same(
            _run(ccusage.command("daily"), ccusage.environment(profile)).output, runs["grown"][-1].output
        )
    peer = runs["ccusage"]
    wall, cpu = median(run.wall for run in peer), median(run.cpu for run in peer)
    print(
        f"{megabytes:g} MB, {sum(1 for _ in profile.rglob('*.jsonl'))} files; ccusage {ccusage.VERSION}: {wall:.2f} s, "
        f"CPU {cpu:.2f} s, {max(run.memory for run in peer) / 1e6:.0f} MB"
    )
    print(f"{'ratio to ccusage':<16}{'wall':>8}{'CPU':>8}{'memory':>8}{'wall ms':>10}")
    memory = median(run.memory for run in peer)
    for name, some in runs.items():
        if name != "ccusage":
            took = median(run.wall for run in some)
            print(
                f"{name:<16}{took / wall:>8.3f}{median(run.cpu for run in some) / cpu:>8.3f}"
                f"{median(run.memory for run in some) / memory:>8.3f}{took * 1000:>10.0f}"
            )
    size = (state / "usage.db").stat().st_size
    share, said = size / megabytes / 1e4, "equal" if equal else "DIFFER"
    print(f"ledger {size / 1e6:.1f} MB, {share:.2f} % of the transcripts; totals {said}")
    return 0 if equal else 1


def _ledger(state: Path, profile: Path) -> list[str]:
    return [*LEDGER, "|".join(sys.path), str(state), str(profile)]


def _environment(profile: Path, state: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "TEMP", "TMP") if name in os.environ}
    home = str(profile.parent)
    return {**kept, "HOME": home, "USERPROFILE": home, "TRINITY_HOME": str(state), "TZ": "UTC"}


def _run(command: list[str], environment: dict[str, str]) -> Run:
    began = time.perf_counter()
    before = os.times()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
    peak = [0]
    watching = threading.Thread(target=_watch, args=(process.pid, peak), daemon=True)
    watching.start()
    output, _ = process.communicate()
    wall, after = time.perf_counter() - began, os.times()
    watching.join()
    if process.returncode:
        raise SystemExit(f"{command} ended with {process.returncode}")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Run(wall, cpu, peak[0], output)


def _watch(pid: int, peak: list[int]) -> None:
    try:
        whole = psutil.Process(pid)
        while True:
            family = [whole, *whole.children(recursive=True)]
            peak[0] = max(peak[0], sum(_memory(one) for one in family))
            time.sleep(0.02)
    except psutil.Error:
        return


def _memory(process: psutil.Process) -> int:
    """Pages that a fork shares with its parent count once, where the system says so."""
    found = process.memory_full_info()
    return int(getattr(found, "pss", 0) or found.rss)


def _grow(path: Path, number: int) -> None:
    """One more answer at the end of a file, as its last line, of another id."""
    data = path.read_bytes()
    last = data[data.rfind(b"\n", 0, -1) + 1 :]
    at = last.find(b'"id":"msg_') + len(b'"id":"msg_')
    with path.open("ab") as stream:
        stream.write(last[:at] + b"g%d%d" % (time.time_ns(), number) + last[at:])


def _same(theirs: bytes, ours: bytes) -> bool:
    found, tokens = json.loads(theirs)["totals"], json.loads(ours)["total"]["tokens"]
    written = tokens["cache_write_5m"] + tokens["cache_write_1h"]
    return [found[kind] for kind in ccusage.KINDS] == [tokens["input"], tokens["output"], tokens["cache_read"], written]


if __name__ == "__main__":
    raise SystemExit(main())
