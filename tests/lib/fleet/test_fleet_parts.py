"""Carried parts: whole or not at all, never over another PC's, and exactly the set that a record names."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lib.fleet import history
from trinity import git
from trinity.errors import BadRecord, Offline, TrinityError, UsageError
from trinity.fleet import names, parts
from trinity.fleet.state import State, open_state
from trinity.home import Home

ID = "0123456789abcdef"
NewState = Callable[..., State]


def files_of(root: Path, **given: bytes) -> dict[str, Path | bytes]:
    root.mkdir(parents=True, exist_ok=True)
    made: dict[str, Path | bytes] = {}
    for name, data in given.items():
        (root / name).write_bytes(data)
        made[name] = root / name
    return made


def test_what_one_pc_carries_another_gets_byte_by_byte(new_state: NewState, tmp_path: Path) -> None:
    odd = bytes(range(256)) * 5 + b"\r\n\n\0"
    contents = {
        **files_of(tmp_path / "made", conversation=b"one line\n", empty=b""),
        "session/subagents/agent-1.jsonl": odd,
        "work.bundle": b"x" * 2_000_000,
    }
    pushed = parts.push_parts(new_state("PC1"), ID, 2, contents)
    assert (pushed.ref, pushed.epoch, pushed.number) == (f"refs/trinity/work/{ID}.e2", 2, 1)
    assert pushed.bytes == 9 + len(odd) + 2_000_000
    got = parts.fetch_parts(new_state("PC2"), ID, 2, tmp_path / "got", pushed.oid)
    expected = {name: data if isinstance(data, bytes) else data.read_bytes() for name, data in contents.items()}
    assert {name: path.read_bytes() for name, path in got.items()} == expected
    assert sorted(path for path in (tmp_path / "got").rglob("*") if path.is_file()) == sorted(got.values())


@pytest.mark.posix
def test_fetched_files_are_private(new_state: NewState, tmp_path: Path) -> None:
    state = new_state("PC1")
    parts.push_parts(state, ID, 0, {"a/b": b"x"})
    got = parts.fetch_parts(state, ID, 0, tmp_path / "got")
    assert stat.S_IMODE(got["a/b"].stat().st_mode) == 0o600
    assert stat.S_IMODE(got["a/b"].parent.stat().st_mode) == 0o700


def test_the_commit_has_no_parents_and_the_state_is_not_touched(new_state: NewState, remote: Path) -> None:
    first = parts.push_parts(new_state("PC1"), ID, 1, {"a": b"1"})
    second = parts.push_parts(new_state("PC1"), ID, 1, {"a": b"2"})
    assert second.number == 2
    assert history.git(remote, "rev-list", "--parents", second.oid).split() == [second.oid.encode()]
    assert history.git(remote, "for-each-ref", "--format=%(refname)").decode().split() == [second.ref]
    assert first.oid != second.oid


def test_the_same_files_again_are_the_same_set_also_from_a_new_clone(new_state: NewState) -> None:
    state = new_state("PC1")
    first = parts.push_parts(state, ID, 1, {"a": b"1"})
    assert parts.push_parts(state, ID, 1, {"a": b"1"}) == first
    (state.home.parts_clone / "INIT_OK").unlink()
    assert parts.push_parts(state, ID, 1, {"a": b"1"}) == first
    assert parts.push_parts(state, ID, 1, {"a": b"2"}).number == 2


def test_the_set_a_record_names_is_got_also_when_a_newer_one_is_on_its_way(new_state: NewState, tmp_path: Path) -> None:
    state = new_state("PC1")
    named = parts.push_parts(state, ID, 1, {"a": b"named"})
    parts.push_parts(state, ID, 1, {"a": b"newer"})
    other = new_state("PC2")
    assert parts.fetch_parts(other, ID, 1, tmp_path / "named", named.oid)["a"].read_bytes() == b"named"
    assert parts.fetch_parts(other, ID, 1, tmp_path / "newest")["a"].read_bytes() == b"newer"


def test_another_pcs_parts_of_the_same_epoch_are_never_replaced(new_state: NewState) -> None:
    first = parts.push_parts(new_state("PC1"), ID, 1, {"a": b"1"})
    with pytest.raises(TrinityError, match="are those of PC1, not of PC2"):
        parts.push_parts(new_state("PC2"), ID, 1, {"a": b"2"})
    parts.push_parts(new_state("PC2"), ID, 2, {"a": b"2"})
    assert parts.list_parts(new_state("PC3")).keys() == {(ID, 1), (ID, 2)}
    assert parts.list_parts(new_state("PC3"))[(ID, 1)] == first.oid


def test_parts_are_removed_once(new_state: NewState, tmp_path: Path) -> None:
    parts.push_parts(new_state("PC1"), ID, 1, {"a": b"1"})
    assert parts.remove_parts(new_state("PC2"), ID, 1) is True
    assert parts.remove_parts(new_state("PC2"), ID, 1) is False
    with pytest.raises(parts.PartsGone):
        parts.fetch_parts(new_state("PC3"), ID, 1, tmp_path / "got")
    with pytest.raises(parts.PartsGone, match="no parts 1111"):
        parts.fetch_parts(new_state("PC3"), ID, 1, tmp_path / "got", "1" * 40)
    assert not (tmp_path / "got").exists()
    assert parts.push_parts(new_state("PC1"), ID, 1, {"a": b"1"}).number == 1


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/a",
        "../a",
        "a/../b",
        "a//b",
        ".git/config",
        "a/.hidden",
        "a b",
        "a\nb",
        "con",
        "NUL.txt",
        "a.",
        "ä",
        "-a",
        "a~1",
    ],
)
def test_a_name_that_is_no_carried_file_is_refused(new_state: NewState, name: str) -> None:
    assert not names.is_part(name)
    with pytest.raises(UsageError, match="is no name of a carried file"):
        parts.push_parts(new_state("PC1"), ID, 1, {name: b"x"})


@pytest.mark.posix
def test_what_cannot_be_carried_is_told_together(new_state: NewState, tmp_path: Path) -> None:
    os.symlink("/etc/passwd", tmp_path / "link")
    with pytest.raises(UsageError) as refused:
        parts.push_parts(new_state("PC1"), ID, 1, {"link": tmp_path / "link", "a": b"", "A": b"", "d": b"", "d/e": b""})
    for word in ("no plain file", "differ by case only", "a file and a folder"):
        assert word in refused.value.message


@pytest.mark.parametrize(
    "entry", ["120000 blob {blob}\tlink", "100755 blob {blob}\trun", "100644 blob {blob}\t.gitmodules"]
)
def test_a_set_that_nobody_of_ours_wrote_is_not_written(
    new_state: NewState, remote: Path, tmp_path: Path, entry: str
) -> None:
    blob = history.git(remote, "hash-object", "-w", "--stdin", stdin=b"/etc/passwd").decode().strip()
    tree = history.git(remote, "mktree", stdin=entry.format(blob=blob).encode() + b"\n").decode().strip()
    commit = history.git(remote, "commit-tree", "-m", "forged", tree).decode().strip()
    history.git(remote, "update-ref", f"refs/trinity/work/{ID}.e1", commit)
    # git's own check of what it receives may stop it before ours does
    with pytest.raises((BadRecord, Offline)):
        parts.fetch_parts(new_state("PC1"), ID, 1, tmp_path / "got")
    assert list(tmp_path.glob("got*")) == []


def test_a_remote_that_does_not_answer_is_offline_and_the_same_call_works_later(home: Home, tmp_path: Path) -> None:
    state = open_state(home, tmp_path / "later.git", "PC1")
    with pytest.raises(Offline):
        parts.push_parts(state, ID, 1, {"a": b"1"})
    git.init_bare(tmp_path / "later.git", server=True)
    assert parts.push_parts(state, ID, 1, {"a": b"1"}).number == 1


def test_a_broken_clone_is_built_anew(new_state: NewState, tmp_path: Path) -> None:
    state = new_state("PC1")
    pushed = parts.push_parts(state, ID, 1, {"a": b"1"})
    for path in (state.home.parts_clone / "objects").rglob("*"):
        if path.is_file():
            path.chmod(0o600)
            path.write_bytes(b"")
    assert parts.fetch_parts(state, ID, 1, tmp_path / "got", pushed.oid)["a"].read_bytes() == b"1"
    assert parts.push_parts(state, ID, 1, {"a": b"1"}) == pushed


@pytest.mark.posix
def test_a_large_file_is_carried_by_processes_that_could_not_hold_it(remote: Path, tmp_path: Path) -> None:
    worker, lib = Path(__file__).with_name("carrying_worker.py"), Path(__file__).resolve().parents[3] / "lib"
    command = [sys.executable, str(worker), str(tmp_path), str(remote), "200", "100"]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(lib)}, capture_output=True, check=False)
    assert (done.returncode, done.stdout.decode()) == (0, f"{200 * 2**20}\n"), done.stderr.decode()


def test_sets_that_nobody_needs_are_those_of_older_epochs_and_of_what_is_done_and_seen() -> None:
    def named(handoff_id: str, state: str, epoch: int | None) -> dict[str, object]:
        return {"id": handoff_id, "state": state, "parts": None if epoch is None else {"epoch": epoch}}

    a, b, c, d = ("a" * 16, "b" * 16, "c" * 16, "d" * 16)
    records = [named(a, "running", 2), named(b, "done", 1), named(c, "done", 1)]
    listed = {(a, 1): "", (a, 2): "", (a, 3): "", (b, 1): "", (c, 0): "", (c, 1): "", (d, 0): ""}
    assert parts.unneeded(records, listed, {b}) == [(a, 1), (b, 1), (c, 0)]
