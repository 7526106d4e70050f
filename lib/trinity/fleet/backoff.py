"""How long to wait before a lost race is tried again: full jitter (docs/HANDOFF_PROTOCOL.md, R4).

Every waiting PC draws its own time between nothing and a limit that doubles, so that they do not meet again.
"""

from __future__ import annotations

import random
import time

from trinity.errors import Busy

LOCAL = (0.020, 1.0)
ELSEWHERE = (2.0, 300.0)


class Backoff:
    """Waits for one change; `patience` bounds their sum in seconds."""

    def __init__(self, local: bool, patience: float) -> None:
        self._first, self._longest = LOCAL if local else ELSEWHERE
        self._deadline = time.monotonic() + patience
        self.tries = 0

    def wait(self, why: str) -> None:
        """Sleep once; raises Busy with `why` when there is no time for another try."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise Busy(f"no success after {self.tries + 1} tries: {why}", "try again in a moment")
        longest = min(self._longest, self._first * 2.0 ** min(self.tries, 30))
        self.tries += 1
        time.sleep(min(left, random.uniform(0, longest)))
