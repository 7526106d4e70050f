"""A private git folder beside a worktree: git looks at the worktree through it, and the user's `.git` stays untouched.

It has its own copy of the index (with its modification time: with a fresh one git takes a change of the same size in the
same moment for clean) and borrows the objects. What configuration decides about a file's bytes or its
status is taken over key by key; hooks, monitors and caches are not. `alone` is the same folder without the borrowed
objects: writing with them in sight makes git freshen the times of the user's own object files.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path

from trinity.errors import TrinityError
from trinity.git import GitError, Repository
from trinity.work.carry import objects

# Keys that decide what a file's bytes or its status are.
_KEYS = re.compile(
    r"core\.(autocrlf|eol|safecrlf|filemode|symlinks|ignorecase|precomposeunicode|sparsecheckout|sparsecheckoutcone"
    r"|trustctime|checkstat|checkroundtripencoding|bigfilethreshold|excludesfile|attributesfile)$"
    r"|filter\.[^=]+\.(clean|smudge|process|required)$"
)
_LOOK = ("--absolute-git-dir", "--git-common-dir", "--show-toplevel", "--show-object-format", "--is-shallow-repository")


@dataclass
class Facts:
    """What a worktree belongs to, and the settings in force there."""

    top: Path
    git_dir: Path
    common_dir: Path
    object_format: str
    shallow: bool
    settings: dict[str, str]
    remotes: dict[str, str]
    excludes: bytes
    attributes: bytes
    remote_tips: list[str] = field(default_factory=list)


def look(worktree: Path) -> Facts:
    """Read a worktree's facts; raises TrinityError when it is none."""
    user = Repository(worktree, as_user=True)
    try:
        lines = os.fsdecode(user.run("rev-parse", *_LOOK)).split("\n")
    except GitError as error:
        raise TrinityError(f"'{worktree}' is no git worktree: {error.stderr.strip()[:200]}") from None
    git_dir, common, top, object_format, shallow = lines[:5]
    settings: dict[str, str] = {}
    remotes: dict[str, str] = {}
    for item in user.run("config", "--list", "-z", "--includes").decode("utf-8", "surrogateescape").split("\0"):
        key, _, value = item.partition("\n")
        value = value if "\n" in item else "true"
        section, _, rest = key.partition(".")
        if _KEYS.match(key):
            settings[key] = value
        elif section == "remote" and rest.endswith(".url"):
            remotes.setdefault(rest[: -len(".url")], value)
    refs = user.run("for-each-ref", "--format=%(objectname) %(objecttype)", "refs/remotes").decode("ascii")
    return Facts(
        top=Path(top),
        git_dir=Path(git_dir),
        common_dir=(worktree / common).resolve(),
        object_format=object_format,
        shallow=shallow == "true",
        settings=settings,
        remotes=remotes,
        excludes=_global(settings.pop("core.excludesfile", None), "ignore"),
        attributes=_global(settings.pop("core.attributesfile", None), "attributes"),
        remote_tips=sorted({line.split()[0] for line in refs.splitlines() if line.endswith(" commit")}),
    )


def _global(configured: str | None, name: str) -> bytes:
    """The user's global ignore or attributes file."""
    base = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    path = os.path.expanduser(configured) if configured is not None else os.path.join(base, "git", name)
    return read_or_empty(Path(path)) if path else b""


def read_or_empty(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


class Private:
    """The private git folder at `folder` for the worktree of `facts`."""

    def __init__(self, folder: Path, facts: Facts) -> None:
        self.folder = folder
        self.facts = facts
        self.index_state: tuple[int, ...] = ()
        for part in ("objects", "refs", "info"):
            (folder / part).mkdir(mode=0o700, parents=True)
        version = "1\n[extensions]\n\tobjectFormat = sha256" if facts.object_format == "sha256" else "0"
        self._write("config", f"[core]\n\tbare = false\n\trepositoryformatversion = {version}\n".encode("ascii"))
        self._write("excludes", facts.excludes)
        self._write("attributes", facts.attributes)
        if facts.shallow:
            self._write("shallow", read_or_empty(facts.common_dir / "shallow"))
        settings = [f"{key}={value}" for key, value in facts.settings.items()]
        settings += [
            "core.untrackedCache=false",
            "core.splitIndex=false",
            "index.sparse=false",
            f"core.excludesFile={folder / 'excludes'}",
            f"core.attributesFile={folder / 'attributes'}",
        ]
        variables = {
            "GIT_DIR": str(folder),
            "GIT_WORK_TREE": str(facts.top),
            "GIT_LITERAL_PATHSPECS": "1",
        }
        borrowed = {"GIT_ALTERNATE_OBJECT_DIRECTORIES": _quoted(str(facts.common_dir / "objects"))}
        self.git = Repository(facts.top, 600, variables=variables | borrowed, settings=settings)
        self.alone = Repository(facts.top, 600, variables=variables, settings=settings)

    def refresh(self) -> tuple[str | None, str | None]:
        """Copy HEAD, index and rules anew; returns HEAD's commit (None: unborn) and its branch (None: detached)."""
        head, branch = head_of(self.facts)
        self._write("HEAD", f"{head or f'ref: {branch}'}\n".encode())
        for name in ("exclude", "attributes"):
            self._write(f"info/{name}", read_or_empty(self.facts.common_dir / "info" / name))
        self._write("info/sparse-checkout", read_or_empty(self.facts.git_dir / "info" / "sparse-checkout"))
        self.index_state = self._copy_index()
        return head, branch

    def _copy_index(self) -> tuple[int, ...]:
        source = self.facts.git_dir / "index"
        target = self.folder / "index"
        for _ in range(100):
            try:
                with open(source, "rb") as stream:
                    status = os.fstat(stream.fileno())
                    for shared in self.facts.git_dir.glob("sharedindex.*"):
                        shutil.copy2(shared, self.folder / shared.name)
                    target.write_bytes(stream.read())
                os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
            except FileNotFoundError:
                if not source.exists():
                    target.unlink(missing_ok=True)
                    return ()
            if index_state(self.facts) == _state(status):
                return _state(status)
            time.sleep(0.01)
        raise TrinityError(f"the index of '{self.facts.top}' does not stop changing", "end what writes it, then again")

    def _write(self, name: str, data: bytes) -> None:
        (self.folder / name).write_bytes(data)


def head_of(facts: Facts) -> tuple[str | None, str | None]:
    """HEAD's commit (None: unborn) and its branch (None: detached)."""
    user = Repository(facts.top, as_user=True)
    lines = []
    for call in (("rev-parse", "--verify", "--quiet", "HEAD^{commit}"), ("symbolic-ref", "--quiet", "HEAD")):
        try:
            lines.append(user.run(*call).decode("utf-8", "surrogateescape").strip() or None)
        except GitError as error:
            if error.status != 1:
                raise
            lines.append(None)
    return lines[0], lines[1]


def index_state(facts: Facts) -> tuple[int, ...]:
    """Equal as long as the user's index is the same; empty without one."""
    try:
        return _state(os.stat(facts.git_dir / "index"))
    except FileNotFoundError:
        return ()


def _state(status: os.stat_result) -> tuple[int, ...]:
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _quoted(path: str) -> str:
    # The variable is a list: a path with its separator has to be quoted as in C.
    if os.pathsep in path or path.startswith('"'):
        return '"' + path.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return path


def commits(repository: Repository, oids: list[str]) -> set[str]:
    """Those of the ids that are commits here."""
    return {oid for oid, (_, kind) in objects.known(repository, oids).items() if kind == "commit"}
