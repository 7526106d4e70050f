"""PCs race for handoffs, as real processes on one remote: which of them believe that they accepted which handoff?

    race.py [--protocol swap|move|ack|field] [--pcs 5] [--handoffs 12] [--rounds 10] [--seed 0] [--quick]

`swap` is this project's; the others are the obvious ones, which accept handoffs twice. `--quick` is one round. Exit 0 when
`swap` accepted each handoff exactly once in every round, or when another protocol was found out.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(CHECKOUT / "lib"), str(CHECKOUT)]

from tests.lib.fleet import history
from trinity import clock, git
from trinity.fleet import names, operations
from trinity.fleet.state import open_state
from trinity.home import open_home

PROTOCOLS = ("swap", "move", "ack", "field")
SWAP_WORKER = CHECKOUT / "tests" / "lib" / "fleet" / "claiming_worker.py"
NAIVE_WORKER = Path(__file__).with_name("naive_worker.py")


@dataclass(frozen=True)
class Outcome:
    """`accepted`: (handoff, epoch, PC), as the PCs believe; `overtaken`: how often somebody else was faster."""

    ids: list[str]
    accepted: list[tuple[str, int, str]]
    overtaken: int
    remote: Path

    def twice(self) -> list[str]:
        counted = Counter(handoff_id for handoff_id, _, _ in self.accepted)
        return sorted(handoff_id for handoff_id, times in counted.items() if times > 1)

    def never(self) -> list[str]:
        return sorted(set(self.ids) - {handoff_id for handoff_id, _, _ in self.accepted})


def race(folder: Path, protocol: str, pcs: int, handoffs: int, seed: int) -> Outcome:
    """One round in a new folder."""
    ids = [names.new_id() for _ in range(handoffs)]
    remote = git.init_bare(folder / "fleet.git", server=True).path
    (_write_records if protocol == "swap" else _write_files)(folder, remote, ids)
    workers = []
    for at in range(pcs):
        own = [str(SWAP_WORKER)] if protocol == "swap" else [str(NAIVE_WORKER), protocol]
        workers.append(
            subprocess.Popen(
                [sys.executable, *own, str(folder / f"w{at}"), str(remote), f"PC{at}", str(seed * 100 + at)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": str(CHECKOUT / "lib")},
                text=True,
            )
        )
    for worker in workers:
        if worker.stdout is None or worker.stdout.readline() != "ready\n":
            raise RuntimeError("a worker did not come up")
    for worker in workers:
        if worker.stdin is not None:
            worker.stdin.write("go\n")
            worker.stdin.flush()
    accepted, overtaken = [], 0
    for at, worker in enumerate(workers):
        said, _ = worker.communicate(timeout=300)
        if worker.returncode:
            raise RuntimeError(f"worker {at} ended with {worker.returncode}")
        for line in said.splitlines():
            word, number = line.split()
            if word == "lost":
                overtaken += int(number)
            else:
                accepted.append((word, int(number), f"PC{at}"))
    return Outcome(ids, accepted, overtaken, remote)


def check(outcome: Outcome) -> None:
    """What must hold of a round of `swap`, by the history of the ref itself; raises AssertionError."""
    seen = history.read(outcome.remote)
    claims = seen.claims()
    assert sorted(handoff_id for handoff_id, _, _ in claims) == sorted(outcome.ids), "accepted twice, or lost"
    assert sorted(outcome.accepted) == sorted(claims), "a PC believes what the fleet does not"
    assert all(records[-1]["state"] == "done" for records in seen.records.values())
    assert len({owner for _, _, owner in claims}) > 1, "nobody took part but one"
    assert outcome.overtaken > 0, "there was no race"


def _write_records(folder: Path, remote: Path, ids: list[str]) -> None:
    state = open_state(open_home(folder / "writer", create=True), remote, "WRITER")
    for handoff_id in ids:
        record = {
            "kind": "handoff",
            "version": 1,
            "id": handoff_id,
            "from_pc": "WRITER",
            "to_pc": "PC1",
            "timestamp": clock.iso(),
            "reason": "race",
            "task_queue": [],
            "current_work": {},
            "credit_state": {"rate_limit_count": 0, "error_rate": 0.0, "avg_response_time": 0.0},
            "state": "queued",
            "epoch": 0,
        }
        operation = operations.create("WRITER", record, wake=False)
        change = state.change(operation["id"], operations.subject(operation), operations.decision(operation))
        assert change.done, change.reason


def _write_files(folder: Path, remote: Path, ids: list[str]) -> None:
    tree = folder / "writer"
    (tree / "handoff").mkdir(parents=True)
    for handoff_id in ids:
        text = json.dumps({"id": handoff_id, "reason": "race", "accepted_by": None}, indent=2)
        (tree / "handoff" / f"{handoff_id}.json").write_text(text, encoding="utf-8")
    repository = git.Repository(tree)
    repository.run("init", "-q", "-b", "main", ".")
    repository.run("add", "-A")
    repository.run("commit", "-q", "-m", "start")
    repository.run("push", "-q", str(remote), "main")
    git.Repository(remote, bare=True).run("symbolic-ref", "HEAD", "refs/heads/main")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--protocol", choices=PROTOCOLS, default="swap")
    parser.add_argument("--pcs", type=int, default=5)
    parser.add_argument("--handoffs", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="one round")
    options = parser.parse_args(argv)
    twice = 0
    for number in range(1 if options.quick else options.rounds):
        with tempfile.TemporaryDirectory(prefix="trinity-race-") as folder:
            outcome = race(Path(folder), options.protocol, options.pcs, options.handoffs, options.seed + number)
            if options.protocol == "swap":
                check(outcome)
            twice += len(outcome.twice())
            print(
                f"{options.protocol}, round {number + 1}: {len(outcome.twice())} of {options.handoffs} accepted twice, "
                f"{len(outcome.never())} by nobody, {outcome.overtaken} times overtaken",
                flush=True,
            )
    return int(bool(twice)) if options.protocol == "swap" else int(not twice)


if __name__ == "__main__":
    raise SystemExit(main())
