"""Ready worktrees are made when they are wanted, given up when they are not, and whole or swept whatever was killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from tests.hooks.hook_runner import wait_until
from tests.lib.work.stage import ORIGIN, Stage, tree
from trinity import clock, files, locks
from trinity.errors import Busy
from trinity.work.carry import ground, ready_place, readying

pytestmark = pytest.mark.posix


def _tend(stage: Stage, *beforehand: Path, on: bool = True) -> list[str]:
    """What the process would do now, and what it says."""
    stage.at("pc2")()
    said: list[str] = []
    readying.tend(stage.ready, beforehand, on, said.append)
    assert not readying.due(stage.ready, beforehand, on)
    return said


def _worktrees(stage: Stage) -> int:
    return stage.sh("pc2", "git worktree list --porcelain", stage.pc2).count("worktree ")


def test_nothing_is_made_that_nobody_wants(stage: Stage) -> None:
    stage.build("true")
    assert not readying.due(stage.ready, [], True) and _tend(stage) == []
    assert not stage.ready.exists()


def test_it_is_a_worktree_of_the_clone_with_all_its_files_and_no_branch(stage: Stage) -> None:
    stage.build("true")
    clone = tree(stage.pc2, {b".git"})
    place = stage.make_ready()
    assert stage.sh("pc2", "git status --porcelain --ignored", place.tree) == ""
    assert stage.sh("pc2", "git rev-parse --abbrev-ref HEAD", place.tree) == "HEAD\n"
    assert tree(place.tree, {b".git"}).keys() == clone.keys() and tree(stage.pc2, {b".git"}) == clone
    made = place.made()
    assert made is not None and made.files == 11 and made.clone == str(stage.pc2)
    assert os.stat(stage.ready).st_mode & 0o777 == 0o700
    assert not readying.due(stage.ready, [], True) and _tend(stage) == []


def test_the_place_is_one_for_all_worktrees_of_a_clone(stage: Stage) -> None:
    stage.build("true")
    stage.sh("pc2", "git worktree add -q --detach ../other", stage.pc2)
    assert ready_place.of(stage.ready, stage.top / "other") == ready_place.of(stage.ready, stage.pc2)
    assert ready_place.of(stage.ready, stage.pc1) != ready_place.of(stage.ready, stage.pc2)
    stage.sh("pc2", "git clone -q --bare pc2 bare.git", stage.top)
    assert ready_place.of(stage.ready, stage.top / "bare.git").name.startswith("bare-")


def test_for_a_clone_that_a_person_names_it_is_made_beforehand(stage: Stage) -> None:
    stage.build("echo more >>a.txt")
    assert readying.due(stage.ready, [stage.pc2], True)
    assert "is ready: 11 files" in _tend(stage, stage.pc2)[0]
    made = stage.restore(stage.pack(), "ready")
    assert made.equal and made.ready == "taken" and readying.due(stage.ready, [stage.pc2], True)
    assert "is ready" in _tend(stage, stage.pc2)[0]


def test_a_name_that_is_no_clone_is_said(stage: Stage) -> None:
    stage.build("true")
    (stage.top / "empty").mkdir()
    stage.sh("pc2", "git init -q unborn", stage.top)
    named = [stage.top / "empty", stage.top / "nowhere", stage.top / "unborn"]
    said = _tend(stage, *named)
    assert ["no clone" in text or "no worktree" in text for text in said] == [True] * 3
    assert "config.json" in said[0]


REFUSED = {
    "submodules": ("git submodule add -q \"$TOP/origin\" sub; git commit -qm sub", "submodules"),
    "a filter": ("echo '*.txt filter=lfs' >.gitattributes; git add -A; git commit -qm lfs", "filter"),
    "a filter in a folder": ("echo 'd.txt filter=x' >dir/.gitattributes; git add -A; git commit -qm x", "filter"),
    "a filter in info": ("mkdir -p .git/info; echo '*.bin filter=x' >.git/info/attributes", "filter"),
    "a sparse checkout": ("git sparse-checkout set --cone dir", "sparse"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED, ids=lambda name: name.replace(" ", "-"))
def test_none_is_made_that_could_not_be_taken(stage: Stage, what: str) -> None:
    stage.build("true")
    script, why = REFUSED[what]
    stage.sh("pc2", script, stage.pc2)
    (said,) = _tend(stage, stage.pc2)
    assert why in said and "no worktree is kept ready" in said
    assert [path.name for path in stage.ready.iterdir() if path.is_dir()] == [] and _worktrees(stage) == 1
    # it is not tried at every round; for new work it is
    assert _tend(stage, stage.pc2) == []
    ready_place.of(stage.ready, stage.pc2).want(stage.pc2, stage.sh("pc2", "git rev-parse HEAD", stage.pc2).strip())
    assert readying.due(stage.ready, [], True)


def test_attributes_that_all_commits_share_do_not_matter(stage: Stage) -> None:
    attributes = "printf '* text=auto eol=crlf\\n*.bin -text\\n*.id ident\\n' >.gitattributes; echo '$Id$' >x.id\n"
    stage.build(
        "printf 'more\\r\\n' >>a.txt; git add a.txt; printf 'x\\r\\n' >b.txt",
        f"git init -q -b main .; {attributes}{ORIGIN}",
    )
    place = stage.make_ready("HEAD~1")
    over = stage.carry(modes=("ready", "linked"))
    assert over.restored["ready"].ready == "taken" and not place.tree.exists()
    assert b"\r\n" in (over.restored["ready"].target / "c.txt").read_bytes()


def test_it_is_given_up_when_its_clone_is_gone(stage: Stage) -> None:
    stage.build("true")
    place = stage.make_ready()
    shutil.rmtree(stage.pc2)
    assert readying.due(stage.ready, [stage.pc2], True)
    assert "given up" in _tend(stage, stage.pc2)[-1] and ready_place.listed(stage.ready) == []
    assert not place.tree.exists()


def test_it_is_given_up_when_it_was_not_used_for_long(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.build("true")
    place = stage.make_ready()
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now + readying.UNUSED_SECONDS + 1)
    assert _tend(stage, stage.pc2) == [] and place.tree.exists()  # named by a person
    assert readying.due(stage.ready, [], True) and "given up" in _tend(stage)[0]
    assert not place.tree.exists() and _worktrees(stage) == 1


def test_it_is_given_up_when_it_is_switched_off(stage: Stage) -> None:
    stage.build("true")
    place = stage.make_ready()
    assert "given up" in _tend(stage, stage.pc2, on=False)[0]
    assert not place.tree.exists() and _worktrees(stage) == 1 and ready_place.listed(stage.ready) == []
    assert _tend(stage, stage.pc2, on=False) == []


def test_it_gives_way_to_what_else_needs_the_disk(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.build("true")
    place = stage.make_ready()
    size = place.made().size  # type: ignore[union-attr]
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(size * 9, size * 9, 2 * size - 1))
    assert "the disk has less than 2 times its size left" in _tend(stage)[0] and not place.tree.exists()
    assert _tend(stage) == []
    place.want(stage.pc2, stage.sh("pc2", "git rev-parse HEAD", stage.pc2).strip())
    assert "the disk has less" in _tend(stage)[0] and not place.tree.exists()
    monkeypatch.undo()
    stage.at("pc2")()
    place.want(stage.pc2, stage.sh("pc2", "git rev-parse HEAD", stage.pc2).strip())
    assert "is ready" in _tend(stage)[0] and place.made() is not None


def test_there_is_one_maker_at_a_time(stage: Stage) -> None:
    stage.build("true")
    stage.make_ready()
    with locks.hold_inherited(stage.ready / "maker.lock"), pytest.raises(Busy):
        readying.tend(stage.ready, [], True, lambda text: None)


def test_what_is_just_being_taken_is_left_alone(stage: Stage) -> None:
    stage.build("true")
    place = stage.make_ready()
    place.record.unlink()
    with locks.hold_inherited(place.lock):
        readying.tend(stage.ready, [], True, lambda text: None)
        assert place.tree.exists() and place.made() is None


def test_a_folder_of_somebody_else_is_not_touched(stage: Stage) -> None:
    stage.build("true")
    stage.make_ready()
    (stage.ready / "mine").mkdir()
    (stage.ready / "mine.json").write_text("{}", encoding="utf-8")
    _tend(stage, on=False)
    assert sorted(path.name for path in stage.ready.glob("mine*")) == ["mine", "mine.json"]


MAKER = """
import sys, time
from pathlib import Path
from trinity import files
from trinity.work.carry import ground, ready_place, readying
point, reached = sys.argv[3], Path(sys.argv[4])
def stop(*arguments, **more):
    reached.touch()
    time.sleep(600)
for module, name in ((ground, "add"), (ground, "check_out"), (readying.ready, "folders"), (ready_place.Place, "note")):
    if name == point:
        setattr(module, name, stop)
readying.tend(Path(sys.argv[1]), [Path(sys.argv[2])], True, print)
"""


@pytest.mark.parametrize("point", ["add", "check_out", "folders", "note"])
def test_one_whose_maker_was_killed_is_never_taken_and_made_anew(stage: Stage, tmp_path: Path, point: str) -> None:
    stage.build("echo more >>a.txt")
    parcel = stage.pack()
    stage.at("pc2")()
    reached = tmp_path / "reached"
    library = str(Path(ground.__file__).parents[3])
    child = subprocess.Popen(
        [sys.executable, "-c", MAKER, str(stage.ready), str(stage.pc2), point, str(reached)],
        env={**stage.environment("pc2"), "PYTHONPATH": library},
    )
    wait_until(reached.exists)
    child.send_signal(signal.SIGKILL)
    child.wait()
    made = stage.restore(parcel, "ready")
    assert made.equal and made.ready == ""
    assert readying.due(stage.ready, [stage.pc2], True)
    assert "is ready" in _tend(stage, stage.pc2)[-1]
    assert not list(stage.ready.glob("*.unfinished*")) and _worktrees(stage) == 3
    assert stage.restore(parcel, "ready", stage.top / "another").ready == "taken"


def test_a_taker_that_was_killed_leaves_nothing_that_is_taken(stage: Stage) -> None:
    stage.build("true")
    place = stage.make_ready()
    record = files.read_json(place.record)
    place.record.unlink()  # from there on it is killed anywhere
    assert readying.due(stage.ready, [], True) and "is ready" in _tend(stage)[0]
    assert record["made"]["index"] != files.read_json(place.record)["made"]["index"] and _worktrees(stage) == 2
