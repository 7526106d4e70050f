"""The provider's windows, 5 hours and 7 days: what it said was used of each, kept small.

Only a percentage that differs from the last one is a sample. Within a window they only rise; a session that was idle
repeats what it heard long ago, so a lower word of another session is not believed, unless it is much lower and the session
had an answer since: then the provider gave something back, or the plan is a larger one now.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

# How long each window is, in seconds; the provider's names.
LENGTHS = {"five_hour": 5 * 3600.0, "seven_day": 7 * 86400.0}
# The client rounds a reset to the minute; two that differ by no more are the same.
SAME_RESET = 90.0
_KEPT = 240
# Two servers may differ by a little; what is given back is more.
_BACK = 5.0


@dataclass
class Allowance:
    """One window: samples `(seen_at, used_percentage)` up to `resets_at`; `session` said the last one.

    `early`: its burn rate is held to reach 100 % before the reset (see `ahead`).
    """

    resets_at: float | None = None
    samples: list[tuple[float, float]] = field(default_factory=list)
    session: str = ""
    early: bool = False

    def add(
        self, seen_at: float, used: float, resets_at: float | None, session: str = "", answered_at: float = 0.0
    ) -> bool:
        """A percentage that `session` was told, whose newest answer known is of a question of `answered_at`; another reset
        time is another window. True when the provider gave something back."""
        if resets_at is None and self.resets_at is not None and seen_at < self.resets_at:
            resets_at = self.resets_at  # told without its reset it is of the window that runs
        if not self._same(resets_at) or (resets_at is None and self._over(seen_at)):
            if resets_at is not None and resets_at <= seen_at and self.samples:
                return False  # an idle session repeats the window before this one
            self.samples, self.early = [], False
        back = bool(self.samples) and used <= self.samples[-1][1] - _BACK and answered_at > self.samples[-1][0]
        if self.samples and used < self.samples[-1][1] and session and session != self.session and not back:
            return False
        self.resets_at = resets_at
        if not self.samples or self.samples[-1][1] != used:
            self.samples.append((seen_at, used))
            self.session = session
        if len(self.samples) > _KEPT:
            # Every other of the older half: the near past stays exact, the way there stays known.
            self.samples = self.samples[: _KEPT // 2 : 2] + self.samples[_KEPT // 2 :]
        return back

    def _same(self, resets_at: float | None) -> bool:
        if resets_at == self.resets_at:
            return True
        return bool(self.resets_at and resets_at and abs(resets_at - self.resets_at) <= SAME_RESET)

    def used(self, now: float) -> float | None:
        """Percent used now; None when unknown or when the window has ended."""
        return None if not self.samples or self._over(now) else self.samples[-1][1]

    def _over(self, now: float) -> bool:
        """Has the window ended? One whose reset nobody named is believed for as long as the shortest lasts."""
        if self.resets_at is not None:
            return now >= self.resets_at
        return bool(self.samples) and now >= self.samples[-1][0] + min(LENGTHS.values())

    def document(self) -> list[Any]:
        return [self.resets_at, self.samples, self.session, self.early]

    @classmethod
    def from_document(cls, document: list[Any]) -> Allowance:
        """The reverse of `document`, also of its first two members alone; raises TypeError or ValueError for others."""
        resets_at, samples, *more = document
        session, early = more or ("", False)
        return cls(resets_at, [(float(t), float(used)) for t, used in samples], str(session), early is True)
