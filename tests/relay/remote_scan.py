"""Every byte that a remote holds, for a test that looks for what must not be there.

All objects count, loose and packed, reachable or not; a bundle inside a blob is opened, and one inside of that too.
"""

from __future__ import annotations

import base64
import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

_ENCODED = re.compile(rb'"([A-Za-z0-9+/]{16,}={0,2})"')


def _git(folder: Path, *arguments: str, stdin: bytes | None = None) -> bytes:
    return subprocess.run(
        ["git", "-C", str(folder), *arguments], input=stdin, capture_output=True, check=True, timeout=120
    ).stdout


def _objects(repository: Path, wanted: Iterable[str] | None = None) -> Iterator[tuple[str, bytes]]:
    asked = (
        ["cat-file", "--batch"] if wanted is not None else ["cat-file", "--batch", "--batch-all-objects", "--unordered"]
    )
    out = _git(repository, *asked, stdin="".join(f"{oid}\n" for oid in wanted).encode() if wanted is not None else None)
    at = 0
    while at < len(out):
        end = out.index(b"\n", at)
        oid, kind, size = out[at:end].decode("ascii").split()
        data = out[end + 1 : end + 1 + int(size)]
        yield f"{kind} {oid}", data
        at = end + 2 + int(size)


def everything(remote: Path, project: Path, box: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of all objects of `remote` and of the bundles in them, and the remote's references.

    Thin bundles build upon the commits of `project`; `box` is a folder to open them in.
    """
    yield "references", _git(remote, "for-each-ref")
    waiting = list(_objects(remote))
    while waiting:
        name, data = waiting.pop()
        yield name, data
        for encoded in _ENCODED.findall(data) if data.startswith(b"{") else ():
            yield f"{name}, encoded", base64.b64decode(encoded[: len(encoded) // 4 * 4])
        if data.startswith((b"# v2 git bundle", b"# v3 git bundle")):
            waiting += [(f"{name} > {inner}", found) for inner, found in _opened(data, project, box)]


def _opened(bundle: bytes, project: Path, box: Path) -> list[tuple[str, bytes]]:
    """The objects that stand in the bundle itself."""
    number = len(list(box.iterdir())) if box.exists() else 0
    repository = box / f"{number}.git"
    format_ = ["--object-format=sha256"] if b"@object-format=sha256" in bundle[:100] else []
    subprocess.run(["git", "init", "-q", "--bare", *format_, str(repository)], check=True, timeout=60)
    (repository / "objects" / "info" / "alternates").write_text(
        str((project / "objects").resolve()) + "\n", encoding="utf-8"
    )
    before = {name for name, _ in _objects(repository)}
    _git(repository, "index-pack", "--fix-thin", "--stdin", stdin=bundle.partition(b"\n\n")[2])
    pack = next((repository / "objects" / "pack").glob("*.idx"))
    listed = _git(repository, "show-index", stdin=pack.read_bytes()).decode("ascii").splitlines()
    inside = [line.split()[1] for line in listed]
    return [(name, data) for name, data in _objects(repository, inside) if name not in before]


def spellings(secret: str) -> list[bytes]:
    """The secret as it could stand in bytes: plainly, with two bytes a character, and within base64."""
    raw = secret.encode("utf-8")
    found = [raw, secret.encode("utf-16-le"), secret.encode("utf-16-be")]
    for shift in range(3):
        # What every alignment has in common, without the characters that its neighbours share.
        encoded = base64.b64encode(b"x" * shift + raw)
        found.append(encoded[4 : len(encoded) // 4 * 4 - 4])
    return found
