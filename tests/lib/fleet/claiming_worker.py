"""A PC that claims every handoff it can: `HOME REMOTE PC SEED`; prints `id epoch` for each claim it was given
and ends with `lost N`, how often others were faster."""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

from trinity import clock
from trinity.errors import Busy
from trinity.fleet import handoffs, names, operations
from trinity.fleet.handoffs import Found
from trinity.fleet.state import Change, State, open_state
from trinity.home import open_home


def persist(state: State, operation: dict[str, object]) -> Change:
    while True:
        try:
            return state.change(str(operation["id"]), operations.subject(operation), operations.decision(operation))
        except Busy:
            continue


def main(root: str, remote: str, pc: str, seed: str) -> None:
    random.seed(int(seed))
    state = open_state(open_home(Path(root), create=True), remote, pc)
    ids = [path[-21:-5] for path in state.fetch().paths(names.HANDOFF)]
    print("ready", flush=True)
    sys.stdin.readline()
    random.shuffle(ids)
    lost = 0
    for handoff_id in ids:
        change = persist(state, operations.claim(pc, handoff_id, anyone=True))
        lost += change.tries - 1
        if not change.done:
            continue
        found = handoffs.find(state.at(change.oid), handoff_id)
        assert isinstance(found, Found)
        epoch = found.record["epoch"]
        print(handoff_id, epoch, flush=True)
        assert persist(state, operations.running(pc, handoff_id, epoch, {"started": clock.iso()})).done
        assert persist(state, operations.done(pc, handoff_id, epoch, "made")).done
        time.sleep(random.uniform(0.1, 0.4))  # one PC without a pause keeps winning: losers fetch first, and wait
    print("lost", lost)


if __name__ == "__main__":
    main(*sys.argv[1:])
