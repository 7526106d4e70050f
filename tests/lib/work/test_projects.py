"""The right clone of a project is found by any address of its remotes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from trinity.work import projects

SAME = [
    ["git@host.example:team/app.git", "ssh://git@host.example/team/app", "https://host.example/team/app.git/",
     "https://ann@Host.Example:443/Team/app", "ssh://git@host.example:22/team/app.git", "git://host.example/team/app"],
    ["/srv/git/app.git", "file:///srv/git/app", "/srv/git/app/"],
    ["C:\\git\\app.git", "C:/git/app"],
]  # fmt: skip


@pytest.mark.parametrize("addresses", SAME, ids=lambda addresses: addresses[0])
def test_one_repository_has_many_addresses(addresses: list[str]) -> None:
    assert len({projects.plain(address) for address in addresses}) == 1


def test_other_repositories_have_others() -> None:
    apart = ["git@host:a/b", "git@host:a/c", "git@other:a/b", "https://host:8443/a/b", "/a/b", "/srv/a/b", "host:b"]
    assert len({projects.plain(address) for address in apart}) == len(apart)


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def repository(folder: Path, *remotes: tuple[str, str]) -> str:
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    (folder / "file").write_text(folder.name, encoding="utf-8")
    git(folder, "add", "file")
    git(folder, "-c", "user.name=A", "-c", "user.email=a@b", "commit", "-qm", "x")
    for name, url in remotes:
        git(folder, "remote", "add", name, url)
    return git(folder, "rev-parse", "HEAD")


URL = "git@host.example:team/app.git"
WANTED = {"origin": "https://host.example/team/app"}


def test_it_is_found_below_a_root_three_folders_deep_and_nowhere_hidden(tmp_path: Path) -> None:
    repository(tmp_path / "one" / "other", ("origin", "git@host.example:team/other"))
    repository(tmp_path / ".cache" / "app", ("origin", URL))
    repository(tmp_path / "a" / "b" / "c" / "app", ("origin", URL))
    roots = [str(tmp_path / "missing"), str(tmp_path)]
    assert projects.find(roots, WANTED) is None
    repository(tmp_path / "a" / "b" / "app", ("origin", URL))
    found = projects.find(roots, WANTED)
    assert found == projects.Found(tmp_path / "a" / "b" / "app", "")
    # the root itself may be the clone
    assert projects.find([str(tmp_path / "a" / "b" / "app")], WANTED) == found
    assert projects.find(roots, {}) is None


def test_of_several_clones_the_one_that_has_the_commits_is_taken_and_said(tmp_path: Path) -> None:
    repository(tmp_path / "first", ("origin", URL))
    commit = repository(tmp_path / "second", ("upstream", URL), ("origin", "git@host.example:ann/app"))
    found = projects.find([str(tmp_path)], WANTED, [commit])
    assert found is not None and found.path == tmp_path / "second"
    assert "'{}'".format(tmp_path / "second") in found.why and "'{}'".format(tmp_path / "first") in found.why
    # without that the remote of the same name decides, then the last use
    found = projects.find([str(tmp_path)], WANTED)
    assert found is not None and found.path == tmp_path / "first"
    repository(tmp_path / "third", ("origin", URL))
    for name in ("FETCH_HEAD", "HEAD", "index", "logs/HEAD"):
        if (tmp_path / "first" / ".git" / name).exists():
            os.utime(tmp_path / "first" / ".git" / name, (1, 1))
    found = projects.find([str(tmp_path)], WANTED)
    assert found is not None and found.path == tmp_path / "third"


def test_a_linked_worktree_is_its_main_one(tmp_path: Path) -> None:
    repository(tmp_path / "z-main", ("origin", URL))
    git(tmp_path / "z-main", "worktree", "add", "-q", str(tmp_path / "a-linked"))
    assert projects.find([str(tmp_path)], WANTED) == projects.Found(tmp_path / "z-main", "")


def test_a_bare_repository_serves_too_and_rewritten_addresses_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository(tmp_path / "made", ("origin", "gh:team/app"))
    configuration = tmp_path / "gitconfig"
    configuration.write_text('[url "https://host.example/"]\n\tinsteadOf = gh:\n', encoding="utf-8")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(configuration))
    found = projects.find([str(tmp_path)], WANTED)
    assert found is not None and found.path == tmp_path / "made"
    bare = tmp_path / "bare" / "app.git"
    bare.parent.mkdir()
    subprocess.run(["git", "clone", "-q", "--bare", str(tmp_path / "made"), str(bare)], check=True)
    git(bare, "remote", "set-url", "origin", URL)
    assert projects.find([str(tmp_path / "bare")], WANTED) == projects.Found(bare, "")


def test_a_broken_repository_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "broken" / ".git").mkdir(parents=True)
    (tmp_path / "file").write_text("x", encoding="utf-8")
    repository(tmp_path / "sound", ("origin", URL))
    assert projects.find([str(tmp_path)], WANTED) == projects.Found(tmp_path / "sound", "")
