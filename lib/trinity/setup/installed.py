"""What was installed beside the settings, so that `--uninstall` takes away exactly that: `setup/installed.json`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from trinity import files
from trinity.errors import BadRecord
from trinity.home import Home


@dataclass(frozen=True)
class Installed:
    """`service` is a kind of `trinity.setup.services`, empty without one; `linger`: we switched it on; `path`: the
    daemon's PATH; `launcher`: the command's file, empty without one; `minimal`: without the optional dependencies."""

    service: str = ""
    linger: bool = False
    path: str = ""
    launcher: str = ""
    minimal: bool = False
    at: str = ""


def load(home: Home) -> Installed:
    """The record, empty when there is none or it is damaged: then everything is looked for anew."""
    try:
        found = files.read_json(home.root / "setup" / "installed.json")
    except (FileNotFoundError, BadRecord):
        return Installed()
    known: dict[str, Any] = asdict(Installed())
    if not isinstance(found, dict):
        return Installed()
    return Installed(**{key: found[key] for key, empty in known.items() if type(found.get(key)) is type(empty)})


def save(home: Home, installed: Installed) -> None:
    """Write the record."""
    folder = home.root / "setup"
    folder.mkdir(mode=0o700, exist_ok=True)
    files.write_json(folder / "installed.json", {"kind": "installed", "version": 1, **asdict(installed)})


def forget(home: Home) -> None:
    """Remove the record."""
    (home.root / "setup" / "installed.json").unlink(missing_ok=True)
