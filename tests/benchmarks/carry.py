"""What packing and restoring uncommitted work costs, as ratios to what git needs there anyway.

For repositories of 10 and 10,000 files (100,000 with --files) with five changed files: `git status` and `git worktree add`
by git itself, and pack, restore as a linked worktree and restore as a clone, by turns. Goal beyond the fixed cost of its
processes: packing within what git needs to look at the worktree once, restoring within `git worktree add`. A benchmark, not
a test: exit 0.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "lib"))

from trinity import git
from trinity.work.carry.pack import pack
from trinity.work.carry.restore import restore
from trinity.work.carry.shapes import Parcel
from trinity.work.secret_files import withheld


def _git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=folder, env=git.environment(), check=True, stdout=subprocess.DEVNULL)


def _repository(top: Path, count: int) -> tuple[Path, Path]:
    """PC1's dirty clone and PC2's clone of one origin."""
    origin = top / "origin"
    origin.mkdir(parents=True)
    for number in range(count):
        path = origin / f"d{number // 100}" / f"f{number}.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"file {number}\n" * 20, encoding="utf-8", newline="\n")
    _git(origin, "init", "-q", "-b", "main", ".")
    _git(origin, "add", ".")
    _git(origin, "commit", "-q", "-m", "start")
    for name in ("pc1", "pc2"):
        _git(top, "clone", "-q", str(origin), name)
    dirty = top / "pc1"
    for number in range(3):
        with open(dirty / "d0" / f"f{number}.txt", "a", encoding="utf-8") as stream:
            stream.write("changed\n")
    _git(dirty, "add", "d0/f0.txt")
    (dirty / "new.txt").write_text("new\n", encoding="utf-8")
    (dirty / "d0" / "f4.txt").unlink()
    return dirty, top / "pc2"


def _measure(top: Path, count: int, rounds: int) -> dict[str, list[float]]:
    dirty, clone = _repository(top, count)
    if hasattr(os, "sync"):
        os.sync()  # what building them wrote must not be in the way
    times: dict[str, list[float]] = {
        name: [] for name in ("git status", "pack", "git worktree add", "restore, linked", "restore, clone")
    }
    for number in range(rounds + 1):
        target = top / f"target{number}"
        parcel: Parcel | None = None
        for name in times:
            started = time.perf_counter()
            if name == "git status":
                _git(dirty, "status", "--porcelain", "-uall")
            elif name == "git worktree add":
                _git(clone, "worktree", "add", "-q", "--detach", str(target / "git"))
            elif parcel is None:
                parcel = pack(dirty, top / f"parcel{number}", withheld=withheld)
            else:
                restore(parcel.manifest, parcel.bundle, target / name, clone if name == "restore, linked" else None)
            if number:  # the first round warms up
                times[name].append(time.perf_counter() - started)
        shutil.rmtree(target)
        _git(clone, "worktree", "prune")
    return times


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="10 and 1,000 files, two rounds")
    parser.add_argument("--files", type=int, nargs="+", help="numbers of files")
    parser.add_argument("--rounds", type=int)
    options = parser.parse_args(argv)
    counts = options.files or ([10, 1_000] if options.quick else [10, 10_000])
    rounds = options.rounds or (2 if options.quick else 5)
    for count in counts:
        with tempfile.TemporaryDirectory() as name:
            print(f"{count} files, 5 changed")
            medians = {key: statistics.median(value) for key, value in _measure(Path(name), count, rounds).items()}
        for key, median in medians.items():
            base = "git status" if key in ("git status", "pack") else "git worktree add"
            print(f"  {key:18} {median:7.3f} s  {median / medians[base]:6.2f} x {base}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
