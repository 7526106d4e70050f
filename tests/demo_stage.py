"""The demo's stage: a temporary home with Trinity in it, a client, a daemon, and a voice that tells the time.

Which client plays is said: the one on PATH when it is new enough, else the newest from npm, else recordings of the real one.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from tests.clients import NEWEST, Client, ClientMissing, binary
from tests.fake_api import Request, ScriptedApi
from trinity.work import client as work_client

CHECKOUT = Path(__file__).resolve().parent.parent
T = TypeVar("T")


class DemoFailed(Exception):
    """A step did not happen; the text says which."""


class Stage:
    """One PC below `folder`, logged in to `api`; close it to end its daemon."""

    def __init__(self, api: ScriptedApi, folder: Path) -> None:
        self.api = api
        self.folder = folder
        self.began = time.monotonic()
        self.daemon: subprocess.Popen[bytes] | None = None
        self.client = self._find_client()
        self.home = self.client.home / ".trinity"

    def __enter__(self) -> Stage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def tell(self, text: str) -> None:
        print(f"{time.monotonic() - self.began:6.1f} s  {text}", flush=True)

    def command(self, *words: str) -> None:
        shown = " ".join(f'"{word}"' if " " in word else word for word in words)
        self.show(f"$ {shown}")

    def show(self, line: str) -> None:
        print(f"          {line}", flush=True)

    def environment(self) -> dict[str, str]:
        return self.client.environment(TRINITY_HOME=str(self.home), PYTHONDONTWRITEBYTECODE="1")

    def _program(self, name: str, *arguments: str) -> list[str]:
        return [sys.executable, "-B", str(CHECKOUT / "scripts" / f"{name}.py"), *arguments]

    def program(self, name: str, *arguments: str, shown: bool = True) -> str:
        """Run one of Trinity's programs as a user would, and show what it answers."""
        self.command(f"{name}.py", *arguments)
        done = subprocess.run(
            self._program(name, *arguments), env=self.environment(), stdin=subprocess.DEVNULL, capture_output=True,
            encoding="utf-8", timeout=120, check=False,
        )  # fmt: skip
        if done.returncode:
            raise DemoFailed(f"{name}.py ended with {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
        if shown:
            for line in done.stdout.rstrip().splitlines():
                self.show(line)
        return done.stdout

    def start_daemon(self, *arguments: str) -> None:
        self.command("credit_monitor.py", *arguments)
        with open(self.folder / "daemon.log", "ab") as log:
            self.daemon = subprocess.Popen(
                self._program("credit_monitor", *arguments),
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def handoff(self, session: str, state: str | None = None) -> dict[str, Any]:
        """The handoff of a session from the view, {} while there is none (in this state)."""
        for folder in (self.home / "handoff" / "processed", self.home / "handoff"):
            for file in sorted(folder.glob("handoff_*.json")) if folder.is_dir() else []:
                try:
                    record: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
                except (FileNotFoundError, ValueError):
                    continue  # the view is just being written
                if state in (None, record["state"]) and session in [s["session_id"] for s in record["sessions"]]:
                    return record
        return {}

    def served(self, session: str, moment: float) -> Request | None:
        """The first turn of a session that was answered after a moment."""
        found = (request for request in self.api.main_requests(session) if request.time >= moment)
        return next((request for request in found if request.status == 200), None)

    def wait(self, what: str, said: Callable[[], T | None], timeout: float = 60) -> T:
        """What `said()` returns as soon as it is something; raises DemoFailed with `what` when it never is."""
        end = time.monotonic() + timeout
        while not (answer := said()):
            if time.monotonic() > end:
                raise DemoFailed(f"waited {timeout:.0f} s in vain until {what}")
            if self.daemon is not None and self.daemon.poll() is not None:
                raise DemoFailed(f"the daemon ended with {self.daemon.returncode} before {what}")
            time.sleep(0.1)
        return answer

    def events(self) -> int:
        files = (self.home / "events").glob("*.jsonl")
        return sum(len(file.read_text(encoding="utf-8").splitlines()) for file in files)

    def _find_client(self) -> Client:
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
        path = os.pathsep.join([str(found.parent), os.environ.get("PATH", os.defpath)])
        client = Client(found, self.folder / "home", self.api.url, extra={"PATH": path})
        said = subprocess.run(
            [str(found), "--version"], env=client.environment(), stdin=subprocess.DEVNULL, capture_output=True,
            encoding="utf-8", timeout=120, check=False,
        )  # fmt: skip
        self.tell(f"the client: Claude Code {said.stdout.split(' ')[0].strip()}, {from_where}")
        return client

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

    def close(self) -> None:
        if self.daemon is not None and self.daemon.poll() is None:
            self.daemon.terminate()
            try:
                self.daemon.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.daemon.kill()
                self.daemon.wait()
