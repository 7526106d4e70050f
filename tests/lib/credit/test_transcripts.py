"""Reading transcripts: every complete line once, whatever happens to the file; facts by fields, never by text."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from trinity import clock
from trinity.credit import transcripts
from trinity.credit.transcripts import ApiCall, ApiError, Cursor, OwnWait, Progress

REAL = Path(__file__).parent / "transcripts"
LIMIT_TEXT = "You've hit your 5-hour limit · resets 10:22am (UTC)"


def _line(**entry: Any) -> bytes:
    return json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _user(second: int, content: Any = "go on", **more: Any) -> bytes:
    return _line(
        type="user",
        isSidechain=False,
        message={"role": "user", "content": content},
        uuid=f"u{second}",
        timestamp=f"2026-11-20T10:00:{second:02d}.000Z",
        sessionId="s",
        **{"promptId": "p1", **more},
    )


def _answer(second: int, message_id: str, text: str = "done", **more: Any) -> bytes:
    return _line(
        isSidechain=False,
        message={"id": message_id, "model": "claude-x", "content": [{"type": "text", "text": text}]},
        type="assistant",
        uuid=f"a{second}",
        timestamp=f"2026-11-20T10:00:{second:02d}.000Z",
        sessionId="s",
        **more,
    )


def _error(second: int, text: str = LIMIT_TEXT) -> bytes:
    return _line(
        type="assistant",
        isSidechain=False,
        uuid=f"e{second}",
        timestamp=f"2026-11-20T10:00:{second:02d}.000Z",
        message={"id": f"x{second}", "model": "<synthetic>", "content": [{"type": "text", "text": text}]},
        error="rate_limit",
        isApiErrorMessage=True,
        apiErrorStatus=429,
        sessionId="s",
    )


def _kinds(facts: list[transcripts.Fact]) -> list[str]:
    return [type(fact).__name__ for fact in facts]


@pytest.mark.parametrize(
    ("name", "calls", "errors", "types"),
    [
        ("limit_mid_turn_2.1.197", 1, 1, {"five_hour"}),
        ("limit_mid_turn_2.1.328", 1, 1, {"five_hour"}),
        ("auto_continue_2.1.328", 3, 1, set()),
        ("tasks_2.1.197", 6, 1, {"five_hour"}),
        ("tasks_2.1.328", 6, 1, {"five_hour"}),
        ("subagent_2.1.197", 1, 1, {"five_hour"}),
        ("subagent_2.1.328", 1, 1, {"five_hour"}),
        ("tool_then_limit_2.1.197", 2, 0, set()),
        ("tool_then_limit_2.1.328", 2, 0, set()),
        ("killed_mid_tool_2.1.197", 2, 0, set()),
        ("many_blocks_2.1.197", 2, 0, set()),
        ("compacted_2.1.197", 0, 0, set()),
    ],
)
def test_real_transcripts_have_these_calls_errors_and_ends(name: str, calls: int, errors: int, types: set[str]) -> None:
    path = REAL / f"{name}.jsonl"
    facts, cursor = transcripts.read_new(path)
    ids = {line["message"]["id"] for line in map(json.loads, path.open("rb")) if _is_answer(line)}
    assert {fact.message_id for fact in facts if isinstance(fact, ApiCall)} == ids
    assert len(ids) == sum(isinstance(fact, ApiCall) for fact in facts)
    assert (len(ids), sum(isinstance(fact, ApiError) for fact in facts)) == (calls, errors)
    assert cursor.garbage == 0 and cursor.offset == path.stat().st_size
    tail = transcripts.tail_facts(path, zone="UTC")
    assert {tail.verdict.limit.type for _ in [0] if tail.verdict and tail.verdict.limit} == types
    assert tail.stopped == bool(types)
    assert (tail.cwd, tail.size) == ("/home/user/project", path.stat().st_size)
    assert tail.version is not None and tail.version in name


def _is_answer(line: dict[str, Any]) -> bool:
    return line.get("type") == "assistant" and line["message"]["model"] != "<synthetic>"


@pytest.mark.parametrize("path", sorted(REAL.glob("*.jsonl")), ids=lambda path: path.stem)
@pytest.mark.parametrize("step", [1, 501])
def test_reading_in_pieces_of_any_size_gives_the_same_facts(path: Path, step: int, tmp_path: Path) -> None:
    data = path.read_bytes()
    grows = tmp_path / "t.jsonl"
    grows.touch()
    cursor: Cursor | None = None
    found: list[transcripts.Fact] = []
    size = max(step, len(data) // 300)
    with grows.open("ab") as stream:
        for start in range(0, len(data), size):
            stream.write(data[start : start + size])
            stream.flush()
            facts, cursor = transcripts.read_new(grows, cursor)
            found += facts
            cursor = Cursor.from_document(json.loads(json.dumps(cursor.document())))
    whole, end = transcripts.read_new(path)
    assert [f for f in found if not isinstance(f, Progress)] == [f for f in whole if not isinstance(f, Progress)]
    assert [f for f in found if isinstance(f, Progress)][-1:] == [f for f in whole if isinstance(f, Progress)][-1:]
    assert cursor is not None and (cursor.offset, cursor.turn) == (end.offset, end.turn)


def test_limit_texts_everywhere_but_in_error_lines_change_nothing(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(
        _user(1, f'why did it say {LIMIT_TEXT}? "isApiErrorMessage":true')
        + _answer(2, "m1", LIMIT_TEXT)
        + _user(3, [{"type": "tool_result", "tool_use_id": "t", "content": LIMIT_TEXT, "is_error": True}])
        + _line(
            type="system",
            subtype="stop_hook_summary",
            hookInfos=[{"command": 'grep \'"isApiErrorMessage":true\' && echo "You\'ve hit your weekly limit"'}],
            timestamp="2026-11-20T10:00:04.000Z",
        )
        + _line(type="system", subtype="informational", content="You've hit your 5-hour limit", isMeta=False)
        + _line(type="attachment", isApiErrorMessage=True, error="rate_limit", content=LIMIT_TEXT)
        + _line(type="user", isApiErrorMessage=True, message={"role": "user", "content": LIMIT_TEXT}, timestamp="x")
        + _line(type="assistant", isApiErrorMessage="true", message={"id": "m2", "content": LIMIT_TEXT})
        + _line(type="progress", data={"type": "assistant", "isApiErrorMessage": True})
        + _answer(9, "m3", f"API Error: 429 {LIMIT_TEXT}")
    )
    facts, _ = transcripts.read_new(path)
    assert _kinds(facts) == ["ApiCall", "ApiCall", "Progress"]
    tail = transcripts.tail_facts(path)
    assert (tail.stopped, tail.ends_with, tail.verdict, tail.waiting) == (False, "answer", None, False)


def test_a_half_written_line_is_left_for_the_next_time(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    whole = _error(5)
    path.write_bytes(_user(1) + whole[:-20])
    facts, cursor = transcripts.read_new(path)
    assert _kinds(facts) == ["Progress"]
    assert not transcripts.tail_facts(path).stopped
    with path.open("ab") as stream:
        stream.write(whole[-20:])
    facts, cursor = transcripts.read_new(path, cursor)
    assert _kinds(facts) == ["ApiError"]
    error = facts[0]
    assert isinstance(error, ApiError)
    assert (error.turn, error.session_id, error.status, error.text) == ("p1", "s", 429, LIMIT_TEXT)
    facts, _ = transcripts.read_new(path, cursor)
    assert facts == []


def test_garbage_is_counted_and_skipped(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    deep = b"[" * 100_000 + b"\n"
    path.write_bytes(
        b"\xff\xfe\x00 no text\n"
        + b'{"type":"user"\n'
        + b"[1,2]\n"
        + b'{"type":"assistant","isApiErrorMessage":true}\n'
        + b'{"type":"assistant","message":3,"timestamp":7}\n'
        + b'{"type":"user","message":null,"timestamp":"2026-99-20T10:00:00Z"}\n'
        + b'{"type":"assistant","message":{"id":["x"],"model":5},"timestamp":"2026-11-20T10:00:00Z"}\n'
        + deep
        + b"\n\r\n"
        + b"\0" * 5000
        + b"\n"
        + _user(1, "a lone surrogate \ud800 here".encode("utf-8", "surrogatepass").decode("utf-8", "replace"))
        + _error(2, "\\ud800").replace(b"\\\\ud800", b"\\ud800")
    )
    facts, cursor = transcripts.read_new(path)
    assert cursor.garbage == 5
    assert _kinds(facts) == ["ApiError", "ApiError", "Progress"]
    json.dumps([fact.text for fact in facts if isinstance(fact, ApiError)]).encode()
    assert [fact.text for fact in facts if isinstance(fact, ApiError)] == ["", "?"]
    assert transcripts.tail_facts(path).stopped


def test_a_line_longer_than_any_the_client_writes_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcripts, "_LONGEST_LINE", 1000)
    path = tmp_path / "t.jsonl"
    path.write_bytes(_user(1) + _user(2, "x" * 5000) + _error(3) + b"y" * 3000)
    facts, cursor = transcripts.read_new(path)
    assert _kinds(facts) == ["ApiError", "Progress"]
    assert cursor.garbage == 1
    with path.open("ab") as stream:
        stream.write(b"y\n" + _error(4))
    facts, cursor = transcripts.read_new(path, cursor)
    assert _kinds(facts) == ["ApiError"] and cursor.garbage == 2


def test_a_file_that_was_cut_is_read_from_the_start(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(_user(1) + _answer(2, "m1") + _error(3))
    _, cursor = transcripts.read_new(path)
    path.write_bytes(_user(1) + _answer(2, "m1"))
    facts, cursor = transcripts.read_new(path, cursor)
    assert _kinds(facts) == ["ApiCall", "Progress"]


def test_a_file_that_was_replaced_is_read_from_the_start(tmp_path: Path) -> None:
    path, other = tmp_path / "t.jsonl", tmp_path / "other"
    path.write_bytes(_user(1) + _answer(2, "m1"))
    _, cursor = transcripts.read_new(path)
    other.write_bytes(_user(1) + _answer(2, "m1") + _answer(3, "m2") + _error(4))
    os.replace(other, path)
    facts, _ = transcripts.read_new(path, cursor)
    assert _kinds(facts) == ["ApiCall", "ApiCall", "ApiError", "Progress"]


@pytest.mark.parametrize("second", [1, 2])
def test_a_file_rewritten_in_place_is_read_from_the_start(tmp_path: Path, second: int) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(_user(1) + _answer(2, "m1") + _answer(3, "m2"))
    _, cursor = transcripts.read_new(path)
    lines = [_user(1), _answer(2, "m1"), _answer(3, "m2"), _error(4)]
    lines[second] = lines[second].replace(b"claude-x", b"claude-y")
    path.write_bytes(b"".join(lines))
    facts, _ = transcripts.read_new(path, cursor)
    assert _kinds(facts).count("ApiCall") == 2
    assert _kinds(facts).count("ApiError") == 1


def test_a_cursor_holds_nothing_of_what_people_said(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(_user(1, "a secret plan") + _answer(2, "m1", "a secret answer"))
    _, cursor = transcripts.read_new(path)
    assert "secret" not in json.dumps(cursor.document())


def test_a_first_look_can_begin_near_the_end(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(b"".join(_answer(n % 60, f"m{n}") for n in range(1000)) + _error(5))
    facts, cursor = transcripts.read_new(path, None, 2000)
    assert 3 < len(facts) < 15 and isinstance(facts[-2], ApiError)
    assert cursor.garbage == 0 and cursor.offset == path.stat().st_size
    assert transcripts.read_new(path, cursor, 2000)[0] == []


def test_latency_is_from_the_question_to_the_first_block_of_its_answer(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(
        _user(1)
        + _answer(4, "m1")
        + _answer(9, "m1")
        + _user(10, [{"type": "tool_result", "tool_use_id": "t", "content": "x"}])
        + _answer(11, "m2")
        + _user(12, "<command-name>/cost</command-name>")
        + _answer(20, "m3")
        + _user(30)
        + _error(40)
        + _answer(41, "m4")
    )
    facts, _ = transcripts.read_new(path)
    assert [(f.message_id, f.latency_seconds) for f in facts if isinstance(f, ApiCall)] == [
        ("m1", 3.0),
        ("m2", 1.0),
        ("m3", None),
        ("m4", None),
    ]


def test_a_message_whose_blocks_are_read_in_two_pieces_is_one_call(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(_user(1) + _answer(2, "m1"))
    first, cursor = transcripts.read_new(path)
    with path.open("ab") as stream:
        stream.write(_answer(3, "m1") + _answer(4, "m2"))
    second, _ = transcripts.read_new(path, cursor)
    assert [f.message_id for f in first + second if isinstance(f, ApiCall)] == ["m1", "m2"]


def test_the_clients_own_wait_and_continuation_are_noticed() -> None:
    facts, _ = transcripts.read_new(REAL / "auto_continue_2.1.328.jsonl")
    assert [f.state for f in facts if isinstance(f, OwnWait)] == ["armed", "fired"]
    assert [f.kind for f in facts if isinstance(f, Progress)] == ["auto-continuation", "assistant"]


def _auto_continue(lines: int, tmp_path: Path, *more: bytes) -> transcripts.Tail:
    path = tmp_path / "t.jsonl"
    real = (REAL / "auto_continue_2.1.328.jsonl").read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(real[:lines]) + b"".join(more))
    return transcripts.tail_facts(path, zone="UTC")


def _informational(text: str) -> bytes:
    return _line(type="system", subtype="informational", content=text, timestamp="2026-11-20T09:23:30.000Z")


def test_a_waiting_client_is_told_with_the_time_it_waits_for(tmp_path: Path) -> None:
    tail = _auto_continue(5, tmp_path)
    assert tail.stopped and tail.waiting and tail.verdict is not None and tail.verdict.limit is not None
    assert tail.waiting_until == tail.verdict.limit.resets_at
    assert (tail.permission_mode, tail.entrypoint, tail.model) == ("auto", "cli", "claude-sonnet-5-5")


@pytest.mark.parametrize(
    "text",
    [
        "Automatic continue cancelled · /rate-limit-options to re-arm",
        "Automatic continue cancelled · Claude Code exited during the wait, so the task will not resume on its own",
        "Automatic continue was turned off · this task will not resume on its own",
        "Automatic continue did not run · the continuation was blocked before it reached the model",
        "Automatic continue stopped after repeated usage-limit hits · /rate-limit-options to try again",
        "Usage limit reset · Continuing automatically",
    ],
)
def test_a_wait_that_was_given_up_is_none(tmp_path: Path, text: str) -> None:
    tail = _auto_continue(5, tmp_path, _informational(text))
    assert tail.stopped and not tail.waiting


def test_a_session_that_went_on_is_not_stopped(tmp_path: Path) -> None:
    assert not _auto_continue(9, tmp_path).stopped
    assert not _auto_continue(14, tmp_path).stopped


def test_slash_commands_and_hidden_lines_behind_an_error_leave_it_stopped(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(
        _user(1)
        + _error(2)
        + _user(3, "<command-name>/rate-limit-options</command-name>")
        + _user(4, "<local-command-stdout>ok</local-command-stdout>")
        + _user(5, "hidden", isMeta=True)
        + _answer(6, "m9").replace(b'"isSidechain":false', b'"isSidechain":true')
        + _user(6, "<task-notification>done</task-notification>", origin={"kind": "task-notification"})
        + _line(type="last-prompt", lastPrompt="x")
        + _line(type="permission-mode", permissionMode="plan", sessionId="s")
    )
    tail = transcripts.tail_facts(path)
    assert tail.stopped and tail.error is not None and tail.error.uuid == "e2"
    assert tail.permission_mode == "plan"
    path.write_bytes(path.read_bytes() + _user(7, "a new prompt"))
    tail = transcripts.tail_facts(path)
    assert (tail.stopped, tail.ends_with, tail.last_uuid) == (False, "prompt", "u7")


def test_the_tail_looks_further_back_when_a_huge_line_stands_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(
        _user(1, permissionMode="acceptEdits") + _answer(2, "m") + _error(3) + _line(type="x", y="z" * 50_000)
    )
    tail = transcripts.tail_facts(path, 1000)
    assert tail.stopped
    assert (tail.permission_mode, tail.model) == ("acceptEdits", "claude-x")


def test_an_empty_transcript_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.touch()
    facts, cursor = transcripts.read_new(path)
    assert facts == [] and cursor.offset == 0
    tail = transcripts.tail_facts(path)
    assert (tail.stopped, tail.ends_with, tail.session_id, tail.size) == (False, "", None, 0)


def test_changed_transcripts_are_found_with_those_of_subagents(tmp_path: Path) -> None:
    project = tmp_path / "projects" / "-p"
    agents = project / "sid" / "subagents"
    agents.mkdir(parents=True)
    for number, path in enumerate([project / "old.jsonl", agents / "agent-1.jsonl", project / "sid.jsonl"]):
        shutil.copy(REAL / "compacted_2.1.197.jsonl", path)
        os.utime(path, (1000 + number, 1000 + number))
    (project / "notes.txt").touch()
    assert transcripts.find(tmp_path, 1001) == [agents / "agent-1.jsonl", project / "sid.jsonl"]
    assert len(transcripts.find(tmp_path)) == 3
    assert transcripts.find(tmp_path / "nowhere") == []


def test_times_are_those_of_the_lines() -> None:
    facts, _ = transcripts.read_new(REAL / "limit_mid_turn_2.1.328.jsonl")
    error = next(fact for fact in facts if isinstance(fact, ApiError))
    assert clock.iso(error.time, milliseconds=True) == "2026-11-20T09:22:21.013Z"
    assert error.turn == "2b7f4fe1-d265-4414-a497-da0d9dd628d2"
    assert error.line["quotaLimits"]["rateLimitType"] == "five_hour"
