"""Say what was used, by which model, project, session, PC, account or task, and what it cost.

usage_report.py                             today
usage_report.py --week --by project         the last 7 days, today included; --month: the last 30
usage_report.py --date 2026-11-20 --detail  every call of one day
usage_report.py --since 2026-11-01 --until 2026-11-15 --csv
usage_report.py --fleet --by pc,account     all PCs, each message once
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import argparse
from collections.abc import Callable
from typing import Any

from trinity import clock, config, home, program
from trinity.config import Config
from trinity.errors import UsageError
from trinity.home import Home
from trinity.usage import periods, report, rows, summary, updating
from trinity.usage.periods import Span, Zone
from trinity.usage.prices import Book
from trinity.usage.report import Kinds
from trinity.usage.rows import Source


def main(argv: list[str] | None = None) -> int:
    parser = program.parser(__doc__)
    span = parser.add_mutually_exclusive_group()
    span.add_argument("--date", metavar="DAY", help="one day, like 2026-11-20")
    span.add_argument("--week", action="store_true", help="the last 7 days")
    span.add_argument("--month", action="store_true", help="the last 30 days")
    span.add_argument("--since", metavar="TIME", help="from a day or time on, like 2026-11-01 or 2026-11-01T08:00")
    parser.add_argument("--until", metavar="TIME", help="up to a day or time (default: now)")
    parser.add_argument("--by", action="append", metavar="WHAT", help=f"{', '.join(report.BY)}; default: model")
    parser.add_argument("--detail", action="store_true", help="every call")
    parser.add_argument("--timezone", metavar="ZONE", help="where days begin, like Europe/Berlin (default: this PC's)")
    parser.add_argument("--csv", action="store_true", help="print the answer as CSV")
    parser.add_argument("--fleet", action="store_true", help="all PCs of the fleet, each message once")
    parser.add_argument("--rebuild", action="store_true", help="read all transcripts anew first; nothing is forgotten")
    parser.add_argument("--update", action="store_true", help="read what is new and say nothing, for the daemon")
    arguments = parser.parse_args(argv)
    state = home.open_home(arguments.home, create=True)
    settings = config.load(state)
    by = _by(arguments.by)
    zone = Zone(arguments.timezone)
    wanted = _span(arguments, zone)
    updating.update(state, settings, arguments.rebuild)
    book = Book(state)
    with rows.own(state, settings.pc) as source:
        summary.write(state, settings, source, book)
        if arguments.update:
            return 0
        if not arguments.fleet:
            document = report.build(source, wanted, zone, book, summary.accounts(settings), by, arguments.detail)
    if arguments.fleet:
        document = _fleet(
            state, settings, lambda source, kinds: report.build(source, wanted, zone, book, kinds, by, arguments.detail)
        )
    _print(arguments, document)
    return 0


def _fleet(state: Home, settings: Config, build: Callable[[Source, Kinds], dict[str, Any]]) -> dict[str, Any]:
    """The report over all PCs, with what is known of each."""
    from trinity.relay import usage_sharing
    from trinity.usage import fleet_rows

    shared = usage_sharing.share_now(state, settings)
    with fleet_rows.opened(state) as source:
        document = build(source, shared.accounts)
    document["sources"] = [
        {"pc": seen.pc, "seen_seconds_ago": round(clock.now() - seen.seen, 1)} for seen in shared.seen
    ]
    document["notes"] += shared.problems
    if shared.offline:
        document["notes"].append(f"other PCs are as they were seen last: {shared.offline}")
    return document


def _by(given: list[str] | None) -> list[str]:
    names = [name.strip() for text in given or ["model"] for name in text.split(",")]
    for name in names:
        if name not in report.BY:
            raise UsageError(f"'{name}' is nothing to report by", f"known are {', '.join(report.BY)}")
    return list(dict.fromkeys(names))


def _span(arguments: argparse.Namespace, zone: Zone) -> Span:
    if arguments.until and not arguments.since:
        raise UsageError("--until needs --since", "usage_report.py --since 2026-11-01 --until 2026-11-15")
    if arguments.week or arguments.month:
        return periods.last(zone, 7 if arguments.week else 30)
    if arguments.date:
        day = zone.day(zone.instant(arguments.date)[0])
        return periods.days(zone, day, day)
    return periods.between(zone, arguments.since, arguments.until) if arguments.since else periods.today(zone)


def _print(arguments: argparse.Namespace, document: dict[str, object]) -> None:
    if arguments.json:
        program.answer(arguments, document, "")
        return
    from trinity.face import usage_table

    if arguments.csv:
        sys.stdout.write(usage_table.as_csv(document))
    else:
        program.answer(arguments, document, usage_table.text(document, sys.stdout.isatty(), _width()))


def _width() -> int:
    import shutil

    return shutil.get_terminal_size((120, 40)).columns


if __name__ == "__main__":
    raise SystemExit(program.run(main))
