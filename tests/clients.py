"""Real Claude Code clients for tests: where they come from, and how they run away from this machine's own.

`binary("2.1.197")` and `binary("newest")` give an executable, fetched from npm once into a cache (`TRINITY_TEST_CACHE`,
default `~/.cache/trinity-tests`); `TRINITY_TEST_CLIENTS` names a folder that already holds them as
`<version>/node_modules/…`. What is missing for that is said by `ClientMissing`, never passed over.

A `Client` has its own home and project folder and knows one API on loopback; nothing of the caller's environment but
PATH reaches it, and so no credentials do.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from filelock import FileLock

from tests.terminal import Terminal

PACKAGE = "@anthropic-ai/claude-code"
LOWEST = "2.1.197"
NEWEST = "newest"
VERSIONS = (LOWEST, NEWEST)

TOKEN = "sk-ant-oat01-scripted-token-of-no-account"
KEY = "sk-ant-api03-scripted-key-of-no-account"

# Read when this module is imported: tests replace HOME, the cache outlives them.
_CACHE = Path(os.environ.get("TRINITY_TEST_CACHE") or Path.home() / ".cache" / "trinity-tests")
_NPM_HOME = str(Path.home())


class ClientMissing(Exception):
    """There is no such client here and none can be fetched; the text says what to install."""


@cache
def binary(version: str) -> Path:
    """The executable of a client version, or of the newest on the registry; ClientMissing when there is no way to it."""
    ready = os.environ.get("TRINITY_TEST_CLIENTS")
    number = _newest(Path(ready) if ready else None) if version == NEWEST else version
    for folder in (Path(ready or _CACHE), _CACHE):
        found = _executable(folder / number)
        if found.exists():
            return found
    return _fetch(number)


def _newest(ready: Path | None) -> str:
    if ready:
        numbers = [entry.name for entry in ready.iterdir() if re.fullmatch(r"\d+(\.\d+)+", entry.name)]
        if numbers:
            return max(numbers, key=lambda number: [int(part) for part in number.split(".")])
    return _npm("view", PACKAGE, "version", cwd=Path(tempfile.gettempdir())).strip()


def _fetch(number: str) -> Path:
    return installed(PACKAGE, number, number, _executable)


def installed(package: str, number: str, name: str, executable: Callable[[Path], Path]) -> Path:
    """The executable of an npm package, installed into the cache's folder `name` when it is not there.

    Into a folder beside the place, then renamed: a broken download never looks like a whole one. Raises ClientMissing.
    """
    _CACHE.mkdir(parents=True, exist_ok=True)
    place = _CACHE / name
    with FileLock(_CACHE / f"{name}.lock", timeout=600):
        if not executable(place).exists():
            fresh = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=_CACHE))
            try:
                (fresh / "package.json").write_text('{"private": true}\n', encoding="utf-8", newline="\n")
                # In the folder, not by --prefix: that would also move npm's global configuration (proxies, authorities).
                _npm("install", "--no-audit", "--no-fund", "--no-save", f"{package}@{number}", cwd=fresh)
                if not executable(fresh).exists():
                    raise ClientMissing(f"npm installed {package}@{number}, but there is no {executable(fresh)}")
                if place.exists():
                    shutil.rmtree(place)
                fresh.replace(place)
            finally:
                shutil.rmtree(fresh, ignore_errors=True)
    return executable(place)


def _executable(folder: Path) -> Path:
    if sys.platform == "win32":
        return folder / "node_modules" / "@anthropic-ai" / "claude-code" / "bin" / "claude.exe"
    return folder / "node_modules" / ".bin" / "claude"


def _npm(*arguments: str, cwd: Path) -> str:
    npm = shutil.which("npm")
    if npm is None:
        raise ClientMissing(
            "there is no npm to fetch Claude Code with: install node and npm"
            " (or have TRINITY_TEST_CLIENTS name a folder that holds <version>/node_modules/.bin/claude)"
        )
    environment = {**os.environ, "HOME": _NPM_HOME, "npm_config_fetch_retries": "1"}
    try:
        done = subprocess.run(
            [npm, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, encoding="utf-8",
            stdin=subprocess.DEVNULL, timeout=300, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise ClientMissing(f"npm {' '.join(arguments)} took more than 300 s") from None
    if done.returncode:
        raise ClientMissing(f"npm {' '.join(arguments)} failed: {done.stderr.strip()[-600:]}")
    return done.stdout


@dataclass
class Result:
    """A headless run that has ended."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def document(self) -> dict[str, Any]:
        """The result of `--output-format json` (the last line of stream-json)."""
        document: dict[str, Any] = json.loads(self.stdout.strip().splitlines()[-1])
        return document

    @property
    def session(self) -> str:
        return str(self.document["session_id"])

    @property
    def text(self) -> str:
        return str(self.document.get("result", ""))


@dataclass
class Client:
    """One installed client, logged in to a scripted API with a token (`oauth`) or a key (`key`) that nobody owns."""

    binary: Path
    home: Path
    api_url: str
    auth: str = "oauth"
    token: str = ""
    extra: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.home = self.home.resolve()
        self.project = self.home / "project"
        self.project.mkdir(parents=True, exist_ok=True)
        self.token = self.token or (TOKEN if self.auth == "oauth" else KEY)
        self.trust(self.project)

    @property
    def configuration(self) -> Path:
        return self.home / ".claude"

    @property
    def settings(self) -> Path:
        return self.configuration / "settings.json"

    def trust(self, folder: Path) -> None:
        """Answer beforehand what the interactive client would ask: its tour, the key, and whether `folder` is trusted."""
        file = self.home / ".claude.json"
        known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        known |= {"hasCompletedOnboarding": True, "theme": "dark", "autoUpdates": False}
        known["customApiKeyResponses"] = {"approved": [self.token[-20:]], "rejected": []}
        known.setdefault("projects", {}).setdefault(str(folder.resolve()), {})["hasTrustDialogAccepted"] = True
        file.write_text(json.dumps(known), encoding="utf-8", newline="\n")

    def environment(self, **more: str) -> dict[str, str]:
        """The whole environment of this client: PATH, a home of its own, the API on loopback, a made-up login."""
        login = "CLAUDE_CODE_OAUTH_TOKEN" if self.auth == "oauth" else "ANTHROPIC_API_KEY"
        kept = ("PATH", "TMUX_TMPDIR", "SYSTEMROOT", "COMSPEC", "PATHEXT", "TEMP", "TMP")  # Windows needs the latter
        return {
            **{name: os.environ[name] for name in kept if name in os.environ},
            "HOME": str(self.home),
            "USERPROFILE": str(self.home),
            "TZ": "UTC",
            "LC_ALL": "C.UTF-8",
            "ANTHROPIC_BASE_URL": self.api_url,
            login: self.token,
            "DISABLE_AUTOUPDATER": "1",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            **self.extra,
            **more,
        }

    def start_headless(
        self, prompt: str, *arguments: str, cwd: Path | None = None, **environment: str
    ) -> subprocess.Popen[str]:
        """`claude -p`, started; its result comes as JSON unless `arguments` choose a format."""
        format_ = () if "--output-format" in arguments else ("--output-format", "json")
        return subprocess.Popen(
            [str(self.binary), "-p", prompt, *format_, *arguments],
            cwd=cwd or self.project,
            env=self.environment(**environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def headless(
        self, prompt: str, *arguments: str, cwd: Path | None = None, timeout: float = 60, **environment: str
    ) -> Result:
        """`claude -p` until it ends; a run that takes longer than `timeout` is killed and raises TimeoutExpired."""
        process = self.start_headless(prompt, *arguments, cwd=cwd, **environment)
        try:
            stdout, stderr = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise
        return Result(process.returncode, stdout, stderr)

    def tmux(self, *arguments: str, cwd: Path | None = None, **environment: str) -> Terminal:
        """The interactive client in a tmux server of its own; close it, or use it as a context manager."""
        folder = cwd or self.project
        self.trust(folder)
        return Terminal([str(self.binary), *arguments], folder, self.environment(**environment))

    def transcript(self, session: str) -> Path:
        """The transcript of a session, in whatever project folder it lies; FileNotFoundError when there is none."""
        for file in self.configuration.glob(f"projects/*/{session}.jsonl"):
            return file
        raise FileNotFoundError(f"no transcript of session {session} below {self.configuration}")

    def lines(self, session: str) -> list[dict[str, Any]]:
        """The transcript's whole lines, parsed."""
        data = self.transcript(session).read_text(encoding="utf-8")
        return [json.loads(line) for line in data.splitlines() if line.endswith("}")]
