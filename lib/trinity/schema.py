"""Every record is checked against `schemas/<kind>.schema.json` where it is read and where it is written.

`read` takes the shapes of the systems before Trinity too (`older_shapes`), and says which fault it found in one line each.
A record of a newer version raises NewerRecord: it is kept verbatim and left alone, never guessed at.
"""

from __future__ import annotations

import functools
import json
import os
from pathlib import Path
from typing import Any

from trinity import files, older_shapes
from trinity.errors import BadRecord, NewerRecord

FOLDER = Path(__file__).resolve().parents[2] / "schemas"
KINDS = (
    "event",
    "limit",
    "credit_state",
    "handoff",
    "wake",
    "heartbeat",
    "credit_status",
    "task",
    "fleet",
    "config",
    "parcel",
    "surroundings",
    "prices",
    "usage_summary",
    "api_call",
    "usage",
    "usage_day",
)
VERSION = 1
_SHOWN = 8


def read(kind: str, data: bytes, source: str, limit: int = 1_000_000) -> dict[str, Any]:
    """At most `limit` bytes of a record as its current shape; raises BadRecord or NewerRecord, which name `source`."""
    document = files.load_json(data, source, limit)
    if not isinstance(document, dict):
        raise BadRecord(source, [f"a {type(document).__name__}, not an object"])
    _refuse_newer(document, source)
    lifted = older_shapes.lift(kind, document, source)
    validate(kind, lifted, source)
    return lifted


def read_own(kind: str, path: Path, memo: Path) -> dict[str, Any]:
    """`read` of a file of this PC that seldom changes: bytes that were valid before are not validated again.

    `memo` remembers them and the schema; loading the validator takes longer than most programs. Raises FileNotFoundError
    too.
    """
    data = path.read_bytes()
    status = os.stat(FOLDER / f"{kind}.schema.json")
    mark = f"{status.st_size} {status.st_mtime_ns}\n".encode() + data
    try:
        if memo.read_bytes() == mark:
            document = files.load_json(data, str(path))
            return dict(older_shapes.lift(kind, document, str(path)))
    except (OSError, ValueError):
        pass  # not remembered
    record = read(kind, data, str(path))
    try:
        files.write_atomic(memo, mark)
    except OSError:
        pass  # it is validated again next time
    return record


def validate(kind: str, document: dict[str, Any], source: str) -> None:
    """Raise BadRecord with every problem of `document`, or NewerRecord."""
    _refuse_newer(document, source)
    problems = []
    for error in _validator(kind).iter_errors(document):
        where = "/".join(str(part) for part in error.absolute_path)
        problems.append(f"{where or 'record'}: {error.message[:200]}")
        if len(problems) == _SHOWN:
            problems.append("and more")
            break
    if problems:
        raise BadRecord(source, problems)


def _refuse_newer(document: dict[str, Any], source: str) -> None:
    version = document.get("version")
    if isinstance(version, int) and version > VERSION:
        raise NewerRecord(source, version, VERSION)


@functools.cache
def _validator(kind: str) -> Any:
    # Imported here: jsonschema costs about 80 ms, and not every call of a program reads a record.
    import jsonschema

    document = json.loads((FOLDER / f"{kind}.schema.json").read_text(encoding="utf-8"))
    return jsonschema.Draft202012Validator(document)
