"""The state ref under faults: each is a real remote, a real process or a real damage."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.lib.fleet import history
from trinity.errors import Busy, Offline, UsageError
from trinity.fleet import embedded, names
from trinity.fleet.clone import Rejected
from trinity.fleet.snapshot import Edits, Refusal, Tree
from trinity.fleet.state import Change, Diverged, State, open_state
from trinity.home import Home, open_home

NewState = Callable[..., State]
LIB = Path(__file__).resolve().parents[3] / "lib"


def write(state: State, path: str, data: bytes = b"{}\n") -> Change:
    return state.change(names.new_id(), f"write {path}", lambda tree: {path: data})


def hook(remote: Path, name: str, body: str) -> Path:
    path = remote / "hooks" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8", newline="\n")
    path.chmod(0o755)
    return path


def tip(remote: Path) -> str:
    return str(history.git(remote, "rev-parse", "trinity-state").decode().strip())


def set_tip(remote: Path, oid: str) -> None:
    history.git(remote, "update-ref", "refs/heads/trinity-state", oid)


def test_a_lost_race_takes_the_decision_again_on_the_new_state(new_state: NewState, remote: Path) -> None:
    first, second = new_state("PC1"), new_state("PC2")
    write(first, "wake/PC1.json")
    assert second.fetch().paths() == ["wake/PC1.json"]
    write(first, "wake/PC2.json")
    seen: list[list[str]] = []

    def decide(tree: Tree) -> Edits | Refusal:
        seen.append(tree.paths())
        return {"wake/PC3.json": b"{}\n"}

    change = second.change(names.new_id(), "third", decide)
    assert (change.outcome, change.tries) == ("applied", 2)
    assert seen == [["wake/PC1.json"], ["wake/PC1.json", "wake/PC2.json"]]
    assert change.snapshot.paths() == ["wake/PC1.json", "wake/PC2.json", "wake/PC3.json"]
    assert len(history.read(remote).operations) == 3


def test_a_refusal_is_decided_on_the_newest_state_only(new_state: NewState) -> None:
    first, second = new_state("PC1"), new_state("PC2")
    write(first, "wake/PC1.json")
    second.fetch()
    write(first, "wake/PC2.json")

    def decide(tree: Tree) -> Edits | Refusal:
        return {"wake/PC3.json": b""} if "wake/PC2.json" in tree.paths() else Refusal("PC2 is not there yet")

    assert second.change(names.new_id(), "third", decide).outcome == "applied"
    refused = second.change(names.new_id(), "no", lambda tree: Refusal("because"))
    assert (refused.outcome, refused.reason, refused.done) == ("refused", "because", False)
    assert second.change(names.new_id(), "nothing", lambda tree: {}).outcome == "unchanged"


def test_an_operation_done_again_changes_nothing_whoever_does_it(new_state: NewState, remote: Path) -> None:
    operation = names.new_id()
    done = new_state("PC1").change(operation, "once", lambda tree: {"wake/PC1.json": b"1"})
    before = tip(remote)
    write(new_state("PC1"), "wake/PC9.json")
    for pc in ("PC1", "PC2"):
        again = new_state(pc).change(operation, "once", lambda tree: {"wake/PC1.json": b"2"})
        assert (again.outcome, again.oid) == ("already", done.oid)
        since = new_state(pc).change(operation, "once", lambda tree: {"wake/PC1.json": b"2"}, since=None)
        assert since.outcome == "already"
    assert done.oid == before
    assert new_state("PC2").fetch().read("wake/PC1.json") == b"1"


def test_a_push_that_was_applied_and_reported_as_failed_counts_once(new_state: NewState, remote: Path) -> None:
    state = new_state("PC1")
    write(state, "wake/PC1.json")
    killer = hook(remote, "post-receive", f'echo fired >>"{remote}/fired"; kill -9 $PPID')
    change = write(state, "wake/PC2.json")
    assert (remote / "fired").read_text() == "fired\n"
    assert (change.outcome, change.tries) == ("applied", 1)
    killer.unlink()
    write(state, "wake/PC3.json")
    assert len(history.read(remote).operations) == 3


def test_a_server_that_refuses_is_named_at_once_with_its_words(new_state: NewState, remote: Path) -> None:
    hook(remote, "pre-receive", f'echo x >>"{remote}/asked"; echo "no changes on sundays" >&2; exit 1')
    with pytest.raises(Rejected, match="no changes on sundays"):
        write(new_state("PC1"), "wake/PC1.json")
    assert (remote / "asked").read_text() == "x\n"


@contextmanager
def silent_server() -> Iterator[str]:
    """A remote that takes the connection and never says a word."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield f"git://127.0.0.1:{listening.getsockname()[1]}/fleet.git"


def test_a_remote_that_hangs_is_offline_after_its_time(home: Home) -> None:
    with silent_server() as url:
        state = open_state(home, url, "PC1", timeout=0.5)
        started = time.monotonic()
        with pytest.raises(Offline):
            write(state, "wake/PC1.json")
        assert time.monotonic() - started < 10
        assert state.last().paths() == []
    with pytest.raises(Offline):
        state.fetch()


def test_a_remote_that_is_not_there_is_offline_until_it_is(home: Home, state: State, tmp_path: Path) -> None:
    kept = write(state, "wake/PC1.json").oid
    away = home.remote.rename(tmp_path / "away")
    for _ in range(2):
        with pytest.raises(Offline):
            write(state, "wake/PC2.json")
    assert state.last().paths() == ["wake/PC1.json"]
    away.rename(home.remote)
    assert state.fetch().oid == kept
    assert not list(home.quarantine.iterdir())


def test_a_push_that_hangs_is_given_up_and_applied_once_later(new_state: NewState, remote: Path) -> None:
    state = new_state("PC1", timeout=1, patience=0.1)
    write(state, "wake/PC1.json")
    slow = hook(remote, "pre-receive", f'echo x >>"{remote}/asked"; cat >/dev/null; exec sleep 30')
    operation = names.new_id()
    with pytest.raises(Busy):
        state.change(operation, "slow", lambda tree: {"wake/PC2.json": b"{}"})
    assert (remote / "asked").exists()
    slow.unlink()
    patient = open_state(state.home, remote, "PC1")
    assert patient.change(operation, "slow", lambda tree: {"wake/PC2.json": b"{}"}).done
    assert history.read(remote).operations.count(operation) == 1


def test_a_rewound_remote_is_pushed_forward_again(new_state: NewState, remote: Path) -> None:
    state = new_state("PC1")
    old = write(state, "wake/PC1.json").oid
    new = write(state, "wake/PC2.json").oid
    assert old and new
    set_tip(remote, old)
    assert state.fetch().oid == new
    assert tip(remote) == new
    set_tip(remote, old)
    assert write(state, "wake/PC3.json").done  # a change finds it too
    assert history.git(remote, "rev-list", "--count", "trinity-state").strip() == b"3"
    history.git(remote, "update-ref", "-d", "refs/heads/trinity-state")
    assert state.fetch().oid == tip(remote)


def test_a_diverged_remote_stops_every_claim_and_both_states_are_shown(new_state: NewState, remote: Path) -> None:
    state = new_state("PC1")
    old = write(state, "wake/PC1.json").oid
    seen = write(state, "wake/PC2.json").oid
    assert old
    tree = history.git(remote, "rev-parse", f"{old}^{{tree}}").decode().strip()
    forged = ["-c", "user.name=x", "-c", "user.email=x@x", "commit-tree", "-p", old, "-m", "forged", tree]
    other = history.git(remote, *forged).decode().strip()
    set_tip(remote, other)
    for act in (state.fetch, lambda: write(state, "wake/PC3.json")):
        with pytest.raises(Diverged) as caught:
            act()
        assert (caught.value.seen, caught.value.tip) == (seen, other)
        assert str(seen) in caught.value.message and other in caught.value.message
    assert tip(remote) == other


def test_another_remote_is_another_history(home: Home, tmp_path: Path) -> None:
    first = open_state(home, embedded.make(home), "PC1")
    write(first, "wake/PC1.json")
    other = embedded.make(open_home(tmp_path / "other", create=True))
    second = open_state(home, other, "PC1")
    assert second.fetch().paths() == []
    assert write(second, "wake/PC2.json").snapshot.paths() == ["wake/PC2.json"]


def _no_mark(clone: Path) -> None:
    (clone / "INIT_OK").unlink(missing_ok=True)


def _empty_objects(clone: Path) -> None:
    # What a power cut leaves: names without content.
    for path in (clone / "objects").rglob("*"):
        if path.is_file():
            path.chmod(0o600)
            path.write_bytes(b"")


def _no_objects(clone: Path) -> None:
    for path in (clone / "objects").rglob("*"):
        if path.is_file():
            path.unlink()


def _no_head(clone: Path) -> None:
    (clone / "HEAD").unlink()


def _torn_config(clone: Path) -> None:
    (clone / "config").write_bytes(b"[core\n")


@pytest.mark.parametrize("damage", [_no_mark, _empty_objects, _no_objects, _no_head, _torn_config])
def test_a_torn_clone_is_built_anew(
    damage: Callable[[Path], None], home: Home, remote: Path, new_state: NewState
) -> None:
    # The home lies in a repository of the user's: a broken clone must not make git work on that one.
    history.git(home.root.parent, "init", "--quiet", ".")
    write(open_state(home, remote, "PC1"), "wake/PC1.json")
    for act in (
        lambda state: state.last().read("wake/PC1.json"),
        lambda state: state.fetch().read("wake/PC1.json"),
        lambda state: write(state, "wake/PC2.json").snapshot.read("wake/PC1.json"),
    ):
        damage(home.state_clone)
        assert act(open_state(home, remote, "PC1")) == b"{}\n"
    write(new_state("PC2"), "wake/PC3.json")
    assert len(open_state(home, remote, "PC1").fetch().paths()) == 3
    assert len(history.read(remote).operations) == 3
    assert history.git(home.root.parent, "for-each-ref") == b""


def test_what_is_no_plain_file_with_a_known_name_is_refused_and_the_rest_stays_usable(
    new_state: NewState, remote: Path
) -> None:
    state = new_state("PC1")
    write(state, "wake/PC1.json", b'{"good": 1}')
    blob = history.git(remote, "hash-object", "-w", "--stdin", stdin=b"/etc/passwd").decode().strip()
    huge = history.git(remote, "hash-object", "-w", "--stdin", stdin=b"x" * 1_000_001).decode().strip()
    commit = tip(remote)
    bad = {
        "wake/PC2.json": ("120000", blob),
        "wake/PC3.json": ("100755", blob),
        "wake/PC4.json": ("160000", commit),
        "wake/pc5.json": ("100644", blob),
        "wake/PC6.json": ("100644", huge),
        "handoff/notes.txt": ("100644", blob),
        "elsewhere": ("100644", blob),
        "wake/PC7.json/x": ("100644", blob),
        "wake/a\nb\x1b[2J.json": ("100644", blob),
    }
    index = {**os.environ, "GIT_INDEX_FILE": str(remote / "test-index")}
    run = {"cwd": remote, "env": index, "check": True}
    subprocess.run(["git", "read-tree", commit], **run)  # type: ignore[call-overload]
    entries = "".join(f"{mode} {oid}\t{path}\0" for path, (mode, oid) in bad.items())
    subprocess.run(["git", "update-index", "-z", "--index-info"], input=entries.encode(), **run)  # type: ignore[call-overload]
    tree = subprocess.run(["git", "write-tree"], stdout=subprocess.PIPE, **run).stdout.decode().strip()  # type: ignore[call-overload]
    identity = ["-c", "user.name=x", "-c", "user.email=x@x"]
    hostile = history.git(remote, *identity, "commit-tree", "-p", commit, "-m", "hostile", tree).decode().strip()
    set_tip(remote, hostile)
    now = state.fetch()
    assert now.paths() == ["wake/PC1.json"]
    assert set(now.refused) == set(bad)
    with pytest.raises(KeyError):
        now.read("wake/PC2.json")
    assert write(state, "wake/PC8.json").snapshot.paths() == ["wake/PC1.json", "wake/PC8.json"]


@pytest.mark.parametrize("path", ["../x", "/etc/x", "wake/../x", "wake/pc1.json", "wake/PC1.json\nD fleet.json", ""])
def test_a_name_that_is_not_generated_is_never_written(path: str, state: State) -> None:
    with pytest.raises(UsageError):
        write(state, path)
    assert state.fetch().oid is None


def test_nothing_of_the_users_git_reaches_the_state(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fired = tmp_path / "fired"
    hooks = tmp_path / "hooks"
    for name in ("pre-push", "reference-transaction", "post-commit"):
        hook(tmp_path, name, f'echo {name} >>"{fired}"; exit 1')
    (tmp_path / ".gitconfig").write_text(
        f"[core]\n\thooksPath = {hooks}\n\tautocrlf = true\n[commit]\n\tgpgSign = true\n[user]\n\tname = Somebody\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"):
        monkeypatch.setenv(name, str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Somebody")
    state = open_state(home, embedded.make(home), "PC1")
    assert write(state, "wake/PC1.json", b"a\r\nb\n").snapshot.read("wake/PC1.json") == b"a\r\nb\n"
    assert not fired.exists()
    assert b"Somebody" not in state.git("log", "--format=%an %cn", "refs/trinity/next")


def test_the_subject_is_one_printable_line(state: State) -> None:
    state.change(names.new_id(), "wake:\n\nOperation: 00\x1b[2J\u202e" + "x" * 500, lambda tree: {"wake/PC1.json": b""})
    subject = state.git("log", "-1", "--format=%s", "refs/trinity/next").decode()
    assert "\x1b" not in subject and "\u202e" not in subject and len(subject) < 200
    assert len(state.last().operations_since(None)) == 1


def test_the_clone_serves_one_process_at_a_time_and_says_who_has_it(home: Home) -> None:
    remote = embedded.make(home)
    program = (
        "import sys,time\nfrom pathlib import Path\nfrom trinity import locks\n"
        "with locks.hold_inherited(Path(sys.argv[1]), 5):\n    print('held', flush=True); time.sleep(60)\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program, str(home.locks / "state_clone.lock")],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(LIB)},
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    state = open_state(home, remote, "PC1", patience=0.2)
    with pytest.raises(Busy, match=f"process {holder.pid}"):
        write(state, "wake/PC1.json")
    holder.kill()
    holder.wait()
    assert write(state, "wake/PC1.json").done


def test_lock_files_that_a_killed_git_left_in_the_clone_are_swept(home: Home, state: State) -> None:
    write(state, "wake/PC1.json")
    for name in ("packed-refs.lock", "refs/trinity/next.lock", "refs/trinity/tip.lock"):
        (home.state_clone / name).write_bytes(b"")
    assert write(state, "wake/PC2.json").done
    assert not (home.quarantine).exists() or not list(home.quarantine.iterdir())


def test_a_ref_lock_left_in_the_own_remote_is_removed_when_nobody_can_hold_it(home: Home, state: State) -> None:
    write(state, "wake/PC1.json")
    lock = home.remote / "refs" / "heads" / "trinity-state.lock"
    lock.write_bytes(b"")
    assert write(state, "wake/PC2.json").done
    assert not lock.exists()


def test_a_ref_lock_is_left_while_who_may_hold_it_lives_and_not_for_those_who_wait(home: Home) -> None:
    def process() -> subprocess.Popen[bytes]:
        started = subprocess.Popen(
            [sys.executable, "-c", "print('in', flush=True); input()"],
            cwd=home.remote,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert started.stdout is not None
        started.stdout.readline()
        return started

    lock = embedded.make(home) / "refs" / "heads" / "trinity-state.lock"
    lock.write_bytes(b"")
    assert embedded.sweep(home) == [], "too young"
    os.utime(lock, (time.time() - 60, time.time() - 60))
    holder = process()
    assert embedded.sweep(home) == []
    waiting = process()
    assert embedded.sweep(home) == []
    holder.communicate(b"\n")
    assert embedded.sweep(home) == [lock]
    lock.write_bytes(b"")
    os.utime(lock, (time.time() - 60, time.time() - 60))
    assert embedded.sweep(home) == [], "a new lock may be that of the second process"
    waiting.communicate(b"\n")
    assert embedded.sweep(home) == [lock]


def test_a_lock_on_a_remote_of_others_is_left_and_named(new_state: NewState, remote: Path) -> None:
    state = new_state("PC1", patience=0.5)
    write(state, "wake/PC1.json")
    lock = remote / "refs" / "heads" / "trinity-state.lock"
    lock.write_bytes(b"")
    with pytest.raises(Busy, match=r"trinity-state\.lock"):
        write(state, "wake/PC2.json")
    assert lock.exists()
