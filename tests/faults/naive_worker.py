"""A PC that accepts handoffs the obvious way: `PROTOCOL FOLDER REMOTE PC SEED`; prints each id it believes to be its own.

It is what this project does not do, kept to show that the race of `race.py` finds it out. Protocols: `move` (the file goes
to processed/), `ack` (each PC writes a file of its own), `field` (a member of the file, conflicts resolved by a rule). Each
pulls with a rebase, pushes, and tries again when somebody else was faster.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

from trinity import git

_TRIES = 30


def main(protocol: str, folder: str, remote: str, pc: str, seed: str) -> None:
    random.seed(int(seed))
    tree = Path(folder)
    _git(tree.parent, "clone", "-q", remote, folder)
    ids = [path.stem for path in (tree / "handoff").glob("*.json")]
    print("ready", flush=True)
    sys.stdin.readline()
    random.shuffle(ids)
    for handoff_id in ids:
        _pull(tree)
        if _change(tree, protocol, handoff_id, pc) and _deliver(tree):
            print(handoff_id, 1, flush=True)
    print("lost", 0)


def _change(tree: Path, protocol: str, handoff_id: str, pc: str) -> bool:
    """Accept it in the own working tree, unless somebody is seen to have it."""
    path = tree / "handoff" / f"{handoff_id}.json"
    if protocol == "move":
        if not path.exists():
            return False
        (tree / "processed").mkdir(exist_ok=True)
        _git(tree, "mv", str(path), str(tree / "processed"))
    elif protocol == "ack":
        if list(tree.glob(f"ack/{handoff_id}.*")):
            return False
        (tree / "ack").mkdir(exist_ok=True)
        (tree / "ack" / f"{handoff_id}.{pc}").write_text(pc, encoding="utf-8")
    else:
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["accepted_by"]:
            return False
        path.write_text(json.dumps({**record, "accepted_by": pc}, indent=2), encoding="utf-8")
    _git(tree, "add", "-A")
    _git(tree, "commit", "-q", "-m", f"{pc} accepts {handoff_id}")
    return True


def _deliver(tree: Path) -> bool:
    for _ in range(_TRIES):
        if _git(tree, "push", "-q", "origin", "HEAD:main", check=False) == 0:
            return True
        _pull(tree)
    _git(tree, "reset", "-q", "--hard", "origin/main")
    return False


def _pull(tree: Path) -> None:
    # in a rebase "theirs" is the own change
    if _git(tree, "pull", "-q", "--rebase", "-X", "theirs", "origin", "main", check=False):
        _git(tree, "rebase", "--abort", check=False)
        _git(tree, "reset", "-q", "--hard", "origin/main")


def _git(folder: Path, *arguments: str, check: bool = True) -> int:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, env=git.environment(), capture_output=True, check=check).returncode


if __name__ == "__main__":
    main(*sys.argv[1:])
