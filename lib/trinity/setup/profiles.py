"""The client's profiles (`CLAUDE_CONFIG_DIR`) on the disk: our entries go in, and everything comes back.

Per profile the state folder keeps, in `setup/profiles/<key>/`, the settings from before byte for byte and a hash of what
was written. While nobody else changes the file, `withdraw` gives those bytes back; afterwards it takes out our entries
alone. They are kept before the settings are replaced, so that a crash in between loses nothing; `register` and
`withdraw` may be called again at any time.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trinity import files
from trinity.errors import TrinityError
from trinity.home import Home
from trinity.hooks import registry
from trinity.setup import registration, settings_file
from trinity.setup.registration import Registration
from trinity.setup.settings_file import Settings

BACKUP = "settings.json.before-trinity"


@dataclass(frozen=True)
class _Kept:
    """What was before us: the bytes (None: no file), the status line, whether the profile's folder was there."""

    original: bytes | None
    status_line: dict[str, Any] | None
    folder_existed: bool
    written: str


def check(home: Home, profile: Path) -> Settings:
    """The settings of a profile in which our entries may be put; raises TrinityError, and nothing was changed."""
    settings = settings_file.read(profile)
    registration.refuse_if_defeated(settings)
    for other in registration.homes(settings.value) - {str(home.root)}:
        if (Path(other) / "setup" / "profiles" / registry.profile_key(str(profile))).is_dir():
            raise TrinityError(
                f"the hooks in '{settings.path}' report to '{other}'",
                f"one state folder a profile; first: ./install.sh --uninstall --home '{other}'",
            )
    return settings


def preview(home: Home, profile: Path, made: Registration) -> list[str]:
    """What `register` would do to this profile, one line each."""
    settings = check(home, profile)
    kept = _before(home, profile, settings)
    if registration.wanted(settings, profile, made, kept.status_line) == settings.value:
        return [f"{settings.path}: nothing to do"]
    lines = [f"{settings.path}: register {len(made.entries())} hooks and the status line"]
    if kept.status_line:
        lines.append(f"{settings.path}: the status line of now is called by ours: {kept.status_line['command']}")
    if settings.target != settings.path:
        lines.append(f"{settings.path}: is a link; {settings.target} is written")
    return lines


def register(home: Home, profile: Path, made: Registration) -> bool:
    """Put our entries into the settings of `profile`; True when the file was changed."""
    settings = check(home, profile)
    kept = _before(home, profile, settings)
    value = registration.wanted(settings, profile, made, kept.status_line)
    changed = value != settings.value
    data = settings_file.render(value, settings.data) if changed else settings.data or b""
    _keep(home, profile, kept, data)
    _keep_previous(home, profile, kept.status_line)
    if changed:
        backup = profile / BACKUP
        if kept.original is not None and not backup.exists():
            files.write_atomic(backup, kept.original, settings.mode)
        settings_file.write(settings, data)
    mark = home.root / "registered" / registry.profile_key(str(profile))
    mark.parent.mkdir(mode=0o700, exist_ok=True)
    files.write_atomic(mark, registry.settings_mark(made.hooks).encode("utf-8") + b"\n")
    return changed


def withdraw(home: Home, profile: Path) -> str:
    """Take our entries out of the settings of `profile`; returns what became of the file, for a person."""
    settings = settings_file.read(profile)
    kept = _kept(home, profile)
    before = kept.status_line if kept else None
    value = registration.without(settings.value, before)
    if kept and _hash(settings.data) == kept.written:
        done = _give_back(settings, kept.original)
    elif value == settings.value:
        done = f"{settings.path}: nothing of ours in it"
    elif kept and ((kept.original is None and not value) or _says(kept.original, settings.path) == value):
        done = _give_back(settings, kept.original)
    else:
        settings_file.write(settings, settings_file.render(value, settings.data))
        done = f"{settings.path}: our entries removed; what else was changed since stays"
    if kept:
        _forget(home, profile, kept)
    return done


def known(home: Home) -> list[Path]:
    """The profiles that `register` was called for and `withdraw` was not."""
    found = sorted((home.root / "setup" / "profiles").glob("*/record.json"))
    return [Path(files.read_json(path)["profile"]) for path in found]


def _give_back(settings: Settings, original: bytes | None) -> str:
    if original is None:
        settings_file.remove(settings)
        return f"{settings.path}: removed, as before"
    settings_file.write(settings, original)
    return f"{settings.path}: as before, byte for byte"


def _says(data: bytes | None, path: Path) -> dict[str, Any]:
    return {} if data is None else settings_file.parse(data, path)


def _before(home: Home, profile: Path, settings: Settings) -> _Kept:
    """What to give back one day, judged by the settings of now: a later change of others is theirs to keep."""
    kept = _kept(home, profile)
    status_line = settings.value.get("statusLine")
    if registration.ours(status_line):
        status_line = kept.status_line if kept else None
    if kept and _hash(settings.data) == kept.written:
        return kept
    original = settings.data
    bare = registration.without(settings.value, status_line)
    if bare != settings.value:
        original = settings_file.render(bare, settings.data) if bare or kept is None or kept.original else None
    existed = kept.folder_existed if kept else profile.is_dir()
    return _Kept(original, status_line, existed, "")


def _folder(home: Home, profile: Path) -> Path:
    return home.root / "setup" / "profiles" / registry.profile_key(str(profile))


def _keep(home: Home, profile: Path, kept: _Kept, written: bytes) -> None:
    folder = _folder(home, profile)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if kept.original is None:
        (folder / "original").unlink(missing_ok=True)
    else:
        files.write_atomic(folder / "original", kept.original)
    record = {
        "profile": str(profile),
        "existed": kept.original is not None,
        "folder_existed": kept.folder_existed,
        "status_line": kept.status_line,
        "written": _hash(written),
    }
    files.write_json(folder / "record.json", record)


def _kept(home: Home, profile: Path) -> _Kept | None:
    folder = _folder(home, profile)
    try:
        record = files.read_json(folder / "record.json")
    except FileNotFoundError:
        return None
    original = (folder / "original").read_bytes() if record["existed"] else None
    return _Kept(original, record["status_line"], record["folder_existed"], record["written"])


def _keep_previous(home: Home, profile: Path, status_line: dict[str, Any] | None) -> None:
    path = home.status_line / f"previous-{registry.profile_key(str(profile))}"
    if status_line is None:
        path.unlink(missing_ok=True)
    else:
        files.write_atomic(path, status_line["command"].encode("utf-8"))


def _forget(home: Home, profile: Path, kept: _Kept) -> None:
    key = registry.profile_key(str(profile))
    (home.root / "registered" / key).unlink(missing_ok=True)
    for name in (f"previous-{key}", f"{key}.last"):
        (home.status_line / name).unlink(missing_ok=True)
    backup = profile / BACKUP
    if backup.exists() and kept.original == backup.read_bytes():
        backup.unlink()
    if not kept.folder_existed and profile.is_dir() and not any(profile.iterdir()):
        profile.rmdir()
    shutil.rmtree(_folder(home, profile))


def _hash(data: bytes | None) -> str:
    return hashlib.sha256(data or b"").hexdigest()
