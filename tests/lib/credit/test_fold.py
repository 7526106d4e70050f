"""From what was said about a failure to its consequences: status, limit, scope, reset and action."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.lib.credit.scene import FIVE_HOURS, FIVE_HOURS_RESET, OVERLOADED, START, Scene, limits, signals
from trinity import clock

CASES = Path(__file__).parent / "cases"
REAL = Path(__file__).parent / "transcripts"
PLAIN = "API Error: Server is temporarily limiting requests (not your usage limit) · Please try again later."
CREDITS: dict[str, Any] = {"status": "rejected", "errorCode": "credits_required"}


def _cases() -> list[Any]:
    found = []
    for path in sorted(CASES.glob("*.json")):
        for number, case in enumerate(json.loads(path.read_text(encoding="utf-8"))):
            found.append(pytest.param(case, id=f"{path.stem}-{number}"))
    return found


def _happens(scene: Scene, case: dict[str, Any], second: float) -> tuple[str, bool]:
    """The frame of `case` by the way it comes; returns the client's kind of error, and whether it ends the turn."""
    frame = case.get("line", {})
    kind = case.get("error") or frame.get("error")
    if frame.get("type") == "rate_limit_event":
        info = frame["rate_limit_info"]
        scene.event(second, event="rate_limit", source="stream", session_id="s", rate_limit_info=info)
        return "rate_limit", case["expect"]["kind"] == "hard"
    if frame.get("type") == "assistant":
        scene.line(second, promptId="p", **{k: v for k, v in frame.items() if k not in ("sessionId", "timestamp")})
        return "rate_limit" if frame.get("apiErrorStatus") == 429 else kind, not frame["isSidechain"]
    if frame:
        scene.error_line(second, case["text"], case["error"], promptId="p", **frame)
        return "rate_limit" if frame.get("apiErrorStatus") == 429 else kind, True
    scene.stop_failure(second, case["text"], case["error"])
    return kind, True


@pytest.mark.parametrize("case", _cases())
def test_every_failure_has_its_status_limit_scope_reset_and_action(scene: Scene, case: dict[str, Any]) -> None:
    second = clock.parse(case["seen_at"]) - START
    expected = case["expect"]
    kind, model = expected["kind"], expected.get("model")
    scene.hook(second - 5, "UserPromptSubmit", entrypoint="sdk-cli")
    scene.prompt(second - 5)
    error, ends_turn = _happens(scene, case, second)
    answer = scene.look(second + 0.5)

    wait = "WARNING" if error == "rate_limit" else "HEALTHY"
    told = case.get("line", {}).get("rate_limit_info") or {}
    # Beside a model's own limit a stream of 2.1.300+ tells of the account's week: 70 % used, and it will not last.
    hard = ("CRITICAL" if "unifiedWindows" in told else "WARNING") if model else "EXHAUSTED"
    statuses = {"hard": hard, "transient": wait, "auth": "CRITICAL", "request": "HEALTHY", "other": wait}
    informed = kind == "other" and not ends_turn  # a stream that only informs of a percentage: 93 %
    assert answer.status == ("CRITICAL" if informed else statuses[kind])

    reset = expected.get("resets_at")
    kept = [
        (limit.type, limit.scope, limit.model, limit.resets_at and clock.iso(limit.resets_at))
        for limit in answer.limits
    ]
    assert kept == ([(expected["type"], expected["scope"], model, reset)] if kind in ("hard", "auth") else [])

    actions = {"hard": "handoff", "transient": "wait", "auth": "alarm"}
    steps = scene.plan(answer)
    assert [step.action for step in steps] == ([actions[kind]] if ends_turn and kind in actions else [])
    if steps and kind == "hard":
        (limit,) = (step.limit for step in steps)
        assert limit is not None and limit.type == expected["type"] and limit.model == model
        assert (limit.resets_at and clock.iso(limit.resets_at)) == reset
    assert answer.document["status"] == answer.status


@pytest.mark.parametrize("kind", ["prompt", "answer", "tool", "hook", "last_message"])
def test_limit_text_that_is_no_error_changes_nothing(scene: Scene, kind: str) -> None:
    text = f"{FIVE_HOURS}. API Error: 429 rate_limit_error. Credit balance is too low. Please run /login"
    scene.hook(0, "UserPromptSubmit")
    scene.prompt(0, text if kind == "prompt" else "go on")
    scene.answer(2, text if kind == "answer" else "working")
    if kind == "tool":
        result = [{"type": "tool_result", "tool_use_id": "t", "is_error": True, "content": text}]
        scene.line(3, type="user", message={"role": "user", "content": result}, toolUseResult=text)
    elif kind == "hook":
        scene.hook(3, "PostToolUseFailure", tool="Bash", error=text)
    elif kind == "last_message":
        scene.hook(3, "Stop", text=text)
        scene.hook(4, "SubagentStop", agent_id="a", text=text)
    answer = scene.look(5)
    assert (answer.status, answer.limits, answer.stopped, answer.counts.errors) == ("HEALTHY", [], [], 0)


def _four(scene: Scene) -> list[Callable[[], None]]:
    """One limit as the parent's and its subagent's hooks and transcripts tell of it."""
    return [
        lambda: scene.stop_failure(10.3, agent_id="a1", agent_type="general-purpose"),
        lambda: scene.stop_failure(10.6),
        lambda: scene.error_line(10.2, agent="a1", promptId="p"),
        lambda: scene.error_line(10.5, promptId="p"),
    ]


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))), ids=str)
def test_a_subagents_and_its_parents_failure_are_one_incident_in_any_order(
    scene: Scene, order: tuple[int, ...]
) -> None:
    scene.hook(0, "UserPromptSubmit")
    scene.prompt(0)
    ways = _four(scene)
    for number, way in enumerate(order):
        ways[way]()
        answer = scene.look(11 + number)
    assert (answer.counts.errors, answer.counts.rate_limits) == (1, 1)
    assert limits(answer) == [("five_hour", None, FIVE_HOURS_RESET - START)]
    assert scene.actions(answer) == {"s": "handoff"}
    assert [error["type"] for error in answer.document["recent_errors"]] == ["five_hour"]


def test_a_subagents_failure_alone_is_a_limit_and_stops_no_session(scene: Scene) -> None:
    scene.hook(0, "UserPromptSubmit")
    scene.stop_failure(10, agent_id="a1")
    scene.error_line(10.1, agent="a1", promptId="p")
    answer = scene.look(11)
    assert answer.status == "EXHAUSTED"
    assert answer.stopped == [] and scene.plan(answer) == []


@pytest.mark.parametrize("version", ["2.1.197", "2.1.328"])
def test_recorded_transcripts_of_a_subagent_and_its_parent_are_one_stop(scene: Scene, version: str) -> None:
    lines = [json.loads(line) for line in (REAL / f"subagent_{version}.jsonl").read_text("utf-8").splitlines()]
    session = next(line["sessionId"] for line in lines if line.get("isApiErrorMessage"))
    last = next(clock.parse(line["timestamp"]) for line in lines if line.get("isApiErrorMessage"))
    for name, place in (("", scene.transcript(session)), (".agent", scene.transcript(session, "a"))):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes((REAL / f"subagent_{version}{name}.jsonl").read_bytes())
    answer = scene.look(last + 2 - START)
    assert (answer.counts.rate_limits, answer.status) == (1, "EXHAUSTED")
    assert scene.actions(answer) == {session: "handoff"}


@pytest.mark.parametrize("first", ["hook", "better"])
@pytest.mark.parametrize("better", ["stream", "transcript"])
def test_sources_that_disagree_are_one_incident_and_the_better_is_believed(
    scene: Scene, first: str, better: str
) -> None:
    """The client's text says burst, the server's numbers say that credits are needed."""

    def hook() -> None:
        scene.stop_failure(10.2, PLAIN)

    def numbers() -> None:
        if better == "stream":
            scene.event(10, event="rate_limit", source="stream", session_id="s", rate_limit_info=CREDITS)
        else:
            scene.error_line(10, PLAIN, promptId="p", quotaLimits=CREDITS)

    for number, way in enumerate((hook, numbers) if first == "hook" else (numbers, hook)):
        way()
        answer = scene.look(11 + number)
    assert limits(answer) == [("credits", None, None)]
    assert (answer.counts.errors, answer.status) == (1, "EXHAUSTED")
    assert scene.actions(answer) == {"s": "handoff"}
    (step,) = scene.plan(answer)
    assert step.limit is not None and step.limit.type == "credits"


def test_what_a_worse_source_took_for_a_limit_is_withdrawn(scene: Scene) -> None:
    scene.stop_failure(10, "You've hit your usage limit")
    assert limits(scene.look(11)) == [("usage", None, None)]
    quota = {"status": "rejected", "rateLimitType": "five_hour", "resetsAt": START + 3600}
    scene.error_line(10, "You've hit your usage limit", promptId="p", quotaLimits=quota)
    assert limits(scene.look(12)) == [("five_hour", None, 3600.0)]


def test_a_reset_that_the_better_source_lacks_is_kept(scene: Scene) -> None:
    scene.stop_failure(10)
    scene.error_line(10.1, "You've hit your 5-hour limit", promptId="p")
    assert limits(scene.look(11)) == [("five_hour", None, FIVE_HOURS_RESET - START)]
    scene.stop_failure(60, "You've hit your 5-hour limit", session="other", prompt="q")
    assert limits(scene.look(61)) == [("five_hour", None, FIVE_HOURS_RESET - START)]


def test_a_failure_that_no_hook_reported_is_found_in_the_transcript(scene: Scene) -> None:
    scene.prompt(0)
    scene.look(1)
    scene.error_line(5)
    answer = scene.look(6)
    assert scene.actions(answer) == {"s": "handoff"}
    assert answer.stopped[0].transcript == str(scene.transcript())
    assert [limit.source for limit in answer.limits] == ["transcript"]


def test_a_profile_that_nobody_configured_is_read_where_a_hook_names_its_transcript(
    scene: Scene, tmp_path: Path
) -> None:
    scene.projects = tmp_path / "elsewhere" / "projects" / "-p"
    scene.prompt(0)
    scene.error_line(5)
    scene.hook(6, "SessionEnd", transcript_path=str(scene.transcript()))
    assert scene.actions(scene.look(7)) == {"s": "handoff"}


def test_two_failures_without_a_prompt_id_on_two_days_are_two(scene: Scene) -> None:
    scene.stop_failure(0, prompt=None)
    scene.look(1)
    tomorrow = 86400.0
    scene.hook(tomorrow - 10, "UserPromptSubmit", prompt=None)
    scene.stop_failure(tomorrow, prompt=None)
    answer = scene.look(tomorrow + 1)
    assert limits(answer) == [("five_hour", None, FIVE_HOURS_RESET + tomorrow - START)]
    assert scene.actions(answer) == {"s": "handoff"}


@pytest.mark.parametrize("sign", ["hook", "transcript"])
def test_a_session_that_went_on_stands_still_no_longer(scene: Scene, sign: str) -> None:
    scene.prompt(0)
    scene.error_line(5, OVERLOADED, "overloaded")
    scene.stop_failure(5.2, OVERLOADED, "overloaded")
    assert [session.id for session in scene.look(6).stopped] == ["s"]
    if sign == "hook":
        scene.hook(20, "UserPromptSubmit", prompt="q")
    else:
        scene.prompt(20, prompt="q")
        scene.answer(22)
    assert scene.look(23).stopped == []


@pytest.mark.parametrize("name", ["UserPromptSubmit", "PreToolUse"])
def test_what_a_hook_refused_is_no_progress_of_the_session(scene: Scene, name: str) -> None:
    scene.prompt(0)
    scene.error_line(5, OVERLOADED, "overloaded")
    scene.stop_failure(5.2, OVERLOADED, "overloaded")
    scene.hook(20, name, prompt="q", refused=True)
    assert [session.id for session in scene.look(23).stopped] == ["s"]


def test_what_a_subagent_does_is_no_progress_of_its_session(scene: Scene) -> None:
    scene.prompt(0)
    scene.stop_failure(5)
    scene.hook(8, "PostToolUse", agent_id="a1", tool="Bash")
    scene.answer(8, agent="a1")
    assert [session.id for session in scene.look(9).stopped] == ["s"]


def test_the_next_limit_of_the_same_session_is_a_new_stop(scene: Scene) -> None:
    scene.stop_failure(5)
    (before,) = scene.look(6).stopped
    scene.hook(8000, "UserPromptSubmit", prompt="q")
    scene.stop_failure(8005, "You've hit your weekly limit · resets Nov 23, 9am (UTC)", prompt="q")
    answer = scene.look(8006)
    assert [limit.type for limit in answer.limits] == ["seven_day"]
    (after,) = answer.stopped
    assert before.stop and after.stop and before.stop.incident != after.stop.incident
    assert not after.stop.acted


def test_a_callers_record_of_a_known_session_is_the_same_incident(scene: Scene) -> None:
    scene.stop_failure(5, PLAIN)
    scene.record(5.1, "rate_limit", session_id="s")
    scene.record(9, "rate_limit")
    assert scene.look(10).counts.rate_limits == 2


def test_auth_trouble_moves_nothing_even_beside_an_overload(scene: Scene) -> None:
    scene.stop_failure(5, "Please run /login", "authentication_failed", session="a")
    scene.stop_failure(6, OVERLOADED, "overloaded", session="b")
    answer = scene.look(7)
    assert scene.actions(answer) == {"a": "alarm", "b": "wait"}
    assert signals(answer) == {"auth": "CRITICAL"}
    assert signals(scene.look(3700)) == {}


def test_an_overload_waits_for_the_accounts_limit_not_for_a_models(scene: Scene) -> None:
    scene.stop_failure(5, session="a")
    scene.stop_failure(6, OVERLOADED, "overloaded", session="b")
    scene.stop_failure(7, "You've hit your Opus limit · resets Nov 23, 8:39am (UTC)", session="c")
    scene.stop_failure(8, "Please run /login", "authentication_failed", session="d")
    (step,) = [step for step in scene.plan(scene.look(9)) if step.session.id == "b"]
    assert step.action == "handoff" and step.limit is not None and step.limit.type == "five_hour"


def _drain(scene: Scene, second: float, until: float = 7200.0, **more: Any) -> None:
    facts = {"session_id": "s", "window": "five_hour", "until": START + until, "used": 97, **more}
    scene.event(second, event="drain", source="hook", **facts)


def test_a_drained_session_stands_still_until_the_reset(scene: Scene) -> None:
    scene.hook(0, "UserPromptSubmit", entrypoint="sdk-cli")
    _drain(scene, 10)
    scene.line(
        11, type="user", message={"role": "user", "content": [{"type": "tool_result", "content": "written late"}]}
    )
    scene.hook(12, "SessionEnd", entrypoint="sdk-cli")
    (step,) = scene.plan(scene.look(15))
    assert (step.action, step.limit and step.limit.resets_at) == ("handoff", START + 7200)
    scene.hook(16, "UserPromptSubmit", prompt="p2", entrypoint="sdk-cli")
    assert scene.plan(scene.look(17)) == []
    # Soon again: another stop, which is acted upon anew.
    _drain(scene, 18)
    _drain(scene, 25, until=9000)
    scene.hook(26, "SessionEnd", entrypoint="sdk-cli")
    (step,) = scene.plan(scene.look(27))
    assert step.session.stop is not None and not step.session.stop.acted
    assert step.limit is not None and step.limit.resets_at == START + 9000


@pytest.mark.parametrize("more", [{"window": "ever"}, {"until": -1}, {"until": "soon"}, {"session_id": 7}], ids=str)
def test_a_drain_that_makes_no_sense_is_counted_and_stops_nothing(scene: Scene, more: dict[str, Any]) -> None:
    scene.hook(0, "UserPromptSubmit", entrypoint="sdk-cli")
    facts = {"session_id": "s", "window": "five_hour", "until": START + 7200, "used": 97, **more}
    scene.event(5, event="drain", source="hook", **facts)
    answer = scene.look(10)
    assert answer.stopped == [] and answer.document["damaged_lines"] == 1
