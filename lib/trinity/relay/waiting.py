"""Handoffs that wait: parked ones follow their reset and are woken once, queued ones are claimed when it is their turn.

A client that said it would continue by itself gets its chance first; if it is gone, its place is taken. What a person
started is started again without one only where the configuration says so.
"""

from __future__ import annotations

from pathlib import Path

from trinity import clock, program
from trinity.config import Config
from trinity.credit import transcript_tail
from trinity.credit.allowance import SAME_RESET
from trinity.credit.limits import Limit
from trinity.credit.picture import DRAINED
from trinity.fleet import operations, visits
from trinity.relay import ability, company, consent, holding, starting
from trinity.relay.link import Record
from trinity.relay.rounds import AUTOMATIC, LATER_SECONDS, Round

_NIGHT_SECONDS = 12 * 3600.0
_MOVED_SECONDS = 2.0
_SAME_MOMENT = 30.0  # sources tell of one refusal within seconds
_PASSING = ("transient", "auth")
# The source of a limit that nobody saw: a person asked for a pause.
BY_HAND = "person"


def parked(made: Round, record: Record) -> Record:
    """Follow the reset, and wake the handoff once it is due; returns it as it is then."""
    until = clock.parse(record["parked_until"]) if record["parked_until"] else None
    limit = Limit.from_document(record["limit"]) if record.get("limit") else None
    lies = str((record.get("sessions") or [{}])[0].get("pc") or record["from_pc"])
    here = made.config.pc in (visits.last_pc(record), lies)
    until, ended = _followed(made, limit, until) if here else (_own_reset(made, until), False)
    until_text = clock.iso(until) if until is not None else None
    if ended:
        until_text = clock.iso(made.now)
    if until_text and (record["parked_until"] is None or _differs(until_text, record["parked_until"])):
        if made.link.submit(operations.park(made.config.pc, record["id"], until_text)).refused:
            return record
        made.note(record, f"the limit is over: {until_text}" if ended else f"the reset moved to {until_text}")
        record = {**record, "parked_until": until_text}
    if until is None and not ended:
        made.waiting.append((record, f"waits for a success or: trinity accept_handoff {record['id']}"))
        return record
    start_at = made.now if ended else _start_at(made, record, until or made.now)
    if made.now < start_at:
        made.due(start_at)
        made.waiting.append((record, f"parked until {clock.local(start_at)}"))
        return record
    if made.paused:
        made.waiting.append((record, "due, but acting is paused: trinity pause off"))
        return record
    woken = made.link.submit(operations.wake(made.config.pc, record["id"]), keep=False)
    if woken.refused or not woken.visible:
        made.waiting.append((record, f"due, but {woken.refused or 'the fleet remote does not answer'}"))
        made.due(made.now + made.config.interval_seconds)
        return record
    made.note(record, "woken")
    return {**record, "state": "queued", "parked_until": None}


def _followed(made: Round, limit: Limit | None, until: float | None) -> tuple[float | None, bool]:
    """The reset as it is known now, and whether the limit has ended early."""
    if limit is None or limit.source == BY_HAND:
        return until, False
    if limit.source == DRAINED and not any(known.type == limit.type for known in made.evaluation.limits):
        return _drained(made, limit, until)
    same = [
        known
        for known in made.evaluation.limits
        if (known.type, known.scope, known.model) == (limit.type, limit.scope, limit.model)
    ]
    if same:
        newest = max(same, key=lambda known: known.seen_at)
        return newest.resets_at if newest.resets_at is not None else until, False
    if limit.type == "transient":
        # Not each of these is kept in the evaluation: that it is not there says nothing.
        return until, False
    better = [known for known in made.evaluation.limits if abs(known.seen_at - limit.seen_at) <= _SAME_MOMENT]
    if better:
        # A better source has called the same refusal by another name.
        return better[-1].resets_at if better[-1].resets_at is not None else until, False
    if limit.resets_at is not None and limit.resets_at <= made.now:
        return until, False  # that reset has passed as it should; it is parked longer for another reason
    # The evaluation drops a limit before its reset when the session or the provider has shown that it is over.
    return until, until is None or made.now < until


def _own_reset(made: Round, until: float | None) -> float | None:
    """Another PC's limit stopped it, and it waits for the reset of this one: when that is, as it is known now."""
    own = [limit for limit in made.evaluation.limits if limit.scope == "account" and limit.type not in _PASSING]
    ends = [limit.resets_at for limit in own if limit.resets_at is not None]
    return max(ends) if until is not None and own and len(ends) == len(own) else until


def _drained(made: Round, limit: Limit, until: float | None) -> tuple[float | None, bool]:
    """Stopped before the limit: the same for a wait that follows the provider's percentages."""
    for window in made.evaluation.aheads:
        if window.name != limit.type or window.source == "learned" or window.resets_at is None or until is None:
            continue
        # The reset is the provider's word; what others have used since its last percentage is an estimate.
        full = window.source == "percentages" and window.used >= made.config.ladder.window_used[-1]
        if abs(window.resets_at - until) > SAME_RESET:
            # Moved, or a new window has begun before its time.
            return (window.resets_at, False) if full else (until, made.now < until)
    return until, False


def _differs(one: str, other: str) -> bool:
    return abs(clock.parse(one) - clock.parse(other)) > _MOVED_SECONDS


def _start_at(made: Round, record: Record, until: float) -> float:
    """When to start: at once after the reset, or after the client that waits by itself has had its chance."""
    resume = made.config.resume
    if _waits_by_itself(record):
        return until + resume.own_wait_seconds
    return until + resume.after_reset_seconds


def _waits_by_itself(record: Record) -> bool:
    return bool(starting.live_elsewhere(record)) and _armed(record)


def _armed(record: Record) -> bool:
    """Had the client said that it continues by itself?"""
    session = (record.get("sessions") or [{}])[0]
    path = Path(session.get("transcript_path") or "")
    return path.is_file() and transcript_tail.tail_facts(path).waiting


def mode(config: Config, record: Record) -> str:
    """How this handoff is to be started here."""
    session = (record.get("sessions") or [{}])[0]
    if not session.get("interactive"):
        return config.resume.unattended
    if config.resume.interactive == "offer" and _armed(record) and not starting.live_elsewhere(record):
        # Its client had promised to go on by itself and is gone: we take its place.
        return config.resume.unattended
    return config.resume.interactive


def queued(made: Round, record: Record) -> None:
    """Claim it, or say why it waits."""
    how = mode(made.config, record)
    by_hand = f"trinity accept_handoff {record['id']}"
    if made.paused:
        made.waiting.append((record, "waits, acting is paused: trinity pause off"))
    elif company.passed_by(made, record):
        return
    elif why := consent.reasons(made.link, made.link.state.last(), record):
        consent.hold(made, record, why)
        made.waiting.append((record, f"waits for a person: {'; '.join(why)}; {by_hand}"))
    elif how not in AUTOMATIC:
        if record["from_pc"] != made.config.pc and not record.get("held"):
            # Else another PC would take it for forgotten.
            made.link.submit(operations.hold(made.config.pc, record["id"], record["epoch"], "offered to a person"))
        made.waiting.append((record, f"ready: {by_hand}"))
    elif _resumes(made, record) >= made.config.resume.max_resumes:
        program.log(made.home, "alarms", f"handoff {record['id']} was resumed {made.config.resume.max_resumes} times")
        made.waiting.append((record, f"resumed {made.config.resume.max_resumes} times already; ready: {by_hand}"))
    elif full := ability.full(made.home):
        made.waiting.append((record, f"{full}: make room, or {by_hand} on another PC"))
        made.due(made.now + LATER_SECONDS)
    elif how == "headless" and made.running >= made.config.resume.at_once:
        made.waiting.append((record, "next, when the running one has ended"))
        made.due(made.now + LATER_SECONDS)
    elif open_in := starting.open_in(record, how):
        made.waiting.append((record, open_in))
        made.due(made.now + LATER_SECONDS)
    else:
        holding.claim(made, record, how, by_hand=False)


def _resumes(made: Round, record: Record) -> int:
    """How often this conversation was started here within the last night."""
    since = made.now - _NIGHT_SECONDS
    count = 0
    for path in made.home.journal.glob(f"{record['id']}.e*"):
        if path.stat().st_mtime > since:
            count += 1
    return count
