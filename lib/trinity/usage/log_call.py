"""Log the API calls of a program of your own: who called which model for what, how long it took, and what it used.

    from trinity import log_call

    with log_call.call("claude-opus-4-5", task="T1") as made:      # an exception makes it a failed call
        answer = ask(...)
        made.used(answer.usage, message_id=answer.id)

    made = log_call.start("claude-opus-4-5"); ...; log_call.end(made, input=10, output=20)
    log_call.record("claude-opus-4-5", seconds=2.5, input=10, output=20)

Each call is one line of `logs/api/api-calls-DAY.jsonl` (the local day in which it ended) and one row of the ledger, where a
call whose message stands in a transcript too counts once. Prompts and responses are kept only with `keep_text=True`, and
redacted. Trouble with writing never fails the caller: it is a line in `logs/usage.log`.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from trinity import clock, config, files, home, program, redaction
from trinity.errors import TrinityError, UsageError
from trinity.home import Home
from trinity.usage import ledger
from trinity.usage.amounts import Tokens
from trinity.usage.prices import Book, band_of

_COUNTS = ("input", "output", "cache_read", "cache_write_5m", "cache_write_1h")


@dataclass
class Call:
    """A call that was started; `tokens` holds what is known of it, times are epoch seconds."""

    model: str
    task: str | None = None
    worker: str | None = None
    prompt_file: str | None = None
    prompt: str | None = None
    settings: Mapping[str, Any] | None = None
    project: str | None = None
    session_id: str | None = None
    keep_text: bool = False
    state_home: str | Path | None = None
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    started: float = field(default_factory=clock.now)
    first_token_seconds: float | None = None
    tokens: dict[str, int] = field(default_factory=dict)
    prompt_length: int | None = None
    response: str | None = None
    message_id: str | None = None
    request_id: str | None = None
    _clock: float | None = field(default_factory=time.monotonic)

    def first_token(self) -> None:
        """The first token has come; later calls change nothing."""
        if self.first_token_seconds is None:
            self.first_token_seconds = self.seconds()

    def seconds(self) -> float:
        """How long it has lasted; by a clock that nobody sets, unless it was started by another process."""
        return max(0.0, clock.now() - self.started if self._clock is None else time.monotonic() - self._clock)

    def used(self, usage: Mapping[str, Any] | None = None, **facts: Any) -> None:
        """What it used: the API's `usage` object as a mapping, or counts by name (input, output, cache_read,
        cache_write_5m, cache_write_1h); also `response`, `message_id`, `request_id`. Raises UsageError."""
        if usage is not None:
            self.tokens |= _of_usage(usage)
        for name, value in facts.items():
            if name in _COUNTS:
                if value is not None:
                    self.tokens[name] = _count(name, value)
            elif name in ("response", "message_id", "request_id"):
                setattr(self, name, value)
            else:
                raise UsageError(f"'{name}' is nothing that a call uses")


def start(model: str, **facts: Any) -> Call:
    """Begin a call; `facts` are the fields of Call: task, worker, prompt, prompt_file, settings, project, session_id,
    keep_text, state_home."""
    if not isinstance(model, str) or not model:
        raise UsageError("a call needs the name of its model")
    return Call(model, **facts)


def end(
    made: Call, error: str | None = None, exit_code: int | None = None, seconds: float | None = None, **used: Any
) -> dict[str, Any]:
    """Log a call that has ended, failed when there is an `error` or an `exit_code` other than 0; returns its line.

    `used` as for Call.used, and `usage`. `seconds`: how long it took, when the caller knows better.
    """
    made.used(used.pop("usage", None), **used)
    took = made.seconds() if seconds is None else _seconds(seconds)
    state = home.open_home(made.state_home, create=True)
    settings = config.load(state)
    failed = error is not None or exit_code not in (None, 0)
    line = _line(state, made, took, error, exit_code, failed)
    try:
        _append(state, line)
        _enter(state, settings.account.id, made, took, failed)
    except (OSError, sqlite3.Error, TrinityError) as trouble:
        program.log(state, "usage", f"call {made.id} was not logged: {trouble}")
    return line


@contextmanager
def call(model: str, **facts: Any) -> Iterator[Call]:
    """Log what the block does as one call; an exception makes it a failed one and goes on."""
    made = start(model, **facts)
    try:
        yield made
    except BaseException as problem:
        end(made, error=f"{type(problem).__name__}: {problem}")
        raise
    end(made)


def record(
    model: str, seconds: float, error: str | None = None, exit_code: int | None = None, **facts: Any
) -> dict[str, Any]:
    """Log in one go a call that took so many seconds and ends now; facts as for `start` and `Call.used`."""
    used = {
        name: facts.pop(name) for name in (*_COUNTS, "usage", "response", "message_id", "request_id") if name in facts
    }
    first = facts.pop("first_token_seconds", None)
    made = start(model, **facts)
    made.started = clock.now() - seconds
    made.first_token_seconds = first
    return end(made, error, exit_code, seconds, **used)


def keep(made: Call) -> None:
    """Let another process end it: `taken(id)`."""
    state = home.open_home(made.state_home, create=True)
    facts = ("model", "task", "worker", "prompt_file", "settings", "project", "session_id", "keep_text", "started")
    document = {name: getattr(made, name) for name in ("id", *facts)} | {"prompt_length": _length(made)}
    if made.keep_text and made.prompt is not None:
        document["prompt"] = redaction.redact(made.prompt)
    files.write_json(_open_folder(state) / f"{made.id}.json", document)


def taken(call_id: str, state_home: str | Path | None = None) -> Call:
    """The call that was kept; it can be taken once. Raises TrinityError."""
    state = home.open_home(state_home, create=True)
    if not call_id.isalnum():
        raise UsageError(f"'{call_id}' is no id of a call")
    path = _open_folder(state) / f"{call_id}.json"
    try:
        document = files.read_json(path)
        made = Call(**document, state_home=state_home, _clock=None)
    except FileNotFoundError:
        raise TrinityError(f"no call '{call_id}' was started here, or it has ended") from None
    except TypeError as error:
        raise TrinityError(f"cannot read '{path}': {error}") from None
    path.unlink()
    return made


def _open_folder(state: Home) -> Path:
    folder = state.logs / "api" / "open"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _of_usage(usage: Mapping[str, Any]) -> dict[str, int]:
    """The API's own names; writes whose lifetime is not told are five-minute ones, the API's default."""
    parts = usage.get("cache_creation")
    parts = parts if isinstance(parts, Mapping) else {}
    told = {
        "input": usage.get("input_tokens"),
        "output": usage.get("output_tokens"),
        "cache_read": usage.get("cache_read_input_tokens"),
        "cache_write_5m": parts.get("ephemeral_5m_input_tokens"),
        "cache_write_1h": parts.get("ephemeral_1h_input_tokens"),
    }
    counts = {name: _count(name, value) for name, value in told.items() if value is not None}
    if usage.get("cache_creation_input_tokens") is not None:
        written = _count("cache write", usage["cache_creation_input_tokens"])
        counts["cache_write_5m"] = max(0, written - counts.get("cache_write_1h", 0))
    return counts


def _count(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 50:
        raise UsageError(f"'{value}' is no count of {name} tokens")
    return value


def _seconds(value: float) -> float:
    if not 0 <= value < 1e8:
        raise UsageError(f"{value} is no time in seconds that a call takes")
    return float(value)


def _line(
    state: Home, made: Call, took: float, error: str | None, exit_code: int | None, failed: bool
) -> dict[str, Any]:
    counts = made.tokens
    tokens = Tokens(**counts)
    ended = made.started + took
    output = counts.get("output")
    line: dict[str, Any] = {
        "kind": "api_call",
        "version": 1,
        "id": made.id,
        "timestamp": clock.iso(ended, milliseconds=True),
        "task_id": made.task,
        "worker_id": made.worker,
        "model": made.model,
        "prompt_file": made.prompt_file,
        "prompt_length": _length(made),
        "response_length": None if made.response is None else len(made.response),
        "tokens_input": counts.get("input"),
        "tokens_output": output,
        "tokens_total": tokens.total if counts else None,
        **{f"tokens_{name}": counts.get(name) for name in _COUNTS[2:]},
        "start_time": clock.iso(made.started, milliseconds=True),
        "end_time": clock.iso(ended, milliseconds=True),
        "duration_seconds": round(took, 3),
        "time_to_first_token": None if made.first_token_seconds is None else round(made.first_token_seconds, 3),
        "tokens_per_second": round(output / took, 2) if output and took > 0 else None,
        "success": not failed,
        "error_message": None if error is None else redaction.redact(error)[:1000],
        "exit_code": exit_code,
        "settings": dict(made.settings) if made.settings else None,
        "estimated_cost_usd": _cost(state, made, tokens, ended),
        "message_id": made.message_id,
        "session_id": made.session_id,
    }
    if made.keep_text:
        line |= {
            "prompt": None if made.prompt is None else redaction.redact(made.prompt),
            "response": None if made.response is None else redaction.redact(made.response),
        }
    return line


def _length(made: Call) -> int | None:
    return made.prompt_length if made.prompt is None or made.prompt_length is not None else len(made.prompt)


def _cost(state: Home, made: Call, tokens: Tokens, moment: float) -> float | None:
    """None when a part has no known price, or is not known: half a cost would pass for the whole."""
    if not {"input", "output"} <= made.tokens.keys():
        return None
    try:
        book = Book(state)
    except TrinityError as error:  # the call is made, and its own outcome is what counts
        program.log(state, "usage", f"what a call cost is not known: {error}")
        return None
    day = datetime.fromtimestamp(moment, UTC).date()
    money = book.price(tokens, made.model, day, band_of(tokens.total - tokens.output))
    return None if money.quality == "lower bound" else float(round(money.usd, 6))


def _append(state: Home, line: Mapping[str, Any]) -> None:
    folder = state.logs / "api"
    folder.mkdir(mode=0o700, exist_ok=True)
    day = datetime.fromtimestamp(clock.parse(str(line["timestamp"]))).date()
    text = json.dumps(line, ensure_ascii=False, default=str)
    files.append_line(folder / f"api-calls-{day}.jsonl", text.encode("utf-8", "replace"))


def _enter(state: Home, account: str, made: Call, took: float, failed: bool) -> None:
    with ledger.opened(state) as connection:
        connection.execute(ledger.CALLS_BY_MESSAGE)
        connection.execute(
            "INSERT OR REPLACE INTO call (id, time, seconds, first_token_seconds, model, task, outcome, input, output, "
            "cache_read, cache_write_5m, cache_write_1h, account, project, session_id, request_id, message_id) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                made.id,
                made.started + took,
                took,
                made.first_token_seconds,
                made.model,
                made.task,
                "error" if failed else "success",
                *(made.tokens.get(name) for name in _COUNTS),
                account,
                made.project,
                made.session_id,
                made.request_id,
                made.message_id,
            ),
        )
