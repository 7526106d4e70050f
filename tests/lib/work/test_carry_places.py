"""Uncommitted work in unusual repositories, and under settings that only one of the two PCs has."""

from __future__ import annotations

import shutil

import pytest

from tests.lib.work.stage import ORIGIN, Stage
from trinity.errors import TrinityError
from trinity.work.carry.bases import still_published

pytestmark = pytest.mark.posix
CHANGES = "echo more >>a.txt; echo st >>b.txt; git add b.txt; rm c.txt; echo new >new"


def test_an_empty_repository_without_a_remote(stage: Stage) -> None:
    stage.pc1.mkdir()
    stage.sh("pc1", "git init -q -b first . && echo 1 >a && git add a && echo 2 >>a && echo 3 >b", stage.pc1)
    over = stage.carry(modes=["clone"])
    assert over.parcel.manifest["head"] is None and over.parcel.manifest["history"] == "full"
    assert stage.sh("pc2", "git symbolic-ref HEAD", over.restored["clone"].target) == "refs/heads/first\n"


def test_an_empty_repository_beside_a_clone_is_a_repository_of_its_own(stage: Stage) -> None:
    stage.build("git checkout -q --orphan fresh; git rm -rq --cached .; echo x >>a.txt")
    parcel = stage.pack()
    restored = stage.restore(parcel, "linked")
    assert restored.equal and not restored.linked


def test_a_repository_without_a_remote_travels_whole(stage: Stage) -> None:
    stage.pc1.mkdir()
    stage.sh("pc1", ORIGIN, stage.pc1)
    stage.sh("pc1", CHANGES, stage.pc1)
    over = stage.carry(modes=["clone"])
    assert over.parcel.manifest["history"] == "full"
    assert stage.sh("pc2", "git log --format=%s", over.restored["clone"].target) == "second\nfirst\n"


def test_a_cut_history_needs_no_remote(stage: Stage) -> None:
    stage.build("git checkout -q -b t; echo 1 >>a.txt; git commit -qam local; " + CHANGES)
    shutil.move(stage.origin, stage.top / "gone")
    parcel = stage.pack(bases="shallow")
    before = stage.seen("pc1", stage.pc1)
    restored = stage.restore(parcel, "clone")
    assert restored.equal and stage.seen("pc2", restored.target) == before
    assert stage.sh("pc2", "git log --format=%s", restored.target) == "local\nsecond\n"
    stage.sh("pc2", "git fsck --connectivity-only 2>&1 && git commit -qam more", restored.target)


def test_a_cut_history_is_a_linked_worktree_where_the_base_is_known(stage: Stage) -> None:
    stage.build("echo 1 >>a.txt; git commit -qam local; " + CHANGES)
    assert stage.carry(bases="shallow").parcel.manifest["history"] == "shallow"


def test_a_base_that_is_nowhere_is_said_and_nothing_is_left_behind(stage: Stage) -> None:
    stage.build(CHANGES)
    # Somebody else rewrote the branch: its commit is in no repository of PC2 and not at the remote.
    stage.sh("pc1", "git commit -qam gone && git push -q origin HEAD:refs/heads/other", stage.pc1)
    stage.sh(
        "pc1", "git branch -q -D other && git reflog expire --expire=now --all && git gc -q --prune=now", stage.origin
    )
    stage.sh("pc1", "echo x >>a.txt", stage.pc1)
    parcel = stage.pack()
    for mode in ("linked", "clone"):
        with pytest.raises(TrinityError, match="neither here nor at the remote") as refused:
            stage.restore(parcel, mode)
        assert "shallow" in refused.value.hint
        assert not (stage.top / f"restored-{mode}").exists()
    assert stage.sh("pc2", "git worktree list | wc -l", stage.pc2).strip() == "1"


def test_a_base_that_the_clone_does_not_know_is_fetched_without_moving_a_reference(stage: Stage) -> None:
    stage.build("echo 1 >>a.txt; git commit -qam pushed; git push -q origin HEAD:refs/heads/later; " + CHANGES)
    before = stage.sh("pc2", "git for-each-ref; git rev-parse HEAD; git status --porcelain", stage.pc2)
    over = stage.carry(modes=["linked"])
    assert over.parcel.manifest["bases"]
    assert stage.sh("pc2", "git for-each-ref; git rev-parse HEAD; git status --porcelain", stage.pc2) == before


def test_the_first_pc_works_in_a_linked_worktree(stage: Stage) -> None:
    stage.build("git worktree add -q -b side wt; echo wt/ >>.git/info/exclude")
    worktree = stage.pc1 / "wt"
    stage.sh("pc1", CHANGES, worktree)
    over = stage.carry(worktree)
    for restored in over.restored.values():
        assert stage.sh("pc2", "git symbolic-ref HEAD", restored.target) in ("refs/heads/side\n",)
        stage.sh("pc2", "git checkout -q --detach", restored.target)


def test_the_folder_of_the_work_is_found_again(stage: Stage) -> None:
    stage.build("mkdir -p deep/work")
    parcel = stage.pack(stage.pc1 / "deep" / "work")
    for mode in ("linked", "clone"):
        restored = stage.restore(parcel, mode)
        assert restored.cwd == restored.target / "deep" / "work" and restored.cwd.is_dir()


def test_a_sha256_repository(stage: Stage) -> None:
    stage.build(
        "git checkout -q -b t; git commit -q --allow-empty -m x; " + CHANGES,
        ORIGIN.replace("init", "init --object-format=sha256"),
    )
    assert stage.carry().parcel.manifest["object_format"] == "sha256"


def test_a_shallow_clone(stage: Stage) -> None:
    stage.build("true")
    shutil.rmtree(stage.pc1)
    stage.sh("pc1", f"git clone -q --depth 1 'file://{stage.origin}' pc1", stage.top)
    stage.sh("pc1", "echo 1 >>b.txt; git commit -qam local; " + CHANGES, stage.pc1)
    stage.carry()


def test_a_partial_clone(stage: Stage) -> None:
    stage.build("true")
    stage.sh(
        "pc1", "git config uploadpack.allowFilter true; git config uploadpack.allowAnySHA1InWant true", stage.origin
    )
    shutil.rmtree(stage.pc1)
    stage.sh("pc1", f"git clone -q --filter=blob:none 'file://{stage.origin}' pc1", stage.top)
    stage.sh("pc1", "echo 1 >>b.txt; git commit -qam local; " + CHANGES, stage.pc1)
    stage.carry()
    with pytest.raises(TrinityError, match="the commits cannot be packed"):
        stage.pack(bases="full")


def test_a_shallow_clone_without_its_remote(stage: Stage) -> None:
    stage.build("true")
    shutil.rmtree(stage.pc1)
    stage.sh("pc1", f"git clone -q --depth 1 'file://{stage.origin}' pc1", stage.top)
    stage.sh("pc1", "git remote remove origin; " + CHANGES, stage.pc1)
    assert stage.carry(modes=["clone"]).parcel.manifest["shallow"]


def test_a_bare_main_clone_with_worktrees(stage: Stage) -> None:
    stage.build("git config core.autocrlf input; " + CHANGES)
    shutil.rmtree(stage.pc2)
    stage.sh("pc2", f"git clone -q --bare '{stage.origin}' pc2", stage.top)
    stage.carry(modes=["linked"])
    assert stage.sh("pc2", "git rev-parse --is-bare-repository", stage.pc2) == "true\n"


def test_line_ends_by_the_first_pcs_global_settings_alone(stage: Stage) -> None:
    with stage.configuration["pc1"].open("a", encoding="utf-8") as stream:
        stream.write("[core]\n\tautocrlf = true\n")
    stage.build("printf 'x\\r\\n' >>a.txt; printf 'y\\n' >new")
    stage.carry()


def test_line_ends_by_the_second_pcs_global_settings_alone(stage: Stage) -> None:
    stage.build("printf 'x\\n' >>a.txt; printf 'y\\r\\n' >new")
    with stage.configuration["pc2"].open("a", encoding="utf-8") as stream:
        stream.write("[core]\n\tautocrlf = true\n")
    stage.carry()


@pytest.mark.parametrize("pc", ["pc1", "pc2"])
def test_global_ignore_rules_on_one_pc_alone(stage: Stage, pc: str) -> None:
    with stage.configuration[pc].open("a", encoding="utf-8") as stream:
        stream.write(f"[core]\n\texcludesFile = {stage.top}/rules\n")
    (stage.top / "rules").write_text("*.tmp\n", encoding="utf-8")
    stage.build("echo 1 >x.tmp; echo 2 >new")
    over = stage.carry()
    carried = {entry["path"] for entry in over.parcel.manifest["entries"]}
    assert ("x.tmp" in carried) == (pc == "pc2")


def test_the_usual_global_ignore_file_counts_too(stage: Stage) -> None:
    rules = stage.top / "pc1-home" / ".config" / "git" / "ignore"
    rules.parent.mkdir(parents=True)
    rules.write_text("*.tmp\n", encoding="utf-8")
    stage.build("echo 1 >x.tmp; echo 2 >new")
    stage.carry()


def test_a_filter_that_the_second_pc_lacks_is_said(stage: Stage) -> None:
    with stage.configuration["pc1"].open("a", encoding="utf-8") as stream:
        stream.write('[filter "shout"]\n\tclean = tr A-Z a-z\n\tsmudge = tr a-z A-Z\n')
    stage.build(
        "printf '*.s filter=shout\\n' >.gitattributes; echo ABC >x.s; echo DEF >y.s; git add .; "
        "git commit -qm s; echo GHI >x.s"
    )
    parcel = stage.pack()
    assert any("filter shout" in note for note in parcel.manifest["notes"])
    restored = stage.restore(parcel, "clone")
    assert not restored.equal and "filter 'shout'" in restored.differences[-1]
    assert (restored.target / "x.s").read_text() == "GHI\n"


def test_a_lock_of_somebody_elses_git_is_waited_for_and_left_alone(stage: Stage) -> None:
    stage.build(CHANGES)
    lock = stage.pc1 / ".git" / "index.lock"
    lock.write_bytes(b"")
    parcel = stage.pack(wait=0.2)
    assert lock.exists() and any("index.lock" in note for note in parcel.manifest["notes"])
    assert stage.restore(parcel, "clone").equal


def test_a_rewritten_base_travels_along_when_the_remote_was_asked(stage: Stage) -> None:
    stage.build(CHANGES)
    stage.sh("pc1", "git commit -qam gone && git push -q origin HEAD:refs/heads/other", stage.pc1)
    stage.sh(
        "pc1", "git branch -q -D other && git reflog expire --expire=now --all && git gc -q --prune=now", stage.origin
    )
    stage.sh("pc1", "echo x >>a.txt; git config remote.none.url /nowhere/at/all", stage.pc1)
    stage.at("pc1")()
    assert still_published(stage.pc1) is None, "a remote that does not answer says nothing"
    stage.sh("pc1", "git config --remove-section remote.none", stage.pc1)
    published = still_published(stage.pc1)
    assert published == stage.sh("pc1", "git rev-parse HEAD", stage.origin).split()
    over = stage.carry(published=published)
    assert over.parcel.manifest["history"] == "thin" and over.parcel.manifest["bases"] == published
