"""A manifest from another PC is checked whole before anything is written: shape, paths, names, references, addresses.

Everything wrong with it is said at once. What is allowed is listed, not what is forbidden: settings by key, files of
a stopped operation by name, addresses by their beginning.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Any

from trinity import schema
from trinity.errors import BadRecord
from trinity.work.carry import operation, paths
from trinity.work.carry.manifest import CARRIED_SETTINGS, is_remote

_VALUE = re.compile(r"[A-Za-z0-9]{0,20}$")


# A thousand changed files are about 300 kB.
MAX_BYTES = 64_000_000


def read(data: bytes, source: str) -> dict[str, Any]:
    """A manifest from bytes; raises BadRecord or NewerRecord."""
    manifest = schema.read("parcel", data, source, MAX_BYTES)
    check(manifest, source)
    return manifest


def check(manifest: Mapping[str, Any], source: str = "parcel") -> None:
    """Raise BadRecord with everything that is wrong, or NewerRecord."""
    schema.validate("parcel", dict(manifest), source)
    problems = list(_problems(manifest))
    if problems:
        raise BadRecord(source, problems[:20])


def _problems(manifest: Mapping[str, Any]) -> Iterator[str]:
    seen: set[bytes] = set()
    for entry in [*manifest["entries"], *manifest["children"], *manifest["folders"]]:
        yield from _path_problems(entry, seen if "kind" in entry else None)
    if paths.decode(manifest["folder"]):
        yield from _path_problems(manifest["folder"], None)
    if manifest["branch"] is not None and not operation.is_branch(manifest["branch"]):
        yield f"branch: '{manifest['branch']}' is no name of a branch"
    for name, url in manifest["remotes"].items():
        if not is_remote(name, url):
            yield f"remote '{name}': '{url[:80]}' is no address to fetch from"
    for key, value in manifest["settings"].items():
        if key not in CARRIED_SETTINGS or not _VALUE.match(value):
            yield f"settings: '{key}' is not carried"
    for name, text in manifest["rules"].items():
        if _decoded(text) is None:
            yield f"rules: '{name}' is no base64"
    yield from _operation_problems(manifest["operation"])
    for child in manifest["children"]:
        yield from (f"{child.get('path', 'child')}: {problem}" for problem in _problems(child["manifest"]))


def _path_problems(entry: Mapping[str, Any], seen: set[bytes] | None) -> Iterator[str]:
    try:
        path = paths.decode(entry)
    except ValueError as error:
        yield str(error)
        return
    # Git writes a repository inside, that is not tracked, with a slash at its end.
    plain = path[:-1] if entry.get("kind") == "repository" and path.endswith(b"/") else path
    problem = paths.problem(plain)
    if problem:
        yield f"path '{paths.shown(path)[:200]}': {problem}"
    if seen is not None:
        if path in seen:
            yield f"path '{paths.shown(path)[:200]}': stands twice"
        seen.add(path)


def _operation_problems(stopped: Mapping[str, Any] | None) -> Iterator[str]:
    if stopped is None:
        return
    files: dict[str, bytes] = {}
    for name, text in stopped["files"].items():
        data = _decoded(text)
        if not operation.allowed(name) or data is None:
            yield f"operation: a file '{name[:100]}' is not carried"
        else:
            files[name] = data
    for ref in stopped["refs"]:
        if not operation.allowed_ref(ref):
            yield f"operation: a reference '{ref[:100]}' is not carried"
    if stopped["branch"] is not None and not operation.is_branch(stopped["branch"]):
        yield f"operation: '{stopped['branch']}' is no name of a branch"
    # The list a person is shown must be the list that will be run.
    if operation.commands(files) != stopped["commands"]:
        yield "operation: the commands it would run are not the ones it names"


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
