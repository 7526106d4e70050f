"""The cache between evaluations: each thing counts once, whatever is torn, killed or hostile."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.lib.credit.scene import OVERLOADED, START, Scene
from trinity import clock, files
from trinity.config import Ladder
from trinity.credit import evaluation, event_log, picture
from trinity.credit.fold import Folder
from trinity.credit.picture import Picture
from trinity.home import Home

BURST = (
    "API Error: Request rejected (429) · This request would exceed your account's rate limit. Please try again later."
)
CREDITS = "Credit balance is too low"


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
