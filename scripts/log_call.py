"""Log API calls of programs of your own: model, task, times, tokens, outcome.

log_call.py start --model claude-opus-4-5 --task T1        prints the ID of the call
log_call.py end ID --input 1200 --output 340
log_call.py end ID --error "overloaded"
log_call.py once --model claude-opus-4-5 --seconds 2.5 --input 1200 --output 340
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import argparse
from typing import Any

from trinity import program
from trinity.errors import UsageError
from trinity.usage import log_call

_COUNTS = ("input", "output", "cache_read", "cache_write_5m", "cache_write_1h")


def main(argv: list[str] | None = None) -> int:
    parser = program.parser(__doc__)
    parser.add_argument("action", choices=["start", "end", "once"])
    parser.add_argument("id", nargs="?", metavar="ID", help="the call that ends")
    parser.add_argument("--model", help="the model that was called")
    parser.add_argument("--task", help="what it was called for")
    parser.add_argument("--worker", help="who called it")
    parser.add_argument("--project", help="the folder it was called for")
    parser.add_argument("--session", metavar="ID", help="the session it belongs to")
    parser.add_argument("--prompt-file", metavar="FILE", help="where the prompt stands")
    parser.add_argument("--response-file", metavar="FILE", help="where the response stands")
    parser.add_argument("--keep-text", action="store_true", help="keep prompt and response, redacted")
    parser.add_argument("--seconds", type=float, help="how long it took")
    parser.add_argument("--first-token", type=float, metavar="SECONDS", help="when the first token came")
    for name in _COUNTS:
        parser.add_argument(
            f"--{name.replace('_', '-')}", type=int, metavar="N", help=f"tokens: {name.replace('_', ' ')}"
        )
    parser.add_argument("--message-id", metavar="ID", help="the API's id of the message, as a transcript has it")
    parser.add_argument("--error", metavar="TEXT", help="why it failed")
    parser.add_argument("--exit-code", type=int, metavar="N", help="how the caller ended; another than 0 is a failure")
    arguments = parser.parse_args(argv)
    if arguments.action == "end":
        if not arguments.id:
            raise UsageError("'end' needs the ID that 'start' printed")
        made = log_call.taken(arguments.id, arguments.home)
    else:
        if not arguments.model:
            raise UsageError(f"'{arguments.action}' needs --model")
        made = log_call.start(arguments.model, **_facts(arguments))
    if arguments.action == "start":
        log_call.keep(made)
        program.answer(arguments, {"id": made.id}, made.id)
        return 0
    if arguments.action == "once" and arguments.seconds is None:
        raise UsageError("'once' needs --seconds")
    if arguments.action == "once":
        made.started -= arguments.seconds
    made.first_token_seconds = arguments.first_token
    used = {name: getattr(arguments, name) for name in _COUNTS}
    line = log_call.end(
        made,
        arguments.error,
        arguments.exit_code,
        arguments.seconds,
        response=_text(arguments.response_file),
        message_id=arguments.message_id,
        **used,
    )
    program.answer(arguments, line, f"logged call {made.id}")
    return 0


def _facts(arguments: argparse.Namespace) -> dict[str, Any]:
    return {
        "task": arguments.task,
        "worker": arguments.worker,
        "project": arguments.project,
        "session_id": arguments.session,
        "prompt_file": arguments.prompt_file,
        "prompt": _text(arguments.prompt_file),
        "keep_text": arguments.keep_text,
        "state_home": arguments.home,
    }


def _text(name: str | None) -> str | None:
    return None if name is None else Path(name).read_text(encoding="utf-8", errors="replace")


if __name__ == "__main__":
    raise SystemExit(program.run(main))
