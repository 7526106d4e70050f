"""Calls that programs log themselves: the line, the ledger, and that nothing counts twice."""

from __future__ import annotations

import json
import math
import os
import time
from typing import Any

import pytest

from tests.conftest import Program
from tests.lib.usage.filling import NOON, OPUS, bill
from trinity import clock, log_call, schema
from trinity.errors import TrinityError, UsageError
from trinity.home import Home
from trinity.usage import periods, rows, sums
from trinity.usage.prices import Book

TOKEN = "ghp_abcdefghijklmnopqrstuvwxyz0123456789"


def _lines(home: Home) -> list[dict[str, Any]]:
    files = sorted((home.logs / "api").glob("api-calls-*.jsonl"))
    lines = [line for file in files for line in file.read_bytes().splitlines()]
    return [schema.read("api_call", line, "a line") for line in lines]


def _total(home: Home, by: str | None = None) -> dict[str, sums.Sum]:
    with rows.own(home, "PC1") as source:
        return sums.sums(source, periods.Span(0, 4e9, 0, ""), Book(home), by)


def test_a_call_is_one_line_and_one_row(home: Home) -> None:
    with log_call.call(OPUS, task="T1", worker="w", prompt="hello", settings={"effort": "high"}) as made:
        made.first_token()
        made.used({"input_tokens": 1_000_000, "output_tokens": 0, "cache_creation_input_tokens": 1_000_000})
    (line,) = _lines(home)
    assert line["task_id"] == "T1" and line["success"] and line["settings"] == {"effort": "high"}
    assert (line["tokens_input"], line["tokens_cache_write_5m"], line["tokens_total"]) == (
        1_000_000,
        1_000_000,
        2_000_000,
    )
    assert line["estimated_cost_usd"] == 5 + 6.25 and line["prompt_length"] == 5 and "prompt" not in line
    assert 0 <= line["time_to_first_token"] <= line["duration_seconds"]
    whole = _total(home)[""]
    assert (whole.calls, whole.errors, whole.tokens.total) == (1, 0, 2_000_000)


def test_a_call_that_raises_is_a_failed_one_and_the_exception_goes_on(home: Home) -> None:
    with pytest.raises(ValueError, match="no answer"), log_call.call(OPUS):
        raise ValueError("no answer")
    log_call.end(log_call.start(OPUS), exit_code=3)
    assert [(line["success"], line["error_message"], line["exit_code"]) for line in _lines(home)] == [
        (False, "ValueError: no answer", None),
        (False, None, 3),
    ]
    whole = _total(home)[""]
    assert (whole.calls, whole.errors, whole.money.quality) == (2, 2, "exact")


def test_a_call_of_unknown_tokens_makes_the_sum_a_lower_bound(home: Home) -> None:
    log_call.record(OPUS, 1.0, input=1_000_000, output=0)
    log_call.record(OPUS, 3.0)
    whole = _total(home)[""]
    assert whole.money.text() == "at least $5.00 + 1 calls of unknown price" and whole.average_seconds == 2
    assert _lines(home)[1]["estimated_cost_usd"] is None and _lines(home)[1]["tokens_total"] is None


def test_a_call_of_which_half_is_known_is_a_lower_bound_too(home: Home) -> None:
    log_call.record(OPUS, 1.0, input=1_000_000)
    assert _total(home)[""].money.text() == "at least $5.00 + 1 calls of unknown price"
    assert _lines(home)[0]["estimated_cost_usd"] is None


@pytest.mark.parametrize(
    ("split", "five", "hour"),
    [
        ({"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 90}, 10, 90),
        ({"ephemeral_1h_input_tokens": 90}, 10, 90),
        ({"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}, 100, 0),
        (None, 100, None),
    ],
)
def test_what_was_written_counts_once_by_how_long_it_lasts(split: Any, five: int, hour: int | None) -> None:
    made = log_call.Call(OPUS)
    made.used({"cache_creation_input_tokens": 100, "cache_creation": split})
    assert (made.tokens.get("cache_write_5m"), made.tokens.get("cache_write_1h")) == (five, hour)


def test_a_call_that_a_transcript_has_too_counts_once_and_names_its_task(home: Home) -> None:
    bill(home, "msg_1", (100, 20), project="/p")
    log_call.record(OPUS, 1.0, task="T1", input=100, output=20, message_id="msg_1")
    log_call.record(OPUS, 1.0, task="T2", input=5, output=0, message_id="msg_2")
    assert {name: part.tokens.total for name, part in _total(home, "task").items()} == {"T1": 120, "T2": 5}
    assert _total(home)[""].calls == 2


def test_text_is_kept_only_when_asked_and_redacted(home: Home) -> None:
    log_call.record(OPUS, 1.0, prompt=f"use {TOKEN}", response="ok", error=f"bad {TOKEN}")
    log_call.record(OPUS, 1.0, prompt=f"use {TOKEN}", response="fine", keep_text=True)
    first, second = _lines(home)
    assert "prompt" not in first and first["response_length"] == 2
    assert second["prompt"].startswith("use ") and second["response"] == "fine"
    assert all(TOKEN not in json.dumps(line) for line in (first, second))


def test_the_day_of_the_file_is_that_of_the_end(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    midnight = 1_763_683_200.0  # 2025-11-21T00:00:00Z
    for moment in (midnight - 1, midnight):
        monkeypatch.setattr(clock, "now", lambda moment=moment: moment)
        log_call.record(OPUS, 5.0)
    assert [path.name for path in sorted((home.logs / "api").glob("*.jsonl"))] == [
        "api-calls-2025-11-20.jsonl",
        "api-calls-2025-11-21.jsonl",
    ]


def test_it_never_fails_its_caller_over_a_disk(home: Home) -> None:
    (home.logs / "api").write_text("in the way", encoding="utf-8")
    assert log_call.record(OPUS, 1.0)["success"]
    assert "was not logged" in (home.logs / "usage.log").read_text(encoding="utf-8")


def test_it_never_fails_its_caller_over_prices_that_cannot_be_read(home: Home) -> None:
    (home.root / "prices.json").write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match="no answer"), log_call.call(OPUS) as made:
        made.used(input=1, output=1)
        raise ValueError("no answer")
    assert _lines(home)[0]["estimated_cost_usd"] is None
    assert "what a call cost is not known" in (home.logs / "usage.log").read_text(encoding="utf-8")


def test_nonsense_is_refused() -> None:
    with pytest.raises(UsageError):
        log_call.start("")
    with pytest.raises(UsageError):
        log_call.Call(OPUS).used(input=-1)
    with pytest.raises(UsageError):
        log_call.Call(OPUS).used(inptu=1)
    for seconds in (-1.0, math.nan, math.inf):
        with pytest.raises(UsageError):
            log_call.record(OPUS, seconds)


def test_one_process_starts_a_call_and_another_ends_it(home: Home, program: Program, tmp_path: Any) -> None:
    prompt = tmp_path / "prompt.txt"
    prompt.write_text("hello", encoding="utf-8")
    started = program("log_call", "start", "--model", OPUS, "--task", "T1", "--prompt-file", str(prompt))
    assert started.returncode == 0, started.stderr
    ended = program("log_call", "end", started.stdout.strip(), "--input", "7", "--output", "3", "--json")
    line = json.loads(ended.stdout)
    assert (line["task_id"], line["tokens_total"], line["prompt_length"]) == ("T1", 10, 5)
    assert line["duration_seconds"] >= 0 and _total(home)[""].tokens.total == 10
    again = program("log_call", "end", started.stdout.strip())
    assert again.returncode == 1 and "has ended" in again.stderr
    with pytest.raises(TrinityError):
        log_call.taken("../../etc", home.root)
    assert os.listdir(home.logs / "api" / "open") == []
    assert clock.now() > NOON
