"""credit_monitor: the seeds' tests and flags, and the daemon as a process."""

from __future__ import annotations

import json
import signal
import subprocess
import time

import pytest

from tests.scripts.programs_pc import ProgramsPC, installed, pc
from trinity import clock
from trinity.credit import evaluation, event_log

__all__ = ["installed", "pc"]


def test_1_manual_handoff_trigger(pc: ProgramsPC) -> None:
    """The seeds' words: create handoff file; send wake signal to PC2; update heartbeat; pause monitoring."""
    begin = clock.now()
    pc.ok("credit_monitor", "--force-handoff")
    (path,) = pc.home.handoff.glob("handoff_PC1_to_PC2_*.json")
    record = pc.read("handoff", path)
    assert (record["from_pc"], record["to_pc"], record["reason"]) == ("PC1", "PC2", "credit_exhaustion")
    assert {"task_queue", "current_work", "credit_state"} <= set(record)
    wake = pc.read("wake", pc.home.wake / "PC2.json")
    assert (wake["from"], wake["to"], wake["task"], wake["handoff_id"]) == (
        "PC1",
        "PC2",
        "credit_handoff",
        record["id"],
    )
    heartbeat = pc.read("heartbeat", pc.home.heartbeat / "PC1.json")
    assert (heartbeat["pc"], heartbeat["status"], heartbeat["to_pc"]) == ("PC1", "handoff_initiated", "PC2")
    assert heartbeat["reason"] == "credit_exhaustion"
    pause = json.loads(pc.home.paused_file.read_text(encoding="utf-8"))
    assert 295 < clock.parse(pause["until"]) - begin < 310
    assert pc.ok("pause", "status").startswith("paused until")


def test_2_simulated_credit_exhaustion(pc: ProgramsPC) -> None:
    """The seeds' words: third rate limit should trigger automatic handoff."""
    statuses = []
    for number in (1, 2, 3):
        statuses.append(pc.ok("credit_monitor", "--record-rate-limit").splitlines()[0])
        assert len(pc.handoffs()) == (number == 3)
    assert statuses == ["Status: WARNING", "Status: CRITICAL", "Status: EXHAUSTED"]
    (record,) = pc.handoffs()
    assert (record["reason"], record["credit_state"]["rate_limit_count"]) == ("credit_exhaustion", 3)
    assert record["state"] == "parked" and record["limit"]["type"] == "transient"
    assert pc.read("heartbeat", pc.home.heartbeat / "PC1.json")["status"] == "handoff_initiated"
    pc.ok("credit_monitor", "--record-rate-limit")
    assert [again["id"] for again in pc.handoffs()] == [record["id"]]


def test_rotation_goes_round(pc: ProgramsPC) -> None:
    for name, follower in (("PC1", "PC2"), ("PC2", "PC3"), ("PC3", "PC1")):
        pc.configure(pc=name)
        pc.ok("credit_monitor", "--force-handoff")
        (record,) = [record for record in pc.handoffs() if record["from_pc"] == name]
        assert record["to_pc"] == follower


def test_status_shows_the_numbers(pc: ProgramsPC) -> None:
    assert pc.ok("credit_monitor", "--status").splitlines()[0] == "Status: HEALTHY"
    pc.ok("credit_monitor", "--record-success")
    pc.ok("credit_monitor", "--record-error", "overloaded")
    pc.ok("credit_monitor", "--record-error")
    assert "3 calls, 2 errors, 0 rate limits" in pc.ok("credit_monitor", "--status")
    document = json.loads(pc.ok("credit_monitor", "--status", "--json"))
    assert (document["status"], document["success_count"], document["error_count"]) == ("HEALTHY", 1, 2)
    assert [error["type"] for error in document["recent_errors"]] == ["overloaded", "error"]
    dashboard = pc.read("credit_status", pc.home.dashboards / "credit_status.json")
    assert dashboard["pcs"]["PC1"]["error_count"] == 2 and dashboard["pcs"]["PC1"]["next_pc"] == "PC2"


def test_five_slow_responses_hand_over_and_a_fast_one_ends_the_streak(pc: ProgramsPC) -> None:
    for _ in range(4):
        event_log.append(pc.home, {"event": "slow", "source": "program", "seconds": 15.0})
    pc.ok("credit_monitor", "--record-slow", "2.0")
    for _ in range(4):
        event_log.append(pc.home, {"event": "slow", "source": "program", "seconds": 15.0})
    assert pc.ok("credit_monitor", "--status").startswith("Status: WARNING") and not pc.handoffs()
    assert pc.ok("credit_monitor", "--record-slow", "15.0").startswith("Status: CRITICAL")
    assert len(pc.handoffs()) == 1


def test_an_error_rate_of_30_percent_hands_over(pc: ProgramsPC) -> None:
    for n in range(9):
        event_log.append(pc.home, {"event": "success" if n < 7 else "error", "source": "program"})
    assert "Status: EXHAUSTED" in pc.ok("credit_monitor", "--record-error")
    assert len(pc.handoffs()) == 1


def test_login_trouble_moves_nothing(pc: ProgramsPC) -> None:
    pc.scene.stop_failure(50, "Not logged in · Please run /login", "authentication_failed")
    assert pc.ok("credit_monitor", "--record-error").startswith("Status: CRITICAL")
    assert pc.handoffs() == []


def test_paused_it_records_and_does_not_act(pc: ProgramsPC) -> None:
    pc.ok("pause", "on")
    for _ in range(3):
        said = pc.ok("credit_monitor", "--record-rate-limit")
    assert said.startswith("Status: EXHAUSTED") and pc.handoffs() == []


def test_one_round_parks_a_stopped_session_and_says_so(pc: ProgramsPC) -> None:
    pc.scene.prompt(40)
    pc.scene.error_line(50, f"You've hit your 5-hour limit · resets {_clock(3600)} (UTC)")
    said = json.loads(pc.ok("credit_monitor", "--once", "--json"))
    (record,) = pc.handoffs()
    assert said["status"] == "EXHAUSTED" and any(record["id"] in line for line in said["done"])
    pc.ok("credit_monitor", "--once")
    assert [again["id"] for again in pc.handoffs()] == [record["id"]]


def _clock(ahead: float) -> str:
    return time.strftime("%I:%M%p", time.gmtime(clock.now() + ahead)).lower()


@pytest.mark.posix
def test_the_daemon_finds_a_stopped_session_and_there_is_one_of_it(pc: ProgramsPC) -> None:
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    daemon = subprocess.Popen(pc.command("credit_monitor", "--interval", "1"), env=pc.environment, **quiet)  # type: ignore[call-overload]
    try:
        _wait(lambda: any("started" in line for line in pc.log("monitor")))
        assert str(daemon.pid) in pc.fails(75, "credit_monitor", "--interval", "1")
        pc.scene.prompt(58)
        pc.scene.error_line(59, f"You've hit your 5-hour limit · resets {_clock(3600)} (UTC)")
        _wait(lambda: len(pc.handoffs()) == 1)
        # Its end is an orderly one, also for what it has started.
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(timeout=20) == 0
    finally:
        daemon.kill()
        daemon.wait()
    assert pc.log("monitor")[-1].endswith("stopped")


def _wait(said: object) -> None:
    assert callable(said)
    end = time.monotonic() + 20
    while not said():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


def test_wrong_usage_is_2_and_records_nothing(pc: ProgramsPC) -> None:
    wrong = ["--interval 0", "--interval soon", "--record-slow", "--record-slow fast", "--record-slow -1"]
    wrong += ["--record-slow nan", "--record-slow inf", "--frobnicate", "--record-success extra"]
    for line in wrong:
        pc.fails(2, "credit_monitor", *line.split())
    assert not event_log.days(pc.home)


def test_the_importable_face_agrees_with_the_program(pc: ProgramsPC, monkeypatch: pytest.MonkeyPatch) -> None:
    from trinity import CreditMonitor, get_next_pc, save_handoff_state, trigger_handoff, update_dashboard_data

    monitor = CreditMonitor(pc.home.root)
    monitor.record_success(1.5)
    monitor.record_response_time(12)
    monitor.record_error("overloaded")
    monitor.record_rate_limit()
    assert monitor.get_status() == "WARNING" and not monitor.should_trigger_handoff()
    assert get_next_pc(state_home=pc.home.root) == "PC2" and get_next_pc("PC3", pc.home.root) == "PC1"
    assert "3 calls, 2 errors, 1 rate limits" in pc.ok("credit_monitor", "--status")
    assert update_dashboard_data(pc.home.root)["pcs"]["PC1"]["status"] == "WARNING"
    saved = save_handoff_state("by hand", "PC3", pc.home.root)
    assert (saved["to_pc"], saved["reason"]) == ("PC3", "by hand")
    assert len(trigger_handoff(state_home=pc.home.root)) == 1
    assert evaluation.evaluate(monitor.home, monitor.config).counts.calls == 3
