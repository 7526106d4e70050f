"""A PC whose client is the stand-in: sessions that a limit stopped, and rounds over them as processes or in this one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.faults import stand_in
from trinity import config, files, git, home
from trinity.config import Account, Config, Resume
from trinity.credit import evaluation
from trinity.relay import accept, act
from trinity.relay.link import Link
from trinity.relay.rounds import Round
from trinity.setup import membership

CHECKOUT = Path(__file__).resolve().parents[2]
PROMPT = "write a.txt, then tell me"


def limit(resets_at: float, window: str = "five_hour") -> dict[str, Any]:
    """Members of the error line of a usage limit."""
    quota = {"status": "rejected", "rateLimitType": window, "resetsAt": resets_at}
    return {"error": "rate_limit", "text": "You've hit your limit", "apiErrorStatus": 429, "quotaLimits": quota}


class Stage:
    """Everything lies below `folder`; resumed sessions start at once after their reset. `through`: what a
    program of Trinity is run by, if not by Python alone."""

    def __init__(
        self,
        folder: Path,
        pc: str = "PC1",
        fleet: Path | None = None,
        kind: str = "api",
        label: str = "",
        **resume: Any,
    ) -> None:
        self.folder = folder
        self.project = folder / "project"
        self.profile = folder / ".claude"
        self.client = folder / "client" / "claude"
        for made in (self.project, self.profile, self.client.parent):
            made.mkdir(parents=True)
        text = Path(stand_in.__file__).read_text(encoding="utf-8")
        self.client.write_text(f"#!{sys.executable} -SE\n{text}", encoding="utf-8")
        self.client.chmod(0o700)
        self.plan({"do": "answer"})
        self.home = home.open_home(folder / "trinity", create=True)
        self.through: tuple[str, ...] = ()
        self.config = Config(
            pc=pc,
            fleet_url=str(fleet) if fleet else None,
            account=Account(label=label or f"of {pc}", kind=kind) if fleet else Account(),
            profiles=(str(self.profile),),
            client=str(self.client),
            interval_seconds=1,
            resume=Resume(**{"after_reset_seconds": 0, **resume}),
        )
        if fleet:
            self.config = membership.declare(self.home, self.config, None).config
        else:
            config.save(self.home, self.config)

    def plan(self, *entries: Mapping[str, Any]) -> None:
        """What the client does at each start, see `stand_in`."""
        (self.client.parent / "plan.json").write_text(json.dumps(entries), encoding="utf-8")

    def with_files(self) -> None:
        """The project is a repository, with a file that was not committed."""
        repository = git.Repository(self.project)
        repository.run("init", "-q", "-b", "main", ".")
        (self.project / "kept.txt").write_text("kept\n", encoding="utf-8")
        repository.run("add", ".")
        repository.run("commit", "-qm", "first")
        (self.project / "new.txt").write_text("not committed\n", encoding="utf-8")

    def transcript(self, session: str) -> Path:
        return self.profile / "projects" / "-project" / f"{session}.jsonl"

    def stopped(self, session: str, resets_in: float, **how: Any) -> Path:
        """A session that was stopped just now by a limit that ends so many seconds from now; its transcript."""
        path = self.transcript(session)
        path.parent.mkdir(parents=True, exist_ok=True)
        at = os.getcwd()
        os.chdir(self.project)
        try:
            said = {"role": "user", "content": PROMPT}
            entry = {"entrypoint": "cli"} if how.pop("interactive", False) else {}
            stand_in.append(path, session, type="user", promptId=f"p-{session}", message=said, **entry)
            time.sleep(0.002)
            stand_in.error(path, session, **{**limit(time.time() + resets_in), **how, **entry})
        finally:
            os.chdir(at)
        return path

    def round(self) -> Round:
        """One round in this process, as the daemon's child makes it."""
        answer = evaluation.evaluate(self.home, self.config)
        if answer.stopped:
            act.act(self.home, self.config, answer)
            answer = evaluation.evaluate(self.home, self.config)
        return accept.run(self.home, self.config, answer)

    def rounds_until(self, *states: str, timeout: float = 10, epoch: int = 0) -> list[dict[str, Any]]:
        """Rounds until the handoffs are in these states, and were claimed `epoch` times."""
        deadline = time.monotonic() + timeout
        while True:
            self.round()
            found = self.handoffs()
            if [record["state"] for record in found] == list(states) and all(r["epoch"] >= epoch for r in found):
                return found
            assert time.monotonic() < deadline, self.story()
            time.sleep(0.1)

    def program(self, name: str, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
        """A program of Trinity as a process of its own, in the environment of this PC and nobody else's."""
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "TRINITY_HOME": str(self.home.root)}
        command = [sys.executable, *self.through, str(CHECKOUT / "scripts" / f"{name}.py"), *arguments]
        return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, **options)

    def handoffs(self) -> list[dict[str, Any]]:
        """All handoffs of the state, oldest first."""
        link = Link(self.home, self.config)
        return link.handoffs(link.refresh())

    def starts(self, what: str = "start") -> list[dict[str, Any]]:
        """Each start (or "end") of a client."""
        file = self.client.parent / "starts.jsonl"
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        return [entry for entry in map(json.loads, lines) if entry["what"] == what]

    def story(self) -> str:
        """All that is known, for a failing test's message."""
        lines = [json.dumps(record, indent=1) for record in self.handoffs()]
        lines += [json.dumps(start) for start in self.starts()]
        for log in sorted(self.home.logs.glob("*.log")):
            lines.append(f"--- {log.name}\n{log.read_text(encoding='utf-8')[-4000:]}")
        lines += [str(path) for path in self.home.quarantine.iterdir()]
        return "\n".join(lines)

    def change(self, handoff_id: str, **news: Any) -> None:
        """Write members of a journal entry anew, as a fault would leave them."""
        for path in self.home.journal.glob(f"{handoff_id}.e*"):
            files.write_json(path, {**files.read_json(path), **news})
