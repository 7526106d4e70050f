"""A merge, rebase, cherry-pick, revert, am or bisect that stopped in the middle.

The state is files in the git folder and commits these files name, some by short ids, some held by nothing else: equal files
alone look right and cannot be finished. A carried todo list can hold `exec` lines, commands that run at `--continue`: they
are listed for the person who decides.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trinity.git import Repository
from trinity.redaction import first_token
from trinity.work.carry import objects
from trinity.work.carry.facts import Facts, user
from trinity.work.carry.private import Private

_PREPARED = "prepared message"
_MARKS = {
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
    "MERGE_HEAD": "merge",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "sequencer": "sequence",
    "BISECT_LOG": "bisect",
    # Nothing is stopped, but the next commit has its message already (`merge --squash`, `cherry-pick --no-commit`).
    "SQUASH_MSG": _PREPARED,
    "MERGE_MSG": _PREPARED,
}
_TOP = re.compile(
    r"(MERGE_(HEAD|MSG|MODE|AUTOSTASH)|CHERRY_PICK_HEAD|REVERT_HEAD|REBASE_HEAD|ORIG_HEAD|SQUASH_MSG"
    r"|BISECT_(LOG|START|NAMES|TERMS|EXPECTED_REV|ANCESTORS_OK|FIRST_PARENT))$"
)
_FOLDERS = ("rebase-merge", "rebase-apply", "sequencer")
_BELOW = re.compile(r"(rebase-merge|rebase-apply|sequencer)/[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$")
# Files of text for people or of patches: what looks like an id there is none.
_NO_IDS = re.compile(r"(_MSG|_MODE|/message.*|/patch|/\d+|/author-script|/final-commit|/msgnum|/end|/next|/last)$")
_ID = re.compile(r"(?<![0-9A-Za-z])[0-9a-f]{4,64}(?![0-9A-Za-z])")
_REFS = re.compile(r"refs/(bisect|rewritten)/[A-Za-z0-9_./-]{1,200}$")
_COMMAND = re.compile(r"^\s*(?:x|exec)\s+(.+)$", re.MULTILINE)
_BRANCH = re.compile(r"refs/heads/[^\x00-\x20\x7f~^:?*\[\\\ud800-\udfff]{1,240}$")
_LIMIT = 4_000_000


@dataclass
class Operation:
    """`name` in a word; `files` below the git folder; `refs` of this worktree alone; `commands` it would run."""

    name: str
    files: dict[str, bytes]
    refs: dict[str, str] = field(default_factory=dict)
    tips: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    branch: str | None = None

    @property
    def is_stopped(self) -> bool:
        """False when only the message of the next commit waits."""
        return self.name != _PREPARED

    def document(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "files": {name: base64.b64encode(data).decode("ascii") for name, data in sorted(self.files.items())},
            "refs": self.refs,
            "commands": self.commands,
            "branch": self.branch,
        }


def allowed(name: str) -> bool:
    """Whether a file of this name may be put into a git folder."""
    return bool(_TOP.match(name) or _BELOW.match(name))


def allowed_ref(name: str) -> bool:
    return bool(_REFS.match(name)) and ".." not in name and "//" not in name and not name.endswith((".lock", "/", "."))


def commands(files: Mapping[str, bytes]) -> list[str]:
    """What `--continue` would run, by the `exec` lines of the todo list."""
    todo = files.get("rebase-merge/git-rebase-todo", b"")
    return _COMMAND.findall(todo.decode("utf-8", "replace"))


def is_branch(name: str) -> bool:
    """Whether this is a branch's full name that every PC can have."""
    parts = name.split("/")
    return (
        bool(_BRANCH.match(name))
        and ".." not in name
        and "@{" not in name
        and not any(part in ("", "@") or part.startswith(("-", ".")) or part.endswith((".lock", ".")) for part in parts)
    )


def name_of_branch(name: str | None) -> str | None:
    """The branch when it can travel; None for one whose name another PC could not have, or must not see."""
    return name if name and is_branch(name) and first_token(name.encode("utf-8", "surrogateescape")) is None else None


def read(facts: Facts, private: Private) -> Operation | None:
    """The stopped operation of a worktree, None when there is none."""
    name = next((word for mark, word in _MARKS.items() if (facts.git_dir / mark).exists()), None)
    if name is None:
        return None
    files = _files(facts.git_dir)
    if name == _PREPARED:
        files = {path: data for path, data in files.items() if path in ("MERGE_MSG", "SQUASH_MSG")}
    if name == "rebase" and "rebase-apply/applying" in files:
        name = "am"
    operation = Operation(name, files, commands=commands(files))
    head_name = files.get("rebase-merge/head-name", files.get("rebase-apply/head-name", b"")).strip()
    if head_name.startswith(b"refs/heads/"):
        operation.branch = name_of_branch(head_name.decode("utf-8", "surrogateescape"))
    refs = (
        user(facts.top)
        .run("for-each-ref", "--format=%(objectname) %(refname)", "refs/bisect", "refs/rewritten")
        .decode()
    )
    for line in refs.splitlines():
        oid, ref = line.split(" ", 1)
        if allowed_ref(ref):
            operation.refs[ref] = oid
    names = [*operation.refs.values()]
    for path, data in files.items():
        if not _NO_IDS.search(path):
            names += _ID.findall(data.decode("utf-8", "replace"))
    known = objects.known(private.git, names)
    operation.tips = sorted({oid for oid, kind in known.values() if kind == "commit"})
    return operation


def _files(git_dir: Path) -> dict[str, bytes]:
    found = {}
    for path in [*git_dir.iterdir(), *(path for folder in _FOLDERS for path in (git_dir / folder).glob("*"))]:
        name = path.relative_to(git_dir).as_posix()
        if allowed(name) and path.is_file() and not path.is_symlink() and path.stat().st_size <= _LIMIT:
            found[name] = path.read_bytes()
    return found


def place(operation: Mapping[str, Any], git_dir: Path, repository: Repository, branch: str | None) -> None:
    """Put a checked operation into the git folder of a new worktree; `branch` is what the rebased one is called here."""
    for name, text in operation["files"].items():
        data = base64.b64decode(text)
        if name.endswith("/head-name") and branch is not None:
            data = branch.encode("utf-8", "surrogateescape") + b"\n"
        path = git_dir / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    for ref, oid in operation["refs"].items():
        repository.run("update-ref", ref, oid)


def orig_head(operation: Mapping[str, Any]) -> str | None:
    """Where the rebased branch stood."""
    for name in ("rebase-merge/orig-head", "rebase-apply/orig-head"):
        if name in operation["files"]:
            return base64.b64decode(operation["files"][name]).decode("ascii", "replace").strip()
    return None
