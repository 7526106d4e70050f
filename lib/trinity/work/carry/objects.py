"""Blobs: their ids, and writing and reading them as they are, without filters or conversion.

Loose objects are written directly (zlib of "blob SIZE NUL content", named by its hash): one git process a file would cost
more than the whole pack, and a process that reads the files by itself could read another content than the one that was
looked at.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from trinity.errors import TrinityError
from trinity.git import Repository

EMPTY = {"sha1": "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391", "sha256": hashlib.sha256(b"blob 0\0").hexdigest()}
ZERO = {"sha1": "0" * 40, "sha256": "0" * 64}
_SAMPLE = 1 << 16
_BATCH = 32 << 20


def blob_id(data: bytes, object_format: str) -> str:
    """The id git gives to this content."""
    return _hash("blob", data, object_format)


def _hash(kind: str, data: bytes, object_format: str) -> str:
    digest = hashlib.new(object_format, b"%s %d\0" % (kind.encode("ascii"), len(data)), usedforsecurity=False)
    digest.update(data)
    return digest.hexdigest()


def shrinks(data: bytes) -> bool:
    """Whether compression is worth its time, judged by a sample from the middle."""
    start = max(0, (len(data) - _SAMPLE) // 2)
    sample = data[start : start + _SAMPLE]
    return len(zlib.compress(sample, 1)) < 0.9 * len(sample)


def write_blob(objects: Path, data: bytes, object_format: str) -> str:
    """Write a loose blob below `objects`, which is ours alone; returns its id."""
    return write(objects, "blob", data, object_format)


def write(objects: Path, kind: str, data: bytes, object_format: str) -> str:
    """Write a loose blob, tree or commit; returns its id."""
    oid = _hash(kind, data, object_format)
    folder = f"{objects}/{oid[:2]}"
    path = f"{folder}/{oid[2:]}"
    if not os.path.exists(path):
        os.makedirs(folder, 0o700, exist_ok=True)
        whole = b"%s %d\0" % (kind.encode("ascii"), len(data)) + data
        # Nobody reads here before all of it is written, and what a crash leaves behind is thrown away whole.
        with open(path, "wb") as stream:
            stream.write(zlib.compress(whole, 1 if shrinks(data) else 0))
    return oid


def tree(lines: Mapping[bytes, str], write_object: Callable[[str, bytes], str]) -> str:
    """Write the trees in which every path is a plain file with this id; returns the id of the uppermost."""
    folders: dict[bytes, dict[bytes, str]] = {}
    here: dict[bytes, tuple[bytes, str]] = {}
    for path, oid in lines.items():
        top, slash, rest = path.partition(b"/")
        if slash:
            folders.setdefault(top, {})[rest] = oid
        else:
            here[path] = (b"100644", oid)
    for name, inside in folders.items():
        here[name] = (b"40000", tree(inside, write_object))
    # Git sorts a folder as if its name ended with a slash.
    ordered = sorted(here.items(), key=lambda item: item[0] + (b"/" if item[1][0] == b"40000" else b""))
    return write_object("tree", b"".join(b"%s %s\0%s" % (m, n, bytes.fromhex(o)) for n, (m, o) in ordered))


def read_blobs(repository: Repository, wanted: Iterable[tuple[str, int]]) -> Iterator[tuple[str, bytes]]:
    """The contents of `(id, size)`, a few megabytes at a time; raises TrinityError for one that is no blob here."""
    batch: list[str] = []
    weight = 0
    for oid, size in wanted:
        if batch and weight + size > _BATCH:
            yield from _read(repository, batch)
            batch, weight = [], 0
        batch.append(oid)
        weight += size
    if batch:
        yield from _read(repository, batch)


def _read(repository: Repository, oids: list[str]) -> Iterator[tuple[str, bytes]]:
    out = repository.run("cat-file", "--batch", stdin="".join(f"{oid}\n" for oid in oids).encode("ascii"))
    position = 0
    for oid in oids:
        end = out.index(b"\n", position)
        header = out[position:end].split()
        if len(header) != 3 or header[1] not in (b"blob", b"commit", b"tree", b"tag"):
            raise TrinityError(f"the parcel has no content '{oid}'", "ask for it again: it is damaged or incomplete")
        start, size = end + 1, int(header[2])
        yield oid, out[start : start + size]
        position = start + size + 1


def sizes(repository: Repository, oids: Iterable[str], largest: int) -> dict[str, tuple[int, str]]:
    """Size and kind of those objects that are here and have at most `largest` bytes."""
    asked = "".join(f"{oid}\n" for oid in oids)
    if not asked:
        return {}
    out = repository.run("cat-file", "--batch-check", stdin=asked.encode("ascii")).decode("ascii", "replace")
    words = (line.split() for line in out.splitlines())
    return {w[0]: (int(w[2]), w[1]) for w in words if len(w) == 3 and int(w[2]) <= largest}


def known(repository: Repository, names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """For each name that is an object here: its full id and type."""
    asked = list(dict.fromkeys(names))
    if not asked:
        return {}
    out = repository.run("cat-file", "--batch-check", stdin="".join(f"{name}\n" for name in asked).encode("ascii"))
    found = {}
    for name, line in zip(asked, out.decode("ascii", "replace").splitlines(), strict=False):
        parts = line.split()
        if len(parts) == 3 and parts[1] in ("commit", "tree", "blob", "tag"):
            found[name] = (parts[0], parts[1])
    return found
