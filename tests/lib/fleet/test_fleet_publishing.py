"""`kill -9` between parts and done: each piece of work is published once, with parts that are there."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from tests.lib.fleet import history
from trinity.fleet import operations, parts
from trinity.fleet.state import State

HANDOFFS = 6
KILLS_EACH = 8
WORKER = Path(__file__).with_name("publishing_worker.py")
LIB = Path(__file__).resolve().parents[3] / "lib"


class Pc:
    """A PC whose worker is killed again and again, then left to finish."""

    def __init__(self, root: Path, remote: Path, pc: str, seed: int) -> None:
        self.command = [sys.executable, str(WORKER), str(root), str(remote), pc]
        self.random = random.Random(seed)
        self.done: list[str] = []
        self.killed = 0
        self.gits = 0
        self.ended = 0

    def run(self) -> None:
        for number in range(KILLS_EACH + 1):
            worker = subprocess.Popen(
                self.command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(LIB)}, text=True
            )
            assert worker.stdout is not None
            assert worker.stdout.readline() == "up\n"
            if number < KILLS_EACH:
                time.sleep(self.random.uniform(0.05, 1.0))
                if self.random.random() < 0.5:
                    self._kill_git(worker.pid)
                if worker.poll() is None:
                    worker.kill()
                    self.killed += 1
            said = worker.stdout.read().splitlines(keepends=True)
            self.done += [line.split()[1] for line in said if line.startswith("done ") and line.endswith("\n")]
            worker.wait(timeout=120)
            self.ended += worker.returncode == 0

    def _kill_git(self, pid: int) -> None:
        try:
            below = psutil.Process(pid).children(recursive=True)
            if below:
                self.random.choice(below).kill()
                self.gits += 1
                time.sleep(self.random.uniform(0, 0.05))
        except psutil.NoSuchProcess:
            pass  # it ended in between: no hit, and not counted


def test_killed_at_any_moment_each_handoff_is_published_once_with_parts_that_are_there(
    tmp_path: Path, remote: Path, new_state: Callable[..., State], new_record: Callable[..., dict[str, Any]]
) -> None:
    writer = new_state("WRITER")
    ids = []
    for _ in range(HANDOFFS):
        operation = operations.create("WRITER", new_record(), wake=False)
        ids.append(operation["record"]["id"])
        assert writer.change(operation["id"], operations.subject(operation), operations.decision(operation)).done
    pcs = [Pc(tmp_path / f"w{at}", remote, f"PC{at}", at) for at in (1, 2)]
    threads = [threading.Thread(target=pc.run) for pc in pcs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    hits = [(pc.killed, pc.gits, pc.ended, len(pc.done)) for pc in pcs]
    assert all(pc.ended >= 1 for pc in pcs), hits
    assert sum(pc.killed for pc in pcs) >= KILLS_EACH // 2 and sum(pc.gits for pc in pcs) >= 1, hits

    seen = history.read(remote)
    listed = parts.list_parts(writer)
    assert sorted(seen.records) == sorted(ids)
    for handoff_id, records in seen.records.items():
        finished = [record for record in records if record["state"] == "done"]
        assert len(finished) == 1 and records[-1] == finished[0]
        (record,) = finished
        named = record["parts"]
        assert listed[(handoff_id, record["epoch"])] == named["oid"]
        got = parts.fetch_parts(writer, handoff_id, named["epoch"], tmp_path / handoff_id, named["oid"])
        assert got["result"].read_bytes() == f"{handoff_id} {record['epoch']} {record['owner']}".encode()
        assert len(got["work"].read_bytes()) == 20_000 * len(f"{handoff_id} {record['epoch']} {record['owner']}\n")
    assert set(pcs[0].done).isdisjoint(pcs[1].done)
