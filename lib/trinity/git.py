"""The one module that runs git.

Nothing of the user reaches these calls: inherited `GIT_*` variables, global and system configuration, hooks and line-end
conversion are cut off, because each of them has changed or executed something in a clone that was not theirs.
Arguments are lists, output is bytes, a call that takes longer than its limit is killed with its
children. A folder of the user's is looked at as its owner sees it by `as_user`: conversion, filters, ignore rules and
access to remotes are then the user's own, hooks and locks still nobody's. Not GitPython: it merges the caller's whole
environment into git's, so an inherited `GIT_DIR` cannot be taken away, and its import costs every short program more than
git itself.

A call that reaches a remote may use the user's own login (`access`): the credential helpers and URL rewrites of their
configuration, and nothing else of it, handed over by the environment, because a rewrite may hold a password and every
user of the machine sees the arguments of a process.
"""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, TypeVar

from trinity.errors import TrinityError

T = TypeVar("T")
U = TypeVar("U")

# Pinned for every call, so that no configuration file decides them.
_PINNED = (
    "core.hooksPath=" + os.devnull,
    "core.fsmonitor=false",
    "core.quotePath=false",
    "protocol.ext.allow=never",
    "gc.auto=0",
    "maintenance.auto=false",
    "commit.gpgSign=false",
    "advice.detachedHead=false",
)
# Pinned in Trinity's own repositories only: in a worktree of the user's it is the user who decides.
_PINNED_OURS = ("core.autocrlf=false",)
# Where the user's own configuration lies, when they moved it.
_USER = ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM")

# A server that loses nothing it acknowledged: with git's defaults a push was acknowledged without one fsync.
SERVER_SETTINGS = {
    "core.fsync": "all",
    "core.fsyncMethod": "fsync",
    "receive.denyNonFastForwards": "true",
    "receive.denyDeletes": "true",
    "receive.fsckObjects": "true",
    "receive.maxInputSize": "300m",
    "core.logAllRefUpdates": "always",
    "core.filesRefLockTimeout": "2000",
    "core.bigFileThreshold": "16m",  # larger files are streamed to the disk, not held in memory
    "gc.auto": "0",
}

# What of the user's configuration a remote is reached with: `credential[.URL].…` and `url.BASE.[push]insteadOf`.
_ACCESS = re.compile(r"credential\.(.+\.)?(helper|username|usehttppath)|url\..+\.(pushinsteadof|insteadof)", re.DOTALL)
_OF_CONFIGURATION = ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM")


class GitError(TrinityError):
    """A git command failed: `.status` (None when it was killed for time) and `.stderr` say how."""

    def __init__(self, arguments: tuple[str, ...], status: int | None, stderr: str) -> None:
        last = stderr.strip().splitlines()[-1] if stderr.strip() else "no message"
        how = "took too long" if status is None else f"status {status}"
        super().__init__(f"git {arguments[0] if arguments else ''} failed ({how}): {last}")
        self.status = status
        self.stderr = stderr


def environment(index: Path | None = None, as_user: bool = False, access: bool = False) -> dict[str, str]:
    """The environment for git: the caller's without `GIT_*`, with prompts and, unless `as_user`, configuration cut off."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    # Credentials and transport of the fleet remote are the user's own: ssh keys, certificates and helpers stay usable.
    for key in ("GIT_SSH_COMMAND", "GIT_SSH", "GIT_ASKPASS", "GIT_SSL_CAINFO"):
        if key in os.environ:
            kept[key] = os.environ[key]
    if as_user:
        kept |= {key: os.environ[key] for key in _USER if key in os.environ}
    else:
        kept |= {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
    kept |= {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_AUTHOR_NAME": "Trinity",
        "GIT_AUTHOR_EMAIL": "trinity@localhost",
        "GIT_COMMITTER_NAME": "Trinity",
        "GIT_COMMITTER_EMAIL": "trinity@localhost",
        "LC_ALL": "C.UTF-8",
        "LANGUAGE": "C",
    }
    if index is not None:
        kept["GIT_INDEX_FILE"] = str(index)
    if access:
        places = ("HOME", "USERPROFILE", "XDG_CONFIG_HOME", *_OF_CONFIGURATION)
        settings = _access(tuple((name, os.environ[name]) for name in places if name in os.environ))
        kept["GIT_CONFIG_COUNT"] = str(len(settings))
        for at, (key, value) in enumerate(settings):
            kept |= {f"GIT_CONFIG_KEY_{at}": key, f"GIT_CONFIG_VALUE_{at}": value}
    return kept


@functools.cache
def _access(places: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """The user's settings of `_ACCESS`, in git's order: an empty helper undoes those before it. Read once a process."""
    own = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")} | dict(places)
    found: list[tuple[str, str]] = []
    for scope in ("--system", "--global"):
        if scope == "--system" and "GIT_CONFIG_NOSYSTEM" in own:
            continue
        # Asked for one scope, git reads no repository's configuration, wherever this process stands.
        asked = ["git", "config", scope, "--null", "--get-regexp", r"^(credential|url)\."]
        try:
            listed = subprocess.run(asked, env=own, stdin=subprocess.DEVNULL, capture_output=True, timeout=10).stdout
        except (OSError, subprocess.TimeoutExpired):
            continue  # without them the remote says what is missing
        for entry in listed.decode("utf-8", "surrogateescape").split("\0"):
            key, _, value = entry.partition("\n")
            if _ACCESS.fullmatch(key):
                found.append((key, value))
    return tuple(found)


class Repository:
    """A git repository at `path`; `run` is a plumbing call in it.

    With `bare`, `path` itself is the repository: when it is broken, git must not look for one in the folders above.
    `as_user`: with the user's own configuration. `access`: its calls reach a remote with the user's own login. `variables`
    (GIT_DIR, GIT_WORK_TREE, …) and `settings` ("key=value") hold for every call and win over what is pinned.
    """

    def __init__(
        self,
        path: Path,
        timeout: float = 60,
        bare: bool = False,
        access: bool = False,
        *,
        as_user: bool = False,
        variables: Mapping[str, str] | None = None,
        settings: Sequence[str] = (),
    ) -> None:
        self.path = path
        self.timeout = timeout
        self.bare = bare
        self.access = access
        self.as_user = as_user
        self.variables = dict(variables or {})
        self.settings = tuple(settings)

    def run(
        self,
        *arguments: str,
        stdin: bytes | None = None,
        stdout: BinaryIO | None = None,
        index: Path | None = None,
        pass_fds: tuple[int, ...] = (),
    ) -> bytes:
        """The standard output of one git command, or nothing when it goes to the file `stdout`; raises GitError."""
        command = ["git"]
        for setting in (*_PINNED, *(() if self.as_user else _PINNED_OURS), *self.settings):
            command += ["-c", setting]
        command += ["-C", str(self.path), *(["--git-dir=."] if self.bare else []), *arguments]
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE if stdout is None else stdout,
            stderr=subprocess.PIPE,
            env=environment(index, self.as_user, self.access) | self.variables,
            **_children(pass_fds),  # type: ignore[call-overload]
        )
        try:
            out, err = process.communicate(stdin, timeout=self.timeout)
        except subprocess.TimeoutExpired:
            _end(process)
            raise GitError(arguments, None, f"no answer within {self.timeout:g} s") from None
        except BaseException:
            _end(process)
            raise
        if process.returncode:
            raise GitError(arguments, process.returncode, err.decode("utf-8", "replace"))
        return bytes(out or b"")


if sys.platform == "win32":

    def _children(pass_fds: tuple[int, ...]) -> dict[str, object]:
        return {"close_fds": not pass_fds, "creationflags": subprocess.CREATE_NO_WINDOW}

    def _end(process: subprocess.Popen[bytes]) -> None:
        process.kill()
        process.communicate()
else:
    import signal

    def _children(pass_fds: tuple[int, ...]) -> dict[str, object]:
        # An own group, so that a hanging transport below git ends with it.
        return {"pass_fds": pass_fds, "start_new_session": True}

    def _end(process: subprocess.Popen[bytes]) -> None:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # ended in between
        process.communicate()


def together(first: Callable[[], T], second: Callable[[], U]) -> tuple[T, U]:
    """The results of two independent calls that run side by side; raises what the first failing one raised."""
    with ThreadPoolExecutor(1) as pool:
        beside = pool.submit(second)
        return first(), beside.result()


def init_bare(path: Path, server: bool = False) -> Repository:
    """Make a bare repository; with `server` one that acknowledges only what is on the disk."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    repository = Repository(path)
    repository.run("init", "--quiet", "--bare", "--template=", "--initial-branch=trinity-state", ".")
    if server:
        add_settings(path, SERVER_SETTINGS)
    return repository


def add_settings(bare: Path, settings: Mapping[str, str]) -> None:
    """Add settings (`section.name`: plain text) to a bare repository that nobody uses yet: one write, not a process each."""
    lines = []
    for key, value in settings.items():
        section, _, name = key.partition(".")
        if not re.fullmatch(r"[A-Za-z]+", name) or re.search(r'["\\\n]', value):
            raise ValueError(f"{key}={value} is no plain setting")
        lines.append(f'[{section}]\n\t{name} = "{value}"\n')
    with open(bare / "config", "a", encoding="utf-8", newline="\n") as stream:
        stream.write("".join(lines))
