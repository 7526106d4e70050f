"""What lies in the last hour, and nothing from before the last reset."""

from __future__ import annotations

import json

import pytest

from trinity.credit import window
from trinity.credit.window import Streak, Window

NOW = 1_800_000_000.0
HOUR = 3600.0


def test_calls_errors_and_rate_limits_are_counted() -> None:
    made = Window()
    for n in range(7):
        made.add_call(NOW - n)
    made.add_error(NOW - 60)
    made.add_error(NOW - 50, rate_limit=True)
    counts = made.counts(NOW, HOUR)
    assert (counts.calls, counts.errors, counts.rate_limits) == (9, 2, 1)
    assert counts.error_rate == pytest.approx(2 / 9)
    assert NOW - 50 <= counts.newest_rate_limit <= NOW - 40
    assert counts.newest_error == counts.newest_rate_limit


def test_an_empty_window_has_no_error_rate() -> None:
    counts = Window().counts(NOW, HOUR)
    assert (counts.calls, counts.error_rate, counts.average_seconds, counts.newest_error) == (0, 0.0, 0.0, 0.0)


def test_what_is_older_than_the_window_is_dropped() -> None:
    made = Window()
    made.add_error(NOW - HOUR - 11, rate_limit=True)
    made.add_error(NOW - HOUR + 1, rate_limit=True)
    assert made.counts(NOW, HOUR).rate_limits == 1
    assert made.counts(NOW + 30, HOUR).rate_limits == 0
    assert made.buckets == {}


def test_nothing_from_before_a_reset_counts() -> None:
    made = Window()
    made.add_error(NOW - 30, rate_limit=True)
    made.recorded.add(NOW - 30, True)
    made.restart(NOW - 25)
    made.restart(NOW - 500)  # an earlier reset that is noticed later changes nothing
    made.add_call(NOW - 5)
    counts = made.counts(NOW, HOUR)
    assert (counts.calls, counts.rate_limits, made.recorded.count) == (1, 0, 0)


def test_an_error_just_before_the_reset_does_not_count_either() -> None:
    made = Window()
    made.add_error(NOW + 1, rate_limit=True)
    made.restart(NOW + 2)
    assert made.counts(NOW + 60, HOUR).errors == 0


def test_times_are_averaged_over_the_calls_whose_time_is_known() -> None:
    made = Window()
    made.add_call(NOW)
    made.add_call(NOW, 2.0)
    made.add_time(NOW, 12.0, True)
    counts = made.counts(NOW, HOUR)
    assert (counts.calls, counts.average_seconds, counts.slow) == (2, 7.0, 1)


def test_a_streak_is_ended_by_a_fast_response_and_not_by_an_older_one() -> None:
    streak = Streak()
    for n in range(4):
        streak.add(NOW + n, True)
    streak.add(NOW - 10, False)
    assert streak.count == 4
    streak.add(NOW + 5, False)
    assert streak.count == 0


def test_a_streak_of_an_hour_ago_is_over() -> None:
    made = Window()
    for n in range(5):
        made.recorded.add(NOW + n, True)
    made.counts(NOW + HOUR, HOUR)
    assert made.recorded.count == 5
    made.counts(NOW + HOUR + 5, HOUR)
    assert made.recorded.count == 0


def test_a_hundred_thousand_calls_are_no_more_to_keep_than_a_thousand() -> None:
    made = Window()
    for n in range(100_000):
        made.add_call(NOW - n % 3600)
    assert made.counts(NOW, HOUR).calls == 100_000
    assert len(made.buckets) <= 361


def test_it_survives_its_record() -> None:
    made = Window()
    made.add_error(NOW, rate_limit=True)
    made.add_call(NOW, 11.5, True)
    made.recorded.add(NOW, True)
    made.restart(NOW - 100)
    again = window.from_document(json.loads(json.dumps(made.document())))
    assert again == made
    assert again.counts(NOW, HOUR) == made.counts(NOW, HOUR)
