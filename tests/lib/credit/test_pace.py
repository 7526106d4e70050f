"""What a window holds, learned: from walls and percentages, for the account that met them, with a range."""

from __future__ import annotations

import pytest

from tests.lib.credit.scene import START, Scene, signals
from trinity import clock
from trinity.credit import ahead, transcript_lines
from trinity.credit.pace import Pace, Wall, walls_from

HOUR = 3600.0
TOKENS = {"input_tokens": 10_000, "output_tokens": 2_000}  # weighs 20,000


def _weighed(scene: Scene, second: float, answers: int, gap: float = 60, session: str = "s") -> float:
    """So many answers of TOKENS from `second` on; when the last one came."""
    for n in range(answers):
        scene.prompt(second + n * gap - 2, session=session)
        message = {"id": f"m{second}-{n}", "role": "assistant", "model": "claude-sonnet-5-5", "usage": TOKENS}
        scene.line(second + n * gap, session, type="assistant", message={**message, "content": []})
    return second + (answers - 1) * gap


def _wall(scene: Scene, second: float, resets_at: float, session: str = "s") -> None:
    quota = {"status": "rejected", "rateLimitType": "five_hour", "resetsAt": resets_at}
    scene.error_line(second, promptId="p", session=session, quotaLimits=quota, apiErrorStatus=429)


def test_an_account_without_a_wall_knows_nothing_and_one_wall_measures_the_next_window(scene: Scene) -> None:
    scene.look(0)
    last = _weighed(scene, 60, 100)
    assert scene.look(last + 1).aheads == []
    _wall(scene, last + 30, START + 5 * HOUR)
    (wall,) = [Wall(**one) for one in scene.look(last + 60).document["learned"]]
    assert (wall.name, wall.by) == ("five_hour", "limit") and wall.weight == pytest.approx(2_000_000)
    # The next window: half of it, then nearly all.
    last = _weighed(scene, 6 * HOUR, 50, session="t")
    (half,) = scene.look(last + 1).aheads
    assert half.source == "learned" and half.used == pytest.approx(50) and half.used_low < 50 < half.used_high
    assert half.resets_at == START + 11 * HOUR and half.confidence < 0.5
    last = _weighed(scene, last + 60, 40, session="t")
    answer = scene.look(last + 1)
    assert signals(answer) == {"five_hour": "WARNING"}  # 90 %, but nobody knows for sure
    (found,) = answer.aheads
    assert found.earliest is not None and found.likely is not None and found.earliest <= found.likely
    assert "learned from earlier limits" in ahead.in_words(found)


def test_an_estimate_never_exhausts_and_is_critical_where_walls_agree(scene: Scene) -> None:
    scene.look(0)
    for n in range(2):
        begin = n * 6 * HOUR
        last = _weighed(scene, begin + 60, 100, session=f"s{n}")
        _wall(scene, last + 10, START + begin + 5 * HOUR, session=f"s{n}")
        scene.look(last + 20)
    last = _weighed(scene, 12 * HOUR, 130, session="t")
    answer = scene.look(last + 1)
    assert signals(answer) == {"five_hour": "CRITICAL"} and answer.aheads[0].used > 100


def test_percentages_seen_once_measure_the_windows_without(scene: Scene) -> None:
    scene.look(0)
    last = _weighed(scene, 60, 60)
    scene.window(last + 5, 50, START + 5 * HOUR)
    assert scene.look(last + 10).aheads[0].source == "percentages"
    last = _weighed(scene, 6 * HOUR, 60, session="t")
    (found,) = scene.look(last + 1).aheads
    assert found.source == "learned" and found.used == pytest.approx(50, abs=1)


def test_what_other_sessions_use_is_counted_on_from_the_last_percentage(scene: Scene) -> None:
    """A person's client is idle and shows what it heard last, while others work."""
    scene.look(0)
    last = _weighed(scene, 60, 40)
    scene.window(last + 5, 40, START + 5 * HOUR)
    assert signals(scene.look(last + 10)) == {}
    last = _weighed(scene, last + 60, 50, session="t")
    answer = scene.look(last + 1)
    (found,) = answer.aheads
    assert found.source == "counted" and found.used == pytest.approx(90, abs=4) and found.used_low >= 40
    assert signals(answer) == {"five_hour": "CRITICAL"}
    assert answer.document["windows"]["five_hour"]["used_percentage"] == 40
    scene.window(last + 5, 97, START + 5 * HOUR)
    _weighed(scene, last + 60, 5, session="t")
    assert [one.source for one in scene.look(last + 400).aheads] == ["percentages"]


def test_a_copied_conversation_and_another_account_are_not_counted(scene: Scene) -> None:
    scene.look(0)
    last = _weighed(scene, 60, 10)
    scene.look(last + 300)
    before = _spent(scene)
    source, copy = scene.transcript("s"), scene.transcript("copied")
    copy.write_bytes(source.read_bytes())
    scene.look(last + 600)
    assert _spent(scene) == before == pytest.approx(200_000)


def _spent(scene: Scene) -> float:
    from trinity.credit import picture

    return sum(picture.load(scene.home, scene.config, 0.0).pace.spent.values())


def test_what_was_learned_outlives_the_cache(scene: Scene) -> None:
    scene.look(0)
    last = _weighed(scene, 60, 100)
    _wall(scene, last + 30, START + 5 * HOUR)
    learned = scene.look(last + 60).document["learned"]
    (scene.home.events / "picture.json").unlink()
    assert scene.look(last + 120).document["learned"] == learned != []


def test_a_window_whose_start_was_not_seen_teaches_nothing() -> None:
    pace = Pace(account="a", since=START)
    pace.add(START + 60, 1000)
    pace.meet("five_hour", START + HOUR, START + 120)  # began four hours before this PC looked
    pace.meet("five_hour", None, START + 120)
    pace.meet("five_hour", START + 30 * HOUR, START + 120)  # no window is so long: a clock is wrong
    pace.settle("a", {}, START + 130)
    assert pace.walls == []


def test_accounts_do_not_learn_from_each_other() -> None:
    pace = Pace(account="a", since=START - 6 * HOUR)
    pace.add(START, 1000)
    pace.meet("five_hour", START + HOUR, START + 60)
    pace.settle("a", {}, START + 70)
    assert len(pace.walls) == 1
    pace.settle("b", {}, START + 80)
    pace.add(START + 3 * HOUR, 900)
    assert pace.ahead("five_hour", START + 3 * HOUR + 60) is None
    pace.settle("a", {}, START + 3 * HOUR + 70)
    assert len(pace.walls) == 1


def test_what_is_kept_does_not_grow_with_the_months() -> None:
    pace = Pace(account="a", since=START)
    for n in range(90 * 24 * 6):
        pace.add(START + n * 600, 1)
    pace.settle("a", {}, START + 90 * 86400)
    assert len(pace.spent) < 8 * 24 * 6 + 28 * 24
    assert sum(pace.spent.values()) == pytest.approx(35 * 24 * 6, abs=12)


def test_a_spend_cap_is_measured_by_the_calendar_month() -> None:
    def at(text: str) -> float:
        return clock.parse(text)

    pace = Pace(account="a", since=at("2026-10-01T00:00:00Z"))
    pace.add(at("2026-11-10T10:00:00Z"), 1000)
    pace.meet("spend_cap", at("2026-12-01T00:00:00Z"), at("2026-11-10T10:01:00Z"))
    pace.settle("a", {}, at("2026-11-10T10:02:00Z"))
    pace.add(at("2026-12-04T10:00:00Z"), 600)
    found = pace.ahead("spend_cap", at("2026-12-05T00:00:00Z"))
    assert found is not None and found.used == pytest.approx(60) and found.resets_at == at("2027-01-01T00:00:00Z")


@pytest.mark.parametrize(
    "damaged", [None, 7, {}, [7], [{"name": "five_hour"}], [{**vars(Wall("x", "a", 1, 1, 1))}]], ids=str
)
def test_a_damaged_memory_is_left_out(damaged: object) -> None:
    assert walls_from(damaged) == []


def test_tokens_weigh_what_they_cost_beside_each_other() -> None:
    usage = {
        "input_tokens": 100,
        "output_tokens": 10,
        "cache_read_input_tokens": 1000,
        "cache_creation_input_tokens": 40,
    }
    written = {"ephemeral_5m_input_tokens": 30, "ephemeral_1h_input_tokens": 10}
    message = {"model": "claude-sonnet-5-5", "usage": {**usage, "cache_creation": written}}
    assert transcript_lines.weight(message) == pytest.approx(100 + 50 + 100 + 37.5 + 20)
    assert transcript_lines.weight({**message, "model": "claude-opus-5-5"}) > transcript_lines.weight(message)
    assert transcript_lines.weight({"usage": None}) == transcript_lines.weight({}) == 0
    assert transcript_lines.weight({"usage": {"input_tokens": "many", "output_tokens": True}}) == 0
