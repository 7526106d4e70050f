"""kill -9 at random moments while work goes from PC to PC: it ends in exactly one place, whole, and never runs twice.

Each session is stopped on PC1 by a limit of an hour; so it goes to PC2, where it is finished, or is stopped again and goes
to PC3. The programs of all three PCs (the daemon and its rounds, the hooks' evaluation, handing over and accepting by hand)
are started and killed, several times for each session; a word of an epoch that is over is slipped in between. Then rounds
run in peace, and the handoff must be done, each stop of the way started once, no two clients having run at a time, the
conversation with every answer and the files where it ended, and the conversation closed everywhere else.

By hand: python tests/faults/kill_fleet.py [--kills 200] [--seed N] [--mutant NAME]; --quick is the least that proves much.
It says where the kills hit: a run whose kills all came too early or too late would prove nothing, and fails. With a
mutant (tests/faults/mutant.py) it stops at the first problem, and fails without one.
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
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parents[2] / "lib")]

from tests.faults.mutant import MUTANTS
from tests.faults.stage import Stage, limit
from tests.lib.fleet import history
from trinity import git
from trinity.fleet import operations
from trinity.relay.link import Link
from trinity.work import fence

PCS = ("PC1", "PC2", "PC3")
ROUND = ("credit_monitor", "--once")
FIRST_PROGRAMS = (ROUND, ("evaluate_status", "--act"), ("save_handoff", "--to", "PC2"), ("credit_monitor",))
PROGRAMS = (ROUND, ROUND, ROUND, ("credit_monitor",), ("accept_handoff",), ("handoffs", "list"))
KILLS_A_SESSION = 6
SETTLE_SECONDS = 300
LIMIT_SECONDS = 3600
SESSION = "0b7e4c1d-52c4-4c35-9d0f-6a4d0f0c4b11"
MOST_REQUEUED = 2
LATE = "a late word"
QUIET: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


class Fleet:
    """Three PCs on one remote, PC1 with a stopped session in a repository with uncommitted work. `hops`: the PCs that the
    session is to run on."""

    def __init__(self, folder: Path, chance: random.Random, mutant: str | None) -> None:
        folder.mkdir()
        # What a mutant has spoilt does not mend itself.
        self.requeued = 0
        self.patience = 60 if mutant else SETTLE_SECONDS
        self.remote = git.init_bare(folder / "fleet.git", server=True).path
        self.pcs = {pc: Stage(folder / pc, pc, self.remote) for pc in PCS}
        self.hops = chance.choice((("PC2",), ("PC2", "PC3")))
        stay = chance.choice((0, 0.3, 3))
        for pc, stage in self.pcs.items():
            answers = {"do": "answer", "seconds": chance.choice((0, 0.3, 0.8)), "stay": stay}
            again = {"do": "error", "after": 1, "stay": stay, **limit(time.time() + LIMIT_SECONDS)}
            stage.plan(again if pc in self.hops[:-1] else answers)
            if mutant:
                stage.through = (str(Path(__file__).with_name("mutant.py")), mutant)
        self.pcs["PC1"].with_files()
        # Those that were heard of are equals, so the rotation decides.
        for process in [self.pcs[pc].program(*ROUND, **QUIET) for pc in PCS[1:]]:
            process.wait(timeout=180)
        self.pcs["PC1"].stopped(SESSION, LIMIT_SECONDS)

    def records(self) -> list[dict[str, Any]]:
        """The handoffs as the remote has them, each once, the newest word."""
        known = history.git(self.remote, "for-each-ref", "refs/heads/trinity-state")
        return [told[-1] for told in history.read(self.remote).records.values()] if known else []

    def starts(self) -> list[tuple[str, dict[str, Any]]]:
        """(PC, start) of every client, in order."""
        found = [(pc, start) for pc, stage in self.pcs.items() for start in stage.starts()]
        return sorted(found, key=lambda each: float(each[1]["time"]))

    def settle(self, between: Callable[[], None]) -> None:
        """Rounds in peace until the work is at its end; `between` two rounds."""
        deadline = time.monotonic() + self.patience
        while time.monotonic() < deadline:
            for stage in self.pcs.values():
                stage.program(*ROUND, **QUIET).wait(timeout=180)
                between()
            found = self.records()
            for record in found:
                if record["state"] == "dead" and self.requeued < MOST_REQUEUED:
                    # Killed three times before it could start anything, it is given up: a person has it go on.
                    self.pcs["PC1"].program("handoffs", "requeue", record["id"], **QUIET).wait(timeout=180)
                    self.requeued += 1
            if found and all(record["state"] == "done" for record in found):
                return

    def problems(self) -> list[str]:
        """What is not as it must be at the end."""
        found = self.records()
        if [record["state"] for record in found] != ["done"]:
            return [f"handoffs {[(r['state'], r['owner'] or r['to_pc'], r['outcome']) for r in found]}"]
        wrong = []
        starts = self.starts()
        if [pc for pc, _ in starts] != list(self.hops):
            wrong.append(f"started on {[pc for pc, _ in starts]}, not on {list(self.hops)}")
        if twice := self._at_a_time(starts):
            wrong.append(f"clients ran at the same time: {twice}")
        if found[0]["outcome"] == LATE:
            wrong.append("a word of an epoch that was over has ended it")
        if found[0]["owner"] != self.hops[-1]:
            wrong.append(f"it ended on {found[0]['owner']}")
        wrong += self._whole()
        open_ = [pc for pc in PCS[: len(self.hops)] if not fence.is_raised(self.pcs[pc].home, SESSION)]
        if open_:
            wrong.append(f"the conversation is open on {open_}, too")
        return wrong

    def _at_a_time(self, starts: list[tuple[str, dict[str, Any]]]) -> list[int]:
        # One that has met its limit works no more, though it may take its time to leave, or be ended.
        told = [each for stage in self.pcs.values() for what in ("end", "stopped") for each in stage.starts(what)]
        ends = {each["pid"]: each["time"] for each in told}
        pids = [start["pid"] for _, start in starts]
        return [
            pid
            for pid, (_, later) in zip(pids, starts[1:], strict=False)
            if ends.get(pid, float("inf")) > later["time"]
        ]

    def _whole(self) -> list[str]:
        last = self.pcs[self.hops[-1]]
        copies = list((last.profile / "projects").glob(f"*/{SESSION}.jsonl"))
        if len(copies) != 1:
            return [f"{len(copies)} conversations on {self.hops[-1]}"]
        answers = copies[0].read_bytes().count(b'"answer 0"')
        wrong = [] if answers == len(self.hops) else [f"{answers} answers in the conversation"]
        places = list((last.home.root / "work").glob("project-*"))
        if len(places) != 1 or not (places[0] / "new.txt").is_file():
            wrong.append(f"the files are in {[str(place) for place in places]}")
        return wrong

    def story(self) -> str:
        """All that is known of a session that went wrong."""
        lines = [f"--- {pc}\n{stage.story()}" for pc, stage in self.pcs.items()]
        log = history.git(self.remote, "log", "--format=%s", "trinity-state").decode("utf-8", "replace")
        return "\n".join([log, *map(str, self.starts()), *lines])


class Kills:
    """The kills and what they hit; `seed` makes a run again as far as time allows."""

    def __init__(self, folder: Path, seed: int, mutant: str | None = None) -> None:
        self.folder = folder
        self.random = random.Random(seed)
        self.mutant = mutant
        self.sessions = 0
        self.late_words = 0
        self.requeued = 0
        self.hits: Counter[str] = Counter()
        self.moves: Counter[str] = Counter()
        self.problems: list[str] = []

    def session(self) -> None:
        """Stop one session, kill what moves and resumes it, let it come to its end, and look."""
        fleet = Fleet(self.folder / f"fleet{self.sessions}", self.random, self.mutant)
        self.sessions += 1
        try:
            wrong = self._go(fleet)
        except AssertionError as error:
            wrong = [f"the history of the state: {error}"]
        self.moves[" → ".join(("PC1", *fleet.hops))] += 1
        if wrong:
            self.problems.append(f"session {self.sessions}: {'; '.join(wrong)}\n{'' if self.mutant else fleet.story()}")
        else:
            shutil.rmtree(fleet.remote.parent)

    def _go(self, fleet: Fleet) -> list[str]:
        self._kill(fleet, "PC1", self.random.choice(FIRST_PROGRAMS))
        for _ in range(KILLS_A_SESSION - 1):
            self._kill(fleet, self._where(fleet), self.random.choice(PROGRAMS))
            self._late_word(fleet)
        fleet.settle(lambda: self._late_word(fleet))
        self.requeued += fleet.requeued
        return fleet.problems()

    def _where(self, fleet: Fleet) -> str:
        """Mostly where the work is: elsewhere a round has little to do."""
        found = fleet.records()
        at = (found[0]["owner"] or found[0]["to_pc"]) if found else "PC1"
        return str(at) if self.random.random() < 0.8 else self.random.choice(PCS)

    def _kill(self, fleet: Fleet, pc: str, command: tuple[str, ...]) -> None:
        # At any moment, or a moment after the next file of the outbox, of what was claimed, started, unpacked or closed.
        stage = fleet.pcs[pc]
        home = stage.home
        aims = (None, home.outbox, home.processed, home.journal, home.root / "work", home.fence)
        aim = self.random.choice(aims)
        before = _names(aim)
        process = stage.program(*command, **QUIET)
        deadline = time.monotonic() + (8 if aim else self.random.uniform(0.2, 2))
        while time.monotonic() < deadline and process.poll() is None and _names(aim) <= before:
            time.sleep(0.002)
        time.sleep(self.random.uniform(0, 0.15))
        ended = process.poll() is not None
        process.kill()
        process.wait()
        self.hits["too late" if ended else f"{command[0]} on {pc}, {self._phase(fleet)}"] += 1

    def _phase(self, fleet: Fleet) -> str:
        """How far the work had come, from the remote and the files alone."""
        found = fleet.records()
        if not found:
            return "before the handoff"
        record = found[0]
        if record["state"] == "claimed":
            home = fleet.pcs[record["owner"]].home
            started = (home.journal / f"{record['id']}.e{record['epoch']}").exists()
            return f"{'start noted' if started else 'claimed'} on {record['owner']}"
        return f"{record['state']} on {record['owner'] or record['to_pc']}"

    def _late_word(self, fleet: Fleet) -> None:
        """A PC says of an epoch that is over what it would have said in it: it must not count."""
        found = [r for r in fleet.records() if r["state"] in ("claimed", "running") and r["epoch"] > 1]
        if not found:
            return
        record = found[0]
        stage = fleet.pcs["PC2"]
        late = operations.done("PC2", record["id"], 1, LATE)
        command = [sys.executable, *stage.through, __file__, "--say", str(stage.home.root), json.dumps(late)]
        subprocess.run(command, check=True, timeout=180)
        self.late_words += 1

    def hit(self) -> int:
        """Kills of a program that was still at work."""
        return sum(self.hits.values()) - self.hits["too late"]

    def report(self) -> list[str]:
        """What was done; then what went wrong."""
        ways = ", ".join(f"{count} {way}" for way, count in sorted(self.moves.items()))
        lines = [f"{self.sessions} sessions ({ways}), {self.hit()} kills that hit, {self.late_words} late words"]
        lines += (
            [f"  {self.requeued} given up after three starts that were killed, and requeued"] if self.requeued else []
        )
        lines += [f"  {count:4} {where}" for where, count in sorted(self.hits.items())]
        return [*lines, f"{len(self.problems)} problems", *self.problems]

    def enough(self) -> bool:
        """Did kills fall on both sides of a move?"""
        return any("on PC1, " in hit for hit in self.hits) and any(
            f"{word} on PC{n}" in hit
            for hit in self.hits
            for word in ("claimed", "start noted", "running")
            for n in (2, 3)
        )


def _names(folder: Path | None) -> set[str]:
    # A folder may not have been made yet.
    return {path.name for path in folder.glob("*")} if folder else set()


def _say(root: str, operation: str) -> int:
    from trinity import config, home

    own = home.open_home(root)
    Link(own, config.load(own)).submit(json.loads(operation), keep=False)
    return 0


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--mutant", choices=sorted(MUTANTS), help="with a safeguard switched off: must fail")
    parser.add_argument("--quick", action="store_true", help="as many as hit both sides of a move")
    parser.add_argument("--say", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.say:
        return _say(*arguments.say)
    folder = Path(tempfile.mkdtemp(prefix="kill-fleet-"))
    kills = Kills(folder, arguments.seed, arguments.mutant)
    while kills.hit() < arguments.kills and not (arguments.quick and kills.enough()):
        kills.session()
        print(f"{kills.hit()} kills, {len(kills.problems)} problems", file=sys.stderr, flush=True)
        if kills.mutant and kills.problems:
            break
    print(f"seed {arguments.seed}", *kills.report(), sep="\n")
    if arguments.mutant:
        shutil.rmtree(folder)
        return 0 if kills.problems else 1
    if not kills.enough():
        print("the kills missed what they are for")
    if not kills.problems:
        shutil.rmtree(folder)
    return 0 if kills.enough() and not kills.problems else 1


if __name__ == "__main__":
    raise SystemExit(main())
