"""A worktree that lies ready is used up for arriving work when it gives the same, and only then."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lib.work.cases import EQUAL, OWN
from tests.lib.work.stage import Stage, tree
from trinity import locks
from trinity.errors import TrinityError
from trinity.work.carry import ready, readying, restore
from trinity.work.carry.restore import Restored

pytestmark = pytest.mark.posix
DIRTY = "echo more >>a.txt; git add a.txt; echo x >>a.txt; rm b.txt; echo new >new.txt"
# Work whose files a checkout here would write otherwise than those that lie ready.
OTHERWISE = OWN | {
    "autocrlf true with mixed line ends",
    "autocrlf input",
    "file modes ignored",
    "text=auto and files with CRLF",
    "eol=crlf and ident",
    "UTF-16 encoding",
    "changed attributes",
    "LFS attributes without git-lfs",
    *(name for name in EQUAL if name.startswith("sparse")),
}


def _plain(top: Path) -> dict[bytes, tuple[object, ...]]:
    """What lies below, without times and git's own."""
    return {path: what[:2] for path, what in tree(top, {b".git"}).items()}


def _identities(top: Path) -> dict[str, tuple[int, int]]:
    """Which file each one is: number, and when it was written, because numbers are given again."""
    found = {str(path.relative_to(top)): os.lstat(path) for path in top.rglob("*") if not path.is_dir()}
    return {path: (status.st_ino, status.st_mtime_ns) for path, status in found.items() if path != ".git"}


@pytest.mark.parametrize("case", EQUAL, ids=lambda name: name.replace(" ", "-"))
def test_every_case_is_the_same_with_one_and_without(stage: Stage, case: str) -> None:
    stage.build(EQUAL[case])
    place = stage.make_ready("HEAD~1")
    before = _identities(place.tree)
    clone = tree(stage.pc2, {b".git"})
    freshened = b".git/objects/" if case == "sparse index" else None
    over = stage.carry(modes=("linked", "ready"), freshened=freshened, linked=case not in OWN)
    plain, taken = over.restored["linked"], over.restored["ready"]
    assert (taken.ready == "taken") == (case not in OTHERWISE), taken.ready
    assert _plain(plain.target) == _plain(taken.target)
    # of two that are restored here only the first can have a branch
    notes = [[note for note in one.notes if "branch" not in note] for one in (plain, taken)]
    assert notes[0] == notes[1] and (plain.operation, plain.tracked) == (taken.operation, taken.tracked)
    if taken.ready == "taken":
        assert not place.tree.exists() and place.made() is None
        kept = [path for path, identity in _identities(taken.target).items() if before.get(path) == identity]
        assert "empty.txt" in kept
    assert tree(stage.pc2, {b".git"}) == clone


def _carried(stage: Stage, script: str = DIRTY) -> Callable[[], Restored]:
    """PC1's work, to be restored at PC2 where one lies ready."""
    stage.build(script)
    parcel = stage.pack()
    return lambda: stage.restore(parcel, "ready")


def test_of_a_ready_one_only_what_differs_is_written(stage: Stage) -> None:
    restored = _carried(stage)
    place = stage.make_ready("HEAD~1")
    before = _identities(place.tree)
    made = restored()
    assert made.equal and made.ready == "taken"
    now = _identities(made.target)
    assert {path for path in now if now[path] != before.get(path)} == {"a.txt", "new.txt", "src/long.txt"}
    assert stage.sh("pc2", "git worktree list --porcelain", stage.pc2).count("worktree ") == 2


def test_the_second_arrival_finds_none_and_is_restored_in_full(stage: Stage) -> None:
    restored = _carried(stage)
    stage.make_ready()
    first = restored()
    stage.sh("pc2", f"git worktree move '{first.target}' ../moved", stage.pc2)
    second = restored()
    assert (first.ready, second.ready) == ("taken", "") and second.equal


def test_of_two_arrivals_at_once_one_takes_it(stage: Stage) -> None:
    stage.build(DIRTY)
    parcel = stage.pack()
    stage.make_ready()
    stage.at("pc2")()
    made: list[Restored] = []

    def arrive(number: int) -> None:
        target = stage.top / f"arrived-{number}"
        made.append(restore.restore(parcel.manifest, parcel.bundle, target, stage.pc2, ready_folder=stage.ready))

    threads = [threading.Thread(target=arrive, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.equal for one in made] == [True, True]
    assert [one.ready for one in made].count("taken") == 1
    assert _plain(made[0].target) == _plain(made[1].target)


TOUCHED = {
    "a file was written": ("echo x >>c.txt", "touched"),
    "a file was written and put back": ("cp -p c.txt t; echo x >c.txt; cp -p t c.txt; rm t", "touched"),
    "a file was written with its times": ("touch -r c.txt ../t; printf 'THREE\\n' >c.txt; touch -r ../t c.txt", "touched"),
    "the line ends of a file": ("printf 'three\\r\\n' >c.txt", "touched"),
    "a mode": ("chmod 600 c.txt", "touched"),
    "a new file": ("echo x >n.txt", "touched"),
    "a new ignored file": ("echo x >n.log", "touched"),
    "a new empty folder": ("mkdir src/hollow", "touched"),
    "a file is gone": ("rm c.txt", "touched"),
    "a file is gone from a folder": ("rm dir/d.txt", "touched"),
    "a folder is gone": ("rm -r dir", "No such file"),
    "another index": ("echo x >>c.txt; git add c.txt", "index"),
    "a flag": ("git update-index --assume-unchanged c.txt", "index"),
    "no git": ("rm .git", "no git worktree"),
}  # fmt: skip


@pytest.mark.parametrize("what", TOUCHED, ids=lambda name: name.replace(" ", "-"))
def test_one_that_somebody_touched_is_thrown_away(stage: Stage, what: str) -> None:
    restored = _carried(stage)
    place = stage.make_ready("HEAD~1")
    script, why = TOUCHED[what]
    stage.sh("pc2", script, place.tree)
    made = restored()
    assert made.equal and why in made.ready, made.ready
    assert place.made() is None and not (made.target / "n.txt").exists()
    # what is left of it goes, and the next one is whole
    readying.tend(stage.ready, [], True, lambda text: None)
    assert place.made() is not None and _plain(place.tree) == _plain_of(stage, place.made())
    assert stage.sh("pc2", "git worktree list --porcelain", stage.pc2).count("worktree ") == 3


def _plain_of(stage: Stage, made: object) -> dict[bytes, tuple[object, ...]]:
    commit = getattr(made, "commit")  # noqa: B009
    stage.sh("pc2", f"git worktree add -q --detach '{stage.top}/fresh' {commit}", stage.pc2)
    found = _plain(stage.top / "fresh")
    stage.sh("pc2", f"git worktree remove --force '{stage.top}/fresh'", stage.pc2)
    return found


SETTINGS = {
    "line ends": "git config --global core.autocrlf input",
    "trust in times": "git config core.trustctime false",
    "a filter": "git config filter.x.smudge cat",
    "attributes of the user": "mkdir -p ~/.config/git; echo '*.txt ident' >~/.config/git/attributes",
    "attributes in info": "mkdir -p .git/info; echo '*.txt eol=crlf' >.git/info/attributes",
    "sparse": "git sparse-checkout set --cone dir",
    "settings of the clone's own worktree": (
        "git config extensions.worktreeConfig true; git config --worktree core.eol crlf"
    ),
}


@pytest.mark.parametrize("what", SETTINGS, ids=lambda name: name.replace(" ", "-"))
def test_one_of_other_settings_is_not_taken(stage: Stage, what: str) -> None:
    stage.build(DIRTY)
    parcel = stage.pack()
    stage.make_ready()
    stage.sh("pc2", SETTINGS[what], stage.pc2)
    with_one = stage.restore(parcel, "ready")
    without = stage.restore(parcel, "linked")
    assert with_one.ready not in ("", "taken") or not with_one.linked, with_one.ready
    assert (with_one.equal, with_one.differences) == (without.equal, without.differences)
    assert _plain(with_one.target) == _plain(without.target)


def test_another_mask_for_modes_is_another_checkout(stage: Stage) -> None:
    restored = _carried(stage)
    stage.make_ready()
    before = os.umask(0o077)
    try:
        made = restored()
    finally:
        os.umask(before)
    assert made.equal and "settings" in made.ready
    assert os.stat(made.target / "c.txt").st_mode & 0o777 == 0o600


def test_work_with_settings_of_its_own_leaves_it_for_the_next(stage: Stage) -> None:
    restored = _carried(stage, EQUAL["autocrlf input"])
    place = stage.make_ready()
    assert "core.autocrlf" in restored().ready and place.made() is not None


def test_while_it_is_held_the_work_goes_on_without(stage: Stage) -> None:
    restored = _carried(stage)
    place = stage.make_ready()
    with locks.hold_inherited(place.lock):
        made = restored()
    assert made.equal and "just being made" in made.ready and place.made() is not None


def test_what_goes_wrong_on_a_ready_one_is_done_anew_without(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    restored = _carried(stage)
    stage.make_ready()
    monkeypatch.setattr(ready, "touched", lambda *arguments: "")
    (next(stage.ready.glob("pc2-*/c.txt"))).write_text("somebody's\n", encoding="utf-8")
    made = restored()
    assert made.equal and "differed" in made.ready and (made.target / "c.txt").read_text(encoding="utf-8") == "three\n"


def test_a_move_that_fails_leaves_the_ordinary_way(stage: Stage) -> None:
    restored = _carried(stage)
    place = stage.make_ready()
    stage.sh("pc2", f"git worktree lock '{place.tree}'", stage.pc2)
    made = restored()
    assert made.equal and made.ready not in ("", "taken")


def test_an_error_that_is_the_parcels_is_said_as_ever(stage: Stage) -> None:
    stage.build(DIRTY)
    parcel = stage.pack()
    stage.make_ready()
    parcel.bundle.write_bytes(parcel.bundle.read_bytes()[:-1] + b"x")
    with pytest.raises(TrinityError, match="damaged"):
        stage.restore(parcel, "ready")
    assert len(list(stage.ready.glob("pc2-*/c.txt"))) == 1
