"""Two PCs of one fleet with a project that has uncommitted work; their rounds are made one by one, without daemons."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.api.plan import bash
from tests.clients import Client
from tests.fake_api import ScriptedApi, Step
from tests.relay.conftest import PROMPT, Pc
from trinity import git

STATUS = ("status", "--porcelain=v2", "--untracked-files=all")
ALLOWED = ("--permission-mode", "acceptEdits", "--allowedTools", "Bash")
Record = dict[str, Any]


def git_of(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
    return done.stdout


def join(client: Client, api: ScriptedApi, name: str, fleet: Path, *more: str) -> Pc:
    made = Pc(client, api)
    answer = made.program("install", "--no-timers", "--pc", name, "--fleet", str(fleet), "--account", name, *more)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return made


class Pair:
    """`one` has the work and is limited; `two` has its own clone below its `roots`."""

    def __init__(self, make_client: Callable[..., Client], api: ScriptedApi, folder: Path, version: str) -> None:
        self.api = api
        self.fleet = git.init_bare(folder / "fleet.git", server=True).path
        self.origin = folder / "project.git"
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(self.origin)], check=True)
        self.one = join(make_client(version, name="pc1", token="token-of-pc1"), api, "PC1", self.fleet)
        self.two = join(make_client(version, name="pc2", token="token-of-pc2"), api, "PC2", self.fleet)
        self.work = self.one.client.project
        git_of(self.work, "init", "-q", "-b", "main")
        (self.work / "changed.txt").write_text("before\n", encoding="utf-8")
        git_of(self.work, "add", ".")
        git_of(self.work, "commit", "-qm", "first")
        git_of(self.work, "remote", "add", "origin", str(self.origin))
        git_of(self.work, "push", "-q", "origin", "main")
        (self.work / "changed.txt").write_text("after\n", encoding="utf-8")
        clones = self.two.client.home / "projects"
        clones.mkdir()
        subprocess.run(["git", "clone", "-q", str(self.origin), str(clones / "clone")], check=True)
        self.two.configure_top(roots=[str(clones)])

    def sent(self, *steps: Step, text: str = "all is done") -> tuple[str, str]:
        """A session stopped by a limit on PC1 after its first step and handed to PC2, where the other steps come."""
        self.api.set_plan({"steps": [bash("echo one > a.txt"), *steps], "default": {"text": text}})
        self.api.limit_until(float("inf"), after=1, lasts=3600, account=self.one.client.token)
        stopped = self.one.client.headless(PROMPT, *ALLOWED)
        assert stopped.returncode == 1 and "limit" in stopped.text
        answer = self.one.program("save_handoff", "--to", "PC2", "--session", stopped.session)
        assert answer.returncode == 0, answer.stderr
        return stopped.session, answer.stdout.split()[1]

    def place(self) -> Path:
        """Where PC2 has unpacked it."""
        (found,) = (self.two.home.root / "work").glob("project-*")
        return found

    def record(self, pc: Pc, handoff_id: str) -> Record:
        return next(record for record in pc.handoffs() if record["id"] == handoff_id)

    def rounds(self, pc: Pc, wanted: Callable[[], Any], timeout: float = 90) -> Any:
        """Rounds of a PC until something is true; what it is then."""
        deadline = time.monotonic() + timeout
        while True:
            made = pc.program("accept_handoff")
            assert made.returncode in (0, 75), made.stderr
            found = wanted()
            if found:
                return found
            assert time.monotonic() < deadline, f"{made.stdout}{made.stderr}\n{pc.story(pc.handoffs())}"

    def parts(self) -> list[int]:
        """The epochs whose parts the remote has."""
        listed = git_of(self.fleet, "for-each-ref", "--format=%(refname)", "refs/trinity/work").split()
        return sorted(int(ref.rpartition(".e")[2]) for ref in listed)

    def served(self, pc: Pc, session: str) -> list[Any]:
        """What this PC's client asked the API and was answered."""
        return [r for r in self.api.main_requests(session) if r.account == pc.client.token and not r.limited]

    def json(self, pc: Pc, *command: str) -> Record:
        done = pc.program(*command, "--json")
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout))
