"""What travels only because a person said so in this PC's configuration: ignored files by pattern, granted permissions.

Nothing of either leaves this PC otherwise. A pattern is for paths from the worktree's top, with `/` between the parts and
`*` for any text; one that ends with `/` takes everything below. A file that is named in full travels although its name is
one of a file of secrets (`.env.test`); one that holds a token or a login stays even then.
"""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

from trinity.work import secret_files
from trinity.work.carry import paths
from trinity.work.carry.content import Withheld

GRANTS = b".claude/settings.local.json"
_WILD = re.compile(r"[*?\[]")
_MOST = 10_000


@dataclass(frozen=True)
class Consent:
    """`patterns` of ignored files; `grants`: the permissions granted to the client too."""

    patterns: tuple[str, ...] = ()
    grants: bool = False

    def inside(self, path: bytes) -> Consent:
        """The same for a repository inside at `path`."""
        prefix = paths.shown(path).rstrip("/") + "/"
        within = tuple(pattern.removeprefix(prefix) for pattern in self.patterns if pattern.startswith(prefix))
        return Consent(within, self.grants)

    def ignored(self, top: bytes, ignored: list[bytes]) -> set[bytes]:
        """The ignored files that travel; git names a folder of them with a slash."""
        found: set[bytes] = set()
        for path in ignored if self.patterns or self.grants else []:
            for name in _files(top, path) if path.endswith(b"/") and self._reaches(path) else [path]:
                if not name.endswith(b"/") and self._takes(name):
                    found.add(name)
        return found

    def keeps(self, path: bytes) -> str | None:
        """Why this path stays whatever git says of it, None when it may travel."""
        if is_grant(path) and not self.grants:
            return "permissions granted to the client: they travel with carry_permissions only"
        return None

    def withheld(self, rule: Withheld | None) -> Withheld | None:
        """`rule`, which a file that was named in full does not fall under by its name alone."""
        if rule is None or not self.patterns:
            return rule
        named = {pattern for pattern in self.patterns if not _WILD.search(pattern)}
        return lambda path, data: secret_files.in_named(path, data) if path in named else rule(path, data)

    def _takes(self, path: bytes) -> bool:
        if is_grant(path):
            return self.grants
        name = paths.shown(path)
        return any(
            name.startswith(pattern) if pattern.endswith("/") else fnmatch.fnmatchcase(name, pattern)
            for pattern in self.patterns
        )

    def _reaches(self, folder: bytes) -> bool:
        """Whether something below an ignored folder can be meant; a large one of others is not looked through."""
        name = paths.shown(folder)
        wanted = [_WILD.split(pattern)[0] for pattern in self.patterns]
        wanted += [GRANTS.decode("ascii")] if self.grants else []
        return any(name.startswith(begin) or begin.startswith(name) for begin in wanted)


NONE = Consent()


def is_grant(path: bytes) -> bool:
    """Whether this is where the client keeps what it was granted."""
    return path == GRANTS or path.endswith(b"/" + GRANTS)


def _files(top: bytes, folder: bytes) -> Iterator[bytes]:
    count = 0
    for where, folders, names in os.walk(top + b"/" + folder.rstrip(b"/")):
        folders[:] = sorted(name for name in folders if not paths.is_git(name))
        for name in sorted(names):
            count += 1
            if count > _MOST:
                return
            yield os.path.relpath(os.path.join(where, name), top).replace(os.sep.encode("ascii"), b"/")
