"""Stop and restart acting: no handoff and no resume happens while it is on; recording goes on.

trinity pause on            until `trinity pause off`
trinity pause on --for 2h   ends by itself
trinity pause status
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

from trinity import clock, home, program
from trinity.relay import pausing


def main(argv: list[str] | None = None) -> int:
    parser = program.parser(__doc__, changes=True)
    parser.add_argument("action", choices=["on", "off", "status"], nargs="?", default="status")
    parser.add_argument("--for", dest="seconds", type=program.duration, metavar="TIME", help="like 90s, 15m, 2h, 1d")
    arguments = parser.parse_args(argv)
    state = home.open_home(arguments.home, create=arguments.action != "status")
    if arguments.action == "on":
        until = clock.now() + arguments.seconds if arguments.seconds else None
        if not arguments.dry_run:
            pausing.pause(state, until)
        program.answer(arguments, {"paused": True, "until": clock.iso(until) if until else None}, _text(until))
        return 0
    if arguments.action == "off" and not arguments.dry_run:
        pausing.resume(state)
    pause = None if arguments.action == "off" else pausing.read(state)
    document = {"paused": pause is not None, "until": clock.iso(pause.until) if pause and pause.until else None}
    program.answer(arguments, document, _text(pause.until) if pause else "acting")
    return 0


def _text(until: float | None) -> str:
    return f"paused until {clock.iso(until)}" if until else "paused until: trinity pause off"


if __name__ == "__main__":
    raise SystemExit(program.run(main))
