"""The ladder: which number makes which status, and that each says why."""

from __future__ import annotations

import pytest

from trinity.config import Ladder
from trinity.credit import ahead, status
from trinity.credit.allowance import Allowance
from trinity.credit.limits import Limit
from trinity.credit.status import Signal
from trinity.credit.window import Counts, Streak

NOW = 1_800_000_000.0
LADDER = Ladder()


def _signals(
    counts: Counts | None = None,
    recorded: int = 0,
    transcripts: int = 0,
    limit: Limit | None = None,
    ladder: Ladder = LADDER,
    **allowances: Allowance,
) -> list[Signal]:
    streaks = Streak(recorded, NOW - 4), Streak(transcripts, NOW - 4)
    aheads = [one for name, known in allowances.items() if (one := ahead.of_allowance(name, known, NOW))]
    return status.signals(NOW, ladder, counts or Counts(), *streaks, [limit] if limit else [], aheads)


def _level(found: list[Signal]) -> str:
    return status.worst([signal.status for signal in found])


@pytest.mark.parametrize(
    ("count", "expected"), [(0, "HEALTHY"), (1, "WARNING"), (2, "CRITICAL"), (3, "EXHAUSTED"), (9, "EXHAUSTED")]
)
def test_rate_limits(count: int, expected: str) -> None:
    assert _level(_signals(Counts(rate_limits=count))) == expected


@pytest.mark.parametrize(
    ("calls", "errors", "expected"),
    [
        (9, 9, "HEALTHY"),
        (10, 0, "HEALTHY"),
        (100, 9, "HEALTHY"),
        (10, 1, "WARNING"),
        (10, 2, "CRITICAL"),
        (10, 3, "EXHAUSTED"),
        (10, 10, "EXHAUSTED"),
    ],
)
def test_the_error_rate_counts_from_ten_calls_on(calls: int, errors: int, expected: str) -> None:
    assert _level(_signals(Counts(calls=calls, errors=errors))) == expected


@pytest.mark.parametrize(
    ("count", "recorded", "in_transcripts"),
    [(2, "HEALTHY", "HEALTHY"), (3, "WARNING", "WARNING"), (5, "CRITICAL", "WARNING"), (50, "CRITICAL", "WARNING")],
)
def test_slow_responses_in_a_row(count: int, recorded: str, in_transcripts: str) -> None:
    """The model may simply think: what a transcript says about time only warns."""
    assert _level(_signals(recorded=count)) == recorded
    assert _level(_signals(transcripts=count)) == in_transcripts


@pytest.mark.parametrize(
    ("used", "expected"),
    [(0, "HEALTHY"), (69.9, "HEALTHY"), (70, "WARNING"), (85, "CRITICAL"), (97, "EXHAUSTED"), (100, "EXHAUSTED")],
)
def test_allowance_used(used: float, expected: str) -> None:
    allowance = Allowance(NOW + 600, [(NOW, used)])
    assert _level(_signals(five_hour=allowance)) == _level(_signals(seven_day=allowance)) == expected


def test_an_allowance_that_has_been_reset_says_nothing() -> None:
    assert _signals(five_hour=Allowance(NOW - 1, [(NOW - 60, 100.0)])) == []


@pytest.mark.parametrize(
    ("earlier", "used", "expected"),
    [(40, 60, "WARNING"), (56, 76, "CRITICAL"), (59.5, 60, "HEALTHY"), (75.9, 76, "WARNING"), (20, 40, "HEALTHY")],
)
def test_an_allowance_that_will_not_last_counts_one_step_earlier(earlier: float, used: float, expected: str) -> None:
    """Two hours to the reset, and this much was used within the last half hour."""
    allowance = Allowance(NOW + 7200, [(NOW - 1800, earlier), (NOW, used)])
    assert _level(_signals(five_hour=allowance)) == expected


def test_a_hard_limit_exhausts_the_account_and_a_models_limit_does_not() -> None:
    def of(scope: str, model: str | None) -> list[Signal]:
        return _signals(limit=Limit("seven_day", scope, model, NOW + 60, "hook", NOW - 5, 0.9))

    assert _level(of("account", None)) == "EXHAUSTED"
    (signal,) = of("account+model", "opus")
    assert signal.status == "WARNING" and "opus" in signal.text


def test_login_trouble_is_not_an_allowance_used_up() -> None:
    (signal,) = _signals(limit=Limit("auth", "account", None, None, "hook", NOW - 5, 0.9))
    assert (signal.name, signal.status) == ("auth", "CRITICAL")


def test_each_status_says_its_signal_its_age_and_how_sure_it_is() -> None:
    limit = Limit("five_hour", "account", None, NOW + 60, "transcript", NOW - 30, 0.95)
    counts = Counts(calls=20, errors=2, rate_limits=1, newest_rate_limit=NOW - 7, newest_error=NOW - 7)
    found = _signals(counts, recorded=3, limit=limit, seven_day=Allowance(NOW + 9000, [(NOW - 2, 88.0)]))
    assert [signal.name for signal in found] == ["limit", "seven_day", "rate_limits", "error_rate", "slow"]
    documents = [signal.document() for signal in found]
    assert [d["age_seconds"] for d in documents] == [30.0, 2.0, 7.0, 7.0, 4.0]
    assert [d["confidence"] for d in documents] == [0.95, 0.95, 0.8, 0.7, 0.7]
    assert [d["value"] for d in documents] == [None, 88.0, 1.0, 0.1, 3.0]
    assert "five_hour limit until" in documents[0]["text"] and "by transcript" in documents[0]["text"]


def test_every_number_is_configurable() -> None:
    ladder = Ladder(rate_limits=(5, 6, 7), error_rate=(0.5, 0.6, 0.7), slow_streak=(8, 9), window_used=(90, 95, 99))
    counts = Counts(calls=10, errors=4, rate_limits=4)
    assert _signals(counts, recorded=7, ladder=ladder, five_hour=Allowance(NOW + 60, [(NOW, 89.0)])) == []
    assert _level(_signals(Counts(rate_limits=7), ladder=ladder)) == "EXHAUSTED"
