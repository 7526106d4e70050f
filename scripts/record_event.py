"""Record what happened to an API call, for programs that are not Claude Code's hooks.

It records and does nothing more; `trinity credit_monitor --record-...` records and acts.

  record_event.py success [--seconds 2.5]
  record_event.py error [KIND] [--status 529]
  record_event.py rate-limit
  record_event.py slow SECONDS
  record_event.py hook < payload.json      as Claude Code's hooks send it
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import argparse
from typing import Any

from trinity import home, program
from trinity.credit import event_log
from trinity.errors import TrinityError, UsageError

_EVENTS = {"success": "success", "error": "error", "rate-limit": "rate_limit", "slow": "slow"}


def main(argv: list[str] | None = None) -> int:
    parser = program.parser(__doc__)
    parser.add_argument("event", choices=[*_EVENTS, "hook"], help="what happened")
    parser.add_argument("value", nargs="?", help="SECONDS of a slow response, or the KIND of an error")
    parser.add_argument("--seconds", type=float, help="how long the call took")
    parser.add_argument("--status", type=int, help="the HTTP status of an error")
    parser.add_argument("--session", metavar="ID", help="the Claude Code session it belongs to")
    arguments = parser.parse_args(argv)
    state = home.open_home(arguments.home, create=True)
    if arguments.event == "hook":
        if (arguments.value, arguments.seconds, arguments.status, arguments.session) != (None, None, None, None):
            raise UsageError("'hook' takes all it records from stdin")
        name, troubles = _hook(state)
        for trouble in troubles:
            program.say(trouble)
        program.answer(arguments, {"recorded": name, "left_out": troubles}, f"recorded: {name}")
        return 0
    event = _event(arguments)
    event_log.append(state, event)
    program.answer(arguments, {"recorded": event}, f"recorded: {arguments.event}")
    return 0


def _event(arguments: argparse.Namespace) -> dict[str, Any]:
    event: dict[str, Any] = {"event": _EVENTS[arguments.event], "source": "program"}
    if arguments.event == "slow":
        event["seconds"] = _seconds(arguments.value)
    elif arguments.value is not None:
        if arguments.event != "error":
            raise UsageError(f"'{arguments.event}' takes no value")
        event["error"] = program.clean(arguments.value)[:200]
    if arguments.seconds is not None:
        event["seconds"] = _seconds(arguments.seconds)
    if arguments.status is not None:
        event["status"] = arguments.status
    if arguments.session:
        event["session_id"] = arguments.session
    return event


def _seconds(value: Any) -> float:
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        raise UsageError("slow takes the seconds it took, like: slow 15.0") from None
    if not 0 <= seconds < 1e6:
        raise UsageError(f"{seconds} is no response time in seconds")
    return seconds


def _hook(state: home.Home) -> tuple[str, list[str]]:
    """Record the payload on stdin as the hook of its event does; its name, and what had to be left out."""
    from trinity.hooks import record, registry

    try:
        payload, troubles = record.receive("")
        name = payload.get("hook_event_name")
        if name not in {hook.event for hook in registry.HOOKS}:
            raise ValueError(f"'{name}' is no event that is recorded")
        record.append_event(str(state.root), record.hook_line(str(name), payload, 0, troubles))
    except (ValueError, RecursionError) as error:
        raise TrinityError(f"cannot record the payload: {error}", "it must be the JSON that a hook gets") from None
    return str(name), troubles


if __name__ == "__main__":
    raise SystemExit(program.run(main))
