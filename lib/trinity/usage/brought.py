"""What came with a handoff: the beginnings of conversations that another PC has paid for.

`note` is called before a carried conversation is placed; the ledger then knows which prefix of which file is not billed
here. One line a file in `brought.jsonl`; notes are never removed, because a copy may turn up at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from trinity import files
from trinity.home import Home

_NAME = "brought.jsonl"
Carried = dict[str, list[tuple[int, str]]]


def note(home: Home, session_id: str, folder: Path) -> None:
    """Remember every transcript of a collected conversation: `conversation.jsonl` and those below `session/`."""
    for path in sorted(folder.rglob("*.jsonl")):
        name = session_id if path.parent == folder else path.stem
        data = path.read_bytes()
        entry = {"name": name, "session": session_id, "sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
        files.append_line(home.root / _NAME, json.dumps(entry, sort_keys=True).encode())


def carried(home: Home) -> Carried:
    """Per name of a transcript (without `.jsonl`) the sizes and SHA-256 of what was carried; a damaged line says nothing."""
    found: Carried = {}
    try:
        data = (home.root / _NAME).read_bytes()
    except OSError:
        return found
    for line in data.splitlines():
        try:
            entry = json.loads(line)
            found.setdefault(str(entry["name"]), []).append((int(entry["size"]), str(entry["sha256"])))
        except (ValueError, KeyError, TypeError):
            continue
    return found


def name_of(path: str) -> str:
    """The name under which a transcript's notes stand."""
    return os.path.basename(path).removesuffix(".jsonl")
