"""Accept a handoff on this PC and go on with it: claim it, start the same conversation, see its first answer.

Without ID: a round over all handoffs that are due here. With ID: this one, now, because you say so; ID may be shortened.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

from trinity import config, home, program
from trinity.credit import evaluation
from trinity.errors import UsageError
from trinity.fleet import operations
from trinity.relay import accept, board, rounds, watch
from trinity.relay.link import Link
from trinity.usage import today


def main(argv: list[str] | None = None) -> int:
    parser = program.parser(__doc__, changes=True)
    parser.add_argument("id", nargs="?", metavar="ID", help="the handoff (default: all that are due)")
    parser.add_argument("--no-launch", action="store_true", help="claim it and print the command, start nothing")
    parser.add_argument("--take-back", action="store_true", help="bring the result of finished work home, beside yours")
    parser.add_argument("--done", action="store_true", help="say that this handoff's work is finished")
    arguments = parser.parse_args(argv)
    if not arguments.id and (arguments.no_launch or arguments.done or arguments.take_back):
        raise UsageError("--no-launch, --take-back and --done need the ID of a handoff")
    state = home.open_home(arguments.home)
    settings = config.load(state)
    answer = evaluation.evaluate(state, settings, told=today.signals(state, settings))
    if arguments.dry_run:
        waiting = [record for record in board.open_handoffs(state) if record["to_pc"] == settings.pc]
        lines = [f"{record['id']} {board.what(record)}: {board.where(record, settings.pc)}" for record in waiting]
        program.answer(arguments, waiting, program.clean("\n".join(lines) or "nothing waits for this PC"))
        return 0
    if arguments.take_back:
        record, arrived = accept.take_back(state, settings, arguments.id)
        equal = "equal to what was sent" if arrived.equal else f"not equal: {'; '.join(arrived.differences)}"
        lines = [f"handoff {record['id']}: taken back to {arrived.session['cwd']}, {equal}"]
        lines.append(f"go on there with: claude --resume {arrived.session['session_id']}")
        document = {"session": arrived.session, "equal": arrived.equal, "differences": arrived.differences}
        program.answer(arguments, document, program.clean("\n".join(lines)))
        return 0
    if arguments.done:
        return _done(arguments.id, state, settings)
    if arguments.id:
        record, outcome = accept.accept(state, settings, answer, arguments.id, not arguments.no_launch)
        text = f"handoff {record['id']}: {outcome}"
        watch.call(state)
        program.answer(arguments, {"handoff": record, "outcome": outcome}, program.clean(text))
        board.write(state, settings, answer)
        return 1 if outcome.startswith("not started") else 0
    made = accept.run(state, settings, answer)
    board.write(state, settings, answer)
    lines = made.lines + [f"handoff {record['id']}: {text}" for record, text in made.waiting]
    document = {
        "done": made.lines,
        "waiting": [{"id": record["id"], "where": text} for record, text in made.waiting],
        "offline": made.link.offline,
    }
    program.answer(arguments, document, program.clean("\n".join(lines) or "nothing waits for this PC"))
    return 75 if made.link.offline else 0


def _done(handoff_id: str, state: home.Home, settings: config.Config) -> int:
    link = Link(state, settings)
    record = rounds.find(link, link.refresh(), handoff_id)
    if record["state"] in ("queued", "parked"):
        operation = operations.withdraw(settings.pc, record["id"], record["epoch"], "a person says it is done")
    else:
        operation = operations.done(settings.pc, record["id"], record["epoch"], "a person says it is done")
    refused = link.submit(operation).refused
    program.say(f"handoff {record['id']}: {refused or 'done'}")
    return 1 if refused else 0


if __name__ == "__main__":
    raise SystemExit(program.run(main))
