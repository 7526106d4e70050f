"""Small files of one session each, by which the rest of Trinity tells the hooks about it: `HOME/<subject>/<session>.json`.

A file appears and disappears whole and durably. The folder is made with its first file, so that a PC without such work has
none and its hooks find nothing to look into.
"""

from __future__ import annotations

from pathlib import Path

from trinity import files
from trinity.errors import TrinityError
from trinity.hooks import record


def place(folder: Path, session_id: str) -> Path:
    """The file of `session_id` in `folder`; raises TrinityError for what is no session id."""
    try:
        return folder / f"{record.session_of({'session_id': session_id})}.json"
    except ValueError:
        raise TrinityError(f"'{session_id}' is no session id") from None


def put(folder: Path, session_id: str, document: dict[str, object]) -> Path:
    """Write the session's file, in place of what was there."""
    path = place(folder, session_id)
    folder.mkdir(mode=0o700, exist_ok=True)
    files.write_json(path, document)
    return path


def drop(folder: Path, session_id: str) -> bool:
    """Remove the session's file; was there one?"""
    path = place(folder, session_id)
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    files.sync_folder(folder)
    return True
