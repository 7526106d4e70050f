"""What was used goes to the fleet, and comes from it: each PC publishes its ledger's days and reads those of the others.

Nothing of another PC is trusted: a record that is damaged, of another PC or day, or too large is kept aside with the
reason, and said; what was read of that PC before stays. Offline, everything is as it was seen last.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from trinity import clock, files, program, schema
from trinity.config import Config
from trinity.errors import TrinityError
from trinity.fleet import rotation, usage_refs
from trinity.fleet.snapshot import Refusal
from trinity.fleet.usage_refs import INDEX, Published
from trinity.home import Home
from trinity.relay.link import Link
from trinity.usage import day_record, fleet_rows, ledger, publication
from trinity.usage.day_record import Row
from trinity.usage.fleet_rows import Fleet, Seen

# A round that finds something new tells it at most so often: each time is a push.
EVERY_SECONDS = 900.0
_QUARTER = 900


@dataclass
class Shared:
    """The PCs whose usage is known, what was wrong with some of it, and why the fleet was not reached, if it was not."""

    seen: list[Seen] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    offline: str = ""
    accounts: dict[str, tuple[str, str]] = field(default_factory=dict)


def share_now(home: Home, config: Config) -> Shared:
    """`share`, with the labels and kinds of the fleet's accounts: by id `(label, kind)`."""
    link = Link(home, config)
    try:
        snapshot = link.refresh()
    except TrinityError as error:
        snapshot, link.offline = link.state.last(), error.message
    shared = share(link)
    shared.offline = shared.offline or link.offline
    fleet = rotation.read(snapshot)
    known = {} if fleet is None or isinstance(fleet, Refusal) else fleet["pcs"]
    for account in (pc["account"] for pc in known.values()):
        shared.accounts[account["id"]] = (account.get("label", ""), account["kind"])
    shared.accounts[config.account.id] = (config.account.label, config.account.kind)
    return shared


def share(link: Link, now: float | None = None, at_once: bool = True) -> Shared:
    """Publish what changed here, read what changed elsewhere. Without `at_once` seldom, and only when something changed."""
    moment = clock.now() if now is None else now
    shared = Shared()
    pc = link.config.pc
    with fleet_rows.opened(link.home) as fleet:
        told = {seen.pc: seen.told for seen in fleet.seen()}.get(pc, 0.0)
        if not at_once and 0 <= moment - told < EVERY_SECONDS:
            return shared
        _take_own(link, fleet, moment)
        news = fleet.sent() != fleet.marks(pc)
    if not at_once and not news:
        return shared
    published: dict[str, Published] = {}
    try:
        usage_refs.fetch(link.state)
        published = usage_refs.read_all(link.state)
    except TrinityError as error:  # away: what is known is shown all the same
        shared.offline = error.message
    mine = published.pop(pc, Published())
    try:
        with fleet_rows.opened(link.home) as fleet:
            if not link.config.share_usage:
                fleet.saw(pc, moment)
            elif not shared.offline and (news or not mine.files):
                _publish(link, fleet, mine, moment)
    except TrinityError as error:  # it takes nothing of this PC, which is no reason not to read the others
        shared.problems.append(f"what {pc} used was not told to the fleet: {error.message}")
    # Not held while git talks to the remote: another process may want the table.
    with fleet_rows.opened(link.home) as fleet:
        for other, found in published.items():
            shared.problems += _take(link, fleet, other, found)
        shared.seen = fleet.seen()
    for problem in shared.problems:
        program.log(link.home, "usage", problem)
    return shared


def _take_own(link: Link, fleet: Fleet, now: float) -> None:
    """Bring this PC's own part of the table to what the ledger says."""
    pc = link.config.pc
    known = fleet.marks(pc)
    with ledger.opened(link.home) as connection:
        wanted = publication.marks(connection, now)
        for day in [day for day in known if day not in wanted]:
            fleet.drop(pc, day)
        changed = [day for day, mark in wanted.items() if known.get(day) != mark]
        for day in changed:
            rows = list(publication.rows(connection, day))
            if wanted[day].startswith("sums"):
                copies = fleet.copies(pc, (row.key for row in rows if row.key is not None))
                rows = fleet_rows.summed((row for row in rows if row.key not in copies), _QUARTER)
            fleet.put(pc, day, wanted[day], rows)


def _publish(link: Link, fleet: Fleet, before: Published, now: float) -> None:
    """Push this PC's days; those that did not change stay the objects they are."""
    pc = link.config.pc
    told: dict[str, bytes | str] = {}
    sent = dict(fleet.sent())
    for day, mark in fleet.marks(pc).items():
        path = usage_refs.day_file(publication.name(day))
        if sent.get(day) == mark and path in before.files:
            told[path] = before.files[path]
        else:
            told[path] = _dumped(day_record.dump(pc, publication.name(day), fleet.rows(pc, day)))
    record = {"kind": "usage", "version": 1, "pc": pc, "timestamp": clock.iso(now)}
    usage_refs.publish(link.state, pc, {INDEX: files.dump_json(record), **told})
    fleet.has_sent(fleet.marks(pc))
    fleet.saw(pc, now)


def _dumped(record: dict[str, object]) -> bytes:
    schema.validate("usage_day", record, f"usage of {record['pc']} on {record['day']}")
    return files.dump_json(record)


def _take(link: Link, fleet: Fleet, pc: str, found: Published) -> list[str]:
    """Bring a PC's part of the table to what it has published; returns what could not be read."""
    problems = [f"usage of {pc}: {path}: {why}" for path, why in found.problems.items()]
    known = fleet.marks(pc)
    days = {publication.day_of(path): oid for path, oid in found.files.items() if path != INDEX}
    wanted = {day: oid for day, oid in days.items() if day is not None}
    for day in [day for day in known if day not in wanted]:
        fleet.drop(pc, day)
    changed = [day for day, oid in wanted.items() if known.get(day) not in (oid, f"refused {oid}")]
    refused = [day for day, oid in wanted.items() if known.get(day) == f"refused {oid}"]
    problems += [f"usage of {pc}: {publication.name(day)} could not be read" for day in refused]
    for day, data in zip(changed, usage_refs.read(link.state, [wanted[day] for day in changed]), strict=True):
        source = f"usage of {pc} on {publication.name(day)}"
        try:
            fleet.put(pc, day, wanted[day], _rows(pc, day, data, source))
        except (TrinityError, ValueError) as error:
            problems.append(_refused(link, fleet, (pc, day, wanted[day]), data, source, str(error)))
    told = found.files.get(INDEX)
    fleet.saw(pc, _told(pc, usage_refs.read(link.state, [told])[0]) if told else 0.0)
    return problems


def _rows(pc: str, day: int, data: bytes, source: str) -> list[Row]:
    record = schema.read("usage_day", data, source, usage_refs.MAX_BYTES)
    if (record["pc"], record["day"]) != (pc, publication.name(day)):
        raise ValueError(f"it says it is of {record['pc']} on {record['day']}")
    return list(day_record.load(record, source))


def _refused(link: Link, fleet: Fleet, place: tuple[str, int, str], data: bytes, source: str, why: str) -> str:
    """Keep a damaged record aside, once; what was read of that day before stays."""
    pc, day, oid = place
    name = f"usage_{pc}_{publication.name(day)}_{oid[:12]}.json"
    draft = link.home.root / name
    files.write_atomic(draft, data)
    kept = files.quarantine(link.home, draft, why)
    fleet.mark(pc, day, f"refused {oid}")
    return f"{source} could not be read, kept in quarantine/{kept.name}: {why}"


def _told(pc: str, data: bytes) -> float:
    try:
        record = schema.read("usage", data, f"usage of {pc}")
    except TrinityError:
        return 0.0
    return clock.parse(record["timestamp"]) if record["pc"] == pc else 0.0
