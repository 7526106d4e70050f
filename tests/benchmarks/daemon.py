"""What the daemon takes of a machine: its share of one CPU, its children's included, and its memory.

    python tests/benchmarks/daemon.py [--quick] [--interval 60] [--seconds 180]

`credit_monitor.py --interval 60` runs twice, on an idle PC and on one whose session records one event per second (so that
every interval has its evaluation). Goals: 0.5 % of one CPU and 20 MB resident, said as ratios to the goal. A shorter
--interval is scaled: what the children take, to rounds of 60 s; the loop's own share is taken as it is. A benchmark, not a
test: exit 0.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "lib"))

import psutil

from trinity import clock
from trinity.credit import event_log
from trinity.home import Home, open_home

INTERVAL = 60.0
SHARE = 0.005
MEMORY = 20 * 1024 * 1024


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--interval", type=float, default=INTERVAL)
    parser.add_argument("--seconds", type=float, default=180.0, help="how long each of the two is watched")
    parser.add_argument("--quick", action="store_true", help="seconds, not minutes: shows that it runs")
    options = parser.parse_args(argv)
    if options.quick:
        options.interval, options.seconds = 1.0, 2.5
    if options.interval != INTERVAL:
        print(f"interval {options.interval:g} s; the children's share is scaled to {INTERVAL:g} s")
    print(f"{'':<26}{'CPU':>9}{'ratio to 0.5 %':>16}{'memory':>10}{'ratio to 20 MB':>16}{'of it children':>16}")
    for name, busy in (("idle", False), ("one event per second", True)):
        with tempfile.TemporaryDirectory() as folder:
            home = open_home(Path(folder, "home"), create=True)
            own, children, memory = _watch(home, options.interval, options.seconds, busy)
        scaled = children * options.interval / INTERVAL
        share = (own + scaled) / options.seconds
        missed = "   missed" if share > SHARE or memory > MEMORY else ""
        print(
            f"{name:<26}{share:>8.2%} {share / SHARE:>15.2f}{memory / 1024 / 1024:>7.1f} MB{memory / MEMORY:>16.2f}"
            f"{scaled / options.seconds:>15.2%}{missed}"
        )
    return 0


def _watch(home: Home, interval: float, seconds: float, busy: bool) -> tuple[float, float, int]:
    """CPU seconds of the daemon itself and of its children, and the most it had resident."""
    profile = home.root.parent / "claude"
    (profile / "projects" / "-project").mkdir(parents=True)
    settings = {"kind": "config", "version": 1, "pc": "PC1", "profiles": [str(profile)]}
    home.config_file.write_text(json.dumps(settings), encoding="utf-8", newline="\n")
    command = [sys.executable, str(CHECKOUT / "scripts" / "credit_monitor.py"), "--interval", f"{interval:g}"]
    environment = {**os.environ, "HOME": str(home.root.parent), "PYTHONPATH": ""}
    daemon = subprocess.Popen([*command, "--home", str(home.root)], env=environment, stdin=subprocess.DEVNULL)
    try:
        process = psutil.Process(daemon.pid)
        _first_round(home, daemon)
        before, memory = process.cpu_times(), 0
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(1.0, left))
            memory = max(memory, process.memory_info().rss)
            if busy:
                t = clock.iso(milliseconds=True)
                event_log.append(home, {"event": "hook", "source": "hook", "name": "PostToolUse", "session_id": t})
        after = process.cpu_times()
    finally:
        daemon.terminate()
        daemon.wait()
    own = after.user + after.system - before.user - before.system
    children = after.children_user + after.children_system - before.children_user - before.children_system
    return max(0.0, own), max(0.0, children), memory


def _first_round(home: Home, daemon: subprocess.Popen[bytes]) -> None:
    """It makes what a new state folder lacks, once."""
    end = time.monotonic() + 60
    while not (home.root / "round.json").exists():
        if daemon.poll() is not None or time.monotonic() > end:
            raise SystemExit("the daemon did not come up")
        time.sleep(0.1)
    time.sleep(1.0)


if __name__ == "__main__":
    raise SystemExit(main())
