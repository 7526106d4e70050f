"""Filter programs between the repository and the files: which are in use, and which keep contents secret.

What an encrypting filter (git-crypt and its like) hides in the repository lies open in the worktree. Such a file does not
travel: the parcel would show what the project took care to hide.
"""

from __future__ import annotations

import os
import re

from trinity.work.carry.facts import read_or_empty
from trinity.work.carry.paths import Below
from trinity.work.carry.private import Private
from trinity.work.carry.scan import Look

_SECRET = re.compile(r"crypt|gpg|sops|vault|secret|\bage\b|agebox|ansible", re.IGNORECASE)
_ATTRIBUTES = b".gitattributes"


def in_use(private: Private, seen: Look) -> dict[str, set[bytes]]:
    """Filters by name, with the paths that go through them."""
    if not any(b"filter" in text for text in attribute_texts(private, seen)):
        return {}
    found: dict[str, set[bytes]] = {}
    everything = [*dict.fromkeys([*seen.listing.paths, *sorted(seen.changed)])]
    for path, value in attributes(private, everything, "filter"):
        found.setdefault(value.decode("utf-8", "replace"), set()).add(path)
    return found


def hidden(used: dict[str, set[bytes]]) -> dict[bytes, str]:
    """Paths whose content is a secret of the repository, with the filter's name."""
    return {path: name for name, paths in used.items() if _SECRET.search(name) for path in paths}


def configured(private: Private, used: dict[str, set[bytes]]) -> list[str]:
    """Those filters in use that are set up here, so that the files are what they made of them."""
    names = {key.split(".", 1)[1].rpartition(".")[0] for key in private.facts.settings if key.startswith("filter.")}
    return sorted(names & set(used))


def attribute_texts(private: Private, seen: Look) -> list[bytes]:
    """The contents of every attributes file that counts in this worktree."""
    below = Below(os.fsencode(private.facts.top))
    texts = [private.facts.attributes, read_or_empty(private.folder / "info" / "attributes")]
    for path in {*_tracked(seen), *seen.changed}:
        if path.rpartition(b"/")[2] == _ATTRIBUTES:
            try:
                with open(below.full(path), "rb") as stream:
                    texts.append(stream.read())
            except OSError:
                texts.append(b"")
    return texts


def _tracked(seen: Look) -> list[bytes]:
    raw, ending = seen.listing.raw, _ATTRIBUTES + b"\0"
    found = []
    at = raw.find(ending)
    while at >= 0:
        record = raw[raw.rfind(b"\0", 0, at) + 1 : at + len(_ATTRIBUTES)]
        found.append(record.partition(b"\t")[2])
        at = raw.find(ending, at + 1)
    return found


def attributes(private: Private, paths: list[bytes], *names: str) -> list[tuple[bytes, bytes]]:
    """Path and value of every one of the attributes that is set."""
    words = private.git.run("check-attr", "-z", "--stdin", *names, stdin=b"\0".join(paths)).split(b"\0")
    triples = zip(words[::3], words[1::3], words[2::3], strict=False)
    return [(path, value) for path, _, value in triples if value not in (b"unspecified", b"unset", b"false", b"")]
