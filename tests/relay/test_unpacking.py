"""Work that arrives: where its clone is found, what is told, and that a bad parcel or an interruption leaves nothing."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.hooks.hook_runner import wait_until
from tests.lib.work.stage import Stage, tree
from trinity import files, git
from trinity.config import AfterRestore, Config, save
from trinity.errors import TrinityError
from trinity.fleet import parts
from trinity.home import Home, open_home
from trinity.relay import arrival, carrying, consent, readiness, rounds, unpacking
from trinity.relay.link import Link, Record
from trinity.work import conversation
from trinity.work.carry import ready_place, readying, restore, unpack

pytestmark = pytest.mark.posix
SESSION = "5e551011-0000-4000-8000-000000000001"


class Way:
    """PC1 with dirty work and a conversation about it, PC2 with a clone, and the fleet between them."""

    def __init__(self, top: Path, stage: Stage) -> None:
        self.stage = stage
        fleet = git.init_bare(top / "fleet.git", server=True).path
        self.homes: dict[str, Home] = {}
        self.configs: dict[str, Config] = {}
        for pc in ("PC1", "PC2"):
            self.homes[pc] = open_home(top / pc / "state", create=True)
            profile = top / pc / ".claude"
            (profile / "projects").mkdir(parents=True)
            roots = (str(stage.pc2),) if pc == "PC2" else ()
            self.configs[pc] = Config(pc=pc, fleet_url=str(fleet), profiles=(str(profile),), roots=roots)

    def link(self, pc: str) -> Link:
        self.stage.at(pc.lower())()
        return Link(self.homes[pc], self.configs[pc])

    def send(self, cwd: Path | None = None, text: str = "") -> Record:
        """PC1's work on its way, as PC2 may use the record."""
        cwd = cwd or self.stage.pc1
        projects = Path(self.configs["PC1"].profiles[0]) / "projects" / conversation.slug(cwd)
        projects.mkdir(exist_ok=True)
        transcript = projects / f"{SESSION}.jsonl"
        transcript.write_text(text + '{"type":"user","message":{"content":"go"},"uuid":"1"}\n', encoding="utf-8")
        session = {"session_id": SESSION, "pc": "PC1", "cwd": str(cwd), "transcript_path": str(transcript),
                   "config_dir": self.configs["PC1"].profiles[0], "interactive": False}  # fmt: skip
        record: Record = {"id": "0123456789abcdef", "epoch": 1, "from_pc": "PC1", "sessions": [session]}
        sent = carrying.send(self.link("PC1"), record)
        return {**record, "parts": sent.parts}

    def receive(self, record: Record) -> unpacking.Arrived:
        link = self.link("PC2")
        consent.give(link, link.state.last(), record)  # some of the work brings configuration along
        return unpacking.receive(link, self.configs["PC2"], rounds.here(record, "PC2"))

    def configure(self, **changes: Any) -> None:
        self.configs["PC2"] = dataclasses.replace(self.configs["PC2"], **changes)

    @property
    def base(self) -> Path:
        return self.homes["PC2"].root / "work"

    def forged(self, record: Record, change: Callable[[Path], object]) -> Record:
        """The same work with other parts: what a hostile PC could have pushed."""
        into = self.homes["PC1"].root / f"forged-{record['epoch']}"
        link = self.link("PC1")
        parts.fetch_parts(link.state, record["id"], record["epoch"], into)
        change(into)
        contents = {str(file.relative_to(into)): file for file in into.rglob("*") if file.is_file()}
        made = parts.push_parts(link.state, record["id"], record["epoch"] + 1, contents)
        return {**record, "epoch": record["epoch"] + 1, "parts": made.document()}


@pytest.fixture
def way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Way:
    for name in ("HOME", "GIT_CONFIG_GLOBAL"):  # the stage changes them
        monkeypatch.setenv(name, str(tmp_path / "nobody"))
    (tmp_path / "stage").mkdir()
    stage = Stage(tmp_path / "stage")
    stage.build(
        "echo staged >a.txt; git add a.txt; echo more >>a.txt; echo new >new.txt; git remote add mirror /nowhere"
    )
    return Way(tmp_path, stage)


def worktrees(clone: Path) -> list[str]:
    listed = subprocess.run(
        ["git", "-C", str(clone), "worktree", "list", "--porcelain"], capture_output=True, text=True
    )
    return [line.split(" ", 1)[1] for line in listed.stdout.splitlines() if line.startswith("worktree ")]


def status(folder: Path) -> str:
    return subprocess.run(["git", "-C", str(folder), "status", "--porcelain=v2"], capture_output=True, text=True).stdout


def test_the_work_arrives_equal_and_the_model_is_told_what_it_must_know(way: Way) -> None:
    (way.stage.pc1 / ".mcp.json").write_text('{"mcpServers": {"own": {"command": "own-server"}}}', encoding="utf-8")
    (way.stage.pc1 / "deep" / "er").mkdir(parents=True)
    (way.stage.pc1 / ".env").write_text("API_KEY=sk-ant-api03-abcdefghijklmnop\n", encoding="utf-8")
    untouched = tree(way.stage.pc2)
    record = way.send(way.stage.pc1 / "deep" / "er")
    arrived = way.receive(record)
    assert arrived.equal, arrived.differences
    target = Path(arrived.new_root)
    assert target.parent == way.base and arrived.session["cwd"] == str(target / "deep" / "er")
    assert arrived.old_roots == [str(way.stage.pc1)]  # the top, not only the folder the session was in
    assert worktrees(way.stage.pc2) == [str(way.stage.pc2), str(target)]
    # of PC2's own clone no file was touched but git's
    now = tree(way.stage.pc2)
    assert {path: what for path, what in now.items() if path and not path.startswith(b".git")} == {
        path: what for path, what in untouched.items() if path and not path.startswith(b".git")
    }
    for words in (
        f'"{way.stage.pc1}" is now below "{target}"',
        "read a file again before editing it",
        "Saved tool outputs below",
        "Background shells",
        '".env"',
        "placeholders",
        "'own-server' of the MCP server 'own'",
    ):
        assert words in arrived.note, words
    assert any("asks first" in text for text in arrived.told)
    assert any("own-server" in text for text in arrived.told) and not list(way.base.glob("*.unfinished"))


def test_of_several_clones_one_is_taken_and_said(way: Way) -> None:
    way.stage.sh("pc2", f"git clone -q '{way.stage.origin}' other", way.stage.top)
    way.configure(roots=(str(way.stage.top),))
    arrived = way.receive(way.send())
    assert arrived.equal and any("of several clones" in text for text in arrived.told)


def test_work_of_a_large_project_makes_one_ready_for_the_next(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    home, record = way.homes["PC2"], way.send()
    assert way.receive(record).equal and not (way.base / ".ready").exists()
    monkeypatch.setattr(ready_place, "LEAST_FILES", 5)
    way.configure(roots=(str(way.stage.pc2), str(way.base)))
    save(home, way.configs["PC2"])
    record = way.forged(record, lambda folder: None)
    assert way.receive(record).equal
    place = ready_place.of(readiness.folder(home, way.configs["PC2"]), way.stage.pc2)
    for _ in range(2):  # it is made again after it was taken
        readiness.look(home, way.configs["PC2"])
        wait_until(lambda: place.made() is not None)
        record = way.forged(record, lambda folder: None)
        arrived = way.receive(record)
        assert arrived.equal and not place.tree.exists() and Path(arrived.new_root) != place.tree
        log = (home.logs / "handoff.log").read_text(encoding="utf-8")
        assert f"ready worktree for '{arrived.new_root}': taken" in log
    assert readying.due(place.folder, [], True)


def test_work_that_waits_for_a_person_makes_nothing_ready(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ready_place, "LEAST_FILES", 5)
    (way.stage.pc1 / ".mcp.json").write_text("{}", encoding="utf-8")
    record = way.send()
    with pytest.raises(consent.Needed):
        unpacking.receive(way.link("PC2"), way.configs["PC2"], rounds.here(record, "PC2"))
    assert list(way.base.iterdir()) == []


def test_switched_off_none_is_taken_and_none_is_wanted(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ready_place, "LEAST_FILES", 5)
    record = way.send()
    way.stage.at("pc2")()
    folder = readiness.folder(way.homes["PC2"], way.configs["PC2"])
    readying.tend(folder, [way.stage.pc2], True, lambda text: None)
    place = ready_place.of(folder, way.stage.pc2)
    wanted = place.wish()
    way.configure(ready_worktrees=False)
    assert way.receive(record).equal
    assert place.made() is not None and place.wish() == wanted and readying.due(folder, [], False)


def test_without_a_clone_it_is_fetched_from_its_remote_into_its_own_folder(way: Way) -> None:
    way.configure(roots=())
    arrived = way.receive(way.send())
    assert arrived.equal and (Path(arrived.new_root) / ".git").is_dir()
    assert worktrees(way.stage.pc2) == [str(way.stage.pc2)]


def test_without_a_remote_it_comes_with_its_whole_history(way: Way) -> None:
    way.stage.sh("pc1", "git remote remove origin; git remote remove mirror", way.stage.pc1)
    way.stage.origin.rename(way.stage.top / "gone")
    arrived = way.receive(way.send())
    assert arrived.equal and status(Path(arrived.new_root)) == status(way.stage.pc1)


def test_the_users_command_runs_there_and_its_failure_loses_nothing(way: Way) -> None:
    command = (sys.executable, "-c", "import os; print(os.getcwd(), flush=True); raise SystemExit('no network')")
    way.configure(after_restore=AfterRestore(("never",), {str(way.stage.origin): command}, 60))
    arrived = way.receive(way.send())
    assert arrived.equal and "no network" in arrived.note
    assert any("no network" in text for text in arrived.lacking)
    output = (way.homes["PC2"].runs / "0123456789abcdef-e1.after_restore").read_text(encoding="utf-8")
    assert arrived.session["cwd"] in output


def test_the_folder_is_trusted_only_where_this_pc_says_so(way: Way) -> None:
    file = Path(way.configs["PC2"].profiles[0]) / ".claude.json"
    record = way.send()
    way.receive(record)
    assert not file.exists()
    way.configure(trust_restored=True)
    arrived = way.receive(way.forged(record, lambda folder: None))
    known = json.loads(file.read_text(encoding="utf-8"))
    assert known["projects"] == {arrived.session["cwd"]: {"hasTrustDialogAccepted": True}}
    file.write_text("{", encoding="utf-8")
    arrived = way.receive(way.forged({**record, "epoch": 2}, lambda folder: None))
    assert arrived.equal and any("will ask" in text for text in arrived.told)
    assert file.read_text(encoding="utf-8") == "{"


def _manifest(**changes: Any) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        manifest = files.read_json(folder / carrying.MANIFEST, 64_000_000)
        for entry in manifest["entries"]:
            if entry.get("path") == "new.txt":
                entry.update(changes)
        files.write_json(folder / carrying.MANIFEST, manifest)

    return change


HOSTILE: dict[str, Callable[[Path], object]] = {
    "a path upwards": _manifest(path="../../../escaped.txt"),
    "an absolute path": _manifest(path="/tmp/escaped.txt"),
    "a git hook": _manifest(path=".git/hooks/post-checkout"),
    "a path through a link": _manifest(path="link/escaped.txt"),
    "no manifest": lambda folder: (folder / carrying.MANIFEST).write_text("{}", encoding="utf-8"),
    "half a manifest": lambda folder: os.truncate(folder / carrying.MANIFEST, 200),
    "a damaged bundle": lambda folder: (folder / carrying.BUNDLE).write_bytes(b"# v2 git bundle\n"),
    "a conversation elsewhere": lambda folder: (folder / carrying.CONVERSATION / "settings.json").write_text("{}"),
}


@pytest.mark.parametrize("what", HOSTILE, ids=lambda name: name.replace(" ", "-"))
def test_a_parcel_that_must_not_be_trusted_is_put_aside_and_leaves_nothing(way: Way, what: str) -> None:
    record = way.forged(way.send(), HOSTILE[what])
    before = tree(way.stage.pc1), tree(way.stage.top / "pc2")
    with pytest.raises(TrinityError, match="put aside") as refused:
        way.receive(record)
    kept = list(way.homes["PC2"].quarantine.glob("*0123456789abcdef-e2"))
    assert len(kept) == 1 and str(kept[0]) in refused.value.message
    assert kept[0].with_name(kept[0].name + ".why").exists() and (kept[0] / carrying.MANIFEST).exists()
    assert not way.base.exists() or list(way.base.iterdir()) == []
    assert worktrees(way.stage.pc2) == [str(way.stage.pc2)] and tree(way.stage.pc1) == before[0]
    assert not list(Path(way.configs["PC2"].profiles[0]).rglob("*.jsonl"))
    assert not list(way.homes["PC2"].root.parent.parent.rglob("escaped.txt")) and not Path("/tmp/escaped.txt").exists()


def test_a_manifest_that_is_too_big_is_not_even_read(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    record = way.send()
    monkeypatch.setattr("trinity.work.carry.checking.MAX_BYTES", 1000)
    with pytest.raises(TrinityError, match="more than 1000"):
        way.receive(record)
    assert not list(way.base.glob("*"))


def test_names_that_this_disk_would_mix_up_are_refused(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    (way.stage.pc1 / "NEW.txt").write_text("other", encoding="utf-8")

    def unnamed(folder: Path) -> None:
        manifest = files.read_json(folder / carrying.MANIFEST, 64_000_000)
        manifest["collisions"] = []
        files.write_json(folder / carrying.MANIFEST, manifest)

    record = way.forged(way.send(), unnamed)
    monkeypatch.setattr(restore, "_is_blind", lambda folder: True)
    with pytest.raises(TrinityError, match="beside each other"):
        way.receive(record)
    assert not list(way.base.glob("*"))


def test_a_full_disk_is_said_leaves_nothing_and_the_next_try_is_whole(
    way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = way.send()

    def full(*arguments: object, **more: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(way.base / "x"))

    for module, name in ((conversation, "place"), (unpack, "write")):
        with monkeypatch.context() as patched:
            patched.setattr(module, name, full)
            with pytest.raises(TrinityError, match="No space left") as refused:
                way.receive(record)
            assert "requeue" in refused.value.hint
        assert list(way.base.iterdir()) == [] and worktrees(way.stage.pc2) == [str(way.stage.pc2)]
    assert way.receive(record).equal


CHILD = """
import os, sys, time
from pathlib import Path
from trinity import config
from trinity.home import Home
from trinity.relay import arrival, rounds, unpacking
from trinity.relay.link import Link
import json
home = Home(Path(sys.argv[1]))
def stop(*arguments, **more):
    Path(sys.argv[3]).touch()
    time.sleep(600)
arrival.settle = stop
settings = config.load(home)
unpacking.receive(Link(home, settings), settings, json.loads(Path(sys.argv[2]).read_text()))
"""


def test_one_that_was_killed_half_way_is_swept_and_never_taken_for_whole(way: Way, tmp_path: Path) -> None:
    record = way.send()
    save(way.homes["PC2"], way.configs["PC2"])
    given, reached = tmp_path / "record.json", tmp_path / "reached"
    given.write_text(json.dumps(rounds.here(record, "PC2")), encoding="utf-8")
    way.stage.at("pc2")()
    library = str(Path(arrival.__file__).parents[2])
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(way.homes["PC2"].root), str(given), str(reached)],
        env={**os.environ, "PYTHONPATH": library},
    )
    wait_until(reached.exists)
    child.send_signal(signal.SIGKILL)
    child.wait()
    half = next(way.base.glob("*-e1"))
    assert (way.base / f"{half.name}.unfinished").exists() and str(half) in worktrees(way.stage.pc2)
    # a new epoch, as the journal demands; what somebody else made there is not touched
    (way.base / "mine").mkdir()
    (way.base / "half.unfinished.1234.5678.tmp").write_text("{", encoding="utf-8")
    (way.base / "novel.unfinished").write_text("chapter one\n", encoding="utf-8")
    (way.base / "drafts.unfinished").mkdir()
    arrived = way.receive(way.forged(record, lambda folder: None))
    assert arrived.equal and not half.exists()
    assert worktrees(way.stage.pc2) == [str(way.stage.pc2), arrived.new_root]
    assert sorted(entry.name for entry in way.base.iterdir()) == sorted(
        ["mine", "novel.unfinished", "drafts.unfinished", Path(arrived.new_root).name]
    )
    assert not list(way.homes["PC2"].root.glob("arrivals/*"))


def test_consent_is_to_what_came_and_not_to_what_comes_later_with_the_same_handoff(way: Way) -> None:
    record = {**way.send(), "touches": [{"path": "CLAUDE.md", "mark": "0123456789abcdef"}]}
    link = way.link("PC2")
    consent.give(link, link.state.last(), record)
    assert consent.reasons(link, link.state.last(), record) == []
    changed = way.forged(record, lambda folder: (folder / "surroundings.json").write_text("{}", encoding="utf-8"))
    assert consent.reasons(link, link.state.last(), changed) == ["it changes 'CLAUDE.md'"]
    lies_here = {**changed, "sessions": [{**record["sessions"][0], "pc": "PC2"}]}
    assert consent.reasons(link, link.state.last(), lies_here) == []


def test_a_conversation_that_may_not_travel_is_handed_over_in_words(way: Way) -> None:
    signed = {"type": "thinking", "thinking": "the key is sk-ant-api03-abcdefghijklmnop", "signature": "x"}
    line = json.dumps({"type": "assistant", "uuid": "0", "message": {"content": [signed]}}) + "\n"
    arrived = way.receive(way.send(text=line))
    assert arrived.equal and arrived.session["transcript_path"] is None
    assert arrived.old_roots == [str(way.stage.pc1)] and status(Path(arrived.new_root)) == status(way.stage.pc1)


def test_the_places_of_earlier_pcs_are_kept(way: Way) -> None:
    record = way.send()
    record["sessions"][0]["been"] = [
        {"pc": "PC3", "cwd": "/srv/three/app/sub", "top": "/srv/three/app"},
        {"pc": "PC4", "cwd": "C:\\work\\app"},
    ]
    arrived = way.receive(record)
    assert arrived.old_roots == ["/srv/three/app", "C:\\work\\app", str(way.stage.pc1)]
    assert '"/srv/three/app"' in arrived.note
