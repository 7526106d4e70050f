"""The action table: what is done about a session, given how it stands and how the account stands.

| status by | session stopped by it | unattended, running | interactive, running |
|---|---|---|---|
| WARNING | | log, show | show |
| CRITICAL | | log, show | show |
| hard limit | handoff now | cannot run | cannot run |
| 3 rate limits, error rate | handoff now, with the error excerpts | left alone: the client is retrying | show |
| window ≥ 97 % | handoff now | drain: stopped between two tools (`drain`) | show |

Auth trouble alarms and moves nothing; a request that cannot work (too long, unknown model) is no matter of credit. On one PC
a handoff is parked here until the reset. What would be done is a plan first, so that `--dry-run` and the status show it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from trinity import clock, program
from trinity.config import Config
from trinity.credit import evaluation as evaluations
from trinity.credit.evaluation import Evaluation
from trinity.credit.limits import Limit
from trinity.credit.picture import DRAINED, Session
from trinity.errors import Busy, TrinityError
from trinity.home import Home
from trinity.relay import drain, pausing, save

# The first look may come a moment after the session that made somebody install Trinity.
_BORN_SLACK = 300.0
_LINGERING = 600.0
EXHAUSTION = "credit_exhaustion"


@dataclass(frozen=True)
class Step:
    """One thing to do about one session: `action` is "handoff", "alarm" or "wait"."""

    session: Session
    action: str
    why: str
    limit: Limit | None
    reason: str = EXHAUSTION

    def document(self) -> dict[str, Any]:
        until = clock.iso(self.limit.resets_at) if self.limit and self.limit.resets_at else None
        return {"session_id": self.session.id, "action": self.action, "why": self.why, "until": until}


def plan(config: Config, answer: Evaluation, born: float) -> list[Step]:
    """What the table says about every session that stands still and was not dealt with yet."""
    steps = []
    for session in answer.stopped:
        stop = session.stop
        if stop is None or stop.acted or stop.time < born - _BORN_SLACK:
            continue
        limit = Limit.from_document(stop.limit) if stop.limit else None
        if stop.kind == "hard":
            steps.append(Step(session, "handoff", _why(limit), _newest(answer.limits, limit)))
        elif stop.kind == DRAINED and not _has_left(session, answer.time):
            steps.append(Step(session, "wait", f"stopped between two tools: {stop.text}; it is about to end", limit))
        elif stop.kind == DRAINED:
            steps.append(Step(session, "handoff", f"stopped between two tools: {stop.text}", limit))
        elif stop.kind == "auth":
            steps.append(Step(session, "alarm", f"login trouble: {stop.text}", None))
        elif stop.kind == "transient":
            steps.append(_transient(session, answer))
    return steps


def _has_left(session: Session, now: float) -> bool:
    """Has the client of a drained session ended? One that waits for its next prompt is not taken away for a while."""
    if session.stop is None or session.pid is None or (session.ended_at or 0.0) >= session.stop.time:
        return True
    import psutil

    return now > session.stop.time + _LINGERING or not psutil.pid_exists(session.pid)


def _transient(session: Session, answer: Evaluation) -> Step:
    for signal in answer.signals:
        if signal.status == "EXHAUSTED" and signal.name in ("rate_limits", "error_rate", "limit"):
            whole = [limit for limit in answer.limits if limit.scope == "account" and limit.type != "auth"]
            short = max(whole, key=lambda limit: limit.seen_at, default=None)
            reason = "error_rate" if signal.name == "error_rate" else EXHAUSTION
            return Step(session, "handoff", signal.text, short, reason)
    return Step(session, "wait", "one transient error is no limit", None)


def _why(limit: Limit | None) -> str:
    return f"{limit.type} limit" if limit else "a limit"


def _newest(limits: Sequence[Limit], limit: Limit | None) -> Limit | None:
    """The limit in force of the same kind, when its reset was moved since the session stopped."""
    if limit is None:
        return None
    same = [other for other in limits if (other.type, other.model) == (limit.type, limit.model)]
    return max(same, key=lambda other: other.seen_at, default=limit)


def is_due(home: Home, config: Config, answer: Evaluation) -> bool:
    """Is there anything for `act` to look at? An evaluation with nothing to act upon stays cheap."""
    return bool(answer.stopped) or drain.is_due(home, config, answer)


def act(home: Home, config: Config, answer: Evaluation, dry_run: bool = False) -> tuple[list[Step], list[str]]:
    """Do what the plan says; returns it, and one line for each thing done. Paused, nothing is done."""
    with evaluations.opened(home, config) as held:
        steps = plan(config, answer, held.born)
    pause = pausing.read(home)
    if pause is not None or not config.act:
        drain.stop_all(home)
        return steps, ["paused: nothing is done" if pause else "acting is off in config.json"]
    lines = drain.order(home, config, answer, dry_run)
    for step in steps:
        if step.action == "handoff":
            lines.append(_handoff(home, config, step, answer, dry_run))
        elif step.action == "alarm":
            program.log(home, "alarms", f"session {step.session.id}: {step.why}")
            lines.append(f"session {step.session.id}: {step.why}")
            _acted(home, config, step, dry_run)
    return steps, lines


def _handoff(home: Home, config: Config, step: Step, answer: Evaluation, dry_run: bool) -> str:
    try:
        saved, settled = _saved(home, config, step, dry_run)
    except Busy as error:
        return f"session {step.session.id} waits: {error.message}"
    except TrinityError as error:
        # What cannot be handed over now cannot be a minute later: one alarm, not one a minute.
        _acted(home, config, step, dry_run)
        program.log(home, "alarms", f"session {step.session.id} could not be handed over: {error.message}")
        return f"session {step.session.id} could not be handed over: {error.message}"
    if settled:
        _acted(home, config, step, dry_run)
    return saved.text()


def _saved(home: Home, config: Config, step: Step, dry_run: bool) -> tuple[save.Saved, bool]:
    """To another PC if one may and can; else, and when sending fails, parked here. False: only until the fleet can be
    asked, and then sent all the same."""
    stop = step.session.stop
    told: dict[str, Any] = {
        "session": step.session,
        "limit": step.limit,
        "reason": step.reason,
        "excerpts": [stop.text] if stop and stop.text else [],
        "incident": stop.incident if stop else "",
        "stopped_at": stop.time if stop else None,
        "dry_run": dry_run,
    }
    try:
        return save.save(home, config, **told, choosing=True), True
    except TrinityError as error:
        saved = save.save(home, config, **told)
        if saved.action != "kept":
            program.log(home, "alarms", f"session {step.session.id} is parked here, not sent: {error.message}")
        return saved, not isinstance(error, Busy)


def _acted(home: Home, config: Config, step: Step, dry_run: bool) -> None:
    if dry_run or step.session.stop is None:
        return
    with evaluations.opened(home, config) as held:
        stop = held.session(step.session.id).stop
        if stop is not None and stop.incident == step.session.stop.incident:
            stop.acted = True
