"""How limits begin, move and end; that each thing counts once, whatever is torn, killed or hostile."""

from __future__ import annotations

import os

import pytest

from tests.lib.credit.scene import FIVE_HOURS_RESET, OVERLOADED, START, Scene, limits, signals
from trinity import schema
from trinity.credit import event_log

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
        scene.stop_failure(620 * n, BURST, session=f"s{n}")
        scene.stop_failure(620 * n + 20, BURST, session=f"beside-s{n}")
        answer = scene.look(620 * n + 30)
        assert (answer.status, set(scene.actions(answer).values())) == (level, {action})
    assert [(limit.type, limit.source) for limit in answer.limits] == [("transient", "rate_limits")]
    step = scene.plan(answer)[0]
    assert step.session.stop is not None and step.session.stop.text == BURST
    assert step.limit is not None and step.limit.resets_at is not None
    assert 300 <= step.limit.resets_at - (START + 1240) <= 311


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
