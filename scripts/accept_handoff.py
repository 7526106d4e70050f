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
from trinity.relay import accept, board, homecoming, watch
from trinity.usage import today


def main(argv: list[str] | None = None) -> int:
    parser = program.parser(__doc__, changes=True)
    parser.add_argument("id", nargs="?", metavar="ID", help="the handoff (default: all that are due)")
    parser.add_argument("--no-launch", action="store_true", help="claim it and print the command, start nothing")
    parser.add_argument(
        "--take-back", action="store_true", help="bring work that went to another PC home, beside yours"
    )
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
        taken = homecoming.take_back(state, settings, arguments.id)
        board.write(state, settings, answer)
        watch.call(state)
        lines = [f"handoff {taken.record['id']}: {taken.said}"]
        lines.append(f"go on there with: claude --resume {taken.session['session_id']}")
        document = {"session": taken.session, "equal": taken.equal, "differences": taken.differences}
        program.answer(arguments, document, program.clean("\n".join(lines)))
        return 0
    if arguments.done:
        record, outcome = accept.finish(state, settings, answer, arguments.id)
        board.write(state, settings, answer)
        program.answer(arguments, {"handoff": record, "outcome": outcome}, f"handoff {record['id']}: done, {outcome}")
        return 0
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


if __name__ == "__main__":
    raise SystemExit(program.run(main))
