"""Submodules and repositories inside the worktree travel as parcels of their own."""

from __future__ import annotations

import shutil

import pytest

from tests.lib.work.stage import Stage

pytestmark = pytest.mark.posix
SUBMODULE = (
    "git init -q -b main ../lib && echo l >../lib/l && git -C ../lib add l && git -C ../lib commit -qm lib1 && "
    "echo m >>../lib/l && git -C ../lib commit -qam lib2; git submodule --quiet add ../lib sub; "
    "git commit -qm sub; git push -q origin HEAD:refs/heads/withsub; "
)

INSIDE = {
    "submodule, clean": SUBMODULE,
    "submodule, pointer moved": SUBMODULE + "git -C sub checkout -q HEAD~1",
    "submodule, pointer moved and staged": SUBMODULE + "git -C sub checkout -q HEAD~1; git add sub",
    "submodule, dirty with an own commit and staged": (
        SUBMODULE
        + (
            "cd sub; echo own >own; git add own; git commit -qm own; echo d >>l; git add l; echo e >>l; "
            "echo u >u; cd ..; git add sub; echo x >>a.txt"
        )
    ),
    "submodule, not populated": SUBMODULE + "git submodule --quiet deinit -f sub; echo x >>a.txt",
    "submodule, just added": SUBMODULE.replace("git commit -qm sub;", "").replace("git push", "true"),
    "submodule, folder deleted": SUBMODULE + "rm -rf sub",
    "submodule removed": SUBMODULE + "git rm -q sub",
    "submodule replaced by a file": SUBMODULE + "rm -rf sub; echo file >sub",
    "repository inside with commits": (
        "git init -q -b n nested; cd nested; echo 1 >f; git add f; git commit -qm n; echo 2 >>f; echo u >u"
    ),
    "repository inside without commits": "git init -q -b n nested; echo 1 >nested/f; echo 2 >nested/g; git -C nested add f",
    "repository inside with a remote": (
        'git clone -q "$ORIGIN" nested; echo 2 >>nested/a.txt; git -C nested commit -qam local; echo 3 >>nested/a.txt'
    ),
    "repository inside of a repository inside": (
        "git init -q deep; cd deep; echo 1 >f; git add f; git commit -qm d; git init -q er; "
        "echo 2 >er/g; git -C er add g; git -C er commit -qm e; echo 3 >>er/g"
    ),
    "embedded repository added": (
        "git init -q -b n nested; cd nested; echo 1 >f; git add f; git commit -qm n; cd ..; "
        "git add nested 2>/dev/null; echo 2 >>nested/f"
    ),
    "repository inside, ignored": "mkdir ignored; git init -q ignored/r; echo 1 >ignored/r/f; echo x >>a.txt",
}


@pytest.mark.parametrize("case", INSIDE, ids=lambda name: name.replace(" ", "-"))
def test_it_goes_over_equal(stage: Stage, case: str) -> None:
    stage.build(INSIDE[case])
    over = stage.carry()
    assert over.parcel.consistent and not over.parcel.left_out
    for restored in over.restored.values():
        for child in over.parcel.manifest["children"]:
            inner = stage.pc1 / child["path"]
            assert stage.seen("pc1", inner) == stage.seen("pc2", restored.target / child["path"])
            branch = "git symbolic-ref -q HEAD || true; git log --format=%H 2>/dev/null || true"
            assert stage.sh("pc1", branch, inner) == stage.sh("pc2", branch, restored.target / child["path"])


def test_a_submodule_that_cannot_be_had_is_a_difference(stage: Stage) -> None:
    stage.build(SUBMODULE + "echo x >>a.txt; echo y >>sub/l")
    parcel = stage.pack()
    shutil.move(stage.top / "lib", stage.top / "gone")
    restored = stage.restore(parcel, "linked")
    assert not restored.equal
    assert any(line.startswith("sub: a repository inside could not be restored") for line in restored.differences)
    assert (restored.target / "a.txt").read_text() == "one\nx\n"
