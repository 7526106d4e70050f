"""Secrets in text become tags before anything is written to the outbox, because git never forgets.

Each kind is known by its public prefix or form (`secret_forms`); the same secret gives the same tag, so that two mentions
can still be compared. A secret without a known form is not found: the README says so.
"""

from __future__ import annotations

import functools
import hashlib
import re
from dataclasses import dataclass

from trinity.secret_forms import LOOSE, LOOSE_MARKS, TOKENS

_TOKEN = {kind: (re.compile(form, re.DOTALL), marks) for kind, (form, marks) in TOKENS.items()}
_TOKEN_BYTES = {
    kind: (re.compile(form.encode("ascii"), re.DOTALL), tuple(mark.encode("ascii") for mark in marks))
    for kind, (form, marks) in TOKENS.items()
}
_LOOSE = {kind: re.compile(form) for kind, form in LOOSE.items()}
_MARKS = tuple(dict.fromkeys(mark for _, marks in _TOKEN_BYTES.values() for mark in marks))
_LOOSE_MARKS = tuple(mark.encode("ascii") for mark in LOOSE_MARKS)
_TAG = re.compile(r"\[REDACTED-[a-z-]+-[0-9a-f]{6}\]")
# The group that is the secret itself: what stands before it stays readable.
_VALUES = ("url_value", "authorization_value", "netrc_value", "assigned_quoted", "assigned_value")


@dataclass(frozen=True)
class Marks:
    """What of the things without which there is no secret stands in some bytes: looked for once, then line by line."""

    plain: tuple[bytes, ...]
    lowered: tuple[bytes, ...]
    urls: bool

    def in_line(self, line: bytes) -> bool:
        """False when no secret that `redact` knows can be in this line: a quick look before a slow one."""
        if any(mark in line for mark in self.plain) or (self.urls and b"://" in line and b"@" in line):
            return True
        if not self.lowered:
            return False
        lowered = line.lower()
        return any(mark in lowered for mark in self.lowered)


def marks(data: bytes) -> Marks:
    """What to look for in the lines of these bytes."""
    lowered = data.lower()
    return Marks(
        tuple(mark for mark in _MARKS if mark in data),
        tuple(mark for mark in _LOOSE_MARKS if mark in lowered),
        b"://" in data and b"@" in data,
    )


def suspicious(data: bytes) -> bool:
    """False when no secret that `redact` knows can be in these bytes."""
    return marks(data).in_line(data)


def first_token(content: bytes) -> str | None:
    """The kind of the first private key or token in the bytes of a file, None when there is none."""
    found = _first(content)
    if found is None and b"\0" in content:
        found = _first(content.replace(b"\0", b""))  # text of two bytes a character
    return found


def _first(content: bytes) -> str | None:
    if not any(mark in content for mark in _MARKS):
        return None  # nearly always
    for kind, (form, marks) in _TOKEN_BYTES.items():
        if any(mark in content for mark in marks) and form.search(content):
            return kind
    return None


def first_login(content: bytes) -> str | None:
    """The kind of the first password or login in a file that is made to hold some."""
    text = content.decode("utf-8", "replace")
    return next((kind for kind, form in _LOOSE.items() if form.search(text)), None)


def redact(text: str) -> str:
    """`text` with `[REDACTED-kind-hash6]` in place of each secret."""
    for kind, (form, marks) in _TOKEN.items():
        if any(mark in text for mark in marks):
            text = form.sub(functools.partial(_whole, kind), text)
    lowered = text.lower()
    if "://" in text or any(mark in lowered for mark in LOOSE_MARKS):
        for kind, form in _LOOSE.items():
            text = form.sub(functools.partial(_loose, kind), text)
    return text


def count(text: str) -> int:
    """How many secrets `redact` would replace."""
    return len(_TAG.findall(redact(text))) - len(_TAG.findall(text))


def _whole(kind: str, match: re.Match[str]) -> str:
    return _tagged(kind, match.group())


def _loose(kind: str, match: re.Match[str]) -> str:
    """Tokens are tags by now, so what holds one is done already: the same secret keeps the same tag."""
    whole = match.group()
    if "[REDACTED-" in whole:
        return whole
    named = match.groupdict()
    group = next((name for name in _VALUES if named.get(name)), 0)
    start, end = match.start(group) - match.start(), match.end(group) - match.start()
    return whole[:start] + _tagged(kind, match.group(group)) + whole[end:]


def _tagged(kind: str, secret: str) -> str:
    return f"[REDACTED-{kind}-{hashlib.sha256(secret.encode('utf-8', 'surrogatepass')).hexdigest()[:6]}]"
