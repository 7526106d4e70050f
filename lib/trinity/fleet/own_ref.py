"""A ref that one PC alone writes (its heartbeat, what it has used): replaced without a history, never forced blindly.

Another process under the same id is overwritten only after what it wrote was seen.
"""

from __future__ import annotations

from trinity.errors import Offline
from trinity.fleet.clone import Clone
from trinity.git import GitError

_TRIES = 3


def replace(clone: Clone, ref: str, new: str, known: str | None, what: str) -> None:
    """Push commit `new` to `ref`, which was at `known` (None: not there) when it was seen last.

    Raises Offline, which says that `what` was not taken.
    """
    for _ in range(_TRIES):
        try:
            clone.push(new, ref, known)
        except GitError as error:
            # The exit code decides nothing: look (R2). A clone built anew does not know what was there last.
            known = clone.remote_refs(ref).get(ref)
            if known != new:
                failure = error
                continue
        clone.git("update-ref", ref, new)
        return
    raise Offline(f"{what} was not taken: {failure.message}", "try again later")
