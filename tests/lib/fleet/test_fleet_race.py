"""Many PCs, one remote: nothing is accepted twice and nothing is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.lib.fleet import history
from trinity.fleet import operations
from trinity.fleet.state import State

HANDOFFS = 12
WORKER = Path(__file__).with_name("claiming_worker.py")
LIB = Path(__file__).resolve().parents[3] / "lib"


@pytest.mark.parametrize("pcs", [3, 5])
def test_twelve_handoffs_raced_by_real_processes_are_each_claimed_once(
    pcs: int,
    tmp_path: Path,
    remote: Path,
    new_state: Callable[..., State],
    new_record: Callable[..., dict[str, Any]],
) -> None:
    writer = new_state("WRITER")
    ids = []
    for _ in range(HANDOFFS):
        operation = operations.create("WRITER", new_record(), wake=False)
        ids.append(operation["record"]["id"])
        assert writer.change(operation["id"], operations.subject(operation), operations.decision(operation)).done

    workers = [
        subprocess.Popen(
            [sys.executable, str(WORKER), str(tmp_path / f"w{at}"), str(remote), f"PC{at}", str(at)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(LIB)},
            text=True,
        )
        for at in range(pcs)
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    acknowledged = []
    lost = 0
    for at, worker in enumerate(workers):
        said, _ = worker.communicate(timeout=120)
        assert worker.returncode == 0
        for line in said.splitlines():
            word, number = line.split()
            if word == "lost":
                lost += int(number)
            else:
                acknowledged.append((word, int(number), f"PC{at}"))

    seen = history.read(remote)
    claims = seen.claims()
    assert sorted(handoff_id for handoff_id, _, _ in claims) == sorted(ids)  # none twice, none lost
    assert sorted(acknowledged) == sorted(claims)
    assert all(records[-1]["state"] == "done" for records in seen.records.values())
    assert len({owner for _, _, owner in claims}) > 1, "nobody took part but one"
    assert lost > 0, "there was no race"
