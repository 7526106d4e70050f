"""What a person agreed to is known by its content, also where that is a repository of its own."""

from __future__ import annotations

import subprocess
from pathlib import Path

from trinity.work import configuration
from trinity.work.carry import pack


def _commit(folder: Path, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "settings.json").write_text(text, encoding="utf-8")
    named = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    for arguments in (("init", "-q"), ("add", "."), (*named, "commit", "-qm", "made")):
        subprocess.run(["git", "-C", str(folder), *arguments], check=True)


def test_another_commit_of_a_repository_of_settings_is_another_content(tmp_path: Path) -> None:
    work = tmp_path / "work"
    _commit(work, "{}\n")
    found = []
    for number in (1, 2):
        _commit(work / ".claude", f'{{"hooks": {{"number": {number}}}}}\n')
        manifest = pack.pack(work, tmp_path / f"parcel-{number}").manifest
        found.append(configuration.changed(work, manifest))
    assert set(found[0]) == set(found[1]) == {".claude"} and found[0] != found[1]
