"""While somebody still writes: a parcel that says it is of one moment is; one that is not says so and names the files."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.lib.work.stage import Stage
from trinity.git import Repository
from trinity.work.carry import objects
from trinity.work.carry.shapes import Parcel

pytestmark = pytest.mark.posix
FILES = "mkdir many; for i in $(seq 300); do echo $i >many/$i; done; for f in A B C; do printf '%012d\\n' 0 >$f; done; "
ROUNDS = 3


@contextmanager
def running(*command: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8")
    try:
        assert process.stdout is not None and process.stdout.readline().strip() == "writing"
        yield process
    finally:
        process.kill()
        process.communicate()


def numbers(stage: Stage, parcel: Parcel) -> list[int]:
    """A, B and C as the parcel holds them."""
    box = stage.top / "box"
    if not box.exists():
        stage.sh("pc2", f"git clone -q --bare '{stage.origin}' box", stage.top)
    git = Repository(box, bare=True)
    git.run("bundle", "unbundle", str(parcel.bundle))
    entries = {entry["path"]: entry for entry in parcel.manifest["entries"]}
    return [int(next(objects.read_blobs(git, [(entries[name]["blob"], 13)]))[1]) for name in ("A", "B", "C")]


@pytest.mark.parametrize("how", ["atomic", "in-place"])
@pytest.mark.parametrize("pause", [0.0, 0.02, 0.1, 1.0])
def test_no_torn_parcel_is_called_consistent(stage: Stage, how: str, pause: float) -> None:
    stage.build(FILES + "git add -A; git commit -qm many")
    consistent = 0
    with running(sys.executable, str(Path(__file__).with_name("writing.py")), str(stage.pc1), how, str(pause)):
        for _ in range(ROUNDS):
            parcel = stage.pack()
            if parcel.consistent:
                consistent += 1
                a, b, c = numbers(stage, parcel)
                assert a >= b >= c >= a - 1
            else:
                assert set(parcel.moving) <= {"A", "B", "C"}
    if pause >= 1.0:
        assert consistent == ROUNDS, "between two writes there was a second of peace"


def test_what_moved_is_named_and_the_rest_arrives(stage: Stage) -> None:
    stage.build(FILES + "git add -A; git commit -qm many; echo still >>a.txt")
    with running(sys.executable, str(Path(__file__).with_name("writing.py")), str(stage.pc1), "in-place", "0"):
        parcel = stage.pack(passes=2)
    assert not parcel.consistent and parcel.moving
    restored = stage.restore(parcel, "clone")
    assert (restored.target / "a.txt").read_text() == "one\nstill\n"
    assert any("not from one moment" in note for note in restored.notes)


def test_somebody_who_commits_meanwhile_notices_nothing_and_the_parcel_is_whole(stage: Stage) -> None:
    stage.build("echo 0 >>a.txt")
    loop = (
        "echo writing; n=0; while :; do n=$((n+1)); echo $n >>b.txt; git add b.txt && "
        "git commit -qm c$n && echo $n >>c.txt "
        "&& git checkout -q c.txt || { echo failed >>../failed; exit 1; }; sleep 0.3; done"
    )
    with running("sh", "-c", f"cd '{stage.pc1}' && {loop}"):
        for number in range(5):
            parcel = stage.pack()
            if parcel.consistent:
                assert stage.restore(parcel, "clone", stage.top / f"r{number}").equal
    assert not (stage.top / "failed").exists()
