"""Say how close this PC's account is to a limit, and where the work is (also: trinity status).

With --act, do what the action table says about sessions that stand still: hand over or park, each exactly once. With
--act --dry-run, say what would be done.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

from typing import Any

from trinity import config, home, program
from trinity.credit import ahead, evaluation
from trinity.credit.evaluation import Evaluation
from trinity.errors import Busy
from trinity.usage import today

EXIT_CODES = {"HEALTHY": 0, "WARNING": 10, "CRITICAL": 11, "EXHAUSTED": 12}


def main(argv: list[str] | None = None) -> int:
    parser = program.parser(__doc__, changes=True)
    parser.add_argument("--act", action="store_true", help="do what the action table says")
    parser.add_argument("--exit-code", action="store_true", help="exit 0, 10, 11, 12 for HEALTHY to EXHAUSTED")
    arguments = parser.parse_args(argv)
    state = home.open_home(arguments.home, create=True)
    settings = config.load(state)
    answer = evaluation.evaluate(state, settings, told=today.signals(state, settings))
    lines: list[str] = []
    steps: list[dict[str, Any]] = []
    if arguments.act:
        # Imported here: what only shows a status stays cheap.
        from trinity.relay import act, watch

        if act.is_due(state, settings, answer):
            done, lines = act.act(state, settings, answer, arguments.dry_run)
            steps = [step.document() for step in done]
            if done and not arguments.dry_run:
                watch.call(state)
    from trinity.relay import board

    board.write(state, settings, answer)
    waiting = board.open_handoffs(state)
    used, news = today.read(state), board.news(state)
    document = {**answer.document, "steps": steps, "handoffs": waiting, "usage": used, "news": news}
    text = [*_status(settings, answer), *[f"  {line}" for line in lines]]
    text += [f"  {used['text']}"] if used else []
    text += [f"  {board.what(record)}: {board.where(record, settings.pc)}" for record in waiting]
    text += [f"  {line}" for line in news]
    if arguments.act and arguments.dry_run:
        text += _preview(state, settings)
    program.answer(arguments, document, program.clean("\n".join(text)))
    return EXIT_CODES[answer.status] if arguments.exit_code else 0


def _status(settings: config.Config, answer: Evaluation) -> list[str]:
    account = settings.account
    whose = f"account {account.label} ({account.kind})" if account.label else f"account not declared ({account.kind})"
    lines = [f"{settings.pc} {answer.status}, {whose}"]
    for signal in answer.signals:
        lines.append(f"  {signal.status}: {signal.text} (seen {_ago(signal.age)}, {signal.confidence:.0%} sure)")
    if not answer.aheads and not answer.limits:
        lines.append("  how much is left is not known: no percentages were seen, and no limit with a reset was met yet")
    return lines + [f"  {ahead.in_words(one)}" for one in answer.aheads]


def _ago(seconds: float) -> str:
    if seconds < 90:
        return f"{max(0, seconds):.0f} s ago"
    return f"{seconds / 60:.0f} min ago" if seconds < 5400 else f"{seconds / 3600:.0f} h ago"


def _preview(state: home.Home, settings: config.Config) -> list[str]:
    """What would happen at a limit now."""
    resume = settings.resume
    modes = {"offer": "be offered to you, not started", "none": "only be shown as a command"}
    unattended = modes.get(resume.unattended, f"go on by itself ({resume.unattended})")
    interactive = modes.get(resume.interactive, f"go on by itself ({resume.interactive})")
    elsewhere = _elsewhere(state, settings)
    lines = ["at a limit now:", *[f"  {line}" for line in elsewhere]]
    here = "with no other PC to go to, " if elsewhere else ""
    lines += [
        f"  {here}an unattended session (claude -p) would be parked until the reset and {unattended}",
        f"  {here}an interactive session would be parked; its client's own wait is left alone, else it would {interactive}",
        f"  at {settings.ladder.window_used[-1]:g} % of a window an unattended session is stopped between two tools,",
        "  and goes on likewise",
        f"  permission mode {resume.permission_mode}, at most {resume.max_resumes} resumes a conversation and night",
    ]
    if settings.account.kind == "unknown":
        lines.append(
            "  other PCs: none, as this account is not declared: install.sh --account LABEL --account-kind KIND"
        )
    return lines


def _elsewhere(state: home.Home, settings: config.Config) -> list[str]:
    """To which PC of the fleet work would go, and why not to the others; nothing in a fleet of one."""
    if settings.fleet_url is None:
        return []
    from trinity.relay import company
    from trinity.relay.link import Link

    link = Link(state, settings)
    try:
        found = company.choose(link, link.state.fetch(), {"sessions": [], "limit": None})
    except Busy as error:
        return [f"the other PCs are not known now: {error.message}"]
    if found is None:
        return []
    return [f"{pc}: {why.replace('chosen:', 'the work would go there,')}" for pc, why in sorted(found.why.items())]


if __name__ == "__main__":
    raise SystemExit(program.run(main))
