"""A PC that hands over for ever: `HOME REMOTE PC`; prints `safe ID` once an operation is safe, `there N` as N left."""

from __future__ import annotations

import sys
from pathlib import Path

from trinity import clock
from trinity.errors import Busy
from trinity.fleet import names, operations, outbox
from trinity.fleet.state import open_state
from trinity.home import open_home


def main(root: str, remote: str, pc: str) -> None:
    home = open_home(Path(root), create=True)
    state = open_state(home, remote, pc, patience=5)
    while True:
        record = {
            "kind": "handoff",
            "version": 1,
            "id": names.new_id(),
            "from_pc": pc,
            "to_pc": pc,
            "timestamp": clock.iso(),
            "reason": "credit_exhaustion",
            "task_queue": [],
            "current_work": {},
            "credit_state": {"rate_limit_count": 1, "error_rate": 0.0, "avg_response_time": 0.0},
            "state": "queued",
            "epoch": 0,
        }
        operation_id = outbox.put(home, operations.create(pc, record), state)
        print("safe", operation_id, flush=True)
        try:
            delivered = outbox.deliver(home, state)
        except Busy:
            continue
        print("there", sum(each.outcome == "applied" for each in delivered), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
