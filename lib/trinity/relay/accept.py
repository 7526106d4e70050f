"""A round over the handoffs of this PC: wake what is due, accept it, start it, and see it through.

Each handoff is looked at once and moved by at most one step of its life, so a round that is killed anywhere is continued
by the next: queued or parked → claimed → started (noted in the journal first) → running at the first new answer → done. A
conversation that went on by itself is closed and not resumed a second time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trinity import clock, locks, program
from trinity.config import Config
from trinity.credit import transcript_tail
from trinity.credit.evaluation import Evaluation
from trinity.credit.limits import Limit
from trinity.errors import TrinityError
from trinity.fleet import journal, operations
from trinity.fleet.snapshot import Snapshot
from trinity.home import Home
from trinity.relay import pausing, starting
from trinity.relay.link import OPEN_STATES, Link, Record
from trinity.work import launch

_FIRST_LINE_SECONDS = 25.0
_LOOK_AGAIN_SECONDS = 20.0
_NIGHT_SECONDS = 12 * 3600.0
_MOVED_SECONDS = 2.0
_AUTOMATIC = ("headless", "tmux", "terminal")


@dataclass
class Round:
    """One round: `next_at` is when the next one is due at the latest, `lines` what was done, `waiting` where work is."""

    home: Home
    config: Config
    link: Link
    evaluation: Evaluation
    now: float
    paused: bool
    next_at: float | None = None
    lines: list[str] = field(default_factory=list)
    waiting: list[tuple[Record, str]] = field(default_factory=list)
    running: int = 0

    def due(self, t: float | None) -> None:
        """Another round is due at `t`."""
        if t is not None:
            self.next_at = t if self.next_at is None else min(self.next_at, t)

    def note(self, record: Record, text: str) -> None:
        self.lines.append(f"handoff {record['id']}: {text}")
        program.log(self.home, "handoff", f"{record['id']} {text}")


def run(home: Home, config: Config, evaluation: Evaluation) -> Round:
    """One round; offline, what can be done here is done. Raises Busy when another round runs."""
    with locks.hold(home.locks / "accept.lock", timeout=1):
        link = Link(home, config)
        made = Round(home, config, link, evaluation, clock.now(), pausing.read(home) is not None or not config.act)
        snapshot = link.refresh()
        records = [record for record in link.handoffs(snapshot) if record["state"] in OPEN_STATES]
        mine = [r for r in records if config.pc in (r["to_pc"], r["owner"])]
        # What runs comes first: it decides whether there is room for more.
        for record in sorted(mine, key=lambda r: r["state"] not in ("claimed", "running")):
            try:
                _look(made, record)
            except TrinityError as error:
                made.note(record, f"waits: {error.message}")
                made.waiting.append((record, error.message))
                made.due(made.now + config.interval_seconds)
        for record in records:
            if record not in mine:
                made.waiting.append((record, f"with {record['to_pc']}"))
        _stray_wake(made, link.state.last())
        return made


def accept(home: Home, config: Config, evaluation: Evaluation, handoff_id: str, launching: bool) -> tuple[Record, str]:
    """Accept one handoff now, because a person says so; returns it and what became of it. Raises TrinityError."""
    with locks.hold(home.locks / "accept.lock", timeout=30):
        link = Link(home, config)
        made = Round(home, config, link, evaluation, clock.now(), False)
        record = find(link, link.refresh(), handoff_id)
        if record["state"] == "parked" and link.submit(operations.park(config.pc, record["id"], clock.iso())).refused:
            raise TrinityError(f"handoff {record['id']} was changed by another PC", "handoffs.py list")
        if record["state"] not in ("queued", "parked"):
            raise TrinityError(f"handoff {record['id']} is {record['state']}", f"handoffs.py show {record['id']}")
        mode = _mode(config, record) if launching else "none"
        return _claim(made, record, "headless" if mode == "offer" else mode, by_hand=True)


def find(link: Link, snapshot: Snapshot, handoff_id: str) -> Record:
    """The one handoff whose id begins so; raises TrinityError."""
    records = link.handoffs(snapshot)
    found = [record for record in records if record["id"].startswith(handoff_id)]
    if len(found) != 1:
        what = f"{len(found)} handoffs begin with" if found else "there is no handoff"
        raise TrinityError(f"{what} '{handoff_id}'", "handoffs.py list")
    return found[0]


def _look(made: Round, record: Record) -> None:
    went_on = starting.continued(record) if record["state"] in ("queued", "parked") else ""
    if went_on:
        operation = operations.withdraw(made.config.pc, record["id"], record["epoch"], went_on)
        if not made.link.submit(operation).refused:
            made.note(record, went_on)
        return
    if record["state"] == "parked":
        record = _parked(made, record)
    if record["state"] == "queued":
        _queued(made, record)
    elif record["state"] in ("claimed", "running") and record["owner"] == made.config.pc:
        _held(made, record)
    elif record["state"] in ("claimed", "running"):
        made.waiting.append((record, f"running on {record['owner']}"))


# parked


def _parked(made: Round, record: Record) -> Record:
    """Follow the reset, and wake the handoff once it is due; returns it as it is then."""
    until = clock.parse(record["parked_until"]) if record["parked_until"] else None
    limit = Limit.from_document(record["limit"]) if record.get("limit") else None
    until, ended = _followed(made, limit, until)
    until_text = clock.iso(until) if until is not None else None
    if ended:
        until_text = clock.iso(made.now)
    if until_text and (record["parked_until"] is None or _differs(until_text, record["parked_until"])):
        if made.link.submit(operations.park(made.config.pc, record["id"], until_text)).refused:
            return record
        made.note(record, f"the limit is over: {until_text}" if ended else f"the reset moved to {until_text}")
        record = {**record, "parked_until": until_text}
    if until is None and not ended:
        made.waiting.append((record, f"waits for a success or: accept_handoff.py {record['id']}"))
        return record
    start_at = made.now if ended else _start_at(made, record, until or made.now)
    if made.now < start_at:
        made.due(start_at)
        made.waiting.append((record, f"parked until {clock.local(start_at)}"))
        return record
    if made.paused:
        made.waiting.append((record, "due, but acting is paused: pause.py off"))
        return record
    if made.link.submit(operations.wake(made.config.pc, record["id"])).refused:
        return record
    made.note(record, "woken")
    return {**record, "state": "queued", "parked_until": None}


def _followed(made: Round, limit: Limit | None, until: float | None) -> tuple[float | None, bool]:
    """The reset as it is known now, and whether the limit has ended early."""
    if limit is None:
        return until, False
    same = [
        known
        for known in made.evaluation.limits
        if (known.type, known.scope, known.model) == (limit.type, limit.scope, limit.model)
    ]
    if same:
        newest = max(same, key=lambda known: known.seen_at)
        return newest.resets_at if newest.resets_at is not None else until, False
    # The evaluation drops a limit when its reset passes, or when the session or the provider has shown that it is over.
    return until, until is None or made.now < until


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


# queued


def _mode(config: Config, record: Record) -> str:
    session = (record.get("sessions") or [{}])[0]
    if not session.get("interactive"):
        return config.resume.unattended
    if config.resume.interactive == "offer" and _armed(record) and not starting.live_elsewhere(record):
        # Its client had promised to go on by itself and is gone: we take its place.
        return config.resume.unattended
    return config.resume.interactive


def _queued(made: Round, record: Record) -> None:
    mode = _mode(made.config, record)
    by_hand = f"accept_handoff.py {record['id']}"
    if made.paused:
        made.waiting.append((record, "waits, acting is paused: pause.py off"))
    elif mode not in _AUTOMATIC:
        made.waiting.append((record, f"ready: {by_hand}"))
    elif _resumes(made, record) >= made.config.resume.max_resumes:
        program.log(made.home, "alarms", f"handoff {record['id']} was resumed {made.config.resume.max_resumes} times")
        made.waiting.append((record, f"resumed {made.config.resume.max_resumes} times already; ready: {by_hand}"))
    elif mode == "headless" and made.running >= made.config.resume.at_once:
        made.waiting.append((record, "next, when the running one has ended"))
        made.due(made.now + _LOOK_AGAIN_SECONDS)
    else:
        _claim(made, record, mode, by_hand=False)


def _resumes(made: Round, record: Record) -> int:
    """How often this conversation was started here within the last night."""
    since = made.now - _NIGHT_SECONDS
    count = 0
    for path in made.home.journal.glob(f"{record['id']}.e*"):
        if path.stat().st_mtime > since:
            count += 1
    return count


def _claim(made: Round, record: Record, mode: str, by_hand: bool) -> tuple[Record, str]:
    pc = made.config.pc
    operation = operations.claim(pc, record["id"], anyone=by_hand, seen=clock.iso(made.now, milliseconds=True))
    done = made.link.submit(operation)
    if done.refused or not done.visible:
        raise TrinityError(f"cannot accept '{record['id']}': {done.refused or 'the fleet remote does not answer'}")
    claimed = find(made.link, made.link.state.last(), record["id"])
    if claimed["state"] == "dead":
        program.log(made.home, "alarms", f"handoff {record['id']} {claimed['outcome']}")
        return claimed, str(claimed["outcome"])
    made.note(claimed, f"accepted, epoch {claimed['epoch']}")
    made.link.beat("handoff_accepted", from_pc=record["from_pc"], tasks_received=len(record["task_queue"]) or None)
    return claimed, _begin(made, claimed, mode)


def _begin(made: Round, record: Record, mode: str) -> str:
    """Start the claimed work of this epoch, once, and wait a little for its first answer."""
    if not journal.start_once(made.home, record["id"], record["epoch"]):
        return _release(made, record, "this epoch was started before")
    went_on = starting.continued(record)
    if went_on:
        return _done(made, record, went_on)
    entry = starting.prepare(record, mode)
    if mode == "tmux" or mode == "terminal":
        starting.end_clients(starting.live_elsewhere(record))
    journal.note(made.home, record["id"], record["epoch"], **entry)
    return _start(made, record, entry)


def _start(made: Round, record: Record, entry: dict[str, Any]) -> str:
    try:
        entry = starting.start(made.home, made.config, record, entry)
    except TrinityError as error:
        return _release(made, record, error.message)
    journal.note(made.home, record["id"], record["epoch"], **entry)
    if entry["mode"] not in _AUTOMATIC:
        return _done(made, record, "handed to a person: " + entry["where"])
    made.running += entry["mode"] == "headless"
    return _judge(made, record, entry, starting.wait(entry, _FIRST_LINE_SECONDS))


# claimed and running


def _held(made: Round, record: Record) -> None:
    entry = starting.journal_entry(made.home, record)
    if entry is None:
        # Claimed, and killed before the journal: this epoch was not started.
        mode = _mode(made.config, record)
        _begin(made, record, mode if mode in _AUTOMATIC else "headless")
        return
    if "mode" not in entry or "started_at" not in entry:
        _half_started(made, record, entry)
        return
    made.running += entry["mode"] == "headless" and starting.lives(entry)
    _judge(made, record, entry, starting.seen(entry))


def _half_started(made: Round, record: Record, entry: dict[str, Any]) -> None:
    """Killed between the journal and the note of the process: the client may run or not."""
    session_id = entry.get("session_id")
    found = _process_of(session_id) if session_id else None
    if found is not None:
        entry = {**entry, "pid": found[0], "born": found[1], "started_at": clock.iso(found[1], milliseconds=True)}
        entry["where"] = f"process {found[0]}"
        journal.note(made.home, record["id"], record["epoch"], **entry)
        _judge(made, record, entry, starting.seen(entry))
    elif session_id and starting.seen(entry).state == "answered":
        _judge(made, record, {**entry, "pid": 0, "started_at": entry.get("made_at")}, starting.seen(entry))
    else:
        _release(made, record, "the start was interrupted")


def _process_of(session_id: str) -> tuple[int, float] | None:
    import psutil

    for process in psutil.process_iter(["pid", "cmdline", "create_time"]):
        arguments = process.info["cmdline"] or []
        if session_id in arguments and {"--resume", "--session-id"} & set(arguments):
            return process.info["pid"], process.info["create_time"]
    return None


def _judge(made: Round, record: Record, entry: dict[str, Any], found: starting.Seen) -> str:
    """One step for a started handoff, by what its conversation shows."""
    lives = starting.lives(entry)
    where = str(entry.get("where", ""))
    if found.state == "answered":
        if record["state"] == "claimed":
            chain = {"started": entry["started_at"], "first_line": clock.iso(found.first_line, milliseconds=True)}
            made.link.submit(operations.running(made.config.pc, record["id"], record["epoch"], chain))
            record = {**record, "state": "running", "chain": {**record["chain"], **chain}}
            made.note(record, f"runs {where}")
        if lives:
            made.due(made.now + _LOOK_AGAIN_SECONDS)
            made.waiting.append((record, f"runs {where}"))
            return f"runs {where}"
        tail = _tail(entry)
        if tail is not None and tail.stopped and tail.verdict and tail.verdict.kind in ("hard", "transient"):
            # Stopped again after some work: the evaluation parks this handoff again.
            made.waiting.append((record, "stopped again"))
            made.due(made.now + made.config.interval_seconds)
            return "stopped again"
        return _done(made, record, "the resumed session has ended")
    if found.state == "limit" and found.verdict is not None:
        return _limited(made, record, found)
    if lives:
        made.due(made.now + _LOOK_AGAIN_SECONDS)
        made.waiting.append((record, f"started, no answer yet, {where}"))
        return f"started, no answer yet, {where}"
    if not entry.get("new"):
        # The client did not take the conversation, or an error no reset cures: from the text, in a new session.
        made.note(record, f"the client refused the conversation: {found.text or 'it ended without a word'}")
        fresh = starting.new_conversation(entry["mode"])
        journal.note(made.home, record["id"], record["epoch"], **fresh)
        return _start(made, record, fresh)
    return _release(made, record, f"the new session ended without an answer: {found.text or 'no word'}")


def _tail(entry: dict[str, Any]) -> transcript_tail.Tail | None:
    path = starting.transcript_of(entry)
    return transcript_tail.tail_facts(path) if path is not None else None


def _limited(made: Round, record: Record, found: starting.Seen) -> str:
    limit = found.verdict.limit if found.verdict else None
    until = clock.iso(limit.resets_at) if limit and limit.resets_at else None
    news: dict[str, Any] = {}
    if limit is not None:
        news["limit"] = {k: v for k, v in limit.document().items() if k not in ("kind", "version")}
    operation = operations.repark(made.config.pc, record["id"], record["epoch"], until, "still at the limit", news)
    made.link.submit(operation)
    text = f"still at the limit, parked until {until or 'a success'}"
    made.note(record, text)
    made.due(limit.resets_at if limit else None)
    return text


def _done(made: Round, record: Record, outcome: str) -> str:
    made.link.submit(operations.done(made.config.pc, record["id"], record["epoch"], outcome))
    made.note(record, f"done: {outcome}")
    return outcome


def _release(made: Round, record: Record, reason: str) -> str:
    made.link.submit(operations.release(made.config.pc, record["id"], record["epoch"], reason=reason))
    made.note(record, f"released: {reason}")
    made.due(made.now + _LOOK_AGAIN_SECONDS)
    return f"not started: {reason}"


def _stray_wake(made: Round, snapshot: Snapshot) -> None:
    """A wake without a handoff (a person's hint) has been followed by this round: archive it."""
    from trinity.fleet import names

    path = names.wake_file(made.config.pc)
    if path in snapshot.paths(path) and not made.paused:
        held = {record["id"] for record, _ in made.waiting}
        if not any(handoff_id.encode() in snapshot.read(path) for handoff_id in held):
            made.link.submit(operations.take_wake(made.config.pc))


def shown(record: Record, config: Config) -> str:
    """The command with which a person goes on with this handoff by hand."""
    session = (record.get("sessions") or [{}])[0]
    start = launch.Start(
        config.client or "claude",
        session.get("cwd") or ".",
        "",
        session.get("session_id"),
        None,
        config.resume.permission_mode,
        session.get("config_dir"),
        None,
        record["id"],
        Path(),
    )
    return launch.shown(start)
