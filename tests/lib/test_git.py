"""Git: nothing of the user's reaches it, and a hanging call ends."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest

from trinity import git


def test_inherited_variables_hooks_and_configuration_do_not_reach_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = git.init_bare(tmp_path / "other.git")
    monkeypatch.setenv("GIT_DIR", str(other.path))
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", "'core.bare'='false'")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".gitconfig").write_text("[user]\n\tname = Somebody\n", encoding="utf-8")
    mine = git.init_bare(tmp_path / "mine.git", server=True)
    assert mine.run("rev-parse", "--absolute-git-dir").decode().strip() == str(mine.path.resolve())
    with pytest.raises(git.GitError):
        mine.run("config", "--get", "user.name")
    assert mine.run("config", "--get", "core.fsync") == b"all\n"


def test_a_failure_names_the_command_and_the_last_line(tmp_path: Path) -> None:
    repository = git.init_bare(tmp_path / "r.git")
    with pytest.raises(git.GitError) as failed:
        repository.run("cat-file", "-p", "0" * 40)
    assert "git cat-file failed (status 128)" in failed.value.message and failed.value.status == 128


def test_a_hanging_git_is_ended_with_its_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "bin" / "git"
    fake.parent.mkdir()
    fake.write_text(f"#!/bin/sh\nsleep 60 &\necho $! >{tmp_path}/child\nwait\n", encoding="utf-8")
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{fake.parent}{os.pathsep}{os.environ['PATH']}")
    began = time.monotonic()
    with pytest.raises(git.GitError, match="took too long"):
        git.Repository(tmp_path, timeout=0.5).run("fetch")
    assert time.monotonic() - began < 5
    child = int((tmp_path / "child").read_text(encoding="utf-8"))
    time.sleep(0.1)
    assert not Path(f"/proc/{child}").exists() or "Z" in Path(f"/proc/{child}/stat").read_text().split(")")[1][:3]


@pytest.mark.posix
def test_a_users_folder_is_seen_as_its_user_sees_it_and_still_runs_no_hook(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tmp_path / "settings"
    settings.write_text("[core]\n\tautocrlf = input\n\thooksPath = /nowhere\n", encoding="utf-8")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    git.init_bare(tmp_path / "r.git")
    user = git.Repository(tmp_path / "r.git", as_user=True)
    assert user.run("config", "core.autocrlf") == b"input\n" and user.run("config", "core.hooksPath") == b"/dev/null\n"
    assert git.Repository(tmp_path / "r.git").run("config", "core.autocrlf") == b"false\n"


def test_settings_and_variables_of_a_repository_win_over_what_is_pinned(tmp_path: Path) -> None:
    git.init_bare(tmp_path / "r.git")
    elsewhere = git.Repository(
        tmp_path, variables={"GIT_DIR": str(tmp_path / "r.git")}, settings=["core.autocrlf=true"]
    )
    assert elsewhere.run("config", "core.autocrlf") == b"true\n"
    assert elsewhere.run("rev-parse", "--absolute-git-dir").decode().strip() == str(tmp_path / "r.git")


def test_a_remote_is_reached_with_the_users_login_and_nothing_else_of_their_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".gitconfig").write_text(
        "[user]\n\tname = Somebody\n"
        "[credential]\n\thelper = store\n"
        '[credential "https://git.example"]\n\thelper =\n\thelper = "!f() { echo password=x=y; }; f"\n'
        '[url "https://token=1@git.example/"]\n\tinsteadOf = work:\n'
        "[core]\n\thooksPath = /nowhere\n[alias]\n\tfetch = !false\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.delenv("GIT_CONFIG_GLOBAL")
    plain, reaching = git.environment(), git.environment(access=True)
    passed = {
        reaching[f"GIT_CONFIG_KEY_{at}"] + "=" + reaching[f"GIT_CONFIG_VALUE_{at}"]
        for at in range(int(reaching["GIT_CONFIG_COUNT"]))
    }
    assert "GIT_CONFIG_COUNT" not in plain and plain["GIT_CONFIG_GLOBAL"] == reaching["GIT_CONFIG_GLOBAL"] == os.devnull
    assert passed == {
        "credential.helper=store",
        "credential.https://git.example.helper=",
        "credential.https://git.example.helper=!f() { echo password=x=y; }; f",
        "url.https://token=1@git.example/.insteadof=work:",
    }
    repository = git.Repository(git.init_bare(tmp_path / "r.git").path, access=True)
    said = repository.run("ls-remote", "--get-url", "work:project.git")
    assert said == b"https://token=1@git.example/project.git\n"
    filled = repository.run("credential", "fill", stdin=b"protocol=https\nhost=git.example\nusername=me\n\n")
    assert b"password=x=y" in filled
    with pytest.raises(git.GitError):
        repository.run("config", "--get", "user.name")


def test_output_may_go_to_a_file(tmp_path: Path) -> None:
    repository = git.init_bare(tmp_path / "r.git")
    oid = repository.run("hash-object", "-w", "--stdin", stdin=b"x" * 100_000).decode().strip()
    with (tmp_path / "out").open("wb") as stream:
        assert repository.run("cat-file", "blob", oid, stdout=stream) == b""
    assert (tmp_path / "out").read_bytes() == b"x" * 100_000


def test_settings_are_added_as_git_would_write_them(tmp_path: Path) -> None:
    bare = git.init_bare(tmp_path / "bare.git", server=True)
    git.add_settings(bare.path, {"core.sshCommand": "ssh -o BatchMode=yes # ;", "http.lowSpeedTime": "20"})
    listed = dict(line.split("=", 1) for line in bare.run("config", "--list", "--local").decode().splitlines())
    assert listed["core.sshcommand"] == "ssh -o BatchMode=yes # ;" and listed["http.lowspeedtime"] == "20"
    assert {name.lower(): value for name, value in git.SERVER_SETTINGS.items()}.items() <= listed.items()
    for key, value in (("a.b.c", "x"), ("a.b", 'x"'), ("a.b", "x\\"), ("a.b", "x\n")):
        with pytest.raises(ValueError, match="no plain setting"):
            git.add_settings(bare.path, {key: value})
