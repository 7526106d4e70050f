"""Every case of uncommitted work goes over equal, in a linked worktree and in a clone, and PC1 stays as it was."""

from __future__ import annotations

import pytest

from tests.lib.work.cases import EQUAL, OWN
from tests.lib.work.stage import Stage

pytestmark = pytest.mark.posix


@pytest.mark.parametrize("case", EQUAL, ids=lambda name: name.replace(" ", "-"))
def test_it_goes_over_equal_and_leaves_the_first_pc_untouched(stage: Stage, case: str) -> None:
    stage.build(EQUAL[case])
    # With a sparse index git reads the folded folders from their trees and freshens the times of these objects.
    freshened = b".git/objects/" if case == "sparse index" else None
    over = stage.carry(freshened=freshened, linked=case not in OWN)
    assert over.parcel.consistent and not over.parcel.left_out
