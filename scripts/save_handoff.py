"""Hand over now: one conversation, or all that stand still, or the task queue alone.

Without --to, work is parked on this PC until the reset of the limit in force. With --to it goes to that PC at once.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

from trinity import config, home, program
from trinity.credit import evaluation
from trinity.credit.picture import Session
from trinity.errors import TrinityError
from trinity.relay import board, save, watch
from trinity.usage import today


def main(argv: list[str] | None = None) -> int:
    parser = program.parser(__doc__, changes=True)
    parser.add_argument("--to", metavar="PC", help="the PC that shall take over")
    parser.add_argument("--session", metavar="ID", help="one Claude Code session (default: all that stand still)")
    parser.add_argument("--reason", default="manual", help="why (default: manual)")
    arguments = parser.parse_args(argv)
    if arguments.to:
        config.check_pc(arguments.to)
    state = home.open_home(arguments.home)
    settings = config.load(state)
    answer = evaluation.evaluate(state, settings, told=today.signals(state, settings))
    limits = [limit for limit in answer.limits if limit.scope == "account" and limit.type != "auth"]
    limit = max(limits, key=lambda known: known.resets_at or 0, default=None)
    saved = [
        save.save(
            state,
            settings,
            session=session,
            limit=limit,
            reason=arguments.reason,
            to=arguments.to,
            dry_run=arguments.dry_run,
        )
        for session in _sessions(state, settings, answer, arguments.session)
    ]
    board.write(state, settings, answer)
    if not arguments.dry_run:
        watch.call(state)
    document = [{"action": one.action, "visible": one.visible, "handoff": one.record} for one in saved]
    lines = [line for one in saved for line in (one.text(), *[f"  {note}" for note in one.notes])]
    program.answer(arguments, document, program.clean("\n".join(lines)))
    return 0


def _sessions(
    state: home.Home, settings: config.Config, answer: evaluation.Evaluation, wanted: str | None
) -> list[Session | None]:
    if wanted is None:
        return list(answer.stopped) or [None]
    with evaluation.opened(state, settings) as held:
        known = [session for session in held.sessions.values() if session.id.startswith(wanted)]
    if len(known) != 1:
        what = f"{len(known)} sessions begin with" if known else "no session recorded here is"
        raise TrinityError(f"{what} '{wanted}'", "the client shows the id of its session with /status")
    return list(known)


if __name__ == "__main__":
    raise SystemExit(program.run(main))
