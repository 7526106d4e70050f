"""Leave a wake for a PC: a hint that there is something to fetch. Nothing in it is obeyed.

It is switched on as well, where `mac` of its entry in fleet.json or `wake_command` of this PC's config.json says how.


trinity send_wake PC2 --message "come and see"
trinity send_wake --send PC2 --task credit_handoff
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

from trinity import clock, config, home, program
from trinity.errors import TrinityError, UsageError
from trinity.fleet import operations, waking
from trinity.redaction import redact
from trinity.relay.link import Link


def main(argv: list[str] | None = None) -> int:
    parser = program.parser(__doc__, changes=True)
    parser.add_argument("pc", nargs="?", metavar="PC", help="the PC to wake")
    parser.add_argument("--send", metavar="PC", help="the same")
    parser.add_argument("--task", default="wake_up", help="a word for what it is about (default: wake_up)")
    parser.add_argument("--message", default="", help="a sentence for a person")
    arguments = parser.parse_args(argv)
    if bool(arguments.pc) == bool(arguments.send):
        raise UsageError("name one PC to wake")
    target = config.check_pc(arguments.pc or arguments.send)
    state = home.open_home(arguments.home)
    settings = config.load(state)
    record = {
        "kind": "wake",
        "version": 1,
        "from": settings.pc,
        "to": target,
        "timestamp": clock.iso(),
        "task": redact(arguments.task)[:200],
        "message": redact(arguments.message)[:1000],
        "working_directory": os.getcwd(),
    }
    if arguments.dry_run:
        program.answer(arguments, record, f"would wake {target}")
        return 0
    link = Link(state, settings)
    sent = link.submit(operations.send_wake(settings.pc, record))
    if sent.refused:
        raise TrinityError(f"the wake was refused: {sent.refused}")
    said = (
        f"wake for {target} is in the fleet's state"
        if sent.visible
        else f"wake for {target} is safe here, not yet visible"
    )
    woken = _rouse(link, target)
    document = {"wake": record, "visible": sent.visible, "woken": woken}
    program.answer(arguments, document, program.clean("; ".join([said, *woken])))
    return 0 if sent.visible else 75


def _rouse(link: Link, target: str) -> list[str]:
    """Switch the PC on as well, where there is a way; what was done."""
    fleet = link.fleet(link.state.last())
    if fleet is None or not waking.can_rouse(fleet, target, link.config.wake_command):
        return []
    try:
        return waking.rouse(link.home, fleet, target, list(link.config.wake_command)) or [
            "not switched on again so soon"
        ]
    except TrinityError as error:
        program.say(error.message)
        return []


if __name__ == "__main__":
    raise SystemExit(program.run(main))
