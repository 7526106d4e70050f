"""One failure seen by several sources is one incident; the best source is believed."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.lib.credit.scene import Scene
from trinity import clock
from trinity.credit import incidents, transcripts
from trinity.credit.incidents import Incident, Sighting

REAL = Path(__file__).parent / "transcripts"
T = clock.parse("2026-11-20T10:00:00Z")
FIVE = "You've hit your 5-hour limit · resets 12:00pm (UTC)"
PLAIN = "API Error: Server is temporarily limiting requests (not your usage limit) · Please try again later."


def _merged(sightings: Iterable[Sighting]) -> list[Incident]:
    known: dict[str, list[Incident]] = {}
    for seen in sightings:
        incidents.of(known.setdefault(seen.session_id, []), seen).add(seen)
    return sorted((incident for found in known.values() for incident in found), key=lambda incident: incident.time)


def _sources(incident: Incident) -> set[str]:
    return {witness.source for witness in incident.seen}


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
    line = {"event": "rate_limit", "source": "stream", "session_id": "s", "rate_limit_info": info}
    seen = incidents.of_event(line | {"time": clock.iso(T + second, milliseconds=True)})
    assert seen is not None
    return seen


LIMIT: dict[str, Any] = {"resetsAt": T + 7000, "rateLimitType": "five_hour"}


def test_all_sources_of_one_limit_are_one_incident_in_any_order() -> None:
    seen = [_stream(**LIMIT), _line(), _hook(), _hook(0.4, agent_id="a")]
    for order in itertools.permutations(seen):
        (incident,) = _merged(order)
        assert _sources(incident) == {"stream", "transcript", "hook"}
        assert incident.limit is not None
        assert (incident.limit.type, incident.limit.resets_at) == ("five_hour", T + 7000)
        assert incident.time == T - 0.1


def test_a_reset_that_the_best_source_lacks_comes_from_the_next() -> None:
    (incident,) = _merged([_stream(rateLimitType="five_hour"), _hook()])
    assert incident.source == "stream" and incident.limit is not None
    assert incident.limit.resets_at == clock.parse("2026-11-20T12:00:59Z")


def test_sources_that_disagree_saw_one_incident_and_the_better_is_believed() -> None:
    credits_needed = _stream(errorCode="credits_required")
    (incident,) = _merged([credits_needed, _line(text=PLAIN), _hook(text=PLAIN)])
    assert incident.limit is not None and incident.limit.type == "credits"
    assert (incident.kind, incident.source) == ("hard", "stream")


def test_a_subagents_error_joins_its_parents() -> None:
    (incident,) = _merged([_line(-1.0, agent="a1"), _line(-0.9, agent="a2"), _line(0.1)])
    assert [witness.main for witness in incident.seen] == [False, False, True]


def test_a_subagents_error_alone_is_no_stop() -> None:
    seen = [_line(agent="a1"), _hook(agent_id="a1")]
    (incident,) = _merged(seen)
    assert not any(sighting.stops for sighting in seen) and _hook().stops and _line().stops
    assert incident.limit is not None and incident.limit.type == "five_hour"


@pytest.mark.parametrize("version", ["2.1.197", "2.1.328"])
def test_recorded_lines_of_a_subagent_and_its_parent_are_one(version: str) -> None:
    facts = []
    for name in (f"subagent_{version}.agent.jsonl", f"subagent_{version}.jsonl"):
        facts += transcripts.read_new(REAL / name)[0]
    errors = [fact for fact in facts if isinstance(fact, transcripts.ApiError)]
    assert [error.sidechain for error in errors] == [True, False]
    (incident,) = _merged(incidents.of_error_line(error, "UTC") for error in errors)
    assert [witness.main for witness in incident.seen] == [False, True]


def test_the_next_turn_and_the_next_session_are_incidents_of_their_own() -> None:
    other = _hook(1, session_id="t")
    assert len(_merged([_hook(), _hook(60, prompt_id="q"), other])) == 3


def test_a_sighting_without_a_prompt_joins_only_what_is_near() -> None:
    assert len(_merged([_hook(), _line(100, turn=None)])) == 1
    assert len(_merged([_hook(), _line(1000, turn=None)])) == 2


def test_two_errors_of_different_types_in_one_turn_stay_two() -> None:
    assert len(_merged([_line(0, PLAIN), _line(600, FIVE)])) == 2


def test_what_callers_record_is_counted_one_by_one() -> None:
    def record(second: int, session: str | None) -> Sighting | None:
        line = {"event": "rate_limit", "source": "program", "time": clock.iso(T + second)}
        return incidents.of_event(line | ({"session_id": session} if session else {}))

    without = [record(second, None) for second in range(3)]
    within = [record(second, "s") for second in range(3)]
    assert len(_merged(s for s in without if s)) == 3
    assert len(_merged(s for s in within if s)) == 3
    assert all(s.verdict.kind == "transient" and not s.ends_turn for s in without if s)


def test_other_lines_are_no_sightings() -> None:
    assert incidents.of_event({"event": "success", "time": clock.iso(T)}) is None
    assert incidents.of_event({"event": "hook", "name": "Stop", "time": clock.iso(T)}) is None
    assert incidents.of_event({"event": "hook", "name": "StopFailure", "time": "yesterday"}) is None
    allowed = {"event": "rate_limit", "source": "stream", "session_id": "s", "time": clock.iso(T)}
    assert incidents.of_event(allowed | {"rate_limit_info": {"status": "allowed"}}) is None
    assert incidents.of_event({"event": "hook", "name": ["StopFailure"], "source": {}, "time": clock.iso(T)}) is None


def test_a_refusal_without_a_window_does_not_end_the_turn_alone() -> None:
    seen = _stream(isUsingOverage=False)
    assert seen.verdict.kind == "transient" and not seen.stops
    assert _stream(**LIMIT).stops


def test_many_shuffled_sightings_merge_to_the_same_incidents() -> None:
    seen = []
    for turn in range(20):
        at, prompt = turn * 900.0, f"p{turn}"
        seen += [
            _hook(at, prompt_id=prompt),
            _line(at + 0.1, turn=prompt),
            _line(at - 2, turn=prompt, agent=f"a{turn}"),
        ]

    def joined(sightings: list[Sighting]) -> list[tuple[str, float, int]]:
        return [(i.id, i.time, len(i.seen)) for i in _merged(sightings)]

    expected = [(f"s|p{turn}", T + turn * 900.0 - 2, 3) for turn in range(20)]
    for seed in range(5):
        random.Random(seed).shuffle(seen)
        assert joined(seen) == expected


def test_a_source_that_speaks_again_much_later_tells_of_a_new_failure() -> None:
    """A client that waits for the reset goes on in the same turn, and may meet the next limit there."""
    first, second = [_hook(), _line()], [_hook(7200), _line(7200.1)]
    assert [len(i.seen) for i in _merged(first + second)] == [2, 2]
    assert [len(i.seen) for i in _merged([_hook(), _hook(7200), *first[1:], *second[1:]])] == [2, 2]
    assert len(_merged([_hook(-900, agent_id="a"), _hook()])) == 1


def test_the_same_line_twice_changes_nothing() -> None:
    (once,), (twice,) = _merged([_hook(), _line()]), _merged([_hook(), _line(), _line(), _hook()])
    assert once == twice


def test_an_incident_found_again_has_the_same_id() -> None:
    """A handoff made of it is known by it, also after the cache was lost."""
    without = [_hook(prompt_id=None), _hook(900, prompt_id=None)]
    ids = [incident.id for incident in _merged([_hook(), *without])]
    assert ids == [incident.id for incident in _merged([_hook(), *without])]
    assert [i.id for i in _merged([_line(), _hook()])] == [i.id for i in _merged([_hook(), _line()])] == ["s|p"]


def test_an_incident_can_be_kept_as_a_record() -> None:
    (incident,) = _merged([_hook(), _line(), _hook(agent_id="a")])
    again = Incident.from_document(json.loads(json.dumps(incident.document())))
    assert again.document() == incident.document() and len(again.seen) == 3
    assert again.limit is not None and again.limit.type == "five_hour"


def test_an_answer_between_two_refusals_is_known_whichever_was_read_first(scene: Scene) -> None:
    """Hooks are read before the transcripts: by then the answer that parts two bursts has not been seen."""
    burst = "API Error: Server is temporarily limiting requests (not your usage limit) · Rate limited"
    scene.prompt(-20, session="b")
    scene.answer(-10, session="b")
    scene.stop_failure(0, burst, session="a")
    scene.look(1)
    scene.prompt(300, session="b")
    scene.answer(310, session="b")
    for second in (700, 1400):
        scene.stop_failure(second, burst, session=f"at {second}", prompt=f"p {second}")
    # The answer lies between the first two; between the last two there was none.
    assert scene.look(1401).counts.rate_limits == 2
