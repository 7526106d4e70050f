"""Carries one file of zeros with little memory, for itself and each process below it: `FOLDER REMOTE MEGABYTES LIMIT`."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

from trinity.fleet import parts
from trinity.fleet.state import open_state
from trinity.home import open_home


def main(folder: str, remote: str, megabytes: str, limit: str) -> None:
    size = int(megabytes) * 2**20
    resource.setrlimit(resource.RLIMIT_DATA, (int(limit) * 2**20,) * 2)
    with (Path(folder) / "large").open("wb") as stream:
        stream.truncate(size)
    states = [open_state(open_home(Path(folder) / pc, create=True), remote, pc) for pc in ("PC1", "PC2")]
    pushed = parts.push_parts(states[0], "0" * 16, 1, {"large": Path(folder) / "large"})
    got = parts.fetch_parts(states[1], "0" * 16, 1, Path(folder) / "got", pushed.oid)
    print(got["large"].stat().st_size)


if __name__ == "__main__":
    main(*sys.argv[1:])
