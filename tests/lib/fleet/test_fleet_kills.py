"""`kill -9` at any moment, of the writer or of a git process below it: nothing acknowledged is lost or counted twice."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil

from tests.lib.fleet import history
from trinity.errors import Busy
from trinity.fleet import embedded, outbox
from trinity.fleet.state import open_state
from trinity.home import Home

KILLS_EACH = 30
WORKER = Path(__file__).with_name("writing_worker.py")
LIB = Path(__file__).resolve().parents[3] / "lib"


class Murder:
    """One PC whose writer is killed again and again; counts what it hit, and what the writer had said before."""

    def __init__(self, root: Path, remote: Path, pc: str, seed: int) -> None:
        self.command = [sys.executable, str(WORKER), str(root), str(remote), pc]
        self.random = random.Random(seed)
        self.safe: list[str] = []
        self.there = 0
        self.patience = 0.5
        self.writers = 0
        self.gits = 0

    def run(self) -> None:
        for _ in range(KILLS_EACH):
            worker = subprocess.Popen(
                self.command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(LIB)}, text=True
            )
            assert worker.stdout is not None
            said = [worker.stdout.readline()]  # it works from here on
            assert said[0].startswith("safe"), "the writer did not come up"
            time.sleep(self.random.uniform(0, self.patience))
            if self.random.random() < 0.4:
                self._kill_git(worker.pid)
                time.sleep(self.random.uniform(0, 0.05))
            assert worker.poll() is None, "the writer ended by itself"
            worker.kill()
            self.writers += 1
            # A line that was torn by the kill was not acknowledged.
            said += [line for line in worker.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
            worker.wait()
            self.safe += [line.split()[1] for line in said if line.startswith("safe")]
            gained = sum(int(line.split()[1]) for line in said if line.startswith("there"))
            # On a busy machine a fixed time would kill every writer before its first change, and show nothing.
            self.patience = 0.5 if gained else min(4.0, self.patience * 1.4)
            self.there += gained

    def _kill_git(self, pid: int) -> None:
        deadline = time.monotonic() + 0.5
        while time.monotonic() < deadline:
            try:
                below = psutil.Process(pid).children(recursive=True)
                if below:
                    self.random.choice(below).kill()
                    self.gits += 1
                    return
            except psutil.NoSuchProcess:
                pass  # it ended in between: no hit, and not counted


def test_sixty_kills_lose_nothing_that_was_acknowledged_and_count_nothing_twice(home: Home, tmp_path: Path) -> None:
    remote = embedded.make(home)
    murders = [Murder(home.root, remote, "PC1", 1), Murder(tmp_path / "other", remote, "PC2", 2)]
    threads = [threading.Thread(target=murder.run) for murder in murders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    hits = [(murder.writers, murder.gits, murder.there, len(murder.safe)) for murder in murders]
    assert all(writers == KILLS_EACH for writers, _, _, _ in hits), hits
    assert sum(gits for _, gits, _, _ in hits) >= 5, hits
    assert sum(there for _, _, there, _ in hits) >= 3, f"no progress: {hits}"
    assert len(history.read(remote).operations) >= KILLS_EACH // 2, (
        "too few of the changes came through in spite of the kills"
    )

    for root, pc in ((home.root, "PC1"), (tmp_path / "other", "PC2")):
        own = Home(root)
        state = open_state(own, remote, pc)
        for _ in range(4):
            try:
                outbox.deliver(own, state)
            except Busy:
                continue
            if not outbox.pending(own):
                break
        assert outbox.pending(own) == []
        assert [path for path in own.quarantine.iterdir() if ".json" in path.name] == []

    seen = history.read(remote)
    acknowledged = [operation for murder in murders for operation in murder.safe]
    assert len(set(acknowledged)) == len(acknowledged)
    assert set(acknowledged) <= set(seen.operations)
    # Beyond the acknowledged: only what was safe when the kill came before it was said.
    assert len(seen.operations) - len(acknowledged) <= 2 * KILLS_EACH
    assert len(seen.records) == len(seen.operations)
