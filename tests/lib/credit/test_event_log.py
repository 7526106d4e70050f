"""Every complete line is read once, wherever it stands; what is no event is counted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from trinity import clock
from trinity.credit import event_log
from trinity.credit.event_log import Reading
from trinity.home import Home

NOON = clock.parse("2026-11-20T12:00:00Z")


def _line(t: float, **members: Any) -> bytes:
    event = {"kind": "event", "version": 1, "time": clock.iso(t, milliseconds=True), **members}
    return json.dumps(event, separators=(",", ":")).encode() + b"\n"


def _write(home: Home, day: str, *lines: bytes) -> Path:
    path = event_log.path_of(home, day)
    with path.open("ab") as stream:
        stream.writelines(lines)
    return path


def _numbers(home: Home, reading: Reading) -> list[Any]:
    return [event.get("n") for event in event_log.read(home, reading)]


def _from(home: Home, t: float) -> Reading:
    return Reading(event_log.position_at(home, t))


def test_each_line_is_read_once(home: Home) -> None:
    _write(home, "2026-11-20", _line(NOON, n=1), _line(NOON + 1, n=2))
    reading = _from(home, NOON)
    assert _numbers(home, reading) == [1, 2]
    assert _numbers(home, reading) == []
    _write(home, "2026-11-20", _line(NOON + 2, n=3))
    assert _numbers(home, reading) == [3]


def test_what_append_writes_is_read_back_with_its_time(home: Home) -> None:
    event_log.append(home, {"event": "success", "source": "program", "text": "über\ud800"})
    (event,) = event_log.read(home, _from(home, clock.now() - 60))
    assert (event["kind"], event["version"], event["event"], event["text"]) == ("event", 1, "success", "über?")
    moment = event_log.moment_of(event)
    assert moment is not None and abs(moment - clock.now()) < 60


def test_a_line_without_its_newline_waits_for_the_rest(home: Home) -> None:
    whole = _line(NOON + 1, n=2)
    _write(home, "2026-11-20", _line(NOON, n=1), whole[:20])
    reading = _from(home, NOON)
    assert _numbers(home, reading) == [1]
    _write(home, "2026-11-20", whole[20:])
    assert _numbers(home, reading) == [2]
    assert reading.damaged == 0


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"null\n",
        b"[1,2]\n",
        b'"text"\n',
        b"{\n",
        b"\x00\x00\x00\x00\n",
        b"\xff\xfe{}\n",
        b'{"time":NaN}\n',
        b'{"time":-Infinity}\n',
        b"[" * 200_000 + b"\n",
        b'{"a":' * 100_000 + b"\n",
        b'{"n":' + b"9" * 10_000 + b"}\n",
    ],
    ids=range(12),
)
def test_what_is_no_event_is_skipped_and_counted(home: Home, line: bytes) -> None:
    _write(home, "2026-11-20", _line(NOON, n=1), line, _line(NOON + 1, n=2))
    reading = _from(home, NOON)
    assert _numbers(home, reading) == [1, 2]
    assert reading.damaged == 1


def test_the_whole_event_behind_a_tear_is_not_lost(home: Home) -> None:
    _write(home, "2026-11-20", _line(NOON, n=1)[:30], _line(NOON + 1, n=2), _line(NOON + 2, n=3))
    reading = _from(home, NOON)
    assert _numbers(home, reading) == [2, 3]
    assert reading.damaged == 1


def test_half_a_character_is_read_as_a_question_mark(home: Home) -> None:
    _write(home, "2026-11-20", _line(NOON, n=1).replace(b'"n":1', rb'"n":"a\uD800b"'))
    reading = _from(home, NOON)
    assert _numbers(home, reading) == ["a?b"]
    assert reading.damaged == 0


def test_the_new_day_goes_on_where_the_old_one_ended(home: Home) -> None:
    midnight = clock.parse("2026-11-21T00:00:00Z")
    _write(home, "2026-11-20", _line(midnight - 2, n=1))
    reading = _from(home, midnight - 600)
    assert _numbers(home, reading) == [1]
    _write(home, "2026-11-20", _line(midnight - 1, n=2))
    _write(home, "2026-11-21", _line(midnight + 1, n=3))
    assert _numbers(home, reading) == [2, 3]
    _write(home, "2026-11-21", _line(midnight + 2, n=4))
    assert _numbers(home, reading) == [4]


def test_a_hook_that_writes_into_the_old_day_after_midnight_is_read(home: Home) -> None:
    midnight = clock.parse("2026-11-21T00:00:00Z")
    _write(home, "2026-11-20", _line(midnight - 2, n=1))
    _write(home, "2026-11-21", _line(midnight + 0.01, n=2))
    reading = _from(home, midnight - 600)
    assert _numbers(home, reading) == [1, 2]
    _write(home, "2026-11-20", _line(midnight - 0.01, n=3))
    assert _numbers(home, reading) == [3]
    _write(home, "2026-11-22", _line(midnight + 86400, n=4))
    assert _numbers(home, reading) == [4]
    assert sorted(reading.position) == ["2026-11-21", "2026-11-22"]


def test_days_without_a_file_are_no_hindrance(home: Home) -> None:
    _write(home, "2026-11-17", _line(NOON - 3 * 86400, n=1))
    reading = _from(home, NOON)
    assert _numbers(home, reading) == []
    _write(home, "2026-11-23", _line(NOON + 3 * 86400, n=2))
    assert _numbers(home, reading) == [2]


def test_other_files_beside_the_log_are_left_alone(home: Home) -> None:
    (home.events / "picture.json").write_text("{}", encoding="utf-8")
    (home.events / "2026-11-2x.jsonl").write_text("rubbish\n", encoding="utf-8")
    _write(home, "2026-11-20", _line(NOON, n=1))
    assert event_log.days(home) == ["2026-11-20"]


@pytest.mark.parametrize("hours", [0.01, 0.5, 3, 11.9])
def test_bisection_misses_nothing_and_reads_little(home: Home, hours: float) -> None:
    start = NOON - 12 * 3600
    path = _write(home, "2026-11-20", *[_line(start + n, n=n, pad="x" * 60) for n in range(12 * 3600)])
    # Lines of one moment stand in any order, and damaged ones may stand anywhere.
    data = path.read_bytes().split(b"\n")
    data[20_000:20_010] = reversed(data[20_000:20_010])
    data[30_000] = b"\xff" * 50
    path.write_bytes(b"\n".join(data))
    wanted = NOON - hours * 3600
    position = event_log.position_at(home, wanted)
    found = [n for n in _numbers(home, Reading(position)) if n is not None]
    assert {n for n in range(12 * 3600) if start + n >= wanted and n != 30_000} <= set(found)
    assert len(found) < hours * 3600 + 1500


def test_a_log_that_became_shorter_is_not_counted_twice(home: Home) -> None:
    """After a power cut the file system may have lost the end of the file, or a repair has left lines out."""
    path = _write(home, "2026-11-20", *[_line(NOON + n, n=n) for n in range(10)])
    reading = _from(home, NOON)
    assert len(_numbers(home, reading)) == 10
    os.truncate(path, path.stat().st_size // 2)
    _write(home, "2026-11-20", b"\n", _line(NOON + 20, n=20))
    assert _numbers(home, Reading(reading.position, since=NOON + 10)) == [20]


def test_a_position_in_no_file_yet_is_no_error(home: Home) -> None:
    reading = _from(home, NOON)
    assert reading.position == {"2026-11-20": 0}
    assert _numbers(home, reading) == []


def test_processes_that_append_at_once_lose_and_tear_nothing(home: Home) -> None:
    code = (
        "import sys; from pathlib import Path; from trinity.credit import event_log; from trinity.home import Home\n"
        "home = Home(Path(sys.argv[1]))\n"
        "for n in range(200): event_log.append(home, {'event': 'success', 'n': f'{sys.argv[2]}-{n}', 'pad': 'x' * 3000})"
    )
    since = clock.now() - 60
    running = [subprocess.Popen([sys.executable, "-c", code, str(home.root), str(k)]) for k in range(4)]
    assert [process.wait() for process in running] == [0] * 4
    reading = _from(home, since)
    assert sorted(_numbers(home, reading)) == sorted(f"{k}-{n}" for k in range(4) for n in range(200))
    assert reading.damaged == 0
