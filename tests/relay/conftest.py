"""One PC as a user has it: the real client, Trinity installed by its own installer, its daemon as a process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.limits import Limit
from tests.api.plan import bash
from tests.clients import Client
from tests.fake_api import ScriptedApi
from trinity import home as homes

CHECKOUT = Path(__file__).resolve().parents[2]
PROMPT = "write a.txt, then tell me"


class Pc:
    """A PC named PC1. `settle` waits for a condition on the open or processed handoffs."""

    def __init__(self, client: Client, api: ScriptedApi) -> None:
        self.client = client
        self.api = api
        self.home = homes.Home(client.home / ".trinity")
        self.daemon: subprocess.Popen[bytes] | None = None
        self.limit = Limit(0.0)

    def environment(self) -> dict[str, str]:
        path = f"{self.client.binary.parent}{os.pathsep}{os.environ['PATH']}"
        return self.client.environment(PATH=path, TRINITY_HOME=str(self.home.root), TRINITY_TMUX_SOCKET="resumed")

    def program(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(CHECKOUT / "scripts" / f"{name}.py"), *arguments],
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=120,
        )

    def configure(self, **settings: dict[str, Any]) -> None:
        """Change `config.json`: configure(resume={"interactive": "tmux"})."""
        document = json.loads(self.home.config_file.read_text(encoding="utf-8"))
        for name, values in settings.items():
            document[name].update(values)
        self.home.config_file.write_text(json.dumps(document), encoding="utf-8")

    def configure_top(self, **settings: Any) -> None:
        """Change members of `config.json` itself: configure_top(poll_seconds=1)."""
        document = json.loads(self.home.config_file.read_text(encoding="utf-8"))
        self.home.config_file.write_text(json.dumps({**document, **settings}), encoding="utf-8")

    def watch(self) -> None:
        """Start the daemon."""
        self.daemon = subprocess.Popen(
            [sys.executable, str(CHECKOUT / "scripts" / "credit_monitor.py"), "--interval", "1"],
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def unwatch(self, how: signal.Signals = signal.SIGKILL) -> None:
        if self.daemon is not None:
            self.daemon.send_signal(how)
            self.daemon.wait()
            self.daemon = None

    def handoffs(self) -> list[dict[str, Any]]:
        answer = self.program("handoffs", "list", "--all", "--json")
        assert answer.returncode in (0, 75), answer.stderr
        return list(json.loads(answer.stdout))

    def settle(self, wanted: Callable[[list[dict[str, Any]]], Any], timeout: float = 40) -> list[dict[str, Any]]:
        deadline = time.monotonic() + timeout
        while True:
            found = self.handoffs()
            if wanted(found):
                return found
            assert time.monotonic() < deadline, self.story(found)
            time.sleep(0.3)

    def story(self, found: list[dict[str, Any]]) -> str:
        lines = [f"{r['id']} {r['state']} epoch {r['epoch']} until {r['parked_until']} {r['outcome']}" for r in found]
        for log in sorted(self.home.logs.glob("*.log")):
            lines.append(f"--- {log.name}\n{log.read_text(encoding='utf-8')[-3000:]}")
        return "\n".join(lines)

    def stopped(self, lasts: float) -> str:
        """A `claude -p` session stopped in mid-turn by a 5-hour limit that lasts so many seconds from then; its id."""
        self.api.set_plan({"steps": [bash("echo one > a.txt")], "default": {"text": "all is done"}})
        self.limit = self.api.limit_until(float("inf"), after=1, lasts=lasts)
        result = self.client.headless(PROMPT, "--permission-mode", "acceptEdits", "--allowedTools", "Bash")
        assert result.returncode == 1 and "limit" in result.text
        return result.session

    def resumes(self) -> int:
        """How many starts the journal knows."""
        return len(list(self.home.journal.glob("*.e*")))


def _installed(client: Client, api: ScriptedApi) -> Iterator[Pc]:
    made = Pc(client, api)
    installed = made.program("install", "--no-timers")
    assert installed.returncode == 0, installed.stdout + installed.stderr
    yield made
    made.unwatch()
    subprocess.run(["tmux", "-L", "resumed", "kill-server"], env=made.environment(), capture_output=True)


@pytest.fixture
def pc(client: Client, api: ScriptedApi) -> Iterator[Pc]:
    """A PC with hooks and status line registered, no timers, once with each client; the test starts its daemon."""
    yield from _installed(client, api)


@pytest.fixture
def newest_pc(make_client: Callable[..., Client], api: ScriptedApi) -> Iterator[Pc]:
    """The same with the newest client only, for what does not depend on the client."""
    yield from _installed(make_client("newest"), api)
