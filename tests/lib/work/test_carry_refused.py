"""A parcel that must not be trusted is refused before anything is written."""

from __future__ import annotations

import base64
import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.lib.work.stage import Stage, tree
from trinity import files
from trinity.errors import BadRecord, NewerRecord, TrinityError
from trinity.work.carry import checking, manifest
from trinity.work.carry.restore import restore

Change = Callable[[dict[str, Any]], object]


def path(name: str) -> Change:
    return lambda manifest: manifest["entries"][0].update(path=name)


def raw_path(name: bytes) -> Change:
    def change(manifest: dict[str, Any]) -> None:
        del manifest["entries"][0]["path"]
        manifest["entries"][0]["path64"] = base64.b64encode(name).decode()

    return change


def stopped(**changes: object) -> Change:
    base: dict[str, object] = {"name": "rebase", "files": {}, "refs": {}, "commands": [], "branch": None}
    return lambda manifest: manifest.update(operation={**base, **changes})


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


HOSTILE: dict[str, Change] = {
    "path upwards": path("../out"),
    "path upwards in the middle": path("a/../../out"),
    "absolute path": path("/tmp/out"),
    "path into .git": path(".git/hooks/post-checkout"),
    "path into .git in capitals": path(".GIT/config"),
    "path into a .git further down": path("sub/.git/config"),
    "path into .git as HFS spells it": path(".g\u200cit/config"),
    "path into .git as NTFS spells it": path("git~1/config"),
    "path into .git with a stream": path(".git::$INDEX_ALLOCATION/config"),
    "path into .git with a dot": path(".git. /config"),
    "path with a zero byte": path("a\0b"),
    "empty path": path(""),
    "path with an empty part": path("a//b"),
    "path upwards in bytes": raw_path(b"../\xff"),
    "two paths in one": lambda m: m["entries"][0].update(path="a", path64=text(b"../b")),
    "path twice": lambda m: m["entries"].append(dict(m["entries"][0])),
    "empty folder upwards": lambda m: m.update(folders=[{"path": "../out"}]),
    "working folder upwards": lambda m: m.update(folder={"path": "../.."}),
    "setting that runs a command": lambda m: m["settings"].update({"core.fsmonitor": "touch /tmp/x"}),
    "setting that names a program": lambda m: m["settings"].update({"core.sshcommand": "sh"}),
    "value that is no value": lambda m: m["settings"].update({"core.eol": "lf\n[alias]"}),
    "remote that runs a command": lambda m: m["remotes"].update(origin="ext::sh -c id"),
    "remote that reads as an option": lambda m: m["remotes"].update(origin="--upload-pack=touch x"),
    "remote whose host reads as an option": lambda m: m["remotes"].update(origin="ssh://-oProxyCommand=x/y"),
    "remote with a hostile name": lambda m: m["remotes"].update({"../x": "https://example.invalid/x"}),
    "branch that reads as an option": lambda m: m.update(branch="refs/heads/-x"),
    "branch outside of branches": lambda m: m.update(branch="refs/remotes/origin/main"),
    "branch upwards": lambda m: m.update(branch="refs/heads/../../config"),
    "commit that reads as an option": lambda m: m.update(head="--output=x"),
    "content that reads as an option": lambda m: m["entries"][0].update(blob="-x"),
    "mode of another kind": lambda m: m["entries"][0].update(index=[["040000", "0" * 40, 0]]),
    "operation that writes a hook": stopped(files={"hooks/pre-commit": text(b"x")}),
    "operation that writes upwards": stopped(files={"rebase-merge/../../x": text(b"x")}),
    "operation that writes the configuration": stopped(files={"config": text(b"x")}),
    "operation that moves a branch": stopped(refs={"refs/heads/main": "0" * 40}),
    "operation that hides a command": stopped(files={"rebase-merge/git-rebase-todo": text(b"exec id\n")}),
    "hostile repository inside": lambda m: m["children"].append(
        {
            "path": "sub",
            "submodule": False,
            "blob": "0" * 40,
            "size": 1,
            "manifest": {**copy.deepcopy(m), "branch": "x"},
        }
    ),
    "repository inside, upwards": lambda m: m["children"].append(
        {"path": "../sub", "submodule": False, "blob": "0" * 40, "size": 1, "manifest": copy.deepcopy(m)}
    ),
    "unknown field": lambda m: m.update(run="id"),
}


@pytest.mark.posix
@pytest.mark.parametrize("what", HOSTILE, ids=lambda name: name.replace(" ", "-"))
def test_a_hostile_manifest_is_refused_and_nothing_is_written(stage: Stage, what: str) -> None:
    stage.build("echo x >>a.txt")
    parcel = stage.pack()
    stage.restore(parcel, "clone", stage.top / "good")
    HOSTILE[what](parcel.manifest)
    before = tree(stage.top)
    for clone in (stage.pc2, None):
        with pytest.raises(BadRecord) as refused:
            restore(parcel.manifest, parcel.bundle, stage.top / "target", clone)
        assert refused.value.problems
    assert tree(stage.top) == before


@pytest.mark.posix
def test_a_path_through_a_link_is_refused(stage: Stage, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    stage.build(f"ln -s '{outside}' way; git add way; git commit -qm way; echo x >new")
    parcel = stage.pack()
    entry = next(entry for entry in parcel.manifest["entries"] if entry["path"] == "new")
    entry["path"] = "way/new"
    for mode in ("linked", "clone"):
        with pytest.raises(BadRecord, match="leads through a link"):
            stage.restore(parcel, mode)
    assert not list(outside.iterdir()) and not (stage.top / "restored-clone").exists()


@pytest.mark.posix
def test_a_damaged_bundle_is_refused_wherever_the_damage_is(stage: Stage) -> None:
    stage.build("head -c 20000 /dev/urandom >new; echo x >>a.txt")
    parcel = stage.pack()
    whole = parcel.bundle.read_bytes()
    for position in range(10, len(whole), len(whole) // 20):
        parcel.bundle.write_bytes(whole[:position] + bytes([whole[position] ^ 0x40]) + whole[position + 1 :])
        with pytest.raises(BadRecord, match="damaged"):
            stage.restore(parcel, "clone")
    parcel.bundle.write_bytes(whole[:-100])
    with pytest.raises(BadRecord, match="damaged"):
        stage.restore(parcel, "linked")
    # Also when somebody made the hash fit: git checks the pack by itself.
    parcel.manifest["bundle"] = manifest.digest(parcel.bundle)
    for mode in ("linked", "clone"):
        with pytest.raises(TrinityError, match="damaged"):
            stage.restore(parcel, mode)
        assert not (stage.top / f"restored-{mode}").exists()


@pytest.mark.posix
def test_a_folder_in_use_is_left_alone(stage: Stage) -> None:
    stage.build("true")
    parcel = stage.pack()
    target = stage.top / "mine"
    target.mkdir()
    (target / "precious").write_text("x", encoding="utf-8")
    for clone in (stage.pc2, None):
        with pytest.raises(TrinityError, match="in use"):
            restore(parcel.manifest, parcel.bundle, target, clone)
    assert (target / "precious").read_text(encoding="utf-8") == "x"


@pytest.mark.posix
def test_a_manifest_of_a_newer_version_says_upgrade(stage: Stage) -> None:
    stage.build("true")
    parcel = stage.pack()
    parcel.manifest["version"] = 2
    with pytest.raises(NewerRecord):
        stage.restore(parcel, "clone")


@pytest.mark.posix
def test_a_manifest_survives_the_way_over_the_disk(stage: Stage) -> None:
    stage.build('n="$(printf \'bad\\377name\')"; echo 1 >"$n"; echo x >>a.txt')
    parcel = stage.pack()
    assert checking.read(files.dump_json(parcel.manifest), "way") == parcel.manifest
