"""One evaluation: read what is new, say how close this PC's account is to a limit, and which sessions stand still.

Its cost depends on what happened since the last one, not on the history. The answer is written to `credit_state.json` (the
seeds' counters, our status and its signals), `dashboards/credit_status.json` and the status line's prepared text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from trinity import clock, files, locks
from trinity.config import Config
from trinity.credit import ahead, event_log, pace, picture, status, transcripts
from trinity.credit.ahead import Ahead
from trinity.credit.event_log import Reading
from trinity.credit.fold import Folder
from trinity.credit.limits import Limit
from trinity.credit.picture import DRAINED, FIRST_SWEEP, Picture, Session
from trinity.credit.status import Signal
from trinity.credit.window import Counts
from trinity.home import Home

# A transcript is written a moment before or after the clock is read.
_SWEEP_OVERLAP = 120.0
_FIRST_BYTES = 32_000_000
# A session that said nothing for longer has lost its client.
_RUNNING = 6 * 3600.0


@dataclass(frozen=True)
class Evaluation:
    """The answer: `status` of this PC, what made it, the limits in force, the sessions that stand still, and the
    unattended ones that do not."""

    time: float
    status: str
    signals: list[Signal]
    counts: Counts
    limits: list[Limit]
    stopped: list[Session]
    running: list[Session]
    aheads: list[Ahead]
    document: dict[str, Any]


@contextmanager
def opened(home: Home, config: Config, now: float | None = None) -> Iterator[Picture]:
    """The picture with everything new folded in, under its lock; it is kept when the block ends well."""
    with locks.hold(home.locks / "picture.lock", timeout=20):
        moment = clock.now() if now is None else now
        held = picture.load(home, config, moment)
        _fold(home, config, held, moment)
        yield held
        held.forget(moment)
        picture.save(home, held)


def evaluate(home: Home, config: Config, now: float | None = None, told: Sequence[Signal] = ()) -> Evaluation:
    """Read what is new and write the answer; raises Busy when another evaluation takes too long.

    `told`: signals of others, which count like its own: how much of a budget is spent.
    """
    moment = clock.now() if now is None else now
    with opened(home, config, moment) as held:
        answer = judge(config, held, moment, told)
        files.write_json(home.credit_state_file, answer.document)
    return answer


def judge(config: Config, held: Picture, now: float, told: Sequence[Signal] = ()) -> Evaluation:
    """The status by the ladder; ends limits whose reset has passed, and starts the short one of too many errors."""
    ladder = config.ladder
    _expire(held, now)
    counts = held.window.counts(now, ladder.window_minutes * 60)
    aheads = _aheads(config, held, now)
    found = status.signals(now, ladder, counts, held.window.recorded, held.window.transcripts, held.limits, aheads)
    if not any(limit.scope == "account" and limit.type != "auth" for limit in held.limits):
        short = _short_limit(found, counts, ladder.transient_reset_seconds)
        if short is not None and short.in_force(now):
            held.limits.append(short)
        elif short is not None:
            # The pause after too many errors is over: a new try starts with a clean slate.
            held.window.restart(short.resets_at or now)
            counts = held.window.counts(now, ladder.window_minutes * 60)
            found = status.signals(
                now, ladder, counts, held.window.recorded, held.window.transcripts, held.limits, aheads
            )
    found = status.ordered([*found, *told])
    level = status.worst([signal.status for signal in found])
    stopped = [
        session for session in held.sessions.values() if _stands_still(session, now - ladder.window_minutes * 60)
    ]
    document = _document(config, held, now, counts, level, found, aheads)
    running = [session for session in held.sessions.values() if _runs_alone(session, now)]
    return Evaluation(now, level, found, counts, list(held.limits), stopped, running, aheads, document)


def _runs_alone(session: Session, now: float) -> bool:
    """Nobody sits at it, and nothing said that it has ended or stands still."""
    return (
        not session.interactive and session.stop is None and not session.ended_at and session.seen_at > now - _RUNNING
    )


def _aheads(config: Config, held: Picture, now: float) -> list[Ahead]:
    """By the provider's percentages where they are known, else by what was learned."""
    told = ((name, ahead.of_allowance(name, allowance, now)) for name, allowance in held.allowances.items())
    known = {name: one for name, one in told if one is not None}
    held.pace.settle(config.account.id, known, now)
    learned = {name: held.pace.ahead(name, now) for name in pace.NAMES if name not in known}
    for name, one in known.items():
        # The last step is left to those who know.
        if one.used < config.ladder.window_used[-1]:
            known[name] = held.pace.counted(one, held.allowances[name].samples, now) or one
    return [*known.values(), *(one for one in learned.values() if one is not None)]


def _stands_still(session: Session, since: float) -> bool:
    """A limit holds its session for as long as it likes; an overload of hours ago is no news about now."""
    return session.stop is not None and (session.stop.kind in ("hard", "auth", DRAINED) or session.stop.time >= since)


def _expire(held: Picture, now: float) -> None:
    for limit in list(held.limits):
        if limit.in_force(now):
            continue
        held.limits.remove(limit)
        if limit.scope == "account" and limit.resets_at is not None:
            held.window.restart(limit.resets_at)
    held.limits = [limit for limit in held.limits if limit.type != "auth" or now - limit.seen_at < 3600]


def _short_limit(found: list[Signal], counts: Counts, seconds: float) -> Limit | None:
    for signal in found:
        if signal.status == "EXHAUSTED" and signal.name in ("rate_limits", "error_rate"):
            seen = counts.newest_rate_limit if signal.name == "rate_limits" else counts.newest_error
            return Limit("transient", "account", None, seen + seconds, signal.name, seen, signal.confidence)
    return None


def _fold(home: Home, config: Config, held: Picture, now: float) -> None:
    folder = Folder(held, config.ladder, now)
    reading = Reading(held.position, since=held.swept_at)
    for event in event_log.read(home, reading):
        folder.event(event)
    held.position = reading.position
    held.damaged += reading.damaged
    # The clock may have been set back since the last sweep.
    since = min(held.swept_at, now) - _SWEEP_OVERLAP if held.swept_at else now - FIRST_SWEEP
    for path in _changed(config, held, since):
        try:
            known = held.cursors.get(str(path))
            facts, cursor = transcripts.read_new(path, known, _FIRST_BYTES)
        except OSError:
            continue  # removed or not readable; the next sweep sees it again
        held.cursors[str(path)] = cursor
        # What stood in a conversation before it was met is a copy: carried from another PC, or of one that was forked.
        folder.spent_since = since if held.swept_at and known is None else 0.0
        for fact in facts:
            folder.fact(str(path), fact)
    folder.settle()
    held.swept_at = now


def _changed(config: Config, held: Picture, since: float) -> list[Path]:
    found: dict[str, Path] = {}
    for profile in config.profiles:
        for path in transcripts.find(Path(profile), since):
            found[str(path)] = path
    for session in held.sessions.values():
        # A profile nobody configured: the hook still named the transcript.
        path = Path(session.transcript or "")
        if session.transcript and session.seen_at >= since and session.transcript not in found and path.is_file():
            found[session.transcript] = path
    return list(found.values())


def _document(
    config: Config, held: Picture, now: float, counts: Counts, level: str, found: list[Signal], aheads: list[Ahead]
) -> dict[str, Any]:
    return {
        "kind": "credit_state",
        "version": 1,
        "pc": config.pc,
        "timestamp": clock.iso(now),
        "status": level,
        "rate_limit_count": counts.rate_limits,
        "slow_response_count": max(held.window.recorded.count, held.window.transcripts.count),
        "error_count": counts.errors,
        "success_count": counts.calls - counts.errors,
        "error_rate": round(counts.error_rate, 4),
        "avg_response_time": round(counts.average_seconds, 3),
        "account": {"id": config.account.id, "label": config.account.label, "kind": config.account.kind},
        "signals": [signal.document() for signal in found],
        "limits": [
            {k: v for k, v in limit.document().items() if k not in ("kind", "version")} for limit in held.limits
        ],
        "windows": {
            name: {"used_percentage": used, "resets_at": allowance.resets_at}
            for name, allowance in held.allowances.items()
            if (used := allowance.used(now)) is not None
        },
        "learned": [asdict(wall) for wall in held.pace.walls],
        "ahead": {one.name: one.document() for one in aheads},
        "damaged_lines": held.damaged,
        "recent_errors": [{"type": kind, "timestamp": clock.iso(t)} for kind, t in held.errors],
    }
