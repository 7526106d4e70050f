"""Once round the fleet with one conversation, by itself: PC1 → PC2 → PC3 → PC1, whole at every stop."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.api.plan import bash
from tests.api.requests import Request
from tests.clients import Client
from tests.fake_api import ScriptedApi
from tests.relay.conftest import PROMPT, Pc
from tests.relay.test_two_pcs import STATUS, _git, _join
from trinity import git
from trinity.work import fence

pytestmark = pytest.mark.posix

EACH = 10 + 200 + 3000 + 42  # tokens of one answer of the scripted API
MADE = ("a.txt", "b.txt", "c.txt", "d.txt")


@pytest.fixture
def three(version: str, make_client: Callable[..., Client], api: ScriptedApi, tmp_path: Path) -> Iterator[list[Pc]]:
    """Three PCs whose accounts are paid by use, each with its own login; PC1 has a project with uncommitted work."""
    fleet = git.init_bare(tmp_path / "fleet.git", server=True).path
    pcs = [
        _join(make_client(version, name=f"pc{n}", token=f"token-of-pc{n}"), api, f"PC{n}", fleet, "api")
        for n in (1, 2, 3)
    ]
    work = pcs[0].client.project
    _git(work, "init", "-q", "-b", "main")
    (work / "changed.txt").write_text("before\n", encoding="utf-8")
    _git(work, "add", ".")
    _git(work, "commit", "-qm", "first")
    (work / "changed.txt").write_text("after\n", encoding="utf-8")
    for pc in pcs:
        pc.configure_top(poll_seconds=1)
        pc.watch()
    yield pcs
    for pc in pcs:
        pc.unwatch()


def test_one_conversation_goes_round_the_fleet_and_is_whole_at_every_stop(three: list[Pc]) -> None:
    api, work = three[0].api, three[0].client.project
    api.set_plan({"steps": [bash(f"echo made > {name}") for name in MADE], "default": {"text": "all is done"}})
    # PC1's window starts anew while the work is away; those of the others last.
    for pc, lasts in zip(three, (2, 900, 900), strict=True):
        api.limit_until(float("inf"), after=1, lasts=lasts, account=pc.client.token)
    stopped = three[0].client.headless(PROMPT, "--permission-mode", "acceptEdits", "--allowedTools", "Bash")
    left = _git(work, *STATUS)

    done = three[0].settle(lambda found: [r["state"] for r in found] == ["done"], timeout=240)[0]
    assert [visit["pc"] for visit in done["visits"]] == ["PC2", "PC3", "PC1"] and done["owner"] == "PC1"
    assert [pc.resumes() for pc in three] == [1, 1, 1]

    served = [r for r in api.main_requests(stopped.session) if not r.limited]
    order = list(dict.fromkeys(r.account for r in served[1:]))
    assert order == [three[1].client.token, three[2].client.token, three[0].client.token]
    assert len(served) == len(MADE) + 1 and api.main_requests() == api.main_requests(stopped.session)
    for at, request in enumerate(served):
        assert PROMPT in request.text and all(name in request.text for name in MADE[:at])
    for at, pc in ((1, three[1]), (2, three[2]), (3, three[0])):
        place = next((pc.home.root / "work").glob("project-*"))
        assert (place / "changed.txt").read_text(encoding="utf-8") == "after\n"
        assert [name for name in MADE if (place / name).is_file()] == list(MADE[: at + 1])
    assert [fence.is_raised(pc.home, stopped.session) for pc in three] == [False, True, True]
    assert _git(work, *STATUS) == left  # nothing was written over what lay there
    # Back on its first PC it is kept out of the place where it began, and of those of the others.
    guarded = json.loads((three[0].home.guard / f"{stopped.session}.json").read_text(encoding="utf-8"))
    others = [str(next((pc.home.root / "work").glob("project-*"))) for pc in three[1:]]
    assert guarded["old_roots"] == [str(work), *others]
    _each_message_counts_once_where_it_was_paid(three, served)


def _each_message_counts_once_where_it_was_paid(pcs: list[Pc], served: list[Request]) -> None:
    """Every PC's report over the fleet, against what the API has answered to each login."""
    for pc in pcs:
        pc.unwatch()
    for pc in pcs:  # each publishes what it has
        told = pc.program("usage_report", "--fleet")
        assert told.returncode == 0, told.stderr
    paid = [sum(request.account == pc.client.token for request in served) for pc in pcs]
    for pc in pcs:
        report = json.loads(pc.program("usage_report", "--fleet", "--json", "--by", "pc,account").stdout)
        assert report["total"]["calls"] - report["total"]["errors"] == len(served) == sum(paid)
        assert report["total"]["tokens"]["total"] == len(served) * EACH
        for by, names in (("pc", ["PC1", "PC2", "PC3"]), ("account", ["of PC1", "of PC2", "of PC3"])):
            found = {row["name"]: row["tokens"]["total"] for row in report["by"][by]}
            assert found == dict(zip(names, [number * EACH for number in paid], strict=True)), report
