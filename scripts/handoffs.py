"""See where every piece of work is, and steer it.

trinity handoffs list [--all]   open handoffs, with --all also those that are done
trinity handoffs show ID        one handoff with its chain
trinity handoffs requeue ID     make it available again, under a new epoch
trinity handoffs bury ID        give it up; its record is kept
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

from typing import Any

from trinity import clock, config, home, program
from trinity.errors import TrinityError, UsageError
from trinity.fleet import operations
from trinity.relay import accept, arrival, board, lost, others, rounds, watch
from trinity.relay.link import OPEN_STATES, Link

CHAIN = ("written", "pushed", "seen", "claimed", "started", "first_line")


def main(argv: list[str] | None = None) -> int:
    parser = program.parser(__doc__, changes=True)
    parser.add_argument("action", choices=["list", "show", "requeue", "bury"], nargs="?", default="list")
    parser.add_argument("id", nargs="?", metavar="ID", help="the handoff; may be shortened")
    parser.add_argument("--all", action="store_true", help="list those that are done, too")
    parser.add_argument("--reason", default="by a person", help="why it is buried")
    arguments = parser.parse_args(argv)
    state = home.open_home(arguments.home)
    settings = config.load(state)
    link = Link(state, settings)
    snapshot = link.refresh()
    if link.offline:
        program.say(f"offline, shown is what was last seen: {link.offline}")
    if arguments.action == "list":
        everything = link.handoffs(snapshot)
        records = [r for r in everything if arguments.all or r["state"] in OPEN_STATES or _given_up(r)]
        about = others.in_words(state)
        lines = [_line(record, board.where(record, settings.pc, about)) for record in records]
        for record, why in link.unseen(everything):
            records.append(record)
            lines.append(_line(record, f"safe on this PC, not in the fleet yet: {why or 'about to be sent'}"))
        lines += [f"left alone: {path}: {why}" for path, why in link.unreadable(snapshot).items()]
        program.answer(arguments, records, program.clean("\n".join(lines) or "no work is on its way"))
        return 0
    if not arguments.id:
        raise UsageError(f"'{arguments.action}' needs the ID of a handoff")
    record = rounds.find(link, snapshot, arguments.id)
    if arguments.action == "show":
        program.answer(arguments, record, program.clean(_shown(record, settings, state)))
        return 0
    if arguments.action == "requeue":
        operation = operations.requeue(settings.pc, record["id"], epoch=record["epoch"])
    else:
        operation = operations.bury(settings.pc, record["id"], arguments.reason, record["epoch"])
    if not arguments.dry_run:
        done = link.submit(operation)
        if done.refused:
            raise TrinityError(f"cannot {arguments.action} '{record['id']}': {done.refused}")
        watch.call(state)
    text = f"handoff {record['id']}: {'would be ' if arguments.dry_run else ''}{_PAST[arguments.action]}"
    program.answer(arguments, {"id": record["id"], "action": arguments.action}, text)
    return 0


_PAST = {"requeue": "queued again", "bury": "buried, its record is kept"}


def _given_up(record: dict[str, Any]) -> bool:
    """Did Trinity give it up, and no person?"""
    return record["state"] == "dead" and str(record.get("outcome")).startswith("gave up")


def _line(record: dict[str, Any], where: str) -> str:
    way = f"{record['from_pc']} → {record['owner'] or record['to_pc']}"
    return f"{record['id']}  {record['state']:8}  {way}  {board.what(record)}  ({where})"


def _shown(record: dict[str, Any], settings: config.Config, state: home.Home) -> str:
    session = (record.get("sessions") or [{}])[0]
    work = record.get("current_work") or {}
    rows = [
        ("handoff", record["id"]),
        ("state", f"{record['state']}, {board.where(record, settings.pc, others.in_words(state))}"),
        ("way", f"{record['from_pc']} → {record['to_pc']}, epoch {record['epoch']}, owner {record['owner'] or 'none'}"),
        ("reason", record["reason"]),
        ("limit", _limit(record.get("limit"))),
        ("session", session.get("session_id", "none: the task queue alone")),
        ("folder", session.get("cwd", "")),
        ("work", ", ".join(f"{key} {value}" for key, value in work.items() if value and "prompt" not in key)),
        ("tasks", "; ".join(f"{task['id']} {task['description']}" for task in record["task_queue"])),
        ("outcome", record.get("outcome") or ""),
        ("was on", "; ".join(_visit(visit) for visit in record.get("visits") or [])),
        ("carried", "; ".join(record.get("notes") or [])),
        *(("held", text) for text in (record.get("held") or {}).get("reasons") or []),
        ("touches", ", ".join(one["path"] for one in record.get("touches") or [])),
        *(("here", lost.in_words(kept)) for kept in lost.of(state) if kept["handoff_id"] == record["id"]),
        *(("here", text) for text in arrival.told_of(state, record)),
    ]
    lines = [f"{name:8} {text}" for name, text in rows if text]
    began = clock.parse(record["timestamp"])
    for name in CHAIN:
        if name in record["chain"]:
            lines.append(f"  {name:10} {record['chain'][name]}  +{clock.parse(record['chain'][name]) - began:.1f} s")
    if record["state"] in ("queued", "parked") and session:
        lines.append(f"by hand  {accept.shown(record, settings)}")
    return "\n".join(lines)


def _visit(visit: dict[str, Any]) -> str:
    stopped = f", stopped until {clock.local(clock.parse(visit['until']))}" if visit.get("until") else ""
    return f"{visit['pc']} from {clock.local(clock.parse(visit['at']))}{stopped}"


def _limit(limit: dict[str, Any] | None) -> str:
    if not limit:
        return ""
    until = f"until {limit['resets_at']}" if limit.get("resets_at") else "without a known reset"
    return f"{limit['type']} {until}, seen {limit['seen_at']} by {limit['source']}"


if __name__ == "__main__":
    raise SystemExit(program.run(main))
