"""Accepting: a round over the handoffs of this PC, or one handoff because a person says so.

Each handoff is looked at once and moved by at most one step of its life, so a round that is killed anywhere is continued
by the next: queued or parked → claimed → started (noted in the journal first) → running at the first new answer → done.
A conversation that went on by itself is closed and not resumed a second time.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from trinity import clock, locks, program
from trinity.config import Config
from trinity.credit.evaluation import Evaluation
from trinity.errors import Offline, TrinityError
from trinity.fleet import embedded, names, operations
from trinity.fleet.snapshot import Snapshot
from trinity.home import Home
from trinity.relay import (
    closing,
    company,
    consent,
    holding,
    homecoming,
    lost,
    pausing,
    readiness,
    rounds,
    sending,
    starting,
    waiting,
)
from trinity.relay.link import OPEN_STATES, Link, Record
from trinity.relay.rounds import Round
from trinity.work import launch


def run(home: Home, config: Config, evaluation: Evaluation) -> Round:
    """One round; offline, what can be done here is done. Raises Busy when another round runs."""
    with locks.hold(home.locks / "accept.lock", timeout=1):
        link = Link(home, config)
        pause = pausing.read(home)
        made = Round(home, config, link, evaluation, clock.now(), pause is not None or not config.act)
        made.due(pause.until if pause else None)
        snapshot = link.refresh()
        everything = link.handoffs(snapshot)
        if not link.offline:
            closing.close_left(link, snapshot)
            made.lines += lost.look(home, config.pc, everything)
        records = [rounds.here(r, config.pc) for r in everything if r["state"] in OPEN_STATES]
        mine = [r for r in records if config.pc in (r["to_pc"], r["owner"])]
        # What runs comes first: it decides whether there is room for more.
        for record in sorted(mine, key=lambda r: r["state"] not in ("claimed", "running")):
            _alone(made, record, _look)
        for record in records:
            _alone(made, record, closing.keep_fences)
            if record not in mine:
                made.waiting.append((record, f"with {record['to_pc']}"))
        _stray_wake(made, link.state.last())
        if not link.offline:
            made.lines += homecoming.fetch(link, everything) + consent.meet(link, link.state.last())
            busy = made.running >= config.resume.at_once
            # The state as this round has left it: what is done holds no lease any more.
            made.due(company.round_of(link, link.state.last(), evaluation, made.paused, busy))
        _tidy(link)
        if not made.paused:
            readiness.look(home, config)
        return made


def _alone(made: Round, record: Record, step: Callable[[Round, Record], None]) -> None:
    """What goes wrong with one handoff (a disk, a record that somebody wrote by hand) does not hold up the others."""
    try:
        step(made, record)
    except (TrinityError, OSError) as error:
        why = error.message if isinstance(error, TrinityError) else f"{error.strerror or error}: '{error.filename}'"
        made.note(record, f"waits: {why}")
        made.waiting.append((record, why))
        made.due(made.now + made.config.interval_seconds)


def _tidy(link: Link) -> None:
    """The fleet of one PC has nobody else who keeps its remote small."""
    if link.config.fleet_url is None and embedded.due(link.home):
        try:
            link.state.alone(lambda: embedded.compact(link.home))
        except TrinityError as error:
            program.log(link.home, "fleet", f"the embedded remote was not packed: {error.message}")


def accept(home: Home, config: Config, evaluation: Evaluation, handoff_id: str, launching: bool) -> tuple[Record, str]:
    """Accept one handoff now, because a person says so; returns it and what became of it. Raises TrinityError."""
    with locks.hold(home.locks / "accept.lock", timeout=30):
        link = Link(home, config)
        made = Round(home, config, link, evaluation, clock.now(), False)
        record = rounds.find(link, link.refresh(), handoff_id)
        if record["state"] not in ("queued", "parked"):
            raise TrinityError(f"handoff {record['id']} is {record['state']}", f"trinity handoffs show {record['id']}")
        mode = waiting.mode(config, record) if launching else "none"
        if mode == "offer":
            # A person accepts a conversation of a person: where it can be looked at, if there is such a place.
            mode = "tmux" if shutil.which("tmux") else "headless"
        if open_in := starting.open_in(record, mode):
            raise TrinityError(open_in, f"trinity handoffs show {record['id']}")
        consent.give(link, link.state.last(), record)
        if record["state"] == "parked":
            # Not kept: what is refused to this person now must not start hours later.
            parked = link.submit(operations.park(config.pc, record["id"], clock.iso()), keep=False)
            if parked.refused:
                raise TrinityError(f"handoff {record['id']} was changed by another PC", "trinity handoffs list")
            if not parked.visible:
                raise Offline(f"cannot accept '{record['id']}': the fleet remote does not answer", "try again later")
        claimed = holding.claim(made, record, mode, by_hand=True)
        readiness.look(home, config)
        return claimed


def finish(home: Home, config: Config, evaluation: Evaluation, handoff_id: str) -> tuple[Record, str]:
    """A person says that this work is done; returns it and what became of it. What came from another PC goes home."""
    outcome = "a person says it is done"
    with locks.hold(home.locks / "accept.lock", timeout=30):
        link = Link(home, config)
        made = Round(home, config, link, evaluation, clock.now(), False)
        record = rounds.find(link, link.refresh(), handoff_id)
        if record["state"] in ("queued", "parked"):
            refused = link.submit(operations.withdraw(config.pc, record["id"], record["epoch"], outcome)).refused
            if refused:
                raise TrinityError(f"handoff {record['id']} is not done: {refused}", "trinity handoffs list")
            return record, outcome
        if record["state"] not in ("claimed", "running") or record["owner"] != config.pc:
            by = f" by {record['owner']}" if record["owner"] else ""
            hint = f"to have it back here: trinity accept_handoff {record['id']} --take-back"
            raise TrinityError(f"handoff {record['id']} is {record['state']}{by}", hint)
        holding.finish(made, record, outcome)
        if made.waiting:
            raise Offline(f"handoff {record['id']} {made.waiting[-1][1]}", "it is tried again by itself")
        return record, outcome


def _look(made: Round, record: Record) -> None:
    went_on = starting.continued(record) if record["state"] in ("queued", "parked") else ""
    if went_on:
        operation = operations.withdraw(made.config.pc, record["id"], record["epoch"], went_on)
        if not made.link.submit(operation).refused:
            made.note(record, went_on)
        return
    if record["state"] == "parked":
        record = waiting.parked(made, record)
    if record["state"] == "queued":
        waiting.queued(made, record)
    elif record["state"] in ("claimed", "running") and record["owner"] == made.config.pc:
        if not sending.cut_off(made, record):
            holding.held(made, record, waiting.mode(made.config, record))
    elif record["state"] in ("claimed", "running"):
        made.waiting.append((record, f"running on {record['owner']}"))


def _stray_wake(made: Round, snapshot: Snapshot) -> None:
    """A wake without a handoff (a person's hint) has been followed by this round: archive it."""
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
