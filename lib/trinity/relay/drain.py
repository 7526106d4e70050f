"""Draining: unattended sessions are stopped between two tools before a window's wall stops them in the middle of one.

At the last step of the ladder (97 % of a window) an order lies beside each of them, `drain/<session>.json`, until the
window's reset; their PostToolBatch hook follows it, says so in the event log and ends the turn. Then the session stands
still like one that a limit has stopped, and is handed over or parked by the same table. Estimates drain nothing, and
neither does a window whose reset is not known: the order could not end.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trinity import clock, program
from trinity.config import Config
from trinity.credit import evaluation
from trinity.credit.ahead import Ahead
from trinity.credit.evaluation import Evaluation
from trinity.credit.picture import DRAINED, Session
from trinity.home import Home
from trinity.relay.rounds import Round
from trinity.work import session_notes

# A window that starts anew within this time is waited for by working on.
_SOON = 10.0
_LINGERING = 600.0


def is_due(home: Home, config: Config, answer: Evaluation) -> bool:
    """Is there a session to be stopped, or an order to be taken back?"""
    return bool(_orders(home)) or bool(_window(config, answer) and answer.running)


def order(home: Home, config: Config, answer: Evaluation, dry_run: bool = False) -> list[str]:
    """Order what the ladder says, take back what it does not say any more; a line for each session that will stop."""
    window, known = _window(config, answer), _orders(home)
    wanted = [session for session in answer.running if _runs(session)] if window is not None else []
    lines = []
    for session in wanted:
        if window is None or _same(known.get(session.id), window):
            continue
        lines.append(f"session {session.id} will be stopped between two tools: {_why(window)}")
        if not dry_run:
            facts = {"until": window.resets_at, "window": window.name, "used": round(window.used, 1)}
            session_notes.put(home.drain, session.id, {"kind": "drain", "version": 1, **facts})
            program.log(home, "handoff", lines[-1])
    if not dry_run:
        _take_back(home, known, answer, keep=window is not None)
    return lines


def stop_all(home: Home) -> None:
    """Take back every order: acting is paused or off."""
    for session in _orders(home):
        session_notes.drop(home.drain, session)


def withdraw(home: Home, record: Mapping[str, Any]) -> None:
    """The handoff's sessions go on: an order that stopped them before is not meant for this start."""
    for session in record.get("sessions") or []:
        session_notes.drop(home.drain, session["session_id"])


def has_stopped(made: Round, session_id: str | None) -> bool:
    """Was this session drained a moment ago? Asks the event log, for the order may be gone already."""
    for session in evaluation.evaluate(made.home, made.config).stopped:
        if session.id == session_id and session.stop is not None and session.stop.kind == DRAINED:
            # What was not parked for so long will not be: then a person has to look at it.
            return session.stop.time > clock.now() - _LINGERING
    return False


def _window(config: Config, answer: Evaluation) -> Ahead | None:
    """The window that is as good as used up, the one with the later reset of two."""
    now = clock.now()
    full = [
        one
        for one in answer.aheads
        if one.source == "percentages" and one.used >= config.ladder.window_used[-1]
        if one.resets_at is not None and one.resets_at > now + _SOON
    ]
    return max(full, key=lambda one: one.resets_at or 0.0, default=None)


def _why(window: Ahead) -> str:
    return f"{window.used:g} % of the {window.name.replace('_', '-')} window used"


def _take_back(home: Home, known: dict[str, float], answer: Evaluation, keep: bool) -> None:
    """Orders whose window was reset; while one is full, those of its sessions stay: they may be stopped already. What was
    ordered since this evaluation was made, another one knew better."""
    for session, until in known.items():
        if until <= clock.now() or (not keep and _written(home.drain / f"{session}.json") < answer.time):
            session_notes.drop(home.drain, session)


def _orders(home: Home) -> dict[str, float]:
    """Session id → until when, of the orders that lie there; a damaged one ended long ago."""
    try:
        names: Sequence[str] = os.listdir(home.drain)
    except FileNotFoundError:
        return {}
    return {name[:-5]: _until(home.drain / name) for name in names if name.endswith(".json")}


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _until(path: Path) -> float:
    try:
        until = json.loads(path.read_bytes())["until"]
        return float(until) if isinstance(until, int | float) else 0.0
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return 0.0


def _same(until: float | None, window: Ahead) -> bool:
    return until is not None and window.resets_at is not None and abs(until - window.resets_at) <= 90


def _runs(session: Session) -> bool:
    """Does its client still run? Whose number nobody told is taken to run: an order for nobody does no harm."""
    if session.pid is None:
        return True
    import psutil

    return bool(psutil.pid_exists(session.pid))
