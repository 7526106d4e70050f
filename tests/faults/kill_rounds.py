"""kill -9 at random moments between a limit and the resumed session's first answer: one resume, and nothing lost.

Each session is stopped by a limit that is over in a moment. The programs that park and resume it (the daemon's round, the
hooks' evaluation, handing over and accepting by hand) are started and killed, several times for each session; then rounds
run in peace. Every session must then be done, resumed by exactly one client that answered.

By hand: python tests/faults/kill_rounds.py [--kills 150] [--seed N]; --quick takes 30 s, longer on a busy machine.
It says where the kills hit: a run whose kills all came too early or too late would prove nothing, and fails.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parents[2] / "lib")]

from tests.faults.stage import Stage

# The round of the daemon is what usually runs.
PROGRAMS = (("credit_monitor", "--once"),) * 3 + (("accept_handoff",),)
FIRST_PROGRAMS = (("credit_monitor", "--once"), ("evaluate_status", "--act"), ("save_handoff",))
SESSIONS_A_STAGE = 8
KILLS_A_SESSION = 4
QUIET: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


class Rounds:
    """The kills and what they hit; `seed` makes a run again as far as time allows."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.random = random.Random(seed)
        self.stage: Stage | None = None
        self.sessions = 0
        self.hits: Counter[str] = Counter()
        self.problems: list[str] = []

    def session(self) -> None:
        """Stop one session, kill what wants to resume it, let it be resumed, and look."""
        if self.sessions % SESSIONS_A_STAGE == 0:
            self.stage = Stage(self.folder / f"stage{self.sessions}")
        assert self.stage is not None
        stage, session = self.stage, f"session-{self.sessions}"
        self.sessions += 1
        stage.plan({"do": "answer", "seconds": self.random.choice((0, 0.3, 0.8)), "stay": self.random.choice((0, 0.3))})
        stage.stopped(session, resets_in=self.random.choice((0.2, 1.0)))
        self._kill(stage, session, self.random.choice(FIRST_PROGRAMS))
        for _ in range(KILLS_A_SESSION - 1):
            self._kill(stage, session, self.random.choice(PROGRAMS))
        self._settle(stage)
        self._check(stage, session)

    def _kill(self, stage: Stage, session: str, command: tuple[str, ...]) -> None:
        # At any moment, or a moment after the next file of the outbox, the view of what was claimed, the journal.
        aim = self.random.choice((None, stage.home.outbox, stage.home.processed, stage.home.journal))
        before = _names(aim)
        process = stage.program(*command, **QUIET)
        deadline = time.monotonic() + (6 if aim else self.random.uniform(0.15, 0.8))
        while time.monotonic() < deadline and process.poll() is None and _names(aim) <= before:
            time.sleep(0.002)
        time.sleep(self.random.uniform(0, 0.08))
        ended = process.poll() is not None
        process.kill()
        process.wait()
        self.hits["too late" if ended else f"{command[0]}, {self._phase(stage, session)}"] += 1

    def _phase(self, stage: Stage, session: str) -> str:
        """How far the resume had come, from the files alone."""
        if any(start["session"] == session for start in stage.starts()):
            return "client started"
        for path in stage.home.processed.glob("handoff_*.json"):
            record = json.loads(path.read_bytes())
            if record["sessions"] and record["sessions"][0]["session_id"] == session:
                entries = list(stage.home.journal.glob(f"{record['id']}.e{record['epoch']}"))
                return "journal written" if entries else "claimed"
        made = any(session.encode() in path.read_bytes() for path in stage.home.handoff.glob("handoff_*.json"))
        return "handed over" if made else "before the handoff"

    def _settle(self, stage: Stage) -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            stage.program("credit_monitor", "--once", **QUIET).wait(timeout=60)
            found = stage.handoffs()
            if found and all(record["state"] in ("done", "dead") for record in found) and len(found) >= self._made():
                return

    def _made(self) -> int:
        return (self.sessions - 1) % SESSIONS_A_STAGE + 1

    def _check(self, stage: Stage, session: str) -> None:
        mine = [r for r in stage.handoffs() if r["sessions"] and r["sessions"][0]["session_id"] == session]
        starts = [start for start in stage.starts() if start["session"] == session]
        others = {start["session"] for start in stage.starts()} - {f"session-{n}" for n in range(self.sessions)}
        answers = stage.transcript(session).read_bytes().count(b'"answer 0"')
        wrong = []
        if [record["state"] for record in mine] != ["done"]:
            wrong.append(f"handoffs {[(record['state'], record['outcome']) for record in mine]}")
        if len(starts) != 1 or answers != 1:
            wrong.append(f"{len(starts)} starts, {answers} answers")
        if others:
            wrong.append(f"new conversations {sorted(others)}")
        if wrong:
            self.problems.append(f"{session}: {'; '.join(wrong)}\n{stage.story()}")

    def report(self) -> list[str]:
        """What was done; then what went wrong."""
        kills = sum(self.hits.values()) - self.hits["too late"]
        lines = [f"{self.sessions} sessions, {kills} kills that hit, {len(self.problems)} problems"]
        lines += [f"  {count:4} {where}" for where, count in sorted(self.hits.items())]
        return lines + self.problems

    def enough(self) -> bool:
        """Did kills fall before and after the claim?"""
        text = " ".join(self.hits)
        return "handed over" in text and ("client started" in text or "journal" in text or "claimed" in text)


def _names(folder: Path | None) -> set[str]:
    # A folder may not have been made yet.
    return {path.name for path in folder.glob("*")} if folder else set()


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=150)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument(
        "--quick", action="store_true", help="as many as fit into 25 seconds, and more until they have hit"
    )
    arguments = parser.parse_args(argv)
    folder = Path(tempfile.mkdtemp(prefix="kill-rounds-"))
    rounds = Rounds(folder, arguments.seed)
    end = time.monotonic() + 25
    while sum(rounds.hits.values()) < arguments.kills and not (
        arguments.quick and time.monotonic() > end and rounds.enough()
    ):
        rounds.session()
    print(f"seed {arguments.seed}", *rounds.report(), sep="\n")
    if not rounds.enough():
        print("the kills missed what they are for")
    if not rounds.problems:
        shutil.rmtree(folder)
    return 0 if rounds.enough() and not rounds.problems else 1


if __name__ == "__main__":
    raise SystemExit(main())
