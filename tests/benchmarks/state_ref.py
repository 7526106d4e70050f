"""What a change of the fleet's state costs, as ratios to git itself.

One 4 KB record is written and pushed to a bare repository with the server settings of the embedded remote, by turns:
`git add; git commit; git push` in sh in a worktree of 10 files, the same five plumbing commands and a push in sh, and
`State.change` with the current folder in a worktree of 10 and in one of 100,000 files. Goal: the last two within 1.3.
A benchmark, not a test: exit 0.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "lib"))

from trinity import git
from trinity.fleet import names
from trinity.fleet.state import State, open_state
from trinity.home import open_home

PORCELAIN = "git add record.json && git commit -q -m change && git push -q origin HEAD:refs/heads/trinity-state"
PLUMBING = """
base=$(git rev-parse refs/heads/trinity-state) &&
blob=$(git hash-object -w record.json) &&
git read-tree "$base" &&
git update-index --add --cacheinfo "100644,$blob,wake/PC1.json" &&
commit=$(git commit-tree -p "$base" -m change "$(git write-tree)") &&
git push -q --force-with-lease=refs/heads/trinity-state:"$base" origin "$commit:refs/heads/trinity-state" &&
git update-ref refs/heads/trinity-state "$commit"
"""


def _shell(script: str, folder: Path) -> None:
    subprocess.run(["sh", "-c", script], cwd=folder, env=git.environment(), check=True)


def _worktree(folder: Path, remote: Path, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        path = folder / f"d{number // 1000}" / f"f{number}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    _shell(f"git init -q -b work . && git remote add origin '{remote}' && git add . && git commit -q -m start", folder)
    return folder


def _record(number: int) -> bytes:
    return f"{number:>4096}\n".encode()


def _porcelain(folder: Path) -> Callable[[int], None]:
    def run(number: int) -> None:
        (folder / "record.json").write_bytes(_record(number))
        _shell(PORCELAIN, folder)

    return run


def _plumbing(folder: Path, remote: Path) -> Callable[[int], None]:
    _shell("git init -q --bare . && git symbolic-ref HEAD refs/heads/trinity-state", folder)
    _shell(f"git remote add origin '{remote}'", folder)
    _shell(
        "c=$(git commit-tree -m start $(git mktree </dev/null)) && git update-ref refs/heads/trinity-state $c "
        "&& git push -q origin $c:refs/heads/trinity-state",
        folder,
    )

    def run(number: int) -> None:
        (folder / "record.json").write_bytes(_record(number))
        _shell(PLUMBING, folder)

    return run


def _change(state: State, folder: Path) -> Callable[[int], None]:
    def run(number: int) -> None:
        os.chdir(folder)
        data = _record(number)
        assert state.change(names.new_id(), "change", lambda tree: {"wake/PC1.json": data}).done

    return run


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--files", type=int, default=100_000, help="files of the large worktree")
    parser.add_argument("--quick", action="store_true", help="few rounds and files: shows that it runs")
    options = parser.parse_args(argv)
    if options.quick:
        options.rounds, options.files = 2, 200
    started_in = Path.cwd()
    with tempfile.TemporaryDirectory() as name:
        top = Path(name)
        remotes = [git.init_bare(top / f"remote{number}.git", server=True).path for number in range(4)]
        small = _worktree(top / "small", remotes[0], 10)
        large = _worktree(top / "large", remotes[3], options.files)
        bare = top / "plumbing.git"
        bare.mkdir()
        state = open_state(open_home(top / "home", create=True), remotes[2], "PC1")
        runs = {
            "git add; commit; push in sh, 10 files": _porcelain(small),
            "plumbing in sh, no worktree": _plumbing(bare, remotes[1]),
            "State.change, 10 files": _change(state, small),
            f"State.change, {options.files} files": _change(state, large),
        }
        if hasattr(os, "sync"):
            os.sync()  # the large worktree's own writing must not be in the way of the fsyncs measured
        taken: dict[str, list[float]] = {name: [] for name in runs}
        for number in range(options.rounds + 1):
            for name, run in random.sample(list(runs.items()), len(runs)):  # what went before must not decide
                started = time.perf_counter()
                run(number)
                if number:  # the first one warms up
                    taken[name].append(time.perf_counter() - started)
        os.chdir(started_in)
    medians = {name: statistics.median(times) for name, times in taken.items()}
    first = next(iter(medians.values()))
    for name, median in medians.items():
        print(f"{name:40} {median * 1000:7.1f} ms   {median / first:5.2f} x")
    _, _, ten, many = medians.values()
    print(f"large to small worktree: {many / ten:.2f} x (goal: 1.30)")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
