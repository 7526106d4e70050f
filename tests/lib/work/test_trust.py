"""The client's questions are answered for our own folder alone, and the rest of its file stays as it is."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from trinity.errors import TrinityError
from trinity.work import trust

FOLDER = "/srv/carried/app"
ANSWER = {"hasTrustDialogAccepted": True}
FILES = {
    "of one line": '{"numStartups":3,"projects":{"/a":{"x":[1,2,{"b":"}"}]}},"z":null}',
    "of many lines": '{\n  "numStartups": 3,\n  "projects": {\n    "/a": {\n      "x": 1\n    }\n  },\n  "z": "ü"\n}\n',
    "with its own line ends": '{\r\n\t"projects": {},\r\n\t"k": "\\u0041"\r\n}',
    "without projects": '{"hasCompletedOnboarding": true, "oauth": {"t": "a\\"b"}}',
    "with the folder": '{"projects":{"/srv/carried/app":{"allowedTools":[],"n":1.50}}}',
    "with a refusal": '{"projects":{"/srv/carried/app":{"hasTrustDialogAccepted" : false ,"k":1}},'
    '"hasCompletedOnboarding":false}',
    "with an odd name": '{"projects":{"pro\\u006aects":{}},"a":"\\"projects\\":{"}',
    "empty object": "{}",
    "nothing": "",
}


@pytest.mark.parametrize("text", FILES.values(), ids=FILES)
def test_two_answers_are_put_in_and_every_other_byte_stays(text: str) -> None:
    before = json.loads(text or "{}")
    made = trust.trusting(text.encode(), FOLDER, "file").decode()
    expected = json.loads(json.dumps(before))
    expected["hasCompletedOnboarding"] = True
    expected.setdefault("projects", {}).setdefault(FOLDER, {}).update(ANSWER)
    assert json.loads(made) == expected
    # what was there is there still, in its order: only pieces were put between, and the refusal was replaced
    rest = iter(made)
    assert all(sign in rest for sign in text.replace("false", ""))
    assert trust.trusting(made.encode(), FOLDER, "file") == made.encode()


def test_a_file_with_both_answers_is_not_written(tmp_path: Path) -> None:
    (tmp_path / "profile").mkdir()
    folder = tmp_path / "carried" / "app"
    folder.mkdir(parents=True)
    file = trust.file_of(tmp_path / "profile")
    assert trust.accept(tmp_path / "profile", folder, tmp_path / "carried") is True
    written = file.stat()
    assert stat.S_IMODE(written.st_mode) == 0o600 or os.name == "nt"
    assert trust.accept(tmp_path / "profile", folder, tmp_path / "carried") is False
    assert file.stat().st_mtime_ns == written.st_mtime_ns and file.stat().st_ino == written.st_ino
    assert not list(file.parent.glob("*.lock")) and not list(file.parent.glob("*.tmp"))


@pytest.mark.parametrize(
    "text",
    ['{"projects": {', "[]", '{"projects": []}', '{"projects": {"/a": 1}}', '{"a": 1, "a": 2}', "\udcff", "null", "x"],
)
def test_a_damaged_file_is_left_alone(tmp_path: Path, text: str) -> None:
    folder = tmp_path / "carried" / "app"
    folder.mkdir(parents=True)
    file = tmp_path / ".claude.json"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    before = file.read_bytes()
    with pytest.raises(TrinityError):
        trust.accept(tmp_path, folder, tmp_path / "carried")
    assert file.read_bytes() == before and not Path(f"{file}.lock").exists()


@pytest.mark.posix
def test_no_folder_but_one_of_ours_is_trusted(tmp_path: Path) -> None:
    base = tmp_path / "carried"
    base.mkdir()
    (tmp_path / "theirs").mkdir()
    (base / "way").symlink_to(tmp_path / "theirs")
    for folder in (tmp_path / "theirs", base / "way", base / ".." / "theirs", base, tmp_path):
        with pytest.raises(TrinityError, match="is not below"):
            trust.accept(tmp_path, folder, base)
    assert not (tmp_path / ".claude.json").exists()


@pytest.mark.posix
def test_mode_and_link_of_the_file_are_kept_and_a_stale_lock_is_no_obstacle(tmp_path: Path) -> None:
    folder = tmp_path / "carried" / "app"
    folder.mkdir(parents=True)
    real = tmp_path / "dotfiles.json"
    real.write_text('{"a": 1}', encoding="utf-8")
    real.chmod(0o640)
    (tmp_path / ".claude.json").symlink_to(real)
    lock = tmp_path / "dotfiles.json.lock"
    lock.mkdir()
    os.utime(lock, (1, 1))
    assert trust.accept(tmp_path, folder, tmp_path / "carried")
    assert (tmp_path / ".claude.json").is_symlink() and stat.S_IMODE(real.stat().st_mode) == 0o640
    assert json.loads(real.read_text(encoding="utf-8"))["projects"] == {str(folder): ANSWER}
    assert lock.is_dir()  # not ours
