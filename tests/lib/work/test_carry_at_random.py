"""Many changes at once, in any order: what no list of cases thought of."""

from __future__ import annotations

import os
import random

import pytest

from tests.lib.work.stage import Stage

pytestmark = pytest.mark.posix
SEEDS = [int(seed) for seed in os.environ.get("TRINITY_CARRY_SEEDS", "1 2 3 4 5 6").split()]
NAMES = [
    "a.txt",
    "b.txt",
    "c.txt",
    "dir",
    "dir/d.txt",
    "src/long.txt",
    "link",
    "run.sh",
    "empty.txt",
    "new",
    "n e/w",
    "dir/new",
    "data.bin",
]
STEPS = [
    "echo {n} >>'{p}'",
    "echo {n} >'{p}'",
    "printf 'r\\r\\n{n}' >>'{p}'",
    "rm -rf '{p}'",
    "rm -rf '{p}'; mkdir '{p}'; echo {n} >'{p}/x'",
    "rm -rf '{p}'; ln -s '{q}' '{p}'",
    "rm -rf '{p}'; mv '{q}' '{p}'",
    "git add -A '{p}'",
    "git add -N '{p}'",
    "git add -A",
    "git rm -rq --cached '{p}'",
    "git rm -rfq '{p}'",
    "git mv -f '{p}' '{q}'",
    "chmod +x '{p}'",
    "chmod -x '{p}'",
    "git commit -qm step",
    "git checkout -q HEAD -- '{p}'",
    "git reset -q",
    "git stash -q",
    "git update-index --assume-unchanged '{p}'",
    "git update-index --skip-worktree '{p}'",
    "git checkout -q -b b{n}",
    "echo '{p} text=auto eol=crlf' >>.gitattributes",
    "echo '/{p}' >>.gitignore",
    "mkdir -p '{p}/deep'",
    "git status >/dev/null",
]


@pytest.mark.parametrize("seed", SEEDS)
def test_any_mixture_goes_over_equal(stage: Stage, seed: int) -> None:
    chance = random.Random(seed)
    steps = []
    for number in range(chance.randint(3, 25)):
        step = chance.choice(STEPS)
        p, q = chance.choice(NAMES), chance.choice(NAMES)
        steps.append("{ " + step.format(p=p, q=q, n=number) + "; } 2>/dev/null || true")
    stage.build("mkdir 'n e'\n" + "\n".join(steps))
    stage.carry()
