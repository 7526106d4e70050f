"""One failure seen by several sources is one incident; the best source is believed."""

from __future__ import annotations

import itertools
import json
import random
from pathlib import Path
from typing import Any

import pytest

from trinity import clock
from trinity.credit import incidents, transcripts
from trinity.credit.incidents import Sighting

REAL = Path(__file__).parent / "transcripts"
T = clock.parse("2026-11-20T10:00:00Z")
FIVE = "You've hit your 5-hour limit · resets 12:00pm (UTC)"
PLAIN = "API Error: Server is temporarily limiting requests (not your usage limit) · Please try again later."


def _hook(second: float = 0.0, text: str = FIVE, **more: Any) -> Sighting:
    line = {"event": "hook", "source": "hook", "name": "StopFailure", "session_id": "s", "prompt_id": "p"}
    line |= {"error": "rate_limit", "text": text, "time": clock.iso(T + second, milliseconds=True)}
    seen = incidents.of_event(line | more, "UTC")
    assert seen is not None
    return seen


def _line(second: float = 0.1, text: str = FIVE, turn: str | None = "p", agent: str | None = None) -> Sighting:
    fact = transcripts.ApiError(
        f"u{second}{agent}", T + second, "s", turn, "rate_limit", text, 429, {}, agent, agent is not None, None
    )
    return incidents.of_error_line(fact, "UTC")


def _stream(second: float = -0.1, **info: Any) -> Sighting:
    info = {"status": "rejected", **info}
    seen = incidents.of_stream({"type": "rate_limit_event", "rate_limit_info": info, "session_id": "s"}, T + second)
    assert seen is not None
    return seen


LIMIT: dict[str, Any] = {"resetsAt": T + 7000, "rateLimitType": "five_hour"}


def test_all_sources_of_one_limit_are_one_incident_in_any_order() -> None:
    seen = [_stream(**LIMIT), _line(), _hook(), _hook(0.4, agent_id="a")]
    for order in itertools.permutations(seen):
        (incident,) = incidents.merge(order)
        assert incident.sources == ("stream", "transcript", "hook")
        assert incident.limit is not None
        assert (incident.limit.type, incident.limit.resets_at) == ("five_hour", T + 7000)
        assert (incident.turn, incident.text, incident.stops) == ("p", FIVE, True)
        assert incident.time == T - 0.1


def test_a_reset_that_the_best_source_lacks_comes_from_the_next() -> None:
    (incident,) = incidents.merge([_stream(rateLimitType="five_hour"), _hook()])
    assert incident.source == "stream" and incident.limit is not None
    assert incident.limit.resets_at == clock.parse("2026-11-20T12:00:59Z")


def test_sources_that_disagree_saw_one_incident_and_the_better_is_believed() -> None:
    credits_needed = _stream(errorCode="credits_required")
    (incident,) = incidents.merge([credits_needed, _line(text=PLAIN), _hook(text=PLAIN)])
    assert incident.limit is not None and incident.limit.type == "credits"
    assert incident.verdict.kind == "hard" and incident.stops


def test_a_subagents_error_joins_its_parents() -> None:
    (incident,) = incidents.merge([_line(-1.0, agent="a1"), _line(-0.9, agent="a2"), _line(0.1)])
    assert incident.stops and len(incident.sightings) == 3


def test_a_subagents_error_alone_is_no_stop() -> None:
    (incident,) = incidents.merge([_line(agent="a1"), _hook(agent_id="a1")])
    assert not incident.stops
    assert incident.limit is not None and incident.limit.type == "five_hour"


@pytest.mark.parametrize("version", ["2.1.197", "2.1.328"])
def test_recorded_lines_of_a_subagent_and_its_parent_are_one(version: str) -> None:
    facts = []
    for name in (f"subagent_{version}.agent.jsonl", f"subagent_{version}.jsonl"):
        facts += transcripts.read_new(REAL / name)[0]
    errors = [fact for fact in facts if isinstance(fact, transcripts.ApiError)]
    assert [error.sidechain for error in errors] == [True, False]
    (incident,) = incidents.merge(incidents.of_error_line(error, "UTC") for error in errors)
    assert incident.stops and len(incident.sightings) == 2


def test_the_next_turn_and_the_next_session_are_incidents_of_their_own() -> None:
    other = _hook(1, session_id="t")
    assert len(incidents.merge([_hook(), _hook(60, prompt_id="q"), other])) == 3


def test_a_sighting_without_a_prompt_joins_only_what_is_near() -> None:
    assert len(incidents.merge([_hook(), _line(100, turn=None)])) == 1
    assert len(incidents.merge([_hook(), _line(1000, turn=None)])) == 2


def test_two_errors_of_different_types_in_one_turn_stay_two() -> None:
    assert len(incidents.merge([_line(0, PLAIN), _line(600, FIVE)])) == 2


def test_what_callers_record_is_counted_one_by_one() -> None:
    def record(second: int, session: str | None) -> Sighting | None:
        line = {"event": "rate_limit", "source": "program", "time": clock.iso(T + second)}
        return incidents.of_event(line | ({"session_id": session} if session else {}))

    without = [record(second, None) for second in range(3)]
    within = [record(second, "s") for second in range(3)]
    assert len(incidents.merge(s for s in without if s)) == 3
    assert len(incidents.merge(s for s in within if s)) == 3
    assert all(s.verdict.kind == "transient" and not s.ends_turn for s in without if s)


def test_other_lines_are_no_sightings() -> None:
    assert incidents.of_event({"event": "success", "time": clock.iso(T)}) is None
    assert incidents.of_event({"event": "hook", "name": "Stop", "time": clock.iso(T)}) is None
    assert incidents.of_event({"event": "hook", "name": "StopFailure", "time": "yesterday"}) is None
    allowed = {"type": "rate_limit_event", "rate_limit_info": {"status": "allowed"}}
    assert incidents.of_stream(allowed, T) is None


def test_a_refusal_without_a_window_does_not_end_the_turn_alone() -> None:
    (incident,) = incidents.merge([_stream(isUsingOverage=False)])
    assert incident.verdict.kind == "transient" and not incident.stops


def test_many_shuffled_sightings_merge_to_the_same_incidents() -> None:
    seen = []
    for turn in range(20):
        at, prompt = turn * 900.0, f"p{turn}"
        seen += [
            _hook(at, prompt_id=prompt),
            _line(at + 0.1, turn=prompt),
            _line(at - 2, turn=prompt, agent=f"a{turn}"),
        ]
    expected = [(i.turn, i.time, len(i.sightings)) for i in incidents.merge(seen)]
    assert len(expected) == 20
    for seed in range(5):
        random.Random(seed).shuffle(seen)
        assert [(i.turn, i.time, len(i.sightings)) for i in incidents.merge(seen)] == expected


def test_an_incident_can_be_kept_as_a_record() -> None:
    (incident,) = incidents.merge([_hook()])
    assert incident.limit is not None
    assert json.loads(json.dumps(incident.limit.document()))["type"] == "five_hour"
