"""Work that cannot go on at once ends somewhere sensible, and anybody can read where and why."""

from __future__ import annotations

import errno
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults.stage import CHECKOUT, Stage
from tests.lib.fleet import history
from trinity import clock, files, git, locks
from trinity.credit import evaluation
from trinity.errors import Offline, TrinityError
from trinity.fleet import heartbeats, journal, lease, operations, outbox, parts, rotation
from trinity.relay import ability, accept, carrying, closing, homecoming, pausing, save, sending
from trinity.relay.link import Link, Submitted
from trinity.work import fence

pytestmark = pytest.mark.posix

Record = dict[str, Any]
HOUR = 3600.0


class Fleet:
    """PCs with stand-in clients on one remote; all but PC1 have said that they are well."""

    def __init__(self, folder: Path) -> None:
        self.remote = git.init_bare(folder / "fleet.git", server=True).path
        self.folder = folder
        self.pcs: dict[str, Stage] = {}

    def join(self, pc: str, heard: bool = True, **how: Any) -> Stage:
        stage = self.pcs[pc] = Stage(self.folder / pc, pc, self.remote, **how)
        if pc == "PC1":
            stage.with_files()
        elif heard:
            Link(stage.home, stage.config).beat("alive", credit_status="HEALTHY")
        return stage

    def hook(self, name: str, script: str) -> Path:
        """A hook of the remote, which may refuse."""
        path = self.remote / "hooks" / name
        path.parent.mkdir()
        path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        path.chmod(0o700)
        return path

    def listed(self, pc: str) -> str:
        """What a person reads on this PC."""
        done = self.pcs[pc].program("handoffs", "list", stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return done.communicate(timeout=180)[0].decode("utf-8")

    def log(self) -> list[str]:
        return history.git(self.remote, "log", "--format=%s", "trinity-state").decode("utf-8").splitlines()

    def passed(self, pc: str, seconds: float) -> None:
        """So long did this PC see no sign of the others, and nobody accept what waits."""
        stage = self.pcs[pc]
        state = Link(stage.home, stage.config).state
        heartbeats.read_all(state)
        marks: dict[str, dict[str, str]] = {
            "heartbeats": {other: mark for other, mark in heartbeats.marks(state).items() if other != pc},
            "handoffs": lease.waiting(stage.handoffs(), clock.now()),
        }
        now = clock.boottime()
        memory: dict[str, Any] = {
            about: {name: {"mark": mark, "silent": seconds, "looked": now} for name, mark in known.items()}
            for about, known in marks.items()
        }
        files.write_json(stage.home.root / "silence.json", memory)
        (stage.home.root / "beat.json").unlink(missing_ok=True)


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return Fleet(tmp_path)


def _only(stage: Stage) -> Record:
    found = stage.handoffs()
    assert len(found) == 1, stage.story()
    return found[0]


def test_with_everything_used_up_it_waits_where_something_is_left_first_and_is_woken_once(fleet: Fleet) -> None:
    one, two, three = (fleet.join(f"PC{n}") for n in (1, 2, 3))
    soon, later = time.time() + HOUR / 2, time.time() + 2 * HOUR
    for stage, ends in ((two, soon), (three, later)):
        used_up: Record = {"type": "five_hour", "scope": "account", "resets_at": clock.iso(ends)}
        used_up |= {"source": "transcript", "seen_at": clock.iso(), "confidence": 1.0}
        Link(stage.home, stage.config).beat("alive", credit_status="EXHAUSTED", limits=[used_up])
    one.stopped("s", HOUR)
    one.round()
    record = _only(one)
    assert (record["state"], record["to_pc"]) == ("parked", "PC2") and record["parts"]
    assert abs(clock.parse(record["parked_until"]) - soon) <= 1 and fence.is_raised(one.home, "s")
    assert "parked for PC2 until" in fleet.listed("PC1") and "PC3: its account is used up" in record["outcome"]
    two.round()
    assert _only(two)["state"] == "parked"
    Link(two.home, two.config).submit(operations.park("PC2", record["id"], clock.iso()))  # the reset is here
    assert two.rounds_until("done", timeout=180)[0]["owner"] == "PC2"
    assert sum(line.startswith(f"wake: {record['id']}") for line in fleet.log()) == 1
    assert [stage.starts() for stage in (one, three)] == [[], []] and len(two.starts()) == 1


def test_what_nobody_takes_comes_home_and_goes_on_there(fleet: Fleet) -> None:
    one, _ = fleet.join("PC1"), fleet.join("PC2")
    one.stopped("s", 0.5)
    one.round()
    assert _only(one)["to_pc"] == "PC2" and fence.is_raised(one.home, "s")
    fleet.passed("PC1", 500)
    one.round()
    assert "waits for PC2, silent for 8 min" in fleet.listed("PC1")
    fleet.passed("PC1", 700)
    one.round()
    record = _only(one)
    assert (record["to_pc"], record["state"]) == ("PC1", "queued") and "PC2 did not accept it" in record["outcome"]
    assert one.rounds_until("done", timeout=180)[0]["owner"] == "PC1"
    assert not fence.is_raised(one.home, "s") and len(one.starts()) == 1


def test_work_that_left_and_was_done_elsewhere_is_not_sent_a_second_time(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its sender was killed between the push and the fence, and no round of its PC ran until all was over."""
    one, two = fleet.join("PC1"), fleet.join("PC2")
    one.stopped("s", HOUR)

    class Killed(BaseException): ...

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(closing, "close_here", killed)
        with pytest.raises(Killed):
            one.round()
    assert not fence.is_raised(one.home, "s")
    assert two.rounds_until("done", timeout=180)[0]["owner"] == "PC2"
    one.round()
    assert _only(one)["owner"] == "PC2" and fence.is_raised(one.home, "s")
    assert (len(one.starts()), len(two.starts())) == (0, 1)
    sent = one.program("save_handoff", "--session", "s", "--to", "PC2", stderr=subprocess.PIPE)
    assert b"went to another PC and is closed here" in sent.communicate(timeout=180)[1] and sent.returncode == 1
    _only(one)


def test_the_work_of_a_pc_that_died_is_taken_over_and_that_pc_cannot_end_it(fleet: Fleet) -> None:
    one, two = fleet.join("PC1"), fleet.join("PC2")
    one.stopped("s", 0.5)
    one.round()
    record, link = _only(one), Link(two.home, two.config)
    link.submit(operations.claim("PC2", record["id"]))
    journal.start_once(two.home, record["id"], 1)
    link.submit(operations.running("PC2", record["id"], 1, {"started": clock.iso()}))
    fleet.passed("PC1", lease.LEASE_SECONDS)
    assert "runs on PC2, silent for 15 min" in fleet.listed("PC1")
    one.round()
    taken = _only(one)
    assert (taken["state"], taken["to_pc"], taken["epoch"]) == ("queued", "PC1", 2) and "silent" in taken["outcome"]
    assert "is in epoch 2" in link.submit(operations.done("PC2", record["id"], 1, "late")).refused or (
        "is queued" in link.submit(operations.done("PC2", record["id"], 1, "late")).refused
    )
    two.round()
    assert fence.is_raised(two.home, "s") and two.starts() == []
    assert one.rounds_until("done", timeout=180)[0]["owner"] == "PC1"


def _unwilling(stage: Stage, patch: pytest.MonkeyPatch) -> None:
    pausing.pause(stage.home, None)


def _full(stage: Stage, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ability, "LEAST_FREE_BYTES", 1 << 60)


def _old(stage: Stage, patch: pytest.MonkeyPatch) -> None:
    text = stage.client.read_text(encoding="utf-8")
    stage.client.write_text(text.replace("2.1.197 (Claude Code)", "2.1.99 (Claude Code)"), encoding="utf-8")


def _private(stage: Stage, patch: pytest.MonkeyPatch) -> None:
    link = Link(stage.home, stage.config)
    known = rotation.read(link.refresh())
    assert isinstance(known, dict)
    known["pcs"]["PC2"]["trust_group"] = "private"
    link.submit(operations.put_fleet("PC2", known))


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (_unwilling, "it takes no work now: acting is paused there"),
        (_full, "it takes no work now: its disk is full"),
        (_old, "it takes no work now: its Claude Code 2.1.99 is older than 2.1.197"),
        (_private, "it is in the trust group 'private', the work in 'default'"),
    ],
)
def test_a_pc_that_cannot_or_will_not_is_no_target_and_the_list_says_why(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, make: Callable[[Stage, pytest.MonkeyPatch], None], why: str
) -> None:
    one, two = fleet.join("PC1"), fleet.join("PC2")
    with monkeypatch.context() as patch:
        make(two, patch)
        two.round()
    one.stopped("s", HOUR)
    one.round()
    record = _only(one)
    assert (record["state"], record["to_pc"]) == ("parked", "PC1") and not fence.is_raised(one.home, "s")
    assert f"PC2: {why}" in fleet.listed("PC1")


def test_a_full_disk_begins_nothing_that_was_sent_to_it(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = fleet.join("PC1"), fleet.join("PC2")
    one.stopped("s", HOUR)
    one.round()
    with monkeypatch.context() as patch:
        _full(two, patch)
        waiting = two.round().waiting
    assert "its disk is full" in waiting[0][1] and _only(two)["state"] == "queued"
    assert two.rounds_until("done", timeout=180)[0]["owner"] == "PC2"


def test_what_cannot_begin_on_a_pc_goes_back_to_where_it_was(fleet: Fleet) -> None:
    one, two = fleet.join("PC1"), fleet.join("PC2")
    one.stopped("s", HOUR)
    one.round()
    assert _only(one)["to_pc"] == "PC2"
    two.client.unlink()
    two.round()
    record = _only(one)
    assert (record["state"], record["to_pc"]) == ("parked", "PC1")
    said = fleet.listed("PC1")
    assert "PC2 could not start it" in said and "cannot be run" in said
    one.round()
    two.round()
    assert not fence.is_raised(one.home, "s") and fence.is_raised(two.home, "s")
    assert _only(one)["hops"] == 1 and one.starts() == []


def test_a_record_of_a_newer_trinity_is_left_alone_and_named(fleet: Fleet) -> None:
    one = fleet.join("PC1")
    one.stopped("s", HOUR)
    one.round()
    record = _only(one)
    state = Link(one.home, one.config).state
    path = next(path for path in state.last().paths("handoff/") if record["id"] in path)
    newer = files.dump_json({**record, "version": 2})
    assert state.change("0123456789abcdef", "from a newer one", lambda tree: {path: newer}).done
    assert one.round().lines == []
    assert "left alone: " in fleet.listed("PC1") and "is newer than 1" in fleet.listed("PC1")
    assert state.fetch().read(path) == newer


def test_a_remote_that_refuses_leaves_the_work_here_and_says_so(fleet: Fleet) -> None:
    one, _ = fleet.join("PC1"), fleet.join("PC2")
    hook = fleet.hook("pre-receive", "echo the quota is used up >&2\nexit 1")
    one.stopped("s", HOUR)
    one.round()
    assert one.handoffs() == [] and not fence.is_raised(one.home, "s")
    said = fleet.listed("PC1")
    assert "safe on this PC, not in the fleet yet: " in said and "the quota is used up" in said
    one.round()
    assert len(list(one.home.outbox.glob("*.json"))) == 1
    hook.unlink()
    one.round()
    assert _only(one)["state"] == "parked" and "not in the fleet" not in fleet.listed("PC1")


def test_a_conversation_stays_open_as_long_as_the_remote_refuses_its_handoff(fleet: Fleet) -> None:
    one, _ = fleet.join("PC1"), fleet.join("PC2")
    hook = fleet.hook("update", '[ "$1" != refs/heads/trinity-state ]')
    one.stopped("s", HOUR)
    one.round()
    assert one.handoffs() == [] and not fence.is_raised(one.home, "s")
    hook.unlink()
    one.round()
    assert _only(one)["to_pc"] == "PC2" and fence.is_raised(one.home, "s")


def test_what_was_parked_while_the_fleet_was_away_is_sent_when_it_is_back(fleet: Fleet) -> None:
    one, two = fleet.join("PC1"), fleet.join("PC2")
    one.round()  # it knows of PC2
    away = fleet.remote.rename(fleet.folder / "away.git")
    one.stopped("s", HOUR)
    for _ in range(3):
        one.round()
    assert len(list(one.home.outbox.glob("*.json"))) == 1 and not fence.is_raised(one.home, "s")
    assert "safe on this PC, not in the fleet yet: " in fleet.listed("PC1")
    assert (one.home.logs / "alarms.log").read_text(encoding="utf-8").count("parked here, not sent") == 1
    away.rename(fleet.remote)
    one.round()
    one.round()
    assert _only(one)["to_pc"] == "PC2" and fence.is_raised(one.home, "s")
    assert two.rounds_until("done", timeout=180)[0]["owner"] == "PC2"


def test_a_handoff_whose_sending_fails_stays_where_it_was(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    one, _ = fleet.join("PC1"), fleet.join("PC2", kind="unknown")
    one.stopped("s", HOUR)
    one.round()
    before = _only(one)
    assert before["state"] == "parked"

    def fails(*_: object) -> carrying.Sent:
        raise TrinityError("the work cannot be packed")

    with monkeypatch.context() as patch:
        patch.setattr(carrying, "send", fails)
        with pytest.raises(TrinityError, match="cannot be packed"):
            sending.send_on(Link(one.home, one.config), before, before, "PC2", "by hand")
    after = _only(one)
    assert (after["state"], after["to_pc"], after["owner"]) == ("parked", "PC1", None)
    assert after["parked_until"] == before["parked_until"] and "not sent to PC2" in after["outcome"]


def test_one_that_was_claimed_to_be_sent_and_then_killed_does_not_run_into_its_limit(fleet: Fleet) -> None:
    one, _ = fleet.join("PC1"), fleet.join("PC2", kind="unknown")
    one.stopped("s", HOUR)
    one.round()
    link, before = Link(one.home, one.config), _only(one)
    link.submit(operations.park("PC1", before["id"], clock.iso()))
    link.submit(operations.claim("PC1", before["id"]))
    one.round()
    after = _only(one)
    assert (after["state"], after["parked_until"]) == ("parked", before["parked_until"]) and one.starts() == []


def test_one_that_was_offered_and_whose_sending_was_killed_is_offered_again(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = fleet.join("PC1", interactive="offer"), fleet.join("PC2", kind="unknown")
    one.stopped("s", 0.5, interactive=True)
    before = one.rounds_until("queued", timeout=60)[0]

    def killed(*_: object) -> carrying.Sent:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(carrying, "send", killed)
        with pytest.raises(KeyboardInterrupt):
            sending.send_on(Link(one.home, one.config), before, before, "PC2", "by hand")
    assert _only(one)["state"] == "claimed"
    with locks.hold(one.home.locks / "save.lock"):
        one.round()  # as if it was still at work
    assert _only(one)["state"] == "claimed" and one.starts() == []
    one.round()
    after = _only(one)
    assert (after["state"], after["owner"], after["to_pc"]) == ("queued", None, "PC1") and one.starts() == []


def test_what_an_earlier_visit_left_behind_is_not_sent_in_place_of_newer_work(fleet: Fleet) -> None:
    one, two = fleet.join("PC1"), fleet.join("PC2")
    one.stopped("s", HOUR)
    one.round()
    link, record = Link(two.home, two.config), _only(one)
    link.submit(operations.claim("PC2", record["id"]))
    newer = parts.push_parts(link.state, record["id"], record["epoch"] + 1, {"conversation/conversation.jsonl": b"{}"})
    news = {"sessions": [{**record["sessions"][0], "pc": "PC2"}]}
    later = clock.iso(time.time() + HOUR)
    told = ("PC1", "by hand", None, news, newer.document(), later)
    assert link.submit(operations.pass_on("PC2", record["id"], record["epoch"] + 1, *told)).visible
    answer = evaluation.evaluate(one.home, one.config)
    (session,) = answer.stopped
    assert _only(one)["to_pc"] == "PC1"
    saved = save.save(one.home, one.config, session=session, limit=None, reason="manual", to="PC2")
    after = _only(one)
    assert after["to_pc"] == "PC2" and after["parts"] == newer.document(), saved.text()
    assert fence.is_raised(one.home, "s")


def test_a_taking_back_that_was_cut_short_at_its_end_is_finished_by_the_next(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = fleet.join("PC1"), fleet.join("PC2")
    one.stopped("s", HOUR)
    one.round()
    record = _only(one)
    Link(two.home, two.config).submit(operations.claim("PC2", record["id"]))

    def killed(*_: object) -> Record:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(operations, "withdraw", killed)
        with pytest.raises(KeyboardInterrupt):
            homecoming.take_back(one.home, one.config, record["id"])
    assert _only(one)["state"] == "parked" and not fence.is_raised(one.home, "s")
    with pytest.raises(TrinityError, match="was taken back already, to"):
        homecoming.take_back(one.home, one.config, record["id"])
    assert _only(one)["state"] == "done"


def test_a_record_with_a_strange_session_holds_up_nothing_but_itself(fleet: Fleet) -> None:
    one, two = fleet.join("PC1"), fleet.join("PC2", kind="unknown")
    one.stopped("s", HOUR)
    one.round()
    record = _only(one)
    strange = {**record, "id": "fedcba9876543210", "from_pc": "PC2", "state": "parked", "owner": None}
    strange |= {"sessions": [{**record["sessions"][0], "session_id": "a_b", "pc": "PC2"}]}
    for to_pc in ("PC1", "PC2"):
        strange |= {"to_pc": to_pc, "id": strange["id"][:-1] + to_pc[-1], "parked_until": clock.iso(time.time() + HOUR)}
        assert Link(two.home, two.config).submit(operations.create("PC2", strange)).visible
    said = {each["id"]: text for each, text in one.round().waiting}
    assert said[record["id"]].startswith("parked until")
    assert any("'a_b' is no session id" in text for text in said.values())


def test_a_disk_that_fails_while_work_arrives_sends_it_back_and_ends_no_round(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = fleet.join("PC1"), fleet.join("PC2")
    one.stopped("s", HOUR)
    one.round()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "parcel.bundle")

    with monkeypatch.context() as patch:
        patch.setattr(parts, "fetch_parts", full)
        two.round()
    record = _only(one)
    assert (record["to_pc"], record["state"]) == ("PC1", "parked") and "No space left" in record["outcome"]


def test_what_a_flaky_remote_keeps_here_is_sent_with_the_next_round(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = fleet.join("PC1"), fleet.join("PC2", kind="unknown")
    one.stopped("s", HOUR)
    one.round()
    before = _only(one)
    with monkeypatch.context() as patch:
        patch.setattr(Link, "submit", lambda *_, **__: Submitted(False))
        with pytest.raises(Offline):
            sending.send_on(Link(one.home, one.config), before, before, "PC2", "by hand")
        answer = evaluation.evaluate(one.home, one.config)
        with pytest.raises(Offline):
            accept.accept(one.home, one.config, answer, before["id"], True)
    assert _only(one) == before and list(one.home.outbox.glob("*.json")) == []


def test_a_silent_pc_is_switched_on_when_work_is_sent_to_it(fleet: Fleet) -> None:
    one, two = fleet.join("PC1"), fleet.join("PC2", heard=False)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as card:
        card.bind(("127.0.0.1", 0))
        card.settimeout(20)
        link = Link(two.home, two.config)
        known = rotation.read(link.refresh())
        assert isinstance(known, dict)
        known["pcs"]["PC2"] |= {"mac": "aa:bb:cc:00:11:22", "wake_address": "127.0.0.1"}
        known["pcs"]["PC2"]["wake_port"] = card.getsockname()[1]
        link.submit(operations.put_fleet("PC2", known))
        program = "import sys; open(sys.argv[1], 'a').write(sys.argv[2] + '\\n')"
        document = json.loads(one.home.config_file.read_text(encoding="utf-8"))
        document["wake_command"] = [sys.executable, "-c", program, str(fleet.folder / "woken"), "{pc}"]
        one.home.config_file.write_text(json.dumps(document), encoding="utf-8")
        one.stopped("s", HOUR)
        assert one.program("credit_monitor", "--once", stdout=subprocess.DEVNULL).wait(timeout=180) == 0
        assert card.recv(200).startswith(b"\xff" * 6 + b"\xaa\xbb\xcc")
        assert (fleet.folder / "woken").read_text(encoding="utf-8") == "PC2\n"
        by_hand = one.program("send_wake", "PC2", stdout=subprocess.PIPE)
        assert b"wake packet to aa:bb:cc" in by_hand.communicate(timeout=180)[0] and card.recv(200)
        Link(two.home, two.config).beat("alive")
        (one.home.root / "beat.json").unlink(missing_ok=True)
        one.program("credit_monitor", "--once", stdout=subprocess.DEVNULL).wait(timeout=180)
    assert (fleet.folder / "woken").read_text(encoding="utf-8").count("PC2") == 2  # it is awake now


def test_personal_subscriptions_and_a_shared_account_relieve_nobody_and_the_list_says_why(fleet: Fleet) -> None:
    one = fleet.join("PC1", kind="subscription", label="mine")
    fleet.join("PC2", kind="subscription", label="hers")
    fleet.join("PC3", kind="subscription", label="mine")
    one.stopped("s", HOUR)
    one.round()
    assert (_only(one)["state"], _only(one)["to_pc"]) == ("parked", "PC1")
    said = fleet.listed("PC1")
    assert "PC2: its account is a personal subscription" in said
    assert "PC3: it uses the same account as PC1, so the same limit stops both" in said


def test_programs_killed_at_random_moments_let_the_work_end_in_one_place() -> None:
    command = [sys.executable, str(CHECKOUT / "tests" / "faults" / "kill_fleet.py"), "--quick"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_person_steers_only_what_they_saw(fleet: Fleet) -> None:
    one = fleet.join("PC1")
    one.stopped("s", HOUR)
    one.round()
    link, record = Link(one.home, one.config), _only(one)
    assert link.submit(operations.requeue("PC1", record["id"], epoch=record["epoch"])).visible
    assert "is in epoch 1, not 0" in link.submit(operations.bury("PC1", record["id"], "no", record["epoch"])).refused
    assert "is in epoch 1, not 0" in link.submit(operations.requeue("PC1", record["id"], None, 0)).refused
    assert outbox.pending(one.home) == []
