"""How limits begin, move and end; that each thing counts once, whatever is torn, killed or hostile."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.lib.credit.scene import FIVE_HOURS_RESET, OVERLOADED, START, Scene, limits, signals
from trinity import clock, files, schema
from trinity.config import Ladder
from trinity.credit import evaluation, event_log, picture
from trinity.credit.fold import Folder
from trinity.credit.picture import Picture
from trinity.home import Home

RESET = FIVE_HOURS_RESET - START
BURST = (
    "API Error: Request rejected (429) · This request would exceed your account's rate limit. Please try again later."
)
CREDITS = "Credit balance is too low"


# how a limit ends


def test_a_limit_is_over_at_its_reset_and_the_window_starts_anew(scene: Scene) -> None:
    for n in range(2):
        scene.record(RESET - 600 + n, "rate_limit")
    scene.stop_failure(RESET - 500)
    assert scene.look(RESET - 1).status == "EXHAUSTED"
    answer = scene.look(RESET)
    assert (answer.status, answer.limits, answer.counts.calls) == ("HEALTHY", [], 0)
    scene.record(RESET + 30, "rate_limit")
    assert scene.look(RESET + 31).status == "WARNING"


def test_the_session_stays_to_be_resumed_when_its_limit_is_over(scene: Scene) -> None:
    scene.stop_failure(0)
    answer = scene.look(RESET + 1)
    assert scene.actions(answer) == {"s": "handoff"}


def test_an_answer_in_the_stopped_session_ends_its_limit_early(scene: Scene) -> None:
    scene.prompt(0)
    scene.error_line(5)
    scene.look(6)
    scene.prompt(600, prompt="q")
    scene.answer(605)
    answer = scene.look(606)
    assert (answer.status, answer.limits, answer.stopped) == ("HEALTHY", [], [])


def test_an_answer_in_another_session_says_nothing_about_a_limit_with_a_reset(scene: Scene) -> None:
    """It may work under another login, or another provider."""
    scene.stop_failure(5)
    scene.prompt(600, session="other")
    scene.answer(605, session="other")
    scene.record(606, "success")
    assert limits(scene.look(610)) == [("five_hour", None, RESET)]


def test_an_answer_to_a_question_asked_before_the_limit_ends_nothing(scene: Scene) -> None:
    scene.prompt(0)
    scene.stop_failure(5, agent_id="a1")
    scene.answer(9)
    assert limits(scene.look(10)) == [("five_hour", None, RESET)]


@pytest.mark.parametrize("by", ["transcript", "program"])
def test_a_limit_without_a_reset_is_ended_by_any_success(scene: Scene, by: str) -> None:
    scene.stop_failure(5, CREDITS, "billing_error")
    answer = scene.look(6)
    assert limits(answer) == [("credits", None, None)]
    assert limits(scene.look(20 * 3600)) == [("credits", None, None)]
    if by == "program":
        scene.record(20 * 3600 + 5, "success")
    else:
        scene.prompt(20 * 3600 + 2, session="other")
        scene.answer(20 * 3600 + 5, session="other")
    assert limits(scene.look(20 * 3600 + 6)) == []


def test_a_success_counts_also_when_it_is_read_before_the_limit(scene: Scene) -> None:
    """Sources are not read in the order of time: here the failure is only in a transcript, and read last."""
    scene.record(60, "success")
    scene.look(61)
    scene.prompt(0)
    scene.error_line(5, CREDITS, "billing_error")
    os.utime(scene.transcript(), (START + 100, START + 100))
    assert limits(scene.look(101)) == []


def test_an_old_failure_in_a_conversation_met_for_the_first_time_is_history(scene: Scene) -> None:
    scene.prompt(-4 * 3600)
    scene.error_line(-4 * 3600 + 5, CREDITS, "billing_error")
    scene.prompt(-3 * 3600, prompt="q")
    scene.answer(-3 * 3600 + 5)
    os.utime(scene.transcript(), (START, START))
    answer = scene.look(1)
    assert (answer.status, answer.limits, answer.stopped, answer.counts.calls) == ("HEALTHY", [], [], 0)


def test_a_models_limit_leaves_the_account_usable(scene: Scene) -> None:
    for session in ("a", "b", "c", "d"):
        scene.stop_failure(5, "You've hit your Opus limit · resets Nov 23, 8:39am (UTC)", session=session)
    answer = scene.look(6)
    assert answer.status == "WARNING" and signals(answer) == {"limit": "WARNING"}
    assert [(limit.type, limit.scope, limit.model) for limit in answer.limits] == [
        ("model_weekly", "account+model", "opus")
    ]
    assert scene.actions(answer) == dict.fromkeys("abcd", "handoff")
    scene.prompt(10, session="e")
    scene.answer(12, session="e", model="claude-sonnet-5")
    assert len(scene.look(13).limits) == 1


# what the status line says


def test_the_status_line_moves_a_reset(scene: Scene) -> None:
    scene.stop_failure(5)
    scene.window(60, 100, START + 3600)
    answer = scene.look(61)
    assert limits(answer) == [("five_hour", None, 3600.0)]
    assert answer.limits[0].source == "status_line"
    (step,) = scene.plan(answer)
    assert step.limit is not None and step.limit.resets_at == START + 3600
    assert scene.look(3600).limits == []


def test_the_stopped_sessions_success_ends_also_a_limit_that_was_moved(scene: Scene) -> None:
    scene.prompt(0)
    scene.error_line(5)
    scene.window(60, 100, START + 3600)
    scene.prompt(100, prompt="q")
    scene.answer(105)
    assert scene.look(106).limits == []


def test_the_status_line_of_a_new_window_ends_the_limit(scene: Scene) -> None:
    scene.record(1, "rate_limit")
    scene.stop_failure(5)
    scene.window(60, 3, START + 5 * 3600)
    answer = scene.look(90)
    assert (limits(answer), answer.counts.rate_limits) == ([], 0)


@pytest.mark.parametrize(
    ("used", "resets_at"), [(100, RESET - 50), (20, RESET + 30), (20, None), (20, -600.0), (100, -600.0)]
)
def test_the_same_reset_and_a_stale_or_missing_one_move_nothing(
    scene: Scene, used: float, resets_at: float | None
) -> None:
    scene.stop_failure(5)
    scene.window(60, used, None if resets_at is None else START + resets_at)
    assert limits(scene.look(61)) == [("five_hour", None, RESET)]


def test_the_status_line_names_the_reset_that_a_limit_lacked(scene: Scene) -> None:
    scene.stop_failure(5, "You've hit your 5-hour limit")
    scene.window(60, 40, START + 3600)  # from an answer before the limit
    assert limits(scene.look(61)) == [("five_hour", None, None)]
    scene.window(62, 100, START + 3600)
    assert limits(scene.look(63)) == [("five_hour", None, 3600.0)]


def test_percentages_make_a_status_and_are_shown(scene: Scene) -> None:
    scene.window(0, 88, START + 3600)
    scene.window(0, 12, START + 86400, name="seven_day")
    answer = scene.look(1)
    assert signals(answer) == {"five_hour": "CRITICAL"}
    assert answer.document["windows"] == {
        "five_hour": {"used_percentage": 88.0, "resets_at": START + 3600},
        "seven_day": {"used_percentage": 12.0, "resets_at": START + 86400},
    }
    assert scene.look(3600).status == "HEALTHY"


# counts


def test_one_transient_error_waits_and_the_third_hands_over(scene: Scene) -> None:
    expected = [("WARNING", "wait"), ("CRITICAL", "wait"), ("EXHAUSTED", "handoff")]
    for n, (level, action) in enumerate(expected):
        scene.stop_failure(20 * n, BURST, session=f"s{n}")
        answer = scene.look(20 * n + 1)
        assert (answer.status, set(scene.actions(answer).values())) == (level, {action})
    assert [(limit.type, limit.source) for limit in answer.limits] == [("transient", "rate_limits")]
    step = scene.plan(answer)[0]
    assert step.session.stop is not None and step.session.stop.text == BURST
    assert step.limit is not None and step.limit.resets_at is not None
    assert 300 <= step.limit.resets_at - (START + 40) <= 301


def test_after_five_minutes_without_news_too_many_errors_are_forgotten(scene: Scene) -> None:
    for n in range(3):
        scene.record(n, "rate_limit")
    assert scene.look(5).status == "EXHAUSTED"
    assert scene.look(290).status == "EXHAUSTED"
    answer = scene.look(312)
    assert (answer.status, answer.limits, answer.counts.rate_limits) == ("HEALTHY", [], 0)


def test_three_rate_limits_of_half_an_hour_ago_exhaust_nothing_now(scene: Scene) -> None:
    """The PC was switched off in between."""
    for n in range(3):
        scene.record(n, "rate_limit")
    assert scene.look(1800).status == "HEALTHY"


def test_an_overload_of_hours_ago_does_not_make_its_session_move_now(scene: Scene) -> None:
    scene.stop_failure(0, OVERLOADED, "overloaded", session="old")
    scene.look(1)
    for n in range(3):
        scene.record(7200 + n, "rate_limit")
    answer = scene.look(7205)
    assert answer.status == "EXHAUSTED" and scene.plan(answer) == []


def test_what_stopped_before_trinity_was_installed_is_left_alone(scene: Scene) -> None:
    scene.stop_failure(0)
    answer = scene.look(1)
    assert scene.plan(answer, born=START + 299) and not scene.plan(answer, born=START + 301)


def test_slow_responses_warn_at_three_are_critical_at_five_and_a_fast_one_ends_them(scene: Scene) -> None:
    found = []
    for n in range(5):
        scene.record(n, "slow", seconds=15.0)
        found.append(scene.look(n).status)
    assert found == ["HEALTHY", "HEALTHY", "WARNING", "WARNING", "CRITICAL"]
    scene.record(6, "slow", seconds=2.0)
    answer = scene.look(7)
    assert (answer.status, answer.document["slow_response_count"]) == ("HEALTHY", 0)
    assert answer.counts.calls == 0  # a time is no call


def test_slow_answers_in_transcripts_only_warn(scene: Scene) -> None:
    for n in range(8):
        scene.prompt(100 * n)
        scene.answer(100 * n + 40)
    assert signals(scene.look(800)) == {"slow": "WARNING"}


def test_the_error_rate_counts_from_ten_calls_on(scene: Scene) -> None:
    for n in range(6):
        scene.record(n, "success")
    for n in range(3):
        scene.record(10 + n, "error", error="server_error")
    assert scene.look(20).status == "HEALTHY"
    scene.record(21, "success")
    answer = scene.look(22)
    assert signals(answer) == {"error_rate": "EXHAUSTED"}
    assert answer.document["error_rate"] == 0.3


def test_a_tool_that_fails_or_takes_long_is_no_matter_of_the_api(scene: Scene) -> None:
    for n in range(20):
        scene.hook(n, "PostToolUseFailure", tool="Bash", duration_ms=90_000)
    answer = scene.look(30)
    assert (answer.status, answer.counts.calls, answer.counts.slow) == ("HEALTHY", 0, 0)


def test_the_blocks_of_one_message_are_one_call(scene: Scene) -> None:
    scene.prompt(0)
    for n in range(3):
        content = [{"type": "text", "text": f"part {n}"}]
        message = {"id": "msg_1", "role": "assistant", "model": "claude-sonnet-5", "content": content}
        scene.line(2 + n, type="assistant", message=message)
    assert scene.look(10).counts.calls == 1


def test_midnight_changes_nothing(scene: Scene) -> None:
    midnight = 14 * 3600
    scene.record(midnight - 20, "rate_limit")
    scene.look(midnight - 15)
    scene.record(midnight - 0.001, "rate_limit")
    scene.record(midnight, "rate_limit")
    assert len(event_log.days(scene.home)) == 2
    answer = scene.look(midnight + 1)
    assert (answer.counts.rate_limits, answer.status) == (3, "EXHAUSTED")
    assert scene.look(midnight + 2).counts.rate_limits == 3


# the answer


def test_the_answer_is_a_valid_record_and_says_what_made_it(scene: Scene) -> None:
    scene.stop_failure(5)
    scene.record(6, "error", error="server_error")
    answer = scene.look(7)
    document = scene.state()
    schema.validate("credit_state", document, "test")
    assert document == answer.document
    assert (document["status"], document["rate_limit_count"], document["error_count"]) == ("EXHAUSTED", 1, 2)
    assert document["signals"][0]["signal"] == "limit" and document["signals"][0]["age_seconds"] == 2.0
    assert document["limits"][0]["type"] == "five_hour"
    assert [error["type"] for error in document["recent_errors"]] == ["five_hour", "server_error"]


# the cache


def test_each_event_counts_once_however_often_one_looks(scene: Scene) -> None:
    scene.record(0, "rate_limit")
    scene.prompt(0)
    scene.answer(3)
    assert [scene.look(10 + n).counts.calls for n in range(3)] == [2, 2, 2]


@pytest.mark.parametrize(
    "damage",
    [b"", b"{", b"[]", b"null", b'{"version":1}', b'{"version":99}', b"\xff\xfe", b'{"version":1,"born":NaN}', b"half"],
)
def test_a_damaged_cache_is_put_aside_and_built_anew_and_limits_are_kept(scene: Scene, damage: bytes) -> None:
    scene.record(0, "rate_limit")
    scene.stop_failure(0, "You've hit your weekly limit · resets Nov 23, 9am (UTC)")
    scene.look(7000)
    scene.record(7001, "success")
    path = scene.home.events / "picture.json"
    path.write_bytes(path.read_bytes()[:-40] if damage == b"half" else damage)
    answer = scene.look(7002)
    assert [limit.type for limit in answer.limits] == ["seven_day"]
    assert answer.counts.calls == 1
    (kept,) = scene.home.quarantine.glob("*picture.json")
    assert "built anew" in kept.with_name(kept.name + ".why").read_text(encoding="utf-8")
    assert scene.look(7003).counts.calls == 1


def test_a_lost_cache_finds_the_same_within_the_window(scene: Scene) -> None:
    scene.prompt(0)
    scene.answer(3)
    for n in range(5):
        scene.record(n, "rate_limit" if n < 2 else "success")
    scene.error_line(9)
    scene.stop_failure(9.2)
    before = scene.look(20)
    (scene.home.events / "picture.json").unlink()
    after = scene.look(20)
    assert (after.status, after.counts, after.limits) == (before.status, before.counts, before.limits)
    assert [(s.id, s.stop and s.stop.incident) for s in after.stopped] == [("s", "s|p")]


def test_the_cache_does_not_grow_with_the_history(scene: Scene) -> None:
    held = Picture(born=START, position={"2026-11-20": 0})
    folder = Folder(held, Ladder(), START + 30 * 86400)
    for n in range(3000):
        t = clock.iso(START + n * 600, milliseconds=True)
        ids = {"session_id": f"s{n}", "prompt_id": f"p{n}", "time": t, "event": "hook"}
        folder.event({**ids, "name": "StopFailure", "error": "overloaded", "text": OVERLOADED})
    now = START + 3000 * 600
    held.window.counts(now, 3600)
    held.forget(now)
    assert len(held.sessions) < 1200 and len(held.incidents) < 150 and len(held.window.buckets) < 400
    assert len(held.errors) == 10


def test_a_transcript_that_was_removed_is_forgotten(scene: Scene) -> None:
    scene.prompt(0)
    scene.answer(3)
    scene.look(4)
    scene.transcript().unlink()
    assert scene.look(5).counts.calls == 1
    document = files.read_json(scene.home.events / "picture.json")
    assert document["cursors"] == []


# hostile lines

HOSTILE: list[dict[str, Any]] = [
    {},
    {"event": "success"},
    {"event": "success", "time": 5},
    {"event": "success", "time": "yesterday"},
    {"event": "success", "time": "0001-01-01T00:00:00+23:00"},
    {"event": "rate_limit", "time": "9999-12-31T23:59:59Z"},
    {"event": "rate_limit", "time": "2027-11-20T10:00:00Z"},
    {"event": "hook", "name": "StopFailure", "session_id": 7, "time": "now"},
    {"event": "hook", "name": "StopFailure", "session_id": ["s"], "time": "now"},
    {"event": "slow", "source": "program", "time": "now"},
    {"event": "slow", "seconds": "fast", "source": "program", "time": "now"},
    {"event": "slow", "seconds": 1e999, "source": "program", "time": "now"},
    {"event": "slow", "seconds": -5, "source": "program", "time": "now"},
]
HARMLESS: list[dict[str, Any]] = [
    {"event": "quantum", "time": "now"},
    {"event": ["hook"], "time": "now"},
    {"event": "hook", "name": {"a": 1}, "session_id": "h", "time": "now"},
    {"event": "hook", "name": "Later", "session_id": "h", "time": "now", "pid": 10**30, "cwd": 5},
    {"event": "hook", "name": "PreToolUse", "session_id": "h", "time": "now", "transcript_path": "/dev/zero"},
    {"event": "hook", "name": "PreToolUse", "session_id": "i", "time": "now", "transcript_path": "a\0b"},
    {"event": "hook", "name": "PreToolUse", "session_id": "j\ud800", "time": "now", "cwd": "\udfff"},
    {"event": "window", "five_hour": 5, "seven_day": {"used_percentage": "90"}, "time": "now"},
    {"event": "window", "five_hour": {"used_percentage": 1e300, "resets_at": 1e300}, "time": "now"},
    {"event": "window", "five_hour": {"used_percentage": 10, "resets_at": 10**40}, "time": "now"},
]


def test_lines_of_wrong_types_other_times_and_unknown_kinds_are_skipped_and_counted(scene: Scene) -> None:
    now = clock.iso(START + 5, milliseconds=True)
    for line in HOSTILE + HARMLESS:
        moment = {"time": now if line.get("time") == "now" else line["time"]} if "time" in line else {}
        scene.raw(5, json.dumps({**line, **moment}).encode() + b"\n")
    scene.raw(5, b'{"kind":"event","ver')
    scene.record(6, "rate_limit")
    answer = scene.look(7)
    assert (answer.status, answer.counts.rate_limits, answer.counts.calls) == ("WARNING", 1, 1)
    assert answer.document["damaged_lines"] == len(HOSTILE) + 1
    assert scene.look(8).document["damaged_lines"] == len(HOSTILE) + 1
    assert not list(scene.home.quarantine.iterdir())


_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
_NEEDED: dict[str, st.SearchStrategy[Any]] = {
    "event": st.sampled_from(["hook", "success", "error", "rate_limit", "slow", "window"]),
    "time": st.sampled_from([clock.iso(START + n) for n in range(0, 9000, 900)]),
}
_MEMBERS: dict[str, st.SearchStrategy[Any]] = {
    "name": st.sampled_from(["StopFailure", "UserPromptSubmit", "SessionEnd", "Stop", "SessionStart"]),
    "session_id": st.sampled_from(["s", "t"]) | _SCALARS,
    "prompt_id": st.sampled_from(["p", "q"]) | _SCALARS,
    "agent_id": _SCALARS,
    "source": st.sampled_from(["hook", "program", "stream", "status_line"]) | _SCALARS,
    "error": st.sampled_from(["rate_limit", "overloaded", "billing_error", "authentication_failed"]) | _SCALARS,
    "text": st.sampled_from([BURST, CREDITS, OVERLOADED, "You've hit your 5-hour limit · resets 12:00pm (UTC)"])
    | _SCALARS,
    "status": st.sampled_from([429, 529, 402]) | _SCALARS,
    "seconds": _SCALARS,
    "rate_limit_info": st.dictionaries(
        st.sampled_from(["status", "resetsAt", "rateLimitType", "errorCode"]),
        st.sampled_from(["rejected", "allowed", "five_hour", "credits_required"]) | _SCALARS,
    ),
    "five_hour": st.dictionaries(st.sampled_from(["used_percentage", "resets_at"]), _SCALARS) | _SCALARS,
}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.fixed_dictionaries(_NEEDED, optional=_MEMBERS), max_size=12))
def test_whatever_stands_in_the_log_there_is_an_answer_and_a_cache_that_can_be_read(
    scene: Scene, lines: list[dict[str, Any]]
) -> None:
    for path in scene.home.events.iterdir():
        path.unlink()
    held = Picture(born=START, position={"2026-11-20": 0})
    folder = Folder(held, Ladder(), START + 9000)
    for line in lines:
        folder.event(line)
        answer = evaluation.judge(scene.config, held, START + 9000)
    if lines:
        json.dumps(answer.document, allow_nan=False)
        scene.plan(answer)
    picture.save(scene.home, held)
    again = picture.load(scene.home, scene.config, START + 9000)
    assert not list(scene.home.quarantine.iterdir())
    assert (len(again.sessions), len(again.limits)) == (len(held.sessions), len(held.limits))


# processes

_EVALUATE = """\
import json, sys
from pathlib import Path
from trinity.config import Config
from trinity.credit import evaluation, picture
from trinity.home import Home
home, config = Home(Path(sys.argv[1])), Config(profiles=())
if len(sys.argv) > 2:
    def killed(home, held):
        print("read", flush=True)
        sys.stdin.read()
    picture.save = killed
print(json.dumps(evaluation.evaluate(home, config).document["success_count"]))
"""


def _evaluation(home: Home, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _EVALUATE, str(home.root), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _record(home: Home, count: int) -> None:
    for _ in range(count):
        event_log.append(home, {"event": "success", "source": "program"})


def test_evaluations_at_once_count_each_event_once(home: Home) -> None:
    total = 0
    for _ in range(3):
        _record(home, 50)
        total += 50
        running = [_evaluation(home) for _ in range(3)]
        _record(home, 20)
        total += 20
        assert all(int(process.communicate(timeout=30)[0]) <= total for process in running)
    assert int(_evaluation(home).communicate(timeout=30)[0]) == total


@pytest.mark.posix
def test_an_evaluation_killed_between_reading_and_saving_counts_nothing_twice(home: Home) -> None:
    _record(home, 7)
    process = _evaluation(home, "killed")
    assert process.stdout is not None and process.stdout.readline() == "read\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    _record(home, 1)
    begin = time.monotonic()
    assert int(_evaluation(home).communicate(timeout=30)[0]) == 8
    assert time.monotonic() - begin < 10  # its lock died with it


def test_the_folder_of_a_pc_that_never_recorded_gives_an_answer(home: Home, tmp_path: Path) -> None:
    scene = Scene(home, tmp_path / "fresh")
    answer = scene.look(0)
    assert (answer.status, answer.counts.calls) == ("HEALTHY", 0)
