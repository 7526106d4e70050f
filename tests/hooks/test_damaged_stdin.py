"""A hook never fails a session: whatever stands on stdin, exit 0, silence, and one line in hooks.log."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.hooks.hook_runner import FILES, HookRunner, compact, payload, payload_of, wait_until

MEGABYTE = 1 << 20


def damaged(kind: str, given: dict[str, Any]) -> bytes:
    """A payload of this event, damaged."""
    whole = compact(given)
    without_session = {key: value for key, value in given.items() if key != "session_id"}
    return {
        "empty": b"",
        "white space": b" \n\t ",
        "truncated": whole[:-2],
        "cut in the session id": whole[:30],
        "not utf-8": whole.replace(b"/home/user", b"/home/\xff\xfe"),
        "nul bytes": b"\0" * 5000,
        "a bom": b"\xef\xbb\xbf" + whole,
        "no json": b"session_id=1; DROP TABLE events",
        "two objects": whole + whole,
        "nan": whole[:-1] + b',"duration_ms":NaN}',
        "a list": b"[" + whole + b"]",
        "a number": b"1",
        "null": b"null",
        "deep": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        "deep list": b"[" * 1_000_000,
        "huge number": whole[:-1] + b',"duration_ms":' + b"9" * 100_000 + b"}",
        "no session": compact(without_session),
        "session is a list": compact({**given, "session_id": ["x"]}),
        "session is a path": compact({**given, "session_id": "../../../etc/passwd"}),
        "session with a nul": compact({**given, "session_id": "a\0b"}),
        "session of other letters": compact({**given, "session_id": "١٢٣"}),
        "session too long": compact({**given, "session_id": "a" * 65}),
        "session empty": compact({**given, "session_id": ""}),
        "another event": compact({**given, "hook_event_name": "Setup"}),
        "event is a number": compact({**given, "hook_event_name": 7}),
    }[kind]


KINDS = [
    "empty",
    "white space",
    "truncated",
    "cut in the session id",
    "not utf-8",
    "nul bytes",
    "a bom",
    "no json",
    "two objects",
    "nan",
    "a list",
    "a number",
    "null",
    "deep",
    "deep list",
    "huge number",
    "no session",
    "session is a list",
    "session is a path",
    "session with a nul",
    "session of other letters",
    "session too long",
    "session empty",
    "another event",
    "event is a number",
]
# the file behind the shell is a hook of its own kind
HOOKS = {**FILES, "StopFailure ": "stop_failure.py"}


@pytest.mark.parametrize("event", HOOKS)
def test_damaged_stdin_is_one_line_in_the_log_and_no_event(runner: HookRunner, event: str) -> None:
    for number, kind in enumerate(KINDS, 1):
        done = runner.run(HOOKS[event], damaged(kind, payload_of(event.strip())))
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b""), kind
        wait_until(lambda expected=number: len(runner.log()) >= expected)  # type: ignore[misc]
        assert len(runner.log()) == number, kind
        assert runner.log()[-1].split(" ")[1] == f"{event.strip()}:", kind
    assert runner.events() == []
    wait_until(lambda: not any(runner.home.glob("held/*")))


@pytest.mark.parametrize("sign", [b"\0", b"[", b'"', b"\xff"])
def test_50_mb_of_nothing_are_one_line_in_the_log(runner: HookRunner, sign: bytes) -> None:
    for file in ("post_tool_use.py", "stop_failure.sh", "statusline.py"):
        assert runner.run(file, sign * (50 * MEGABYTE)).returncode == 0
    wait_until(lambda: len(runner.log()) == 3)
    assert runner.events() == []


@pytest.mark.parametrize("event", HOOKS)
def test_a_payload_of_50_mb_is_recorded_from_its_front(runner: HookRunner, event: str) -> None:
    given = {**payload_of(event.strip()), "tool_response": "x" * (50 * MEGABYTE)}
    done = runner.run(HOOKS[event], given)
    wait_until(lambda: len(runner.log()) == 1)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert [(line["name"], line["session_id"]) for line in runner.events()] == [(event.strip(), given["session_id"])]
    assert "a payload of more than" in runner.log()[0]


@pytest.mark.posix
def test_50_mb_cost_little_memory(runner: HookRunner) -> None:
    given = {**payload("2.1.328/PostToolUse"), "tool_response": "é" * (25 * MEGABYTE)}
    runner.run("post_tool_use.py", given, preexec_fn=lambda: _limit("AS", 96 * MEGABYTE))
    assert len(runner.events()) == 1


@pytest.mark.parametrize("event", FILES)
def test_fields_of_an_unexpected_type_are_left_out_and_named(runner: HookRunner, event: str) -> None:
    given = {
        **payload_of(event),
        "cwd": {"x": 1},
        "prompt_id": "p" * 5000,
        "permission_mode": 7,
        "transcript_path": ["/etc/passwd"],
        "duration_ms": "12",
        "prompt": 5,
        "tool_name": None,
    }
    done = runner.run(FILES[event], given)
    wait_until(lambda: len(runner.events()) == 1 and len(runner.log()) == 1)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert "'cwd'" in runner.log()[0]
    assert not {"cwd", "prompt_id", "permission_mode", "transcript_path"} & set(runner.events()[0])


def test_a_lone_surrogate_is_written_as_a_question_mark(runner: HookRunner) -> None:
    whole = compact(payload("2.1.197/TaskCreated"))
    runner.run("task_created.py", whole.replace(b"Do a thing", b"Do \\ud800 thing\\u0000\\n"))
    assert runner.events()[0]["subject"] == "Do ? thing\0\n"
    assert runner.log() == []


def test_a_log_line_stays_one_line_and_shows_no_payload(runner: HookRunner) -> None:
    runner.run("stop.py", b'{"prompt":"sk-ant-secret\n\x1b[31m", oops}')
    (line,) = runner.log()
    assert "sk-ant-secret" not in line
    assert line.isprintable()


@pytest.mark.posix
@pytest.mark.parametrize("event", FILES)
def test_a_closed_stdin_is_one_line_in_the_log(runner: HookRunner, event: str) -> None:
    command = " ".join([*runner.command(FILES[event]), "<&-"])
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, env=runner.environ(), check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    wait_until(lambda: len(runner.log()) == 1)
    assert runner.events() == []


@pytest.mark.parametrize("file", [*FILES.values(), "statusline.py"])
@pytest.mark.parametrize("home", ["a file", "below a file", "no parent"])
def test_an_impossible_state_folder_harms_nothing(runner: HookRunner, tmp_path: Path, file: str, home: str) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    place = {"a file": "file", "below a file": "file/home", "no parent": "no/such/home"}[home]
    event = next((event for event, name in FILES.items() if name == file), "Stop")
    done = runner.run(file, payload_of(event), home=str(tmp_path / place))
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == (b"trinity: no status yet\n" if file == "statusline.py" else b"")
    assert not (tmp_path / "no").exists()


@pytest.mark.posix
@pytest.mark.parametrize("event", FILES)
def test_a_full_disk_is_one_line_in_the_log_and_tears_nothing_later(runner: HookRunner, event: str) -> None:
    """A limit on file size stands for the full disk: the write of the line stops half-way."""
    runner.run("stop.py", payload("2.1.328/Stop"))
    (file,) = (runner.home / "events").iterdir()
    size = file.stat().st_size + 100
    done = runner.run(FILES[event], payload_of(event), preexec_fn=lambda: _limit("FSIZE", size))
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    wait_until(lambda: len(runner.log()) == 1)
    assert file.stat().st_size == size
    runner.run("stop.py", payload("2.1.328/Stop"))
    assert json.loads(file.read_bytes().splitlines()[-1])["name"] == "Stop"
    assert len(runner.log()) == 1


def _limit(what: str, size: int) -> None:
    import resource

    resource.setrlimit(getattr(resource, f"RLIMIT_{what}"), (size, size))
