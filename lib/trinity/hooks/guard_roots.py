"""The old and the new place of a carried project, as paths: which of the two does a path belong to?

Paths count as written and with their links resolved. `flavour` is `posixpath` or `ntpath`, the PC's own by default: on
Windows both slashes, both cases and the spellings of other shells (`/c/x`, `/mnt/c/x`, `/cygdrive/c/x`) are one path. Inside
this module such paths have forward slashes and small letters.
"""

import os
import sys

TYPE_CHECKING = False  # what `typing` says; importing it would cost more than all of this
if TYPE_CHECKING:
    from types import ModuleType

_WILD = "*?[{"
_SHELLS = ("/mnt/", "/cygdrive/", "/")


class Roots:
    """`old` and `new` are absolute; where one lies within the other, the inner one owns what is in it."""

    def __init__(self, old: str, new: str, flavour: "ModuleType" = os.path) -> None:
        self.flavour = flavour
        self.windows = flavour.sep == "\\"
        self._blind = self.windows or sys.platform == "darwin"
        self.home = self.plain(flavour.expanduser("~"))
        self.old, self.new = self.plain(old), self.plain(new)
        self.real_old, self.real_new = self.resolved(old), self.resolved(new)
        self.same = self.real_old == self.real_new  # the old name leads to the new place

    def folded(self, path: str) -> str:
        """The path as paths are compared here."""
        if self.windows:
            path = path.replace("\\", "/")
        # these file systems take both cases for one name
        return path.casefold() if self._blind else path

    def plain(self, path: str) -> str:
        """Without `.`, `..` and doubled slashes; `..` is taken off the text, as the client does it."""
        return self.folded(self.flavour.normpath(path))

    def resolved(self, path: str) -> str:
        """With links followed, as the system does it."""
        return self.folded(self.flavour.realpath(path))

    def native(self, path: str) -> str:
        """A path as some shell spells it, in this PC's own form, with the user's folder in place of `~`."""
        if self.windows:
            path = path.replace("\\", "/")
            if path.startswith(("//?/", "//./")):
                path = path[4:]
            for start in _SHELLS:
                rest = path[len(start) :]
                if path.startswith(start) and rest[:1].isalpha() and rest[1:2] in ("", "/"):
                    path = f"{rest[0]}:{rest[1:] or '/'}"
        return path if "\0" in path else str(self.flavour.expanduser(path))

    def join(self, base: str, path: str) -> str:
        """`path` as seen from `base`, both as a shell has them."""
        return str(self.flavour.join(base, self.native(path)))

    def hold(self, path: str, resolve: bool = True) -> bool:
        """Whether the absolute `path` belongs to the old root; without `resolve` no link is looked at."""
        if self.same or "\0" in path:
            return False
        if any(sign in path for sign in _WILD):
            return self._meets(self.plain(path))
        plain = self.plain(path)
        if _owned(plain, self.old, self.new) or _owned(plain, self.real_old, self.real_new):
            return True  # also where it is a link: removing that changes the old place
        # both orders: the client takes `..` off the text, the system follows links first
        return resolve and any(
            _owned(self.resolved(one), self.real_old, self.real_new) for one in dict.fromkeys((plain, path))
        )

    def above(self, path: str) -> bool:
        """Whether the old root lies below the folder `path`, and the new root does not hold the old one."""
        if self.same or within(self.real_old, self.real_new):
            return False
        plain = self.plain(path)
        return any(root != plain and within(root, plain) for root in (self.old, self.real_old))

    def _meets(self, pattern: str) -> bool:
        """Whether a pattern of names can mean the old root or something in it."""
        parts = _braceless(pattern).split("/")
        for old, new in ((self.old, self.new), (self.real_old, self.real_new)):
            if _covers(parts, old) and not (within(new, old) and _covers(parts, new)):
                return True
        return False


def within(path: str, root: str) -> bool:
    """Whether `path` is `root` or lies below it; both are folded."""
    return path == root or path.startswith(root.rstrip("/") + "/")


def _owned(path: str, old: str, new: str) -> bool:
    if not within(path, old):
        return False
    return not within(path, new) or len(old) > len(new)


def _braceless(pattern: str) -> str:
    """`{a,b}` as `*`: broader, and enough to be careful."""
    while "{" in pattern:
        front, _, rest = pattern.partition("{")
        pattern = f"{front}*{rest.rpartition('}')[2] if '}' in rest else ''}"
    return pattern


def _covers(parts: "list[str]", root: str) -> bool:
    """Whether the first names of the pattern match all names of the root."""
    names = root.split("/")
    for number, name in enumerate(names):
        if number < len(parts) and parts[number] == "**":
            return True
        if number >= len(parts) or not _match(parts[number], name):
            return False
    return True


def _match(pattern: str, name: str) -> bool:
    """One name against one pattern with `*`, `?` and `[…]` (taken for any one character)."""
    if "[" in pattern:
        front, _, rest = pattern.partition("[")
        close = rest.find("]", 1)
        if close >= 0:
            return _match(f"{front}?{rest[close + 1 :]}", name)
    at, star, back = 0, -1, 0
    place = 0
    while place < len(name):
        if at < len(pattern) and pattern[at] == "*":
            star, back, at = at, place, at + 1
        elif at < len(pattern) and pattern[at] in ("?", name[place]):
            at, place = at + 1, place + 1
        elif star >= 0:
            back += 1
            at, place = star + 1, back
        else:
            return False
    return not pattern[at:].strip("*")
