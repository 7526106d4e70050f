"""The importable monitor: `from trinity import CreditMonitor, save_handoff_state, trigger_handoff, get_next_pc,
update_dashboard_data`.

Every call works on the state folder alone, so a program may use it beside the daemon and the hooks; what one of them saw
counts for all. All raise TrinityError for expected failures.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trinity import clock, config, home
from trinity.credit import evaluation, event_log
from trinity.credit.evaluation import Evaluation
from trinity.credit.limits import Limit
from trinity.credit.picture import Session
from trinity.errors import UsageError
from trinity.fleet import rotation
from trinity.relay import act, board, pausing, save, watch
from trinity.relay.link import Link
from trinity.usage import today

# How long a handoff without a known reset rests, and the acting after a forced one.
UNKNOWN_RESET_SECONDS = 300.0
# A window that will be full within this time is as good as full: the work should be safe elsewhere by then.
NEARLY_FULL_SECONDS = 300.0


class CreditMonitor:
    """Records what a caller saw of its API calls, and says what follows; `state_home` None means the default folder."""

    def __init__(self, state_home: str | Path | None = None) -> None:
        self.home = home.open_home(state_home, create=True)
        self.config = config.load(self.home)

    def _record(self, event: str, **facts: object) -> None:
        known = {key: value for key, value in facts.items() if value is not None}
        event_log.append(self.home, {"event": event, "source": "program", **known})

    def record_rate_limit(self) -> None:
        """A call was refused (HTTP 429)."""
        self._record("rate_limit")

    def record_response_time(self, seconds: float) -> None:
        """A response took `seconds`; a fast one ends a slow streak."""
        self._record("slow", seconds=_seconds(seconds))

    def record_error(self, kind: str | None = None) -> None:
        """A call failed otherwise."""
        self._record("error", error=kind)

    def record_success(self, seconds: float | None = None) -> None:
        """A call was answered, in `seconds` when known."""
        self._record("success", seconds=None if seconds is None else _seconds(seconds))

    def evaluate(self) -> Evaluation:
        """The full answer: status, signals with age and confidence, limits in force."""
        return evaluation.evaluate(self.home, self.config, told=today.signals(self.home, self.config))

    def get_status(self) -> str:
        """HEALTHY, WARNING, CRITICAL or EXHAUSTED."""
        return self.evaluate().status

    def should_trigger_handoff(self) -> bool:
        """Is the account exhausted, so slow for a caller that its work should move, or a window full within minutes by
        the provider's own percentages?

        A budget that is used up is shown and moves nothing: it was set by a person, who may raise it.
        """
        answer = self.evaluate()
        exhausted = any(signal.status == "EXHAUSTED" and signal.name != "budget" for signal in answer.signals)
        return exhausted or _gradual(answer) or _nearly_full(answer)

    def limits_ahead(self) -> dict[str, Any]:
        """For each window: percent used, pace, and when it will be full, as in `credit_state.json` (`ahead`)."""
        ahead: dict[str, Any] = self.evaluate().document["ahead"]
        return ahead


def _seconds(value: float) -> float:
    if not 0 <= value < 1e6:
        raise UsageError(f"{value} is no response time in seconds")
    return float(value)


def _nearly_full(answer: Evaluation) -> bool:
    soon = answer.time + NEARLY_FULL_SECONDS
    return any(one.source == "percentages" and one.likely is not None and one.likely <= soon for one in answer.aheads)


def _gradual(answer: Evaluation) -> bool:
    return any(signal.name == "slow" and signal.status == "CRITICAL" for signal in answer.signals)


def save_handoff_state(
    reason: str = "manual", to_pc: str | None = None, state_home: str | Path | None = None
) -> dict[str, Any]:
    """Save a handoff of what stands still (else of the task queue) and return its record."""
    monitor = CreditMonitor(state_home)
    return _save(monitor, monitor.evaluate(), reason, to_pc)[0].record


def trigger_handoff(
    reason: str = act.EXHAUSTION, force: bool = False, state_home: str | Path | None = None
) -> list[dict[str, Any]]:
    """The whole sequence: save, tell the fleet, wake, heartbeat; returns the records.

    Without `force` the work is parked here until the reset, unless acting is paused. With `force` (a person) it goes to
    the next PC of the rotation, and acting rests for five minutes.
    """
    monitor = CreditMonitor(state_home)
    answer = monitor.evaluate()
    if not force and (pausing.read(monitor.home) is not None or not monitor.config.act):
        return []
    to_pc = get_next_pc(state_home=monitor.home.root) if force else None
    saved = _save(monitor, answer, reason, None if to_pc == monitor.config.pc else to_pc)
    pause = pausing.read(monitor.home)
    # A person's own pause, which may have no end, is not cut short.
    if force and (pause is None or (pause.until is not None and pause.until < clock.now() + UNKNOWN_RESET_SECONDS)):
        pausing.pause(monitor.home, clock.now() + UNKNOWN_RESET_SECONDS)
    update_dashboard_data(monitor.home.root)
    return [one.record for one in saved]


def _save(monitor: CreditMonitor, answer: Evaluation, reason: str, to_pc: str | None) -> list[save.Saved]:
    limits = [limit for limit in answer.limits if limit.scope == "account" and limit.type != "auth"]
    limit = max(limits, key=lambda known: known.seen_at, default=None)
    if limit is None and to_pc is None:
        now = clock.now()
        limit = Limit("transient", "account", None, now + UNKNOWN_RESET_SECONDS, "person", now, 0.5)
    sessions: list[Session | None] = [*answer.stopped] or [None]
    saved = [
        save.save(monitor.home, monitor.config, session=session, limit=limit, reason=reason, to=to_pc)
        for session in sessions
    ]
    watch.call(monitor.home)
    return saved


def get_next_pc(pc: str | None = None, state_home: str | Path | None = None) -> str:
    """The PC after `pc` (default: this one) in the fleet's rotation."""
    monitor = CreditMonitor(state_home)
    return rotation.next_pc(_order(monitor), pc or monitor.config.pc)


def _order(monitor: CreditMonitor) -> list[str]:
    link = Link(monitor.home, monitor.config)
    known = link.rotation(link.state.last())
    # The clone is a cache: one that is new or was removed knows of nobody else.
    return known if len(known) > 1 else link.rotation(link.refresh())


def update_dashboard_data(state_home: str | Path | None = None) -> dict[str, Any]:
    """Bring `dashboards/credit_status.json` up to date and return it."""
    monitor = CreditMonitor(state_home)
    return board.update_dashboard(monitor.home, monitor.config, monitor.evaluate().document, _order(monitor))
