"""What a parcel leaves out is listed with its reason; everything else still goes over equal."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tests.lib.work.stage import Stage
from trinity.work.carry.committed import CommittedSecret
from trinity.work.carry.shapes import Parcel
from trinity.work.secret_files import withheld

pytestmark = pytest.mark.posix
TOKEN = "sk-ant-" + "api03-" + "Q7w" * 12
KEY = "-----BEGIN OPENSSH " + "PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n-----END OPENSSH " + "PRIVATE KEY-----\n"


def reasons(parcel: Parcel) -> dict[str, str]:
    return {line["path"]: line["reason"] for line in parcel.left_out}


def holds(stage: Stage, parcel: Parcel, secret: str) -> bool:
    """Whether the secret stands in any object of the bundle, in the manifest, or in the files of a restored worktree."""
    box = stage.top / "scan"
    stage.sh(
        "pc2",
        f"rm -rf scan; git clone -q --bare '{stage.origin}' scan; git -C scan bundle unbundle '{parcel.bundle}'",
        stage.top,
    )
    objects = "git cat-file --batch-all-objects --batch --unordered"
    return secret in stage.sh("pc2", objects, box) or secret in str(parcel.manifest)


def test_a_large_untracked_file_stays_and_the_rest_goes(stage: Stage) -> None:
    stage.build(
        "head -c 3000000 /dev/zero >large; head -c 500000 /dev/zero >small; echo x >>a.txt; "
        "head -c 2000000 /dev/zero >>b.txt"
    )
    over = stage.pack(cap_file=1_000_000)
    assert reasons(over) == {"large": "larger than 1 MB"} and over.left_out[0]["size"] == 3_000_000
    for mode in ("linked", "clone"):
        restored = stage.restore(over, mode)
        assert restored.equal and restored.left_out == over.left_out
        assert (restored.target / "small").stat().st_size == 500_000
        assert (restored.target / "b.txt").stat().st_size == 2_000_004, "a tracked change always goes"
        assert not (restored.target / "large").exists()


def test_beyond_the_total_the_largest_stay(stage: Stage) -> None:
    stage.build("for i in 1 2 3 4 5 6; do head -c ${i}00000 /dev/zero >u$i; done; echo x >>a.txt")
    parcel = stage.pack(cap_total=1_100_000)
    assert sorted(reasons(parcel)) == ["u5", "u6"] and set(reasons(parcel).values()) == {"beyond 1 MB in all"}
    assert stage.restore(parcel, "clone").equal


def test_what_git_cannot_hold_is_listed(stage: Stage) -> None:
    stage.build("mkfifo pipe; mkdir d; mkfifo d/pipe; rm c.txt; mkfifo c.txt")
    here = Path.cwd()
    with socket.socket(socket.AF_UNIX) as plug:
        os.chdir(stage.pc1)
        try:
            plug.bind("plug")
        finally:
            os.chdir(here)
        parcel = stage.pack()
    assert set(reasons(parcel)) == {"pipe", "d/pipe", "plug", "c.txt"}
    assert "FIFO" in reasons(parcel)["pipe"] and "socket" in reasons(parcel)["plug"]
    assert stage.restore(parcel, "linked").equal


def test_what_cannot_be_read_is_listed(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.build("echo 1 >>a.txt; echo 2 >mine; echo 3 >>b.txt")
    real = os.open

    def refused(path: object, *arguments: int, **more: int) -> int:
        # Who runs the tests may be root, whom no mode keeps out.
        if isinstance(path, bytes) and path.endswith((b"/a.txt", b"/mine")):
            raise PermissionError(13, "Permission denied", path)
        return real(path, *arguments, **more)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refused)
        parcel = stage.pack()
    assert reasons(parcel) == {
        "a.txt": "cannot be read: Permission denied",
        "mine": "cannot be read: Permission denied",
    }
    restored = stage.restore(parcel, "linked")
    assert restored.equal and (restored.target / "b.txt").read_text() == "two\n3\n"
    assert (restored.target / "a.txt").read_text() == "one\n", "as it is in the repository, and said to be left out"


def test_files_with_secrets_stay_and_are_in_no_object(stage: Stage) -> None:
    stage.build(
        f"echo 'API={TOKEN}' >.env; cp .env .env.local; printf '%s' '{KEY}' >deploy; cp deploy id_rsa; "
        "echo x >server.pem; "
        f"echo '{TOKEN}' >>a.txt; echo 'fine' >.env.example; printf '\\000\\001{TOKEN}' >dump.bin; echo ok >>b.txt; "
        "seq 1 200000 >long.log.txt; echo '" + TOKEN + "' >>long.log.txt"
    )
    parcel = stage.pack(withheld=withheld)
    found = reasons(parcel)
    assert set(found) == {".env", ".env.local", "deploy", "id_rsa", "server.pem", "a.txt", "dump.bin", "long.log.txt"}
    assert found["deploy"] == "withheld: a private key" and "anthropic" in found["a.txt"]
    assert not holds(stage, parcel, TOKEN) and not holds(stage, parcel, "PRIVATE " + "KEY")
    restored = stage.restore(parcel, "linked")
    assert restored.equal
    assert (restored.target / "a.txt").read_text() == "one\n" and (restored.target / "b.txt").read_text() == "two\nok\n"
    assert (stage.pc1 / "a.txt").read_text() == f"one\n{TOKEN}\n", "never rewritten"


def test_a_secret_that_is_only_staged_stays_too(stage: Stage) -> None:
    stage.build(
        f"echo '{TOKEN}' >>a.txt; git add a.txt; printf 'one\\nclean\\n' >a.txt; echo '{TOKEN}' >new; "
        "git add new; echo clean >new"
    )
    parcel = stage.pack(withheld=withheld)
    assert set(reasons(parcel)) == {"a.txt", "new"} and not holds(stage, parcel, TOKEN)
    assert stage.restore(parcel, "clone").equal


def test_a_secret_in_a_repository_inside_stays_too(stage: Stage) -> None:
    stage.build(
        f"git init -q nested; cd nested; echo 1 >f; git add f; git commit -qm n; echo '{TOKEN}' >>f; "
        "echo K=1 >.env; echo 2 >g"
    )
    parcel = stage.pack(withheld=withheld)
    assert set(reasons(parcel)) == {"nested/f", "nested/.env"}
    restored = stage.restore(parcel, "linked")
    assert restored.equal and (restored.target / "nested" / "g").read_text() == "2\n"
    assert (restored.target / "nested" / "f").read_text() == "1\n"


def test_a_secret_in_a_commit_that_no_remote_has_is_refused(stage: Stage) -> None:
    stage.build(
        f"echo '{TOKEN}' >conf; git add conf; git commit -qm oops; git rm -q conf; "
        "git commit -qm removed; echo x >>a.txt"
    )
    with pytest.raises(CommittedSecret, match=r"conf.*anthropic") as refused:
        stage.pack(withheld=withheld)
    assert TOKEN not in refused.value.message
    assert stage.restore(stage.pack(withheld=withheld, committed_secrets=True), "clone").equal


def test_a_file_name_alone_does_not_withhold_what_is_published(stage: Stage) -> None:
    stage.build(
        "echo A=1 >.env; git add -f .env; git commit -qm env; git push -q origin HEAD:refs/heads/env; echo x >>a.txt"
    )
    parcel = stage.pack(withheld=withheld)
    assert not parcel.left_out and stage.restore(parcel, "linked").equal


def test_a_secret_in_a_message_or_a_stopped_operation_is_refused(stage: Stage) -> None:
    stage.build(f"git commit -q --allow-empty -m 'use {TOKEN}'")
    with pytest.raises(CommittedSecret, match=r"commit [0-9a-f]{12}: withheld|commit [0-9a-f]{12}: a token"):
        stage.pack(withheld=withheld)
    stage.sh("pc1", "git reset -q --hard HEAD~1; git format-patch -q -1 HEAD -o ../m", stage.pc1)
    stage.sh(
        "pc1",
        f"sed -i 's/^Subject.*/&\\n\\n{TOKEN}/; s/^+401$/+nothing/; s/^ 3$/ other/' ../m/*; "
        "! git am -q ../m/* 2>/dev/null",
        stage.pc1,
    )
    with pytest.raises(CommittedSecret, match="of the stopped operation"):
        stage.pack(withheld=withheld)
