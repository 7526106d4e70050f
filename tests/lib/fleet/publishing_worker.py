"""A PC that does every handoff it can get: `HOME REMOTE PC`; claims, pushes parts, says done; prints `done ID` for each.

It may be killed at any moment and started again: what it holds by then it goes on with.
"""

from __future__ import annotations

import sys
from pathlib import Path

from trinity import clock
from trinity.errors import Busy
from trinity.fleet import handoffs, operations, outbox, parts
from trinity.fleet.state import State, open_state
from trinity.home import Home, open_home


def do(home: Home, state: State, operation: dict[str, object]) -> None:
    outbox.put(home, operation, state)
    while True:
        try:
            outbox.deliver(home, state)
            return
        except Busy:
            continue


def work(home: Home, state: State, pc: str, record: dict[str, object]) -> None:
    handoff_id, epoch = str(record["id"]), int(str(record["epoch"]))
    draft = home.root / f"{handoff_id}.draft"
    draft.write_bytes(f"{handoff_id} {epoch} {pc}\n".encode() * 20_000)
    do(home, state, operations.running(pc, handoff_id, epoch, {"started": clock.iso()}))
    first = parts.push_parts(state, handoff_id, epoch, {"work": draft})
    do(home, state, operations.publish(pc, handoff_id, epoch, first.document()))
    last = parts.push_parts(state, handoff_id, epoch, {"work": draft, "result": f"{handoff_id} {epoch} {pc}".encode()})
    do(home, state, operations.done(pc, handoff_id, epoch, "made", last.document()))
    print("done", handoff_id, flush=True)


def main(root: str, remote: str, pc: str) -> None:
    home = open_home(Path(root), create=True)
    state = open_state(home, remote, pc, patience=5)
    print("up", flush=True)
    while True:
        try:
            outbox.deliver(home, state)
            records = [found.record for found in handoffs.listing(state.fetch())[0]]
            mine = [record for record in records if record["owner"] == pc and record["state"] != "done"]
            free = [record for record in records if record["state"] == "queued"]
            if mine:
                work(home, state, pc, mine[0])
            elif free:
                do(home, state, operations.claim(pc, free[0]["id"], anyone=True))
            elif all(record["state"] == "done" for record in records):
                return
        except Busy:
            continue


if __name__ == "__main__":
    main(*sys.argv[1:])
