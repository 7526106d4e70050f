"""The daemon of this PC, and the flags that record and act at once.

trinity credit_monitor --interval 60        run until told to stop
trinity credit_monitor --once               one round: evaluate, act, accept what is due
trinity credit_monitor --status             Status: HEALTHY, with the numbers
trinity credit_monitor --record-rate-limit  also --record-slow 15.0, --record-success, --record-error [KIND]
trinity credit_monitor --force-handoff      hand over to the next PC now
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import argparse
from typing import TYPE_CHECKING

from trinity import home, program
from trinity.errors import Busy, TrinityError

if TYPE_CHECKING:
    from trinity.config import Config
    from trinity.relay.link import Link


def main(argv: list[str] | None = None) -> int:
    parser = program.parser(__doc__)
    parser.add_argument("--interval", type=float, metavar="SECONDS", help="seconds between evaluations (default: 60)")
    parser.add_argument("--once", action="store_true", help="one round, then end")
    parser.add_argument("--record-rate-limit", action="store_true", help="a call was refused (429)")
    parser.add_argument("--record-slow", type=float, metavar="SECONDS", help="a response took so long")
    parser.add_argument("--record-success", action="store_true", help="a call was answered")
    parser.add_argument("--record-error", nargs="?", const="error", metavar="KIND", help="a call failed")
    parser.add_argument("--status", action="store_true", help="print the status")
    parser.add_argument("--force-handoff", action="store_true", help="hand over to the next PC now")
    arguments = parser.parse_args(argv)
    if arguments.interval is not None and not 1 <= arguments.interval <= 86400:
        parser.error("--interval takes 1 to 86400 seconds")
    recorded = arguments.record_rate_limit or arguments.record_success or arguments.record_error is not None
    if recorded or arguments.record_slow is not None or arguments.status or arguments.force_handoff:
        return _by_hand(arguments)
    return _once(arguments) if arguments.once else _daemon(arguments)


def _daemon(arguments: argparse.Namespace) -> int:
    # Only what the loop needs: it stays in memory for weeks.
    from trinity.relay.watch import Watch

    state = home.open_home(arguments.home, create=True)
    # -I -S are not passed on: a round needs the virtual environment.
    child = [sys.executable, str(Path(__file__).resolve()), "--once", "--home", str(state.root)]
    return Watch(state, child, arguments.interval or _interval(state)).run()


def _interval(state: home.Home) -> float:
    import json

    try:
        return float(json.loads(state.config_file.read_bytes()).get("interval_seconds") or 60)
    except (OSError, ValueError, AttributeError):
        return 60.0  # a round says what is wrong with the file


def _once(arguments: argparse.Namespace) -> int:
    from trinity import clock, config
    from trinity.credit import evaluation
    from trinity.relay import accept, act, board, watch
    from trinity.usage import today

    state = home.open_home(arguments.home, create=True)
    settings = config.load(state)
    answer = evaluation.evaluate(state, settings, told=today.signals(state, settings))
    lines: list[str] = []
    link: Link | None = None
    if act.is_due(state, settings, answer):
        lines = act.act(state, settings, answer)[1]
        answer = evaluation.evaluate(state, settings, told=today.signals(state, settings))
    next_at = min((limit.resets_at for limit in answer.limits if limit.resets_at), default=None)
    try:
        made = accept.run(state, settings, answer)
        lines += made.lines
        link = made.link
        next_at = min((t for t in (next_at, made.next_at) if t is not None), default=None)
        if made.link.offline:
            program.log(state, "fleet", f"offline: {made.link.offline}")
    except Busy as error:
        lines.append(error.message)
        next_at = clock.now() + 5
    # Behind all that moves work: a ledger that is read for the first time takes its seconds.
    _used(state, settings, link)
    board.write(state, settings, answer)
    watch.write_round(state, next_at, settings.fleet_url, settings.profiles, settings.poll_seconds)
    program.answer(arguments, {"status": answer.status, "done": lines}, "\n".join([answer.status, *lines]))
    return 0


def _used(state: home.Home, settings: Config, link: Link | None) -> None:
    """Bring the ledger and today's numbers up to date, and share them now and then. Work moves without them too."""
    import sqlite3

    from trinity.relay import spending, usage_sharing
    from trinity.usage import summary, updating

    try:
        updating.update(state, settings)
        if link is not None and link.fleet(link.state.last()) is not None:
            usage_sharing.share(link, at_once=False)
        summary.refresh(state, settings, None if link is None else spending.own(link))
    except (TrinityError, OSError, sqlite3.Error) as error:
        program.log(state, "usage", f"not brought up to date: {error}")


def _by_hand(arguments: argparse.Namespace) -> int:
    from trinity.face.credit_monitor import CreditMonitor, trigger_handoff, update_dashboard_data

    monitor = CreditMonitor(arguments.home)
    if arguments.record_rate_limit:
        monitor.record_rate_limit()
    if arguments.record_slow is not None:
        monitor.record_response_time(arguments.record_slow)
    if arguments.record_success:
        monitor.record_success()
    if arguments.record_error is not None:
        monitor.record_error(arguments.record_error)
    recording = not (arguments.status or arguments.force_handoff)
    saved = []
    if arguments.force_handoff:
        saved = trigger_handoff("credit_exhaustion", force=True, state_home=monitor.home.root)
    elif recording and monitor.should_trigger_handoff():
        saved = trigger_handoff("credit_exhaustion", state_home=monitor.home.root)
    update_dashboard_data(monitor.home.root)
    answer = monitor.evaluate()
    lines = [f"Status: {answer.status}"]
    lines += [f"  {signal.status}: {signal.text}" for signal in answer.signals]
    counts = answer.counts
    lines.append(
        f"  {counts.calls} calls, {counts.errors} errors, {counts.rate_limits} rate limits, "
        f"{counts.average_seconds:.1f} s on average"
    )
    for record in saved:
        until = f" until {record['parked_until']}" if record["parked_until"] else ""
        lines.append(f"  handoff {record['id']}: {record['from_pc']} → {record['to_pc']}, {record['state']}{until}")
    document = {**answer.document, "handoffs": saved}
    program.answer(arguments, document, program.clean("\n".join(lines)))
    return 0


if __name__ == "__main__":
    raise SystemExit(program.run(main))
