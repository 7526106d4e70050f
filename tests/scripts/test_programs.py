"""The other programs as people and scripts call them: what they do, what they print, and with which code they end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest

from tests.lib.credit.scene import OVERLOADED
from tests.scripts.programs_pc import ProgramsPC, installed, pc
from trinity import clock, schema
from trinity.credit import event_log

__all__ = ["installed", "pc"]

BURST = (
    "API Error: Request rejected (429) · This request would exceed your account's rate limit. Please try again later."
)
SECRET = "sk-ant-api03-" + "q" * 30


def _limit(ahead: float = 3600) -> str:
    at = time.strftime("%I:%M%p", time.gmtime(clock.now() + ahead)).lower()
    return f"You've hit your 5-hour limit · resets {at} (UTC)"


def _stopped(pc: ProgramsPC, text: str = "", session: str = "s", error: str = "rate_limit") -> None:
    """A headless session was stopped a few seconds ago."""
    pc.scene.hook(40, "UserPromptSubmit", session=session, entrypoint="sdk-cli", cwd=str(pc.user))
    pc.scene.prompt(40, f"build it with {SECRET}", session=session)
    pc.scene.error_line(50, text or _limit(), error, session=session, promptId="p")
    pc.scene.stop_failure(50.2, text or _limit(), error, session=session)


# evaluate_status


@pytest.mark.parametrize(("count", "code"), [(0, 0), (1, 10), (2, 11), (3, 12)])
def test_the_status_can_be_an_exit_code(pc: ProgramsPC, count: int, code: int) -> None:
    for _ in range(count):
        event_log.append(pc.home, {"event": "rate_limit", "source": "program"})
    done = pc.run("evaluate_status", "--exit-code")
    level = {0: "HEALTHY", 10: "WARNING", 11: "CRITICAL", 12: "EXHAUSTED"}[code]
    assert (done.returncode, done.stdout.splitlines()[0]) == (code, f"PC1 {level}, account not declared (unknown)")
    assert done.stderr == ""
    assert pc.run("evaluate_status").returncode == 0


def test_the_status_says_signal_age_and_how_sure_it_is(pc: ProgramsPC) -> None:
    _stopped(pc)
    pc.scene.window(55, 88, clock.now() + 86400, name="seven_day")
    lines = pc.ok("evaluate_status").splitlines()
    assert lines[1].startswith("  EXHAUSTED: five_hour limit until ") and "s ago" in lines[1] and "% sure" in lines[1]
    assert any(line.startswith("  seven-day window: 88 % used, resets ") for line in lines)
    document = json.loads(pc.ok("evaluate_status", "--json"))
    schema.validate("credit_state", {k: v for k, v in document.items() if k not in ("steps", "handoffs")}, "test")
    assert pc.handoffs() == []


def test_to_act_parks_each_stopped_session_once(pc: ProgramsPC) -> None:
    _stopped(pc)
    said = pc.ok("evaluate_status", "--act")
    (record,) = pc.handoffs()
    assert f"handoff {record['id']} created: PC1 → PC1, parked until" in said
    assert (record["state"], record["limit"]["type"], record["parked_until"]) == (
        "parked",
        "five_hour",
        record["limit"]["resets_at"],
    )
    session = record["sessions"][0]
    assert (session["session_id"], session["interactive"], session["cwd"]) == ("s", False, str(pc.user))
    assert record["current_work"]["last_prompt"].startswith("build it with [REDACTED-anthropic-")
    before = pc.home.credit_state_file.stat().st_mtime_ns
    again = pc.ok("evaluate_status", "--act")
    assert "created" not in again and record["id"] not in again.splitlines()[0]
    assert [one["id"] for one in pc.handoffs()] == [record["id"]]
    assert pc.home.credit_state_file.stat().st_mtime_ns > before


def test_programs_that_notice_one_limit_at_once_make_one_handoff(pc: ProgramsPC) -> None:
    _stopped(pc)
    running = [
        subprocess.Popen(pc.command("evaluate_status", "--act"), env=pc.environment, stdout=subprocess.DEVNULL)
        for _ in range(3)
    ]
    assert [process.wait(timeout=60) for process in running] == [0, 0, 0]
    assert len(pc.handoffs()) == 1


def test_what_would_be_done_is_said_and_not_done(pc: ProgramsPC) -> None:
    _stopped(pc)
    said = pc.ok("evaluate_status", "--act", "--dry-run")
    assert "would be created" in said and "at a limit now:" in said
    assert "an unattended session (claude -p) would be parked until the reset and go on by itself (headless)" in said
    assert pc.handoffs() == []
    steps = json.loads(pc.ok("evaluate_status", "--act", "--dry-run", "--json"))["steps"]
    assert [(step["session_id"], step["action"]) for step in steps] == [("s", "handoff")]
    pc.ok("evaluate_status", "--act")
    assert len(pc.handoffs()) == 1


def test_one_overload_waits_and_the_third_hands_over_with_its_words(pc: ProgramsPC) -> None:
    for number in (1, 2, 3):
        _stopped(pc, BURST, session=f"s{number}")  # one burst, whoever is refused by it
        pc.ok("evaluate_status", "--act")
        assert pc.handoffs() == []
    for number in (2, 3):
        event_log.append(pc.home, {"event": "rate_limit", "source": "program"})
        pc.ok("evaluate_status", "--act")
        assert len(pc.handoffs()) == (3 if number == 3 else 0)
    assert all(record["excerpts"] == [BURST] for record in pc.handoffs())
    assert {record["limit"]["type"] for record in pc.handoffs()} == {"transient"}


def test_login_trouble_alarms_once_and_moves_nothing(pc: ProgramsPC) -> None:
    _stopped(pc, "Not logged in · Please run /login", error="authentication_failed")
    for _ in range(2):
        assert pc.ok("evaluate_status", "--act").startswith("PC1 CRITICAL")
    (alarm,) = pc.log("alarms")
    assert "login trouble: Not logged in" in alarm
    assert pc.handoffs() == []


def test_a_request_that_cannot_work_is_no_matter_of_credit(pc: ProgramsPC) -> None:
    _stopped(pc, "Prompt is too long", error="invalid_request")
    assert pc.ok("evaluate_status", "--act").startswith("PC1 HEALTHY")
    assert pc.handoffs() == [] and pc.log("alarms") == []


# pause


def test_while_paused_nothing_is_done_and_afterwards_it_is(pc: ProgramsPC) -> None:
    assert pc.ok("pause") == "acting\n"
    assert pc.ok("pause", "on", "--dry-run").startswith("paused") and pc.ok("pause") == "acting\n"
    assert pc.ok("pause", "on") == "paused until: trinity pause off\n"
    _stopped(pc)
    assert "paused: nothing is done" in pc.ok("evaluate_status", "--act")
    assert pc.handoffs() == []
    assert json.loads(pc.ok("pause", "status", "--json")) == {"paused": True, "until": None}
    assert pc.ok("pause", "off") == "acting\n"
    pc.ok("evaluate_status", "--act")
    assert len(pc.handoffs()) == 1


def test_a_pause_ends_by_itself_and_a_torn_one_holds(pc: ProgramsPC) -> None:
    until = json.loads(pc.ok("pause", "on", "--for", "2h", "--json"))["until"]
    assert abs(clock.parse(until) - clock.now() - 7200) < 30
    pc.ok("pause", "on", "--for", "1s")
    time.sleep(2)
    assert pc.ok("pause") == "acting\n"
    pc.home.paused_file.write_bytes(b'{"unti')
    assert pc.ok("pause").startswith("paused")
    pc.ok("pause", "off")
    pc.ok("pause", "off")
    for wrong in ("0", "-5m", "soon", "400d"):
        assert "is no duration" in pc.fails(2, "pause", "on", f"--for={wrong}")


# save_handoff


def test_a_person_hands_one_session_to_a_pc(pc: ProgramsPC) -> None:
    _stopped(pc, session="first")
    _stopped(pc, session="second")
    assert "would be created" in pc.ok("save_handoff", "--session", "fir", "--to", "PC2", "--dry-run")
    assert pc.handoffs() == []
    pc.ok("save_handoff", "--session", "fir", "--to", "PC2", "--reason", "I leave")
    (record,) = pc.handoffs()
    assert (record["to_pc"], record["state"], record["reason"]) == ("PC2", "queued", "I leave")
    assert record["sessions"][0]["session_id"] == "first"
    assert (pc.home.wake / "PC2.json").exists()
    pc.ok("save_handoff", "--session", "fir", "--to", "PC3")
    (record,) = pc.handoffs()
    assert record["to_pc"] == "PC3"


def test_without_a_session_all_that_stand_still_are_saved_or_the_queue_alone(pc: ProgramsPC) -> None:
    saved = json.loads(pc.ok("save_handoff", "--json"))
    assert [entry["handoff"]["sessions"] for entry in saved] == [[]]
    _stopped(pc, session="first")
    _stopped(pc, session="second")
    saved = json.loads(pc.ok("save_handoff", "--json"))
    assert sorted(entry["handoff"]["sessions"][0]["session_id"] for entry in saved) == ["first", "second"]
    assert all(entry["visible"] and entry["action"] == "created" for entry in saved)
    assert all(len(path.read_bytes()) < 10_000 for path in pc.home.handoff.glob("*.json"))


def test_what_cannot_be_saved_is_said_in_one_line(pc: ProgramsPC) -> None:
    assert "no session recorded here is 'x'" in pc.fails(1, "save_handoff", "--session", "x")
    pc.scene.hook(50, "SessionStart", session="empty")
    assert "has no transcript" in pc.fails(1, "save_handoff", "--session", "empty")
    assert "is no PC name" in pc.fails(2, "save_handoff", "--to", "../PC2")
    assert pc.handoffs() == []


# send_wake


@pytest.mark.parametrize("form", [["PC2"], ["--send", "PC2"]])
def test_a_wake_is_left_for_a_pc(pc: ProgramsPC, form: list[str]) -> None:
    assert "PC2 is in the fleet's state" in pc.ok("send_wake", *form, "--task", "look", "--message", f"use {SECRET}")
    wake = pc.read("wake", pc.home.wake / "PC2.json")
    assert (wake["from"], wake["to"], wake["task"]) == ("PC1", "PC2", "look")
    assert SECRET not in json.dumps(wake) and "[REDACTED-anthropic-" in wake["message"]


def test_a_wake_needs_one_name_of_a_pc(pc: ProgramsPC) -> None:
    for form in ([], ["PC2", "--send", "PC3"], ["pc2"], ["--send", "../x"]):
        pc.fails(2, "send_wake", *form)
    assert pc.ok("send_wake", "PC2", "--dry-run") == "would wake PC2\n"
    assert not (pc.home.wake / "PC2.json").exists()


# handoffs


def test_where_every_handoff_is_can_be_seen_and_steered(pc: ProgramsPC) -> None:
    assert pc.ok("handoffs") == "no work is on its way\n"
    _stopped(pc)
    pc.ok("evaluate_status", "--act")
    (record,) = pc.handoffs()
    number = record["id"]
    assert pc.ok("handoffs", "list").startswith(f"{number}  parked    PC1 → PC1")
    assert [one["id"] for one in json.loads(pc.ok("handoffs", "list", "--json"))] == [number]
    shown = pc.ok("handoffs", "show", number[:12])
    for part in ("state    parked", "reason   credit_exhaustion", "limit    five_hour until", "session  s", "written"):
        assert part in shown, shown
    assert "claude --resume s" in shown.replace("'", "").replace("-r s", "--resume s"), shown

    assert "would be queued again" in pc.ok("handoffs", "requeue", number, "--dry-run")
    pc.ok("handoffs", "requeue", number)
    (record,) = pc.handoffs()
    assert (record["state"], record["epoch"]) == ("queued", 1)
    pc.ok("handoffs", "bury", number, "--reason", "not needed")
    assert pc.ok("handoffs", "list") == "no work is on its way\n"
    (buried,) = json.loads(pc.ok("handoffs", "list", "--all", "--json"))
    assert (buried["id"], buried["state"]) == (number, "dead") and "not needed" in buried["outcome"]
    assert "cannot bury" in pc.fails(1, "handoffs", "bury", number)
    pc.ok("handoffs", "requeue", number)
    assert [(one["id"], one["state"]) for one in pc.handoffs()] == [(number, "queued")]


def test_a_handoff_that_is_not_there_and_one_that_is_not_named(pc: ProgramsPC) -> None:
    assert "there is no handoff '0000'" in pc.fails(1, "handoffs", "show", "0000")
    for action in ("show", "requeue", "bury"):
        assert "needs the ID" in pc.fails(2, "handoffs", action)
    pc.fails(2, "handoffs", "explode")


# codes and lines that all have in common


def test_a_fleet_that_does_not_answer_is_75_and_nothing_is_lost(pc: ProgramsPC) -> None:
    remote = pc.home.remote
    gone = remote.with_name("gone.git")
    pc.configure(fleet_url=str(gone))
    done = pc.run("send_wake", "PC2")
    assert (done.returncode, "safe here, not yet visible" in done.stdout) == (75, True), done.stderr
    _stopped(pc)
    assert "safe here, not yet visible to the fleet" in pc.ok("evaluate_status", "--act")
    assert pc.run("accept_handoff").returncode == 75
    assert "offline" in pc.run("handoffs", "list").stderr
    os.rename(remote, gone)
    pc.run("accept_handoff")
    assert len(json.loads(pc.ok("handoffs", "list", "--json"))) == 1
    assert (pc.home.wake / "PC2.json").exists()


@pytest.mark.posix
def test_a_lock_that_another_holds_is_75_and_names_its_holder(pc: ProgramsPC) -> None:
    code = (
        "import sys; from pathlib import Path; from trinity import locks\n"
        "with locks.hold(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    path = pc.home.locks / "accept.lock"
    holder = subprocess.Popen([sys.executable, "-c", code, str(path)], stdin=-1, stdout=-1, text=True)
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        assert f"is held by process {holder.pid}, live" in pc.fails(75, "accept_handoff")
    finally:
        holder.communicate()
    pc.ok("accept_handoff")


@pytest.mark.parametrize("name", ["save_handoff", "handoffs", "accept_handoff", "send_wake"])
def test_without_a_state_folder_it_is_said_what_to_do(pc: ProgramsPC, name: str) -> None:
    arguments = ["PC2"] if name == "send_wake" else []
    said = pc.fails(1, name, *arguments, "--home", str(pc.user / "nowhere"))
    assert "no Trinity state in" in said and "install it: ./install.sh" in said


@pytest.mark.parametrize("name", ["evaluate_status", "credit_monitor", "save_handoff", "handoffs"])
def test_a_damaged_configuration_is_refused_in_one_line(pc: ProgramsPC, name: str) -> None:
    pc.home.config_file.write_text('{"kind":"config","version":1,"ladder":{"rate_limits":[3]}}', encoding="utf-8")
    arguments = ["--once"] if name == "credit_monitor" else []
    assert "config.json" in pc.fails(1, name, *arguments)


@pytest.mark.posix
def test_a_state_folder_that_others_can_read_is_refused(pc: ProgramsPC) -> None:
    pc.home.root.chmod(0o755)
    assert "chmod 700" in pc.fails(1, "evaluate_status")


def test_an_unknown_option_is_2_and_a_broken_pipe_no_trace(pc: ProgramsPC) -> None:
    for name in ("evaluate_status", "save_handoff", "handoffs", "pause", "send_wake", "record_event"):
        pc.fails(2, name, "--frobnicate")
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        pc.command("evaluate_status"), env=pc.environment, stdout=writer, stderr=subprocess.PIPE, text=True
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


def test_text_of_others_does_not_reach_the_terminal_raw(pc: ProgramsPC) -> None:
    _stopped(pc, f"{OVERLOADED}\x1b]0;owned\x07\u202e", session="s\x1b[31m", error="overloaded")
    for command in (("evaluate_status", "--act"), ("credit_monitor", "--status"), ("handoffs", "list")):
        assert not set("\x1b\x07\u202e") & set(pc.ok(*command))
