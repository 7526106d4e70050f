"""The status line: one line that is always printed, and an event when what is left has changed."""

import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.hooks.hook_runner import Finished, HookRunner, payload
from tests.hooks.test_damaged_stdin import KINDS, damaged
from trinity import schema

HOUR = 3600


def soon(five: float = 80, seven: float = 62, offset: int = 0) -> dict[str, Any]:
    """A recorded payload with resets ahead of now."""
    given = payload("2.1.328/statusline-80pct")
    now = int(time.time())
    given["rate_limits"] = {
        "five_hour": {"used_percentage": five, "resets_at": now + HOUR + offset},
        "seven_day": {"used_percentage": seven, "resets_at": now + 70 * HOUR},
    }
    return given


def prepare(runner: HookRunner, **files: str) -> None:
    folder = runner.home / "status_line"
    folder.mkdir(mode=0o700, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("_", "-")).write_text(content, encoding="utf-8")


def shown(runner: HookRunner, given: dict[str, Any] | bytes, *more: str) -> str:
    done: Finished = runner.run("statusline.py", given, *more)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode()


def test_it_shows_pc_status_both_windows_in_local_time_and_where_work_is(runner: HookRunner) -> None:
    prepare(runner, text="PC1 WARNING\t1 parked until 14:05\n")
    runner.environment = {"TZ": "IST-5:30"}
    given = soon()
    line = shown(runner, given)
    five, seven = (
        datetime.fromtimestamp(given["rate_limits"][window]["resets_at"] + 5.5 * HOUR, UTC)
        for window in ("five_hour", "seven_day")
    )
    assert line == (
        f"PC1 WARNING · 5h 80% until {five:%H:%M} · 7d 62% until {seven:%a %d %b %H:%M} · 1 parked until 14:05\n"
    )


@pytest.mark.parametrize(
    "name",
    [
        "2.1.197/statusline-apikey",
        "2.1.328/statusline-before-first-response",
        "2.1.328/statusline-response-without-headers",
    ],
)
def test_without_windows_it_shows_the_rest_and_records_nothing(runner: HookRunner, name: str) -> None:
    assert shown(runner, payload(name)) == "trinity: no status yet\n"
    prepare(runner, text="PC1 HEALTHY")
    assert shown(runner, payload(name)) == "PC1 HEALTHY\n"
    assert (runner.events(), runner.log()) == ([], [])


def test_a_window_that_is_over_is_not_shown(runner: HookRunner) -> None:
    given = soon()
    given["rate_limits"]["five_hour"]["resets_at"] = int(time.time()) - 5
    assert "5h" not in shown(runner, given)


def test_a_change_of_the_windows_is_one_event(runner: HookRunner) -> None:
    first = soon()
    for given in (first, first, first, soon(five=81), soon(five=81, offset=7), soon(five=81, offset=7)):
        given["rate_limits"]["seven_day"]["resets_at"] = first["rate_limits"]["seven_day"]["resets_at"]
        shown(runner, given, "0a1b2c3d")
    used = [event["five_hour"]["used_percentage"] for event in runner.events()]
    assert used[:2] == [80, 81]
    assert len(used) in (3, 4)  # four when the clock's second changed between the last two
    event = runner.events()[0]
    schema.validate("event", event, "status line")
    assert (event["event"], event["source"], event["model"]) == ("window", "status_line", "claude-sonnet-5-5")
    assert event["session_id"] == first["session_id"]
    assert {key: event[key] for key in ("five_hour", "seven_day")} == first["rate_limits"]


def test_profiles_are_told_apart(runner: HookRunner) -> None:
    given = soon()
    for profile in ("aaaa", "bbbb", "aaaa"):
        shown(runner, given, profile)
    assert len(runner.events()) == 2


@pytest.mark.posix
def test_a_status_line_that_was_there_before_is_called_with_the_same_input_and_shown_first(
    runner: HookRunner, tmp_path: Path
) -> None:
    prepare(runner, previous_0a1b="cat > seen.json; printf '\\033[32m%s\\033[0m' \"my line\"", text="PC1 HEALTHY")
    given = soon()
    done = runner.run("statusline.py", given, "0a1b", cwd=tmp_path)
    assert done.stdout.decode().splitlines()[0] == "\x1b[32mmy line\x1b[0m"
    assert done.stdout.decode().splitlines()[1].startswith("PC1 HEALTHY · 5h 80%")
    assert (tmp_path / "seen.json").read_bytes().startswith(b'{"session_id":"499e0053')
    assert "my line" not in shown(runner, given, "ffff")


@pytest.mark.posix
@pytest.mark.parametrize(
    "command",
    ["exit 3", "no-such-program-here", "true", "printf '\\n\\n'", "kill -9 $$", "sleep 60 & sleep 60", "echo x >&2"],
)
def test_a_status_line_before_that_fails_or_hangs_hides_nothing(runner: HookRunner, command: str) -> None:
    prepare(runner, previous_0a1b=command, text="PC1 HEALTHY")
    begin = time.monotonic()
    assert shown(runner, soon(), "0a1b").startswith("PC1 HEALTHY · 5h 80%")
    assert time.monotonic() - begin < 20


@pytest.mark.posix
def test_a_status_line_before_that_never_reads_or_never_stops_writing_blocks_nothing(runner: HookRunner) -> None:
    prepare(runner, previous_0a1b="echo mine; exec <&-; yes | head -c 3000000", text="PC1 HEALTHY")
    given = soon() | {"padding": "x" * 1_000_000}
    line = shown(runner, given, "0a1b")
    assert line.startswith("mine\n")
    assert "\nPC1 HEALTHY · 5h 80%" in line
    prepare(runner, previous_0a1b="wc -c")
    assert int(shown(runner, given, "0a1b").splitlines()[0]) > 1_000_000


@pytest.mark.posix
def test_a_hanging_status_line_before_is_ended_with_its_children(runner: HookRunner, tmp_path: Path) -> None:
    prepare(runner, previous_0a1b="sleep 4711.25 & sleep 4711.25")
    shown(runner, soon(), "0a1b")
    assert (
        "4711.25" not in subprocess.run(["ps", "-eo", "stat,args"], capture_output=True, text=True, check=True).stdout
    )


def test_control_characters_of_the_prepared_text_do_not_reach_the_terminal(runner: HookRunner) -> None:
    prepare(runner, text="PC1 \x1b[31mHEALTHY\x07\u202e\twork \x9b2J here\r\nsecond line\n")
    assert shown(runner, payload("2.1.197/statusline-apikey")) == "PC1 [31mHEALTHY · work 2J here\n"


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "event" not in kind])
def test_damaged_stdin_still_shows_the_status(runner: HookRunner, kind: str) -> None:
    prepare(runner, text="PC1 HEALTHY\tnothing parked")
    line = shown(runner, damaged(kind, soon()))
    assert line.startswith("PC1 HEALTHY ")
    assert line.endswith(" · nothing parked\n")
    assert len(runner.log()) == 1
    assert runner.events() == []


@pytest.mark.parametrize(
    "limits",
    [
        7,
        [],
        {"five_hour": None, "seven_day": 5},
        {"five_hour": {"used_percentage": "80", "resets_at": 1}},
        {"five_hour": {"used_percentage": -1, "resets_at": 1}},
        {"five_hour": {"used_percentage": True, "resets_at": True}},
        {"five_hour": {"used_percentage": 50, "resets_at": 1e300}},
        {"five_hour": {"used_percentage": 50}},
    ],
)
def test_windows_of_an_unexpected_form_are_not_shown_or_recorded(runner: HookRunner, limits: object) -> None:
    prepare(runner, text="PC1 HEALTHY")
    assert shown(runner, soon() | {"rate_limits": limits}) == "PC1 HEALTHY\n"
    assert (runner.events(), runner.log()) == ([], [])


def test_a_profile_key_that_is_a_path_is_refused_and_the_line_still_printed(runner: HookRunner) -> None:
    assert shown(runner, soon(), "../../x").startswith("trinity: no status yet")
    assert len(runner.log()) == 1


@pytest.mark.posix
def test_a_closed_stdout_is_no_failure(runner: HookRunner) -> None:
    command = " ".join([*runner.command("statusline.py"), ">&-", "</dev/null"])
    assert subprocess.run(["/bin/sh", "-c", command], env=runner.environ(), check=False).returncode == 0
    assert len(runner.log()) == 1
