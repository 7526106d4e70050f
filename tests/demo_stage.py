"""The demo's stage: PCs below a temporary folder, each with a home, a login and a daemon, and a voice that tells the time.

Which client plays is said: the one on PATH when it is new enough, else the newest from npm, else recordings of the real one.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from tests.clients import NEWEST, Client, ClientMissing, Result, binary
from tests.fake_api import Request, ScriptedApi
from trinity import git
from trinity.work import client as work_client

CHECKOUT = Path(__file__).resolve().parent.parent
T = TypeVar("T")


class DemoFailed(Exception):
    """A step did not happen; the text says which."""


class Stage:
    """The PCs below `folder`, all logged in to `api`; close it to end their daemons."""

    def __init__(self, api: ScriptedApi, folder: Path) -> None:
        self.api = api
        self.folder = folder
        self.pcs: list[Pc] = []
        self._began = time.monotonic()
        self._client = self._find_client()

    def __enter__(self) -> Stage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pc in self.pcs:
            pc.close()

    def tell(self, text: str) -> None:
        print(f"{time.monotonic() - self._began:6.1f} s  {text}", flush=True)

    def show(self, line: str) -> None:
        print(f"          {line}", flush=True)

    def command(self, where: str, *words: str) -> None:
        shown = " ".join(f'"{word}"' if " " in word else word for word in words)
        self.show(f"{where}$ {shown.replace(str(self.folder) + os.sep, '')}")

    def pc(self, name: str) -> Pc:
        """One more PC, with nothing but a client on it."""
        path = os.pathsep.join([str(self._client.parent), os.environ.get("PATH", os.defpath)])
        token = f"token-of-{name}"
        client = Client(self._client, self.folder / name.lower(), self.api.url, token=token, extra={"PATH": path})
        self.pcs.append(Pc(self, name, client))
        return self.pcs[-1]

    def served(self, session: str, pc: Pc, after: float = 0.0) -> Request | None:
        """The first turn of a session that was answered for a PC after a moment."""
        found = (request for request in self.api.main_requests(session) if request.account == pc.client.token)
        return next((request for request in found if request.status == 200 and request.time >= after), None)

    def wait(self, what: str, said: Callable[[], T | None], timeout: float = 120) -> T:
        """What `said()` returns as soon as it is something; raises DemoFailed with `what` when it never is."""
        end = time.monotonic() + timeout
        while not (answer := said()):
            if time.monotonic() > end:
                raise DemoFailed(f"waited {timeout:.0f} s in vain until {what}")
            for pc in self.pcs:
                if pc.daemon is not None and pc.daemon.poll() is not None:
                    raise DemoFailed(f"the daemon of {pc.name} ended with {pc.daemon.returncode} before {what}")
            time.sleep(0.1)
        return answer

    def show_conversation(self, first: Request, lines: int = 4) -> None:
        """The turns that a request of a resumed session holds."""
        for role, text in first.turns:
            # the client's reminders to the model are no part of what was said
            said = re.sub(r"<system-reminder>.*?</system-reminder>", "", text, flags=re.S)
            kept = [line for line in said.splitlines() if line.strip()] if role in ("user", "assistant") else []
            for line in kept[:lines]:
                line = line.replace(str(self.folder) + os.sep, "")
                self.show(f"{role:>9} │ {line[:100]}{' …' if line[100:] else ''}")

    def _find_client(self) -> Path:
        """The client on PATH when it is new enough, else the newest from npm, else recordings of it."""
        here = shutil.which("claude")
        version = work_client.version(here) if here else None
        if here and version and version >= work_client.OLDEST:
            found, from_where = Path(here), "the one on PATH"
        else:
            try:
                found, from_where = binary(NEWEST), "from npm"
            except ClientMissing as missing:
                found, from_where = self._recorded(), f"by recordings of the real one: {str(missing).splitlines()[0]}"
        asked = Client(found, self.folder / "asked", self.api.url)
        said = subprocess.run(
            [str(found), "--version"], env=asked.environment(), stdin=subprocess.DEVNULL, capture_output=True,
            encoding="utf-8", timeout=120, check=False,
        )  # fmt: skip
        self.tell(f"the client: Claude Code {said.stdout.split(' ')[0].strip()}, {from_where}")
        return found

    def _recorded(self) -> Path:
        """A `claude` that plays recordings (`demo_client.py`)."""
        place = self.folder / "bin"
        place.mkdir()
        program = CHECKOUT / "tests" / "demo_client.py"
        if sys.platform == "win32":
            file = place / "claude.cmd"
            file.write_text(f'@"{sys.executable}" -B "{program}" %*\r\n', encoding="utf-8", newline="")
        else:
            file = place / "claude"
            file.write_text(f'#!/bin/sh\nexec "{sys.executable}" -B "{program}" "$@"\n', encoding="utf-8", newline="\n")
            file.chmod(0o755)
        return file


class Pc:
    """One PC of the stage: `install` sets Trinity up on it, `watch` starts its daemon."""

    def __init__(self, stage: Stage, name: str, client: Client) -> None:
        self.stage = stage
        self.name = name
        self.client = client
        self.home = client.home / ".trinity"
        self.daemon: subprocess.Popen[bytes] | None = None

    def install(self, *arguments: str, **settings: object) -> None:
        """By the installer a user calls; `settings` are what a user would change in config.json."""
        self.program("install", "--pc", self.name, *arguments, "--no-timers", shown=False)
        file = self.home / "config.json"
        document = {**json.loads(file.read_text(encoding="utf-8")), **settings}
        file.write_text(json.dumps(document), encoding="utf-8", newline="\n")

    def watch(self) -> None:
        with open(self.stage.folder / f"daemon-{self.name}.log", "ab") as log:
            self.daemon = subprocess.Popen(
                self._program("credit_monitor", "--interval", "1"),
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _environment(self) -> dict[str, str]:
        return self.client.environment(TRINITY_HOME=str(self.home), PYTHONDONTWRITEBYTECODE="1")

    def _program(self, name: str, *arguments: str) -> list[str]:
        return [sys.executable, "-B", str(CHECKOUT / "scripts" / f"{name}.py"), *arguments]

    def program(self, name: str, *arguments: str, shown: bool = True) -> str:
        """Run one of Trinity's programs as a user would, and show what it answers."""
        self.stage.command(f"{self.name} ", "trinity", name, *arguments)
        done = subprocess.run(
            self._program(name, *arguments), env=self._environment(), stdin=subprocess.DEVNULL, capture_output=True,
            encoding="utf-8", timeout=120, check=False,
        )  # fmt: skip
        if done.returncode:
            said = done.stderr.strip() or done.stdout.strip()
            raise DemoFailed(f"{name}.py on {self.name} ended with {done.returncode}: {said}")
        if shown:
            for line in done.stdout.rstrip().splitlines():
                self.stage.show(line.replace(str(self.stage.folder) + os.sep, ""))
        return done.stdout

    def claude(self, prompt: str, *arguments: str) -> Result:
        """Run `claude -p` in the project, and show the command."""
        self.stage.command(f"{self.name} ", "claude", "-p", prompt, *arguments)
        return self.client.headless(prompt, *arguments, timeout=120)

    def git(self, *arguments: str, folder: Path | None = None, shown: bool = False) -> str:
        if shown:
            self.stage.command(f"{self.name} ", "git", *arguments)
        done = subprocess.run(
            ["git", *arguments], cwd=folder or self.client.project, env=git.environment(), check=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, encoding="utf-8",
        )  # fmt: skip
        for line in done.stdout.splitlines() if shown else []:
            self.stage.show(line)
        return done.stdout

    def handoff(self, session: str, **wanted: object) -> dict[str, Any]:
        """The handoff of a session from the view, {} while there is none that is so."""
        for folder in (self.home / "handoff" / "processed", self.home / "handoff"):
            for file in sorted(folder.glob("handoff_*.json")) if folder.is_dir() else []:
                try:
                    record: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
                except (FileNotFoundError, ValueError):
                    continue  # the view is just being written
                known = session in [s["session_id"] for s in record["sessions"]]
                if known and all(record[key] == value for key, value in wanted.items()):
                    return record
        return {}

    def events(self) -> int:
        files = (self.home / "events").glob("*.jsonl")
        return sum(len(file.read_text(encoding="utf-8").splitlines()) for file in files)

    def close(self) -> None:
        if self.daemon is not None and self.daemon.poll() is None:
            self.daemon.terminate()
            try:
                self.daemon.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.daemon.kill()
                self.daemon.wait()
