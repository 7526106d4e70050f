"""Every case of uncommitted work goes over equal, in a linked worktree and in a clone, and PC1 stays as it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lib.work.cases import EQUAL
from tests.lib.work.stage import Seen, Stage, tree

pytestmark = pytest.mark.posix
MODES = ("linked", "clone")


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "")  # what a stage sets is taken back
    monkeypatch.setenv("HOME", str(tmp_path))
    return Stage(tmp_path)  # type: ignore[return-value]


def differing(before: Seen, after: Seen) -> dict[str, object]:
    """The views that differ, with both sides."""
    return {name: (value, after[name]) for name, value in before.items() if value != after[name]}


@pytest.mark.parametrize("case", EQUAL, ids=lambda name: name.replace(" ", "-"))
def test_it_goes_over_equal_and_leaves_the_first_pc_untouched(stage: Stage, case: str) -> None:
    stage.build(EQUAL[case])
    before = stage.seen("pc1", stage.pc1)
    untouched = tree(stage.pc1)
    (stage.top / "told").unlink(missing_ok=True)
    parcel = stage.pack()
    assert not (stage.top / "told").exists(), "a hook of PC1 was run"
    touched = {path for path, what in tree(stage.pc1).items() if untouched.get(path) != what}
    if case == "sparse index":
        # Git reads the folded folders from their trees and freshens the times of these objects; the content is the same.
        touched = {path for path in touched if not path.startswith(b".git/objects/")}
    assert not touched and set(untouched) == set(tree(stage.pc1))
    assert parcel.consistent and not parcel.left_out
    for mode in MODES:
        restored = stage.restore(parcel, mode)
        assert restored.equal, restored.differences
        assert restored.linked == (mode == "linked")
        assert not differing(before, stage.seen("pc2", restored.target)), mode
