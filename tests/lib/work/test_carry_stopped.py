"""A merge, rebase or cherry-pick that stopped goes over equal, and can be finished there."""

from __future__ import annotations

import pytest

from tests.lib.work.stage import Stage

pytestmark = pytest.mark.posix
SIDE = (
    "git checkout -q -b side; echo s >>a.txt; git commit -qam 'side one'; echo t >>b.txt; "
    "git commit -qam 'side two'; git checkout -q main; "
)
MAIN = "echo m >>a.txt; git commit -qam 'main one'; "
RESOLVE = "printf 'one\\nboth\\n' >a.txt; git add a.txt; "

STOPPED = {
    "merge": (SIDE + MAIN + "! git merge -q side >/dev/null", "git commit -q --no-edit", "Merge branch 'side'"),
    "rebase": (
        SIDE + MAIN + "git checkout -q side; ! git rebase -q main >/dev/null 2>&1",
        "git rebase --continue",
        "side two",
    ),
    "interactive rebase with an exec line": (
        SIDE + MAIN + "git checkout -q side; ! git rebase -q -i --exec 'echo ran >>ran.log' main >/dev/null 2>&1",
        "git rebase --continue && test -f ran.log",
        "side two",
    ),
    "rebase with a stash of its own": (
        SIDE + MAIN + "git checkout -q side; echo dirty >>c.txt; ! git rebase -q --autostash main >/dev/null 2>&1",
        "git rebase --continue && grep -q dirty c.txt",
        "side two",
    ),
    "merge with a stash of its own": (
        SIDE + MAIN + "echo dirty >>c.txt; ! git merge -q --autostash side >/dev/null 2>&1",
        "git commit -q --no-edit && grep -q dirty c.txt",
        "Merge branch 'side'",
    ),
    "rebase with merges": (
        SIDE
        + MAIN
        + "git checkout -q side; git checkout -q -b twig HEAD~1; echo w >w; git add w; git commit -qm twig; "
        "git checkout -q side; git merge -q --no-edit twig; ! git rebase -q -r main >/dev/null 2>&1",
        "git rebase --continue && test -f w",
        "Merge branch 'twig' into side",
    ),
    "rebase by patches": (
        SIDE + MAIN + "git checkout -q side; ! git rebase -q --apply main >/dev/null 2>&1",
        "git rebase --continue",
        "side two",
    ),
    "cherry-pick of two": (
        SIDE + MAIN + "! git cherry-pick main..side >/dev/null 2>&1",
        "git cherry-pick --continue",
        "side two",
    ),
    "revert": (
        SIDE + MAIN + "echo n >>a.txt; git commit -qam 'main two'; ! git revert --no-edit HEAD~1 >/dev/null 2>&1",
        "git revert --continue",
        'Revert "main one"',
    ),
    "series of mails": (
        SIDE + "git format-patch -q -2 side -o ../mails; " + MAIN + "! git am -q --3way ../mails/* >/dev/null 2>&1",
        "git am --continue",
        "side two",
    ),
}


@pytest.mark.parametrize("name", STOPPED, ids=lambda name: name.replace(" ", "-"))
def test_it_goes_over_equal_and_is_finished_there(stage: Stage, name: str) -> None:
    script, finish, subject = STOPPED[name]
    stage.build(script)
    over = stage.carry()
    assert any("stopped in the middle" in note for note in over.parcel.manifest["notes"])
    for mode, restored in over.restored.items():
        stage.sh(
            "pc2", "git gc -q --prune=now", restored.target
        )  # what only the stopped operation names is not collected
        stage.sh("pc2", RESOLVE + finish, restored.target)
        assert stage.sh("pc2", "git log -1 --format=%s", restored.target).strip() == subject, mode
        assert stage.sh("pc2", "git status --porcelain | grep -v '?? ran.log' || true", restored.target) in (
            "",
            " M c.txt\n",
        )


def test_a_rebased_branch_ends_on_its_name_or_says_the_other_one(stage: Stage) -> None:
    stage.build(STOPPED["rebase"][0])
    stage.sh("pc2", "git branch side", stage.pc2)  # another branch of this name is there already
    over = stage.carry()
    stage.sh("pc2", RESOLVE + "git rebase --continue", over.restored["clone"].target)
    assert stage.sh("pc2", "git symbolic-ref HEAD", over.restored["clone"].target) == "refs/heads/side\n"
    linked = over.restored["linked"]
    assert any("the rebased branch is called carried/side" in note for note in linked.notes)
    stage.sh("pc2", RESOLVE + "git rebase --continue", linked.target)
    assert stage.sh("pc2", "git symbolic-ref HEAD", linked.target) == "refs/heads/carried/side\n"
    assert stage.sh("pc2", "git log -1 --format=%s side", stage.pc2) == "second\n"


def test_what_a_carried_rebase_would_run_is_shown(stage: Stage) -> None:
    stage.build(STOPPED["interactive rebase with an exec line"][0])
    parcel = stage.pack()
    assert parcel.manifest["operation"]["commands"] == ["echo ran >>ran.log"] * 2
    assert stage.restore(parcel, "clone").commands == ["echo ran >>ran.log"] * 2


def test_a_bisection_goes_on_there(stage: Stage) -> None:
    stage.build(
        "for i in 1 2 3 4 5 6 7 8; do echo $i >>c.txt; git commit -qam c$i; done; "
        "git bisect start HEAD HEAD~7 >/dev/null; "
        "git bisect good >/dev/null"
    )
    over = stage.carry()
    for restored in over.restored.values():
        out = stage.sh("pc2", "git bisect good; git bisect good", restored.target)
        assert "c8" in out or "is the first bad commit" in out


@pytest.mark.parametrize(
    ("script", "subject"),
    [
        (SIDE + "git merge -q --squash side >/dev/null", "Squashed commit of the following:"),
        (SIDE + "git cherry-pick -n side~1", "side one"),
    ],
    ids=["squash", "cherry-pick"],
)
def test_a_prepared_message_is_there_for_the_next_commit(stage: Stage, script: str, subject: str) -> None:
    stage.build(script + "; echo more >>b.txt")
    over = stage.carry()
    for restored in over.restored.values():
        assert any("prepared message" in note for note in restored.notes)
        stage.sh("pc2", "git commit -q --no-edit", restored.target)
        assert stage.sh("pc2", "git log -1 --format=%s", restored.target).strip() == subject
