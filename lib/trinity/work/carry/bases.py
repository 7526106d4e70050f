"""Which of the commits that remotes once had they still have.

A branch that was rewritten or deleted since the last fetch leaves a base that nobody can get: asked beforehand, the parcel
brings it along. Nothing is fetched and nothing is written.
"""

from __future__ import annotations

from pathlib import Path

from trinity.git import GitError, Repository
from trinity.work.carry import facts as facts_of
from trinity.work.carry import objects


def still_published(worktree: Path, timeout: float = 10) -> list[str] | None:
    """Commits for `pack(published=…)`; None when some remote did not answer within `timeout` seconds."""
    facts = facts_of.look(worktree)
    user = Repository(worktree, timeout, as_user=True)
    advertised: set[str] = set()
    for name in facts.remotes:
        try:
            answer = user.run("ls-remote", "--quiet", name)
        except GitError:
            return None
        advertised |= {line.split()[0] for line in answer.decode("ascii", "replace").splitlines() if line}
    here = _commits(user, sorted(advertised))
    kept = {oid for oid in facts.remote_tips if oid in here or (here and _below(user, oid, sorted(here)))}
    return sorted(kept | here)


def _below(user: Repository, oid: str, tips: list[str]) -> bool:
    """Whether one of the tips has this commit in its history."""
    asked = "".join(f"{line}\n" for line in [oid, *(f"^{tip}" for tip in tips)])
    return not user.run("rev-list", "--max-count=1", "--stdin", stdin=asked.encode("ascii"))


def _commits(repository: Repository, oids: list[str]) -> set[str]:
    """Those of the ids that are commits here."""
    return {oid for oid, (_, kind) in objects.known(repository, oids).items() if kind == "commit"}
