"""Programs that were killed between two steps: what they had begun is taken away, finished or told, and nothing else is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.relay.test_unpacking import SESSION, Way, way, worktrees
from trinity import clock
from trinity.credit.evaluation import Evaluation
from trinity.errors import TrinityError
from trinity.fleet import journal, operations
from trinity.relay import carrying, closing, holding, lost, rounds, sending, starting, unpacking
from trinity.relay.link import Link, Record
from trinity.relay.rounds import Round
from trinity.work import fence, handoff, lease

__all__ = ["way"]
pytestmark = pytest.mark.posix


class Killed(BaseException):
    """As by kill -9: nobody catches it."""


def _round(way: Way, pc: str) -> Round:
    link = way.link(pc)
    link.refresh()
    nothing: Evaluation = None  # type: ignore[assignment]
    return Round(way.homes[pc], way.configs[pc], link, nothing, clock.now(), False)


def _made(way: Way, to_pc: str) -> Record:
    """PC1's handoff, in the fleet."""
    link = way.link("PC1")
    link.refresh()
    sessions = way.send()["sessions"]
    record = handoff.build(
        now=clock.now(),
        from_pc="PC1",
        to_pc=to_pc,
        reason="limit",
        account="0" * 16,
        credit_state={},
        sessions=sessions,
    )
    if to_pc != "PC1":
        record["parts"] = carrying.send(link, record).parts
    assert link.submit(operations.create("PC1", record)).visible
    return record


def _known(link: Link, record: Record) -> Record:
    return rounds.find(link, link.refresh(), record["id"])


class Start:
    """PC2 has claimed PC1's work, unpacked it, and was killed before it had started a client."""

    def __init__(self, way: Way) -> None:
        self.way = way
        record = _made(way, "PC2")
        self.made = _round(way, "PC2")
        assert self.made.link.submit(operations.claim("PC2", record["id"])).visible
        self.record = rounds.here(_known(self.made.link, record), "PC2")
        home = self.made.home
        assert journal.start_once(home, self.record["id"], self.record["epoch"])

        def noted(arrived: unpacking.Arrived) -> None:
            entry = starting.prepare({"sessions": [arrived.session]}, "headless")
            more = {"session": arrived.session, "root": arrived.new_root}
            journal.note(home, self.record["id"], self.record["epoch"], **entry, **more)

        self.arrived = unpacking.receive(self.made.link, way.configs["PC2"], self.record, noted)
        self.root = Path(self.arrived.new_root)
        self.transcript = Path(self.arrived.session["transcript_path"])
        self.entry = home.journal / f"{self.record['id']}.e{self.record['epoch']}"

    def go_on(self) -> None:
        """The next round of PC2."""
        self.made = _round(self.way, "PC2")
        holding.held(self.made, rounds.here(_known(self.made.link, self.record), "PC2"), "headless")

    def state(self) -> str:
        return str(_known(self.made.link, self.record)["state"])


@pytest.fixture
def start(way: Way) -> Start:
    return Start(way)


def test_what_was_unpacked_for_a_start_that_never_came_about_is_taken_away(start: Start) -> None:
    start.go_on()
    assert start.state() == "queued" and not start.root.exists() and not start.transcript.exists()
    assert worktrees(start.way.stage.pc2) == [str(start.way.stage.pc2)] and list(start.way.base.iterdir()) == []


def _conversation(start: Start) -> None:
    with start.transcript.open("a", encoding="utf-8") as stream:
        stream.write('{"type":"user"}\n')


def _file(start: Start) -> None:
    (start.root / "by a person.txt").write_text("work\n", encoding="utf-8")


def _damaged(start: Start) -> None:
    start.entry.write_bytes(start.entry.read_bytes()[:50])


@pytest.mark.parametrize("used", [_conversation, _file, _damaged])
def test_what_anybody_has_used_since_or_nobody_knows_about_stays(start: Start, used: Any) -> None:
    used(start)
    start.go_on()
    assert start.state() == "queued" and start.root.is_dir() and start.transcript.exists()


def test_a_damaged_journal_costs_running_work_nothing(start: Start) -> None:
    record, home = start.record, start.made.home
    started = {"started_at": clock.iso(), "pid": os.getpid(), "born": starting.birth(os.getpid()), "where": "here"}
    journal.note(home, record["id"], record["epoch"], **started)
    assert start.made.link.submit(operations.running("PC2", record["id"], record["epoch"], {})).visible
    _conversation(start)
    _file(start)
    _damaged(start)
    start.go_on()
    assert (start.root / "by a person.txt").exists() and start.transcript.exists()


def test_what_was_unpacked_and_not_noted_yet_is_swept_with_its_conversation(way: Way) -> None:
    record = rounds.here(way.send(), "PC2")
    placed: list[Path] = []

    def killed(arrived: unpacking.Arrived) -> None:
        placed.append(Path(arrived.session["transcript_path"]))
        placed.append(next(way.base.glob("*.unfinished")))
        # Killed: nothing is cleaned up by whoever was killed.
        placed.append(placed[1].rename(way.base.parent / "kept mark"))
        raise TrinityError("killed")

    with pytest.raises(TrinityError, match="killed"):
        unpacking.receive(way.link("PC2"), way.configs["PC2"], record, killed)
    transcript, mark, kept = placed
    assert transcript.exists()
    target = mark.with_name(mark.name.removesuffix(".unfinished"))
    target.mkdir(exist_ok=True)
    kept.rename(mark)
    again = way.receive(way.forged(record, lambda _: None))
    assert again.equal and not transcript.exists() and not target.exists()


def test_a_round_beside_a_sender_does_not_forget_what_is_just_leaving(
    way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = _made(way, "PC1")
    one = way.link("PC1")
    assert one.submit(operations.claim("PC1", record["id"])).visible
    known = _known(one, record)
    done = sending._done

    def killed_after(link: Link, operation: Record) -> None:
        if operation["type"] != "pass_on":
            return done(link, operation)
        other = way.link("PC1")  # the daemon's round, in another program
        closing.close_left(other, other.refresh())
        done(link, operation)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(sending, "_done", killed_after)
        with pytest.raises(Killed):
            sending.send_on(one, known, {key: known.get(key) for key in sending.NEWS}, "PC2", "limit")
    two = way.link("PC2")
    two.refresh()
    assert two.submit(operations.claim("PC2", record["id"])).visible
    epoch = _known(two, record)["epoch"]
    assert two.submit(operations.done("PC2", record["id"], epoch, "done")).visible
    one = way.link("PC1")
    closing.close_left(one, one.refresh())
    assert fence.is_raised(way.homes["PC1"], SESSION)


def test_work_that_was_taken_over_while_its_sender_was_offline_is_told_as_lost(
    way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, record = way.homes["PC1"], _made(way, "PC1")
    one = way.link("PC1")
    assert one.submit(operations.claim("PC1", record["id"])).visible
    journal.start_once(home, record["id"], 1)
    assert one.submit(operations.running("PC1", record["id"], 1, {})).visible
    lease.grant(home, SESSION, handoff_id=record["id"], epoch=1, seconds=900)
    known = _known(one, record)
    remote = Path(str(way.configs["PC1"].fleet_url))
    send = carrying.send

    def cut_off(*arguments: Any) -> Any:
        made = send(*arguments)
        remote.rename(remote.with_name("away"))
        return made

    with monkeypatch.context() as patched:
        patched.setattr(carrying, "send", cut_off)
        with pytest.raises(TrinityError, match="does not answer"):
            sending.send_on(one, known, {key: known.get(key) for key in sending.NEWS}, "PC2", "limit")
    remote.with_name("away").rename(remote)
    two = way.link("PC2")
    two.refresh()
    assert two.submit(operations.takeover("PC2", record["id"], 1, "PC2", "silent")).visible
    assert two.submit(operations.claim("PC2", record["id"])).visible
    one = way.link("PC1")
    snapshot = one.refresh()
    closing.close_left(one, snapshot)
    lost.look(home, "PC1", one.handoffs(snapshot))
    assert [kept["handoff_id"] for kept in lost.of(home)] == [record["id"]] and fence.is_raised(home, SESSION)
