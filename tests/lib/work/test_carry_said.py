"""What cannot go over, or goes over only in part, is said: nothing of the work is silently another one there."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.lib.work.stage import Stage
from trinity.work.carry import facts, manifest
from trinity.work.carry.consent import Consent
from trinity.work.secret_files import withheld

pytestmark = pytest.mark.posix
TOKEN = "sk-ant-" + "api03-" + "Q7w" * 12


def notes(stage: Stage) -> str:
    return "\n".join(stage.pack().manifest["notes"])


def test_what_git_keeps_beside_the_files_is_said_to_stay(stage: Stage) -> None:
    stage.build(
        "echo 1 >>a.txt; git stash -q; echo 2 >>a.txt; git stash -q; git branch mine; git branch other; "
        "git config user.email me@example.invalid; git config alias.st status; "
        "printf '#!/bin/sh\\n' >.git/hooks/pre-commit; chmod +x .git/hooks/pre-commit; "
        "git notes add -m note; mkdir ignored; echo i >ignored/i; echo '.env*' >>.git/info/exclude; echo A=1 >.env; "
        "echo x >>a.txt"
    )
    said = notes(stage)
    assert "stashes stay on the old PC (2)" in said
    assert "other local branches stay on the old PC: mine, other" in said
    assert "git hooks stay on the old PC: pre-commit" in said and "sample" not in said
    assert "alias.st" in said and "user.email" in said and "remote.origin" not in said
    assert "refs/notes" in said and "ignored folders were not carried: ignored/" in said
    assert "settings and secrets were not carried: .env" in said


def test_of_a_clean_clone_nothing_is_said(stage: Stage) -> None:
    stage.build("true")
    assert stage.pack().manifest["notes"] == []


def test_replaced_commits_are_said_and_go_over_as_they_were_made(stage: Stage) -> None:
    stage.build(
        "git replace HEAD~1 $(git commit-tree -m other 'HEAD~1^{tree}'); echo 1 >>a.txt; git commit -qam local; "
        "echo 2 >>a.txt"
    )
    over = stage.carry()
    assert any("replaced commits" in note for note in over.parcel.manifest["notes"])


def test_a_filter_is_said_by_its_name_wherever_its_attributes_stand(stage: Stage) -> None:
    stage.build(
        "mkdir deep; printf '*.bin filter=lfs -text\\n' >deep/.gitattributes; echo p >deep/x.bin; git add .; "
        "git commit -qm lfs; echo q >deep/x.bin"
    )
    assert "filter lfs" in notes(stage)


def test_what_the_repository_keeps_encrypted_does_not_travel(stage: Stage) -> None:
    crypt = "clean = tr a-z n-za-m\n\tsmudge = tr a-z n-za-m\n\trequired = true\n"
    with stage.configuration["pc1"].open("a", encoding="utf-8") as stream:
        stream.write(f'[filter "git-crypt"]\n\t{crypt}')
    stage.build(
        "printf '*.s filter=git-crypt\\n' >.gitattributes; echo hidden >x.s; echo other >y.s; git add .; git commit -qm s; "
        "git push -q origin HEAD:refs/heads/s; echo changed >x.s; echo more >>a.txt"
    )
    parcel = stage.pack(withheld=withheld)
    assert [(line["path"], line["reason"]) for line in parcel.left_out] == [
        ("x.s", "withheld: the repository keeps it encrypted (filter git-crypt)")
    ]
    assert "filter git-crypt" in "\n".join(parcel.manifest["notes"])
    restored = stage.restore(parcel, "linked")
    assert (restored.target / "x.s").read_text() == "uvqqra\n" and (
        restored.target / "a.txt"
    ).read_text() == "one\nmore\n"


@pytest.mark.parametrize(
    "branch",
    ["émile/größe", "a" * 220, "a./b", "-x", "@", "x'y\"z", "b" * 245, "bad\udcffname", "with-" + TOKEN],
    ids=["umlauts", "long", "dots", "dash", "at", "quotes", "longer", "no-utf-8", "secret"],
)
def test_a_branch_of_any_name_goes_over_or_is_said(stage: Stage, branch: str) -> None:
    stage.build("echo 1 >>a.txt; git commit -qam local; echo 2 >>a.txt")
    git = ["git", "-C", str(stage.pc1)]
    subprocess.run([*git, "update-ref", b"refs/heads/" + branch.encode("utf-8", "surrogateescape"), "HEAD"], check=True)
    subprocess.run(
        [*git, "symbolic-ref", "HEAD", b"refs/heads/" + branch.encode("utf-8", "surrogateescape")], check=True
    )
    over = stage.carry(modes=["linked"])
    there = subprocess.run(
        ["git", "-C", str(over.restored["linked"].target), "symbolic-ref", "-q", "HEAD"],
        capture_output=True,
        check=False,
    ).stdout
    said = any("HEAD is detached" in note for note in over.restored["linked"].notes)
    assert said or there == b"refs/heads/" + branch.encode("utf-8", "surrogateescape") + b"\n"
    assert said == (there == b"")
    assert TOKEN not in str(over.parcel.manifest)


@pytest.mark.parametrize("kind", ["blob:none", "tree:0"])
def test_a_partial_clone_is_packed_without_fetching(stage: Stage, kind: str) -> None:
    stage.build("true")
    shutil.rmtree(stage.pc1)
    stage.sh(
        "pc1", "git config uploadpack.allowFilter true; git config uploadpack.allowAnySHA1InWant true", stage.origin
    )
    stage.sh(
        "pc1",
        f"git clone -q --filter={kind} 'file://{stage.origin}' pc1; cd pc1; git checkout -q -b t; echo 1 >>a.txt; "
        "git commit -qam local; echo 2 >>src/long.txt; git add .; echo 3 >>b.txt; echo n >n",
        stage.top,
    )
    before = stage.sh("pc1", "git rev-list --objects --all --missing=print | grep -c '^?'", stage.pc1)
    assert int(before) > 0
    shutil.move(stage.origin, stage.top / "away")  # a fetch would fail, and be seen
    parcel = stage.pack(withheld=withheld)
    shutil.move(stage.top / "away", stage.origin)
    assert stage.sh("pc1", "git rev-list --objects --all --missing=print | grep -c '^?'", stage.pc1) == before
    for mode in ("linked", "clone"):
        restored = stage.restore(parcel, mode)
        assert restored.equal, restored.differences


def test_links_that_are_plain_files_stay_so(stage: Stage) -> None:
    stage.build("git config core.symlinks false; rm link; git checkout -q link; printf 'b.txt' >link; echo 1 >>a.txt")
    assert not (stage.pc1 / "link").is_symlink()
    over = stage.carry()
    for restored in over.restored.values():
        assert (restored.target / "link").read_bytes() == b"b.txt" and not (restored.target / "link").is_symlink()


def test_a_clean_link_that_is_a_plain_file_stays_so(stage: Stage) -> None:
    stage.build("git config core.symlinks false; rm link; git checkout -q link; echo 1 >>a.txt")
    over = stage.carry()
    assert all((restored.target / "link").read_bytes() == b"a.txt" for restored in over.restored.values())


def test_attributes_of_the_second_pcs_clone_alone_do_not_change_a_file(stage: Stage) -> None:
    stage.build("echo 1 >>a.txt")
    stage.sh("pc2", "mkdir -p .git/info; printf '*.txt text eol=crlf\\n' >.git/info/attributes", stage.pc2)
    over = stage.carry(linked=False)
    assert (over.restored["linked"].target / "b.txt").read_bytes() == b"two\n"


def test_a_submodule_is_had_from_the_clone_when_its_remote_is_gone(stage: Stage) -> None:
    stage.build(
        "git init -q -b main ../lib && echo l >../lib/l && git -C ../lib add l && git -C ../lib commit -qm lib1; "
        "git submodule --quiet add ../lib sub; git commit -qm sub; "
        "git push -q origin HEAD:refs/heads/withsub; echo y >>sub/l"
    )
    stage.sh("pc2", "git fetch -q && git checkout -q withsub && git submodule --quiet update --init", stage.pc2)
    shutil.move(stage.top / "lib", stage.top / "gone")
    restored = stage.restore(stage.pack(), "linked")
    assert restored.equal, restored.differences
    assert (restored.target / "sub" / "l").read_text() == "l\ny\n"


def test_addresses_travel_without_passwords(tmp_path: Path) -> None:
    made = manifest.remotes(
        {
            "web": "https://me:pw-1@example.invalid/p.git",
            "query": "https://example.invalid/p?token=pw-2#pw-3",
            "shell": "ssh://git:pw-4@example.invalid:22/p",
            "short": "git@example.invalid:p.git",
            "named": "ssh://git@example.invalid/p",
            "inside": f"https://example.invalid/{TOKEN}/p",
            "near": "../other",
        },
        tmp_path / "here",
    )
    assert made == {
        "web": "https://example.invalid/p.git",
        "query": "https://example.invalid/p",
        "shell": "ssh://git@example.invalid:22/p",
        "short": "git@example.invalid:p.git",
        "named": "ssh://git@example.invalid/p",
        "near": str(tmp_path / "other"),
    }


def test_ignored_files_and_permissions_travel_only_by_consent(stage: Stage) -> None:
    stage.build(
        "printf 'ignored/\\n*.log\\n.env*\\n' >.gitignore; git commit -qam ignore; mkdir -p ignored/deep .claude; "
        "echo 1 >ignored/deep/a.bin; echo 2 >ignored/b.txt; echo 3 >x.log; echo A=1 >.env.test; "
        "echo PASSWORD=Geheim-1234 >.env.b; "
        f"echo '{TOKEN}' >ignored/deep/t.bin; echo '{{}}' >.claude/settings.local.json"
    )
    plain = stage.pack(withheld=withheld)
    assert [line["path"] for line in plain.left_out] == [".claude/settings.local.json"]
    assert (
        "permissions" in plain.left_out[0]["reason"] and not (stage.restore(plain, "clone").target / ".claude").exists()
    )
    consent = Consent(("ignored/*.bin", ".env.test", ".env.b", ".env.gone"), grants=True)
    over = stage.pack(withheld=withheld, consent=consent)
    assert {line["path"] for line in over.left_out} == {"ignored/deep/t.bin", ".env.b"}
    restored = stage.restore(over, "linked")
    assert restored.equal, restored.differences
    there = restored.target
    assert (there / "ignored/deep/a.bin").read_text() == "1\n" and (there / ".env.test").read_text() == "A=1\n"
    assert (there / ".claude/settings.local.json").read_text() == "{}\n"
    assert not any((there / name).exists() for name in ("ignored/b.txt", "x.log", ".env.b", "ignored/deep/t.bin"))


def test_permissions_that_git_ignores_travel_by_consent_alone(stage: Stage) -> None:
    stage.build(
        "echo .claude/ >>.git/info/exclude; mkdir .claude; echo '{}' >.claude/settings.local.json; echo x >>a.txt"
    )
    assert not (stage.restore(stage.pack(), "clone").target / ".claude").exists()
    given = stage.restore(stage.pack(consent=Consent(grants=True)), "linked")
    assert given.equal and (given.target / ".claude" / "settings.local.json").read_text() == "{}\n"


def test_a_history_without_a_remote_that_does_not_fit_is_cut(stage: Stage) -> None:
    stage.pc1.mkdir()
    stage.sh(
        "pc1",
        "git init -q -b main .; head -c 3000000 /dev/urandom >big; git add .; git commit -qm big; git rm -q big; echo 1 >a; "
        "git add a; git commit -qm small; echo 2 >>a",
        stage.pc1,
    )
    parcel = stage.pack(cap_total=1_000_000)
    assert parcel.manifest["history"] == "shallow" and parcel.manifest["bundle"]["size"] < 100_000
    restored = stage.restore(parcel, "clone")
    assert restored.equal and stage.sh("pc2", "git log --format=%s", restored.target) == "small\n"


def test_one_look_is_enough_for_what_lay_there_before_and_two_are_taken_else(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trinity.work.carry import content, scan

    stage.build("echo 1 >>a.txt; rm c.txt; echo n >new; mkdir -p ignored; touch -d '2020-01-01' .")
    asked: list[bool] = []
    real = scan.again

    def again(*arguments: object) -> bool:
        asked.append(bool(arguments[2]))
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(scan, "again", again)
    # A clock that goes on by a second between two looks, whatever this machine is busy with.
    monkeypatch.setattr(content, "_RECENT_NS", -1_000_000_000)
    assert stage.pack().consistent and asked == [True]
    monkeypatch.setattr(content, "_RECENT_NS", 3600_000_000_000)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    assert stage.pack().consistent and asked == [True, False]


def test_facts_of_a_worktree_without_commits_and_of_a_detached_one(stage: Stage) -> None:
    stage.build("git checkout -q --detach")
    stage.at("pc1")()
    assert facts.head_of(facts.look(stage.pc1))[1] is None
    stage.sh("pc1", "git checkout -q --orphan 'fresh one' 2>/dev/null || git checkout -q --orphan fresh", stage.pc1)
    assert facts.head_of(facts.look(stage.pc1)) == (None, "refs/heads/fresh")
