"""Work that waits for a person: seen with all reasons, left alone by rounds, in nobody's way, and moved on in the end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.api.plan import bash
from tests.clients import Client
from tests.fake_api import ScriptedApi
from tests.relay.conftest import Pc
from tests.relay.pair import Pair, git_of, join

pytestmark = pytest.mark.posix


@pytest.fixture
def pair(make_client: Callable[..., Client], api: ScriptedApi, tmp_path: Path) -> Pair:
    return Pair(make_client, api, tmp_path, "newest")


def _held(pair: Pair, handoff: str) -> list[str]:
    """What PC2 says of a handoff that a round of it has left for a person."""
    said = pair.two.program("accept_handoff")
    assert said.returncode == 0, said.stderr
    record = pair.record(pair.two, handoff)
    assert record["state"] == "queued" and record["held"]["pc"] == "PC2", pair.two.story([record])
    assert handoff not in " ".join(path.name for path in pair.two.home.runs.iterdir())  # nothing was started
    shown = pair.two.program("handoffs", "show", handoff).stdout
    assert all(reason in shown for reason in record["held"]["reasons"])
    return list(record["held"]["reasons"])


def test_changed_configuration_waits_for_a_person_and_others_do_not(pair: Pair) -> None:
    work = pair.work
    (work / ".github").mkdir()
    (work / ".github" / "ci.yml").write_text("on: push\n", encoding="utf-8")
    git_of(work, "add", ".github")
    git_of(work, "commit", "-qm", "not pushed")
    (work / "CLAUDE.md").write_text("do as I say\n", encoding="utf-8")
    git_of(work, "add", "CLAUDE.md")
    (work / "sub" / ".claude").mkdir(parents=True)
    (work / "sub" / ".claude" / "settings.json").write_text("{}\n", encoding="utf-8")
    _, handoff = pair.sent(bash("echo two > b.txt"))
    reasons = _held(pair, handoff)
    assert [reason.split("'")[1] for reason in reasons] == [
        ".github/ci.yml",
        "CLAUDE.md",
        "sub/.claude/settings.json",
    ]
    assert _held(pair, handoff) == reasons and pair.two.resumes() == 0

    for made in (work / "CLAUDE.md", work / "sub" / ".claude" / "settings.json"):
        made.unlink()
    git_of(work, "reset", "-q", "--hard", "origin/main")
    _, other = pair.sent(bash("echo two > b.txt"))
    pair.rounds(pair.two, lambda: pair.record(pair.two, other)["state"] == "done")
    assert pair.record(pair.two, handoff)["held"]["reasons"] == reasons

    accepted = pair.two.program("accept_handoff", handoff)
    assert accepted.returncode == 0, accepted.stdout + accepted.stderr
    done = pair.rounds(pair.two, lambda: (r := pair.record(pair.two, handoff))["state"] == "done" and r)
    assert done["owner"] == "PC2" and not done.get("held")


def test_who_does_not_say_what_changed_is_found_out_before_anything_starts(pair: Pair) -> None:
    """The other PC's word is not enough: here it is taken out of the record on the way."""
    (pair.work / ".mcp.json").write_text("{}\n", encoding="utf-8")
    _hide_touches(pair.one)
    _, handoff = pair.sent(bash("echo two > b.txt"))
    assert not pair.record(pair.two, handoff).get("touches")
    assert [reason.split("'")[1] for reason in _held(pair, handoff)] == [".mcp.json"]
    asked = [r for r in pair.api.main_requests() if r.account == pair.two.client.token]
    assert asked == [] and not list((pair.two.home.root / "work").glob("project-*"))


def _hide_touches(pc: Pc) -> None:
    """A `sitecustomize` that makes this PC's programs keep silent about configuration."""
    folder = pc.client.home / "silent"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(
        "import sys, importlib.abc, importlib.util\n"
        "class Silent(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name != 'trinity.relay.consent':\n"
        "            return None\n"
        "        sys.meta_path.remove(self)\n"
        "        spec = importlib.util.find_spec(name)\n"
        "        load = spec.loader.exec_module\n"
        "        def silent(module):\n"
        "            load(module)\n"
        "            module.touches = lambda top, manifest: []\n"
        "        spec.loader.exec_module = silent\n"
        "        return spec\n"
        "sys.meta_path.insert(0, Silent())\n",
        encoding="utf-8",
    )
    pc.client.extra["PYTHONPATH"] = str(folder)


def test_the_first_work_of_a_pc_never_seen_waits_and_later_work_does_not(
    pair: Pair, make_client: Callable[..., Client], api: ScriptedApi
) -> None:
    pair.two.program("accept_handoff")  # PC2 knows its fleet
    three = join(make_client("newest", name="pc3", token="token-of-pc3"), api, "PC3", pair.fleet)
    pair.one, pair.work = three, three.client.project
    git_of(pair.work, "init", "-q", "-b", "main")
    _, handoff = pair.sent(bash("echo two > b.txt"))
    (reason,) = _held(pair, handoff)
    assert "first work from PC3" in reason
    assert _held(pair, handoff) == [reason]  # also when it has been seen meanwhile
    assert pair.two.program("accept_handoff", handoff).returncode == 0
    pair.rounds(pair.two, lambda: pair.record(pair.two, handoff)["state"] == "done")
    _, second = pair.sent(bash("echo two > b.txt"))
    pair.rounds(pair.two, lambda: pair.record(pair.two, second)["state"] == "done")


def test_work_that_nobody_accepts_goes_elsewhere_in_the_end(pair: Pair) -> None:
    (pair.work / "AGENTS.md").write_text("do as I say\n", encoding="utf-8")
    _, handoff = pair.sent(bash("echo two > b.txt"))
    _held(pair, handoff)
    pair.two.configure_top(hold_minutes=0)
    pair.two.program("accept_handoff")
    moved = pair.record(pair.two, handoff)
    assert moved["to_pc"] == "PC1" and not moved.get("held") and "AGENTS.md" in json.dumps(moved)
    assert "nobody accepted it on PC2 within 0 min" in (pair.two.home.logs / "handoff.log").read_text("utf-8")
