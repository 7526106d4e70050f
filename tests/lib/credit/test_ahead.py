"""Limits ahead: what was used, how fast, and when a window will be full, as a range."""

from __future__ import annotations

import pytest

from tests.lib.credit.scene import FIVE_HOURS_RESET, START, Scene, signals
from trinity import clock
from trinity.credit import ahead
from trinity.credit.ahead import Ahead
from trinity.credit.allowance import Allowance

NOW = 1_800_000_000.0
HOUR = 3600.0


def _of(samples: list[tuple[float, float]], resets_in: float | None = 2 * HOUR, name: str = "five_hour") -> Ahead:
    """Samples are (hours before now, percent)."""
    points = [(NOW - hours * HOUR, used) for hours, used in samples]
    found = ahead.of_allowance(name, Allowance(None if resets_in is None else NOW + resets_in, points), NOW)
    assert found is not None
    return found


def _hours(moment: float | None) -> float | None:
    return None if moment is None else round((moment - NOW) / HOUR, 2)


def test_an_even_pace_names_one_moment_and_little_around_it() -> None:
    steady = [(3 - n / 12, 20 * n / 12) for n in range(37)]
    found = _of(steady)
    assert found.used == 60 and found.pace == pytest.approx(20)
    assert found.at_reset == pytest.approx(100) and found.likely is None  # full at the reset, which is no earlier
    soon = _of(steady, 2.5 * HOUR)
    assert _hours(soon.likely) == 2.0
    assert 1.7 < (_hours(soon.earliest) or 0) < 2 < (_hours(soon.latest) or 0) < 2.4


def test_a_burst_makes_the_range_wide_and_stays_inside_it() -> None:
    found = _of([(3, 0), (2, 5), (1, 10), (0.2, 30), (0.1, 50), (0, 60)])
    assert found.earliest and found.likely
    # 50 points in a quarter of an hour; 50 in the hour; 60 in three.
    assert _hours(found.earliest) == pytest.approx(0.2, abs=0.01)
    assert _hours(found.likely) == pytest.approx(0.8, abs=0.01)
    assert found.latest is None


def test_the_range_is_in_order_whatever_the_samples() -> None:
    for seed in range(200):
        used, samples = 0.0, []
        for n in range(30):
            used += (seed * 7919 + n * 104729) % 11 / 3
            samples.append((3 - n / 10.5, used))
        found = _of(samples)
        known = [t for t in (found.earliest, found.likely, found.latest) if t is not None]
        assert known == sorted(known) and all(NOW <= t < NOW + 2 * HOUR for t in known)
        assert found.likely is None or found.earliest is not None


def test_nothing_is_said_of_a_pace_that_nobody_can_know() -> None:
    found = _of([(0, 40)], None)
    assert (found.used, found.pace, found.likely) == (40, None, None) and ahead.when_full(found) == ""
    assert _of([(5 / 60, 40), (0, 45)], None).pace is None
    # With the window's start known, one word is enough: it was all used since then.
    assert _of([(0, 60)]).pace == pytest.approx(20)


def test_an_idle_window_will_not_be_full() -> None:
    found = _of([(2.5, 10), (2, 40)])
    assert found.pace == 0 and found.likely is None and not found.early
    assert "resets" in ahead.in_words(found) and "not before the reset" in ahead.in_words(found)


def test_a_full_window_is_full_now() -> None:
    found = _of([(1, 90), (0, 100)])
    assert found.likely == found.earliest == NOW and ahead.in_words(found).endswith("full")


def test_a_pace_near_the_edge_does_not_make_the_status_change_with_every_answer() -> None:
    """One window by turns a little above and a little below 100 % at its reset: it warns once and keeps warning."""
    allowance = Allowance(NOW + 4 * HOUR)
    changes, used, last = 0, 50.0, None
    allowance.add(NOW - HOUR, 38.0, NOW + 4 * HOUR, "s")
    for n in range(120):
        used += 0.21 if n // 10 % 2 else 0.17
        allowance.add(NOW + n * 60, round(used, 2), NOW + 4 * HOUR, "s")
        found = ahead.of_allowance("five_hour", allowance, NOW + n * 60)
        assert found is not None
        changes, last = changes + (found.early != last), found.early
    assert changes <= 2


def test_a_window_holds_the_highest_word_and_an_idle_session_is_not_believed() -> None:
    allowance = Allowance()
    allowance.add(NOW, 40, NOW + HOUR, "works")
    allowance.add(NOW + 60, 12, NOW + HOUR, "idle")
    allowance.add(NOW + 70, 55, NOW + HOUR, "works")
    allowance.add(NOW + 80, 12, NOW - 9 * HOUR, "idle since yesterday")
    assert allowance.used(NOW + 90) == 55 and len(allowance.samples) == 2
    allowance.add(NOW + 100, 20, NOW + HOUR, "works")  # the provider gave something back
    assert allowance.used(NOW + 110) == 20
    allowance.add(NOW + 2 * HOUR, 3, NOW + 6 * HOUR, "idle")
    assert allowance.samples == [(NOW + 2 * HOUR, 3)]


def test_a_percentage_without_a_reset_is_of_the_window_that_runs_and_does_not_last_for_ever() -> None:
    allowance = Allowance()
    allowance.add(NOW, 40, NOW + HOUR, "a")
    allowance.add(NOW + 60, 98, None, "a")
    assert (allowance.used(NOW + 70), allowance.used(NOW + HOUR)) == (98, None)
    allowance.add(NOW + 2 * HOUR, 97, None, "a")
    assert (allowance.resets_at, allowance.used(NOW + 6 * HOUR)) == (None, 97)
    assert allowance.used(NOW + 7 * HOUR) is None
    allowance.add(NOW + 8 * HOUR, 5, None, "another")
    assert allowance.used(NOW + 8 * HOUR) == 5


def test_an_allowance_does_not_grow_with_the_day_and_keeps_the_way_there() -> None:
    allowance = Allowance()
    for n in range(5000):
        allowance.add(NOW + n, n / 50, NOW + 90000)
    assert len(allowance.samples) <= 240 and allowance.samples[0] == (NOW, 0)
    assert allowance.samples == sorted(allowance.samples)


def test_a_stream_tells_of_both_windows_and_refuses_nothing(scene: Scene) -> None:
    reset = START + 2 * HOUR
    windows = {
        "five_hour": {"utilization": 0.8, "resetsAt": reset},
        "seven_day": {"utilization": 0.41, "resetsAt": START + 60 * HOUR},
    }
    info = {"status": "allowed", "rateLimitType": "five_hour", "resetsAt": reset, "unifiedWindows": windows}
    scene.event(0, event="rate_limit", source="stream", session_id="s", rate_limit_info=info)
    old = {"status": "allowed_warning", "rateLimitType": "five_hour", "resetsAt": reset, "utilization": 0.86}
    scene.event(60, event="rate_limit", source="stream", rate_limit_info=old)
    answer = scene.look(120)
    assert {one.name: one.used for one in answer.aheads} == {"five_hour": 86, "seven_day": 41}
    assert signals(answer) == {"five_hour": "CRITICAL"} and answer.counts.errors == 0


def _told(scene: Scene, second: float, session: str, used: float) -> None:
    window = {"used_percentage": used, "resets_at": FIVE_HOURS_RESET}
    scene.event(second, event="window", source="status_line", session_id=session, five_hour=window)


def test_a_larger_plan_is_believed_of_a_session_that_was_answered_since(scene: Scene) -> None:
    _told(scene, 0, "a", 97.5)
    scene.stop_failure(60, session="a")
    assert scene.look(120).status == "EXHAUSTED" and scene.look(121).limits
    _told(scene, 130, "idle", 12)
    scene.hook(190, "SessionStart", session="b")
    scene.prompt(200, session="b")
    scene.answer(210, session="b")
    assert scene.look(220).status == "EXHAUSTED"
    _told(scene, 230, "idle", 13)
    _told(scene, 240, "b", 94)  # no more than two servers may differ by
    assert scene.look(245).status == "EXHAUSTED"
    _told(scene, 250, "b", 21)
    answer = scene.look(260)
    assert (answer.limits, answer.status) == ([], "HEALTHY")
    assert [(one.name, one.used) for one in answer.aheads] == [("five_hour", 21)]


def test_status_state_and_words_tell_the_same(scene: Scene) -> None:
    for minute in range(0, 61, 5):
        scene.window(minute * 60, 40 + minute / 2, START + 2.5 * HOUR)
    answer = scene.look(HOUR)
    (found,) = answer.aheads
    told = scene.state()["ahead"]["five_hour"]
    assert told["used_percentage"] == found.used == 70 and told["source"] == "percentages"
    assert told["full_at"]["likely"] == clock.iso(found.likely)
    assert signals(answer) == {"five_hour": "CRITICAL"}  # 70 % warns, and it will not last
    assert "full about" in ahead.in_words(found)
