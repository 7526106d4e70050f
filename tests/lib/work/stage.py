"""Two PCs for a test: an origin, a dirty repository on PC1, a clone on PC2, and what each of them looks like."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from trinity.work.carry import ready_place, readying
from trinity.work.carry.pack import pack
from trinity.work.carry.ready_place import Place
from trinity.work.carry.restore import Restored, restore
from trinity.work.carry.shapes import Parcel

# Commits of the origin: enough kinds of files for every case to change some of them.
ORIGIN = r"""
git init -q -b main . && mkdir dir src && printf 'one\n' >a.txt && printf 'two\n' >b.txt && printf 'three\n' >c.txt
printf 'd\n' >dir/d.txt && printf 'e\n' >dir/e.txt && printf '#!/bin/sh\n' >run.sh && chmod +x run.sh
printf '\000\001binary\377' >data.bin && ln -s a.txt link && seq 1 400 >src/long.txt && : >empty.txt
printf 'ignored/\n*.log\n' >.gitignore
git add -A && git commit -qm first && seq 2 500 >src/long.txt && git commit -qam second
"""
VIEWS = {
    "status": ("status", "--porcelain=v2"),
    "status of every file": ("status", "--porcelain=v2", "-uall"),
    "index": ("ls-files", "--stage"),
    "flags": ("ls-files", "-v"),
    "diff": ("diff",),
    "staged diff": ("diff", "--cached"),
}
Seen = dict[str, object]


@dataclass
class Over:
    """A parcel and what became of it, by mode."""

    parcel: Parcel
    restored: dict[str, Restored]


class Stage:
    """`pc1` is a clone of `origin` that `script` made dirty; `pc2` a clone that knows nothing of it."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.origin = top / "origin"
        self.pc1 = top / "pc1"
        self.pc2 = top / "pc2"
        self.configuration = {"pc1": top / "pc1.gitconfig", "pc2": top / "pc2.gitconfig"}
        for name, path in self.configuration.items():
            home = top / f"{name}-home"
            home.mkdir()
            path.write_text('[protocol "file"]\n\tallow = always\n', encoding="utf-8")

    def environment(self, pc: str) -> dict[str, str]:
        """The environment of a person who works at `pc`."""
        home = self.top / f"{pc}-home"
        return {
            **os.environ,
            "HOME": str(home),
            "GIT_CONFIG_GLOBAL": str(self.configuration[pc]),
            "ORIGIN": str(self.origin),
            "TOP": str(self.top),
            "GIT_EDITOR": "true",
            "GIT_TERMINAL_PROMPT": "0",
        }

    def sh(self, pc: str, script: str, folder: Path) -> str:
        """Run a shell script as the person at `pc`; fails the test when any of its commands fails."""
        done = subprocess.run(
            ["sh", "-ec", script],
            cwd=folder,
            env=self.environment(pc),
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def build(self, script: str, origin: str = ORIGIN) -> None:
        """Make the origin, clone it twice and run `script` in PC1's clone."""
        self.origin.mkdir()
        self.sh("pc1", origin, self.origin)
        self.sh("pc1", f"git clone -q '{self.origin}' pc1", self.top)
        self.sh("pc2", f"git clone -q '{self.origin}' pc2", self.top)
        self.sh("pc1", script, self.pc1)

    def at(self, pc: str) -> Callable[[], None]:
        """Make this process be at `pc`: its home, its git configuration."""

        def go() -> None:
            environment = self.environment(pc)
            for key in ("HOME", "GIT_CONFIG_GLOBAL"):
                os.environ[key] = environment[key]

        return go

    def pack(self, worktree: Path | None = None, **options: object) -> Parcel:
        self.at("pc1")()
        return pack(worktree or self.pc1, self.top / "parcel", **options)  # type: ignore[arg-type]

    def restore(self, parcel: Parcel, mode: str, target: Path | None = None) -> Restored:
        """`mode`: linked (a worktree of PC2's clone), clone (a repository of its own), ready (linked, one lies ready)."""
        self.at("pc2")()
        made = target or self.top / f"restored-{mode}"
        clone = self.pc2 if mode != "clone" else None
        ready = self.ready if mode == "ready" else None
        return restore(parcel.manifest, parcel.bundle, made, clone, ready_folder=ready)

    @property
    def ready(self) -> Path:
        return self.top / ".ready"

    def make_ready(self, commit: str = "HEAD") -> Place:
        """Let a worktree of PC2's clone lie ready."""
        self.at("pc2")()
        place = ready_place.of(self.ready, self.pc2)
        place.want(self.pc2, self.sh("pc2", f"git rev-parse {commit}", self.pc2).strip())
        said: list[str] = []
        readying.tend(self.ready, [], True, said.append)
        assert place.made() is not None, said
        return place

    def carry(
        self,
        worktree: Path | None = None,
        modes: Sequence[str] = ("linked", "clone"),
        freshened: bytes | None = None,
        linked: bool = True,
        **options: object,
    ) -> Over:
        """Pack and restore in each mode: equal in every view and byte, and nothing of PC1 touched.

        `linked`: whether a linked worktree of PC2's clone can be had at all.
        """
        worktree = worktree or self.pc1
        before = self.seen("pc1", worktree)
        untouched = tree(self.pc1)
        (self.top / "told").unlink(missing_ok=True)
        parcel = self.pack(worktree, **options)
        assert not (self.top / "told").exists(), "a hook of PC1 was run"
        now = tree(self.pc1)
        touched = {path for path in {*untouched, *now} if untouched.get(path) != now.get(path)}
        if freshened:
            touched = {path for path in touched if not path.startswith(freshened)}
        assert not touched
        over = Over(parcel, {})
        for mode in modes:
            restored = self.restore(parcel, mode)
            assert restored.equal, (mode, restored.differences)
            assert restored.linked == (linked and mode != "clone")
            after = self.seen("pc2", restored.target)
            assert {name: value for name, value in before.items() if after[name] != value} == {}, (mode, after)
            over.restored[mode] = restored
        return over

    def seen(self, pc: str, worktree: Path) -> Seen:
        """Everything that two equal worktrees have in common: git's views and every byte that is not ignored."""
        seen: Seen = {}
        for name, command in VIEWS.items():
            done = subprocess.run(
                ["git", *command],
                cwd=worktree,
                env={**self.environment(pc), "GIT_OPTIONAL_LOCKS": "0"},
                capture_output=True,
                check=False,
            )
            seen[name] = (done.returncode, done.stdout.split(b"\n"))
        seen["files"] = self.files(pc, worktree)
        return seen

    def files(self, pc: str, worktree: Path) -> dict[bytes, object]:
        """Path, kind, executable bit and content of what is not ignored."""
        out = b""
        for how in ("matching", "traditional"):  # folders by the first; what git folds away in the second
            out += subprocess.run(
                ["git", "status", "-z", "--porcelain=v2", "-uall", f"--ignored={how}"],
                cwd=worktree,
                env={**self.environment(pc), "GIT_OPTIONAL_LOCKS": "0"},
                capture_output=True,
                check=True,
            ).stdout
        ignored = {record[2:].rstrip(b"/") for record in out.split(b"\0") if record.startswith(b"! ")}
        return {
            path: what[:2] for path, what in tree(worktree, ignored).items() if path and b".git" not in path.split(b"/")
        }


def tree(top: Path, without: set[bytes] = frozenset()) -> dict[bytes, tuple[object, ...]]:  # type: ignore[assignment]
    """Kind with executable bit, content, and modification time, of everything below `top`."""
    found: dict[bytes, tuple[object, ...]] = {}
    root = os.fsencode(top)
    for folder, folders, names in os.walk(root):
        inside = folder[len(root) + 1 :]
        folders[:] = [name for name in folders if (inside + b"/" + name if inside else name) not in without]
        for name in [*folders, *names, b""]:
            full = folder + b"/" + name if name else folder
            path = full[len(root) + 1 :]
            if path in without:
                continue
            status = os.lstat(full)
            kind = stat.S_IFMT(status.st_mode)
            content: object = None
            if stat.S_ISLNK(status.st_mode):
                content = os.readlink(full)
            elif stat.S_ISREG(status.st_mode):
                with open(full, "rb") as stream:
                    content = hashlib.sha256(stream.read()).hexdigest()
                kind |= status.st_mode & 0o100
            found[path] = (kind, content, status.st_mtime_ns)
    return found
