"""Small climbs and a day of bad weather: the goals hold, the faults fire, and each mutant is found."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.simulation import climbs, weather
from tests.simulation.world import SHAPES

FEW = (60, 120)  # seconds between two answers
SHORT = (1.5, 1.5)  # hours of a day: the same number of bursts, close together


@pytest.fixture(autouse=True)
def _in_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    if hasattr(time, "tzset"):
        time.tzset()
    yield
    monkeypatch.undo()
    if hasattr(time, "tzset"):
        time.tzset()


@pytest.mark.parametrize("shape", SHAPES)
def test_climbs_are_seen_before_the_wall(shape: str) -> None:
    scores = climbs.simulate(7, 8, shape, every=600, gap=FEW)
    assert [score.reached for score in scores.values()] == [4, 4]
    # The first of its account cannot be seen without percentages; here it weighs more than in a long run.
    assert scores[True].seen == 4 and scores[False].seen >= 3
    assert min(scores[True].leads) >= climbs.LEAD / 60


@pytest.mark.parametrize("mutant", climbs.MUTANTS)
def test_climbs_find_each_mutant(mutant: str) -> None:
    scores = climbs.simulate(7, 2, "2.1.328", every=900, mutant=mutant, gap=FEW)
    assert all(score.reached for score in scores.values()) and not climbs.met(scores)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_day_of_bad_weather_exhausts_nothing(shape: str) -> None:
    score = weather.simulate(1, 2, shape, every=120, hours=SHORT)
    assert score.share == 0
    assert score.hit["rate_limit"] and score.hit["overloaded"] and score.refused > 20 and score.given_up


@pytest.mark.parametrize("mutant", weather.MUTANTS)
def test_weather_finds_each_mutant(mutant: str) -> None:
    assert weather.simulate(1, 2, "2.1.197", every=300, mutant=mutant, hours=SHORT).share > weather.GOAL
