"""What may happen to a handoff, a wake and the fleet file, as durable documents and pure decisions.

An operation is a JSON document that the outbox can keep: `{kind, version, id, type, pc, time, …}`. `decision` makes of it
a function of the state alone: the files to write, or the reason why not. Every transition is one commit, so a claim, the
archived record and the archived wake are seen together or not at all.

    queued → claimed → running → done        released: claimed, running → queued, parked
    queued → parked → queued (one wake)      passed on, taken over: claimed, running → queued for another PC
    more than 3 attempts or 2N hops ⇒ dead   withdrawn: queued, parked → done
    recalled: all but done and dead → parked at the PC whose person asks for it

The epoch grows at claim, reroute, pass_on, takeover, recall, requeue and bury: whoever
holds an older one can no longer change the record.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from trinity import clock, schema
from trinity.errors import BadRecord, NewerRecord
from trinity.fleet import members, moving, names, publishing, rotation, transitions, wakes
from trinity.fleet.snapshot import Decide, Edits, Refusal, Tree

Operation = dict[str, Any]
Parts = dict[str, Any]  # `parts.Parts.document`: a set that the remote has
VERSION = 1
REASONS = 20  # so many stand in a record


def create(pc: str, record: dict[str, Any], wake: bool | None = None) -> Operation:
    """Put a new handoff into the state. A queued one wakes its target in the same step unless `wake` says otherwise."""
    return _new("create", pc, record=record, wake=record.get("state") == "queued" if wake is None else wake)


def park(pc: str, handoff_id: str, until: str, to_pc: str | None = None, epoch: int | None = None) -> Operation:
    """queued → parked until an ISO time; also moves the time of one that is parked, because resets move. With `epoch`
    only in that one."""
    return _new("park", pc, handoff_id=handoff_id, until=until, to_pc=to_pc, decided_in=epoch)


def wake(pc: str, handoff_id: str) -> Operation:
    """parked → queued once its time has come, and the one wake for it."""
    return _new("wake", pc, handoff_id=handoff_id)


def claim(pc: str, handoff_id: str, anyone: bool = False, seen: str | None = None) -> Operation:
    """queued (or parked and due) → claimed by `pc`: a new epoch, one attempt more, archived, its wake archived too.

    Only the PC it is meant for may claim, unless `anyone`. `seen`: when this PC first saw it. After more than three
    attempts the record ends as dead instead: look at the state that the change left.
    """
    return _new("claim", pc, handoff_id=handoff_id, anyone=anyone, seen=seen)


def running(pc: str, handoff_id: str, epoch: int, chain: dict[str, str]) -> Operation:
    """claimed → running, or news of one that runs: `chain` adds times (started, first_line)."""
    return _new("running", pc, handoff_id=handoff_id, epoch=epoch, chain=chain)


def release(pc: str, handoff_id: str, epoch: int, until: str | None = None, reason: str = "") -> Operation:
    """claimed or running → queued, or parked `until`; the epoch stays, the next claim takes a new one."""
    return _new("release", pc, handoff_id=handoff_id, epoch=epoch, until=until, reason=reason)


def publish(pc: str, handoff_id: str, epoch: int, parts: Parts, news: dict[str, Any] | None = None) -> Operation:
    """running, and so it stays: new parts, which are in the remote already; `news` as in `repark`."""
    return _new("publish", pc, handoff_id=handoff_id, epoch=epoch, parts=parts, news=news or {})


def repark(
    pc: str,
    handoff_id: str,
    epoch: int,
    until: str | None,
    reason: str,
    news: dict[str, Any],
    parts: Parts | None = None,
) -> Operation:
    """claimed or running → parked, because a limit stopped it again; `until` None: nobody knows until when.

    `news` replaces members of the record that say what was stopped (limit, sessions, work, queue, resumes)."""
    return _new("repark", pc, handoff_id=handoff_id, epoch=epoch, until=until, reason=reason, news=news, parts=parts)


def pass_on(
    pc: str,
    handoff_id: str,
    epoch: int,
    to_pc: str,
    reason: str,
    until: str | None = None,
    news: dict[str, Any] | None = None,
    parts: Parts | None = None,
    parked_until: str | None = None,
) -> Operation:
    """claimed or running → queued for another PC, by the holder; `until`: when the limit that stopped it here resets.
    With `parked_until` parked there, because that PC has nothing left before."""
    given = {"to_pc": to_pc, "reason": reason, "until": until, "news": news or {}, "parts": parts}
    given["parked_until"] = parked_until
    return _new("pass_on", pc, handoff_id=handoff_id, epoch=epoch, **given)


def done(
    pc: str,
    handoff_id: str,
    epoch: int,
    outcome: str,
    parts: Parts | None = None,
    news: dict[str, Any] | None = None,
) -> Operation:
    """claimed or running → done, by the holder of this epoch, with the last parts; `news` as in `repark`."""
    return _new("done", pc, handoff_id=handoff_id, epoch=epoch, outcome=outcome, parts=parts, news=news or {})


def withdraw(pc: str, handoff_id: str, epoch: int, outcome: str) -> Operation:
    """queued or parked → done, because the work went on where it was."""
    return _new("withdraw", pc, handoff_id=handoff_id, epoch=epoch, outcome=outcome)


def reroute(
    pc: str,
    handoff_id: str,
    to_pc: str,
    epoch: int | None = None,
    reason: str = "",
    parked_until: str | None = None,
) -> Operation:
    """A waiting handoff to another PC, queued or `parked_until` there: a new epoch, one hop more, a wake for the new
    target. With `epoch` only in that one, so that of several PCs that see it wait only one moves it."""
    given = {"reason": reason, "parked_until": parked_until}
    return _new("reroute", pc, handoff_id=handoff_id, to_pc=to_pc, decided_in=epoch, **given)


def takeover(
    pc: str, handoff_id: str, epoch: int, to_pc: str, reason: str, parked_until: str | None = None
) -> Operation:
    """claimed or running in this epoch → queued or `parked_until` for another PC, because its holder is silent for too
    long."""
    given = {"to_pc": to_pc, "reason": reason, "parked_until": parked_until}
    return _new("takeover", pc, handoff_id=handoff_id, epoch=epoch, **given)


def recall(pc: str, handoff_id: str, epoch: int, reason: str) -> Operation:
    """By a person: waiting or held elsewhere in this epoch → parked at `pc` until that person goes on, in a new epoch."""
    return _new("recall", pc, handoff_id=handoff_id, epoch=epoch, reason=reason)


def hold(pc: str, handoff_id: str, epoch: int, reason: str, reasons: Sequence[str] = ()) -> Operation:
    """A waiting handoff is kept for a person at the PC it is meant for, in short and with all `reasons`; the next claim or
    move ends that."""
    listed = [one[:300] for one in reasons][:REASONS]
    return _new("hold", pc, handoff_id=handoff_id, epoch=epoch, reason=reason, reasons=listed)


def requeue(pc: str, handoff_id: str, to_pc: str | None = None, epoch: int | None = None) -> Operation:
    """By a person: anything but done → queued as if new, under a new epoch; with `epoch` only in the one that the person
    saw."""
    return _new("requeue", pc, handoff_id=handoff_id, to_pc=to_pc, decided_in=epoch)


def bury(pc: str, handoff_id: str, reason: str, epoch: int | None = None) -> Operation:
    """Anything but done → dead, under a new epoch; `epoch` as in `requeue`."""
    return _new("bury", pc, handoff_id=handoff_id, reason=reason, decided_in=epoch)


def bury_file(pc: str, path: str) -> Operation:
    """Move a file that cannot be read to `dead/`, as it is."""
    return _new("bury_file", pc, path=path)


def send_wake(pc: str, record: dict[str, Any]) -> Operation:
    """Leave a wake; a newer one replaces one that was not received yet."""
    return _new("send_wake", pc, record=record)


def take_wake(pc: str, processed: bool = True) -> Operation:
    """Archive the wake that stands for `pc`."""
    return _new("take_wake", pc, processed=processed)


def put_fleet(pc: str, document: dict[str, Any]) -> Operation:
    """Merge a fleet document: the salt of the first stays for ever, PCs are added or replaced, the rotation is
    extended, or put into the document's order when that names every PC of it."""
    return _new("put_fleet", pc, record=document)


def _new(kind: str, pc: str, **given: object) -> Operation:
    made = {
        "kind": "operation",
        "version": VERSION,
        "id": names.new_id(),
        "type": kind,
        "pc": names.check_pc(pc),
        "time": clock.iso(milliseconds=True),
        **given,
    }
    check(made, kind)
    return made


_RULES: dict[str, tuple[Callable[[Tree, Operation], Edits | Refusal], tuple[str, ...]]] = {
    "create": (transitions.create, ("record", "wake")),
    "park": (transitions.park, ("handoff_id", "until", "to_pc", "decided_in")),
    "wake": (transitions.wake, ("handoff_id",)),
    "claim": (transitions.claim, ("handoff_id", "anyone", "seen")),
    "running": (transitions.running, ("handoff_id", "epoch", "chain")),
    "release": (transitions.release, ("handoff_id", "epoch", "until", "reason")),
    "publish": (publishing.publish, ("handoff_id", "epoch", "parts", "news")),
    "repark": (publishing.repark, ("handoff_id", "epoch", "until", "reason", "news", "parts")),
    "pass_on": (
        moving.pass_on,
        ("handoff_id", "epoch", "to_pc", "reason", "until", "news", "parts", "parked_until"),
    ),
    "done": (publishing.done, ("handoff_id", "epoch", "outcome", "parts")),
    "withdraw": (transitions.withdraw, ("handoff_id", "epoch", "outcome")),
    "reroute": (moving.reroute, ("handoff_id", "to_pc", "decided_in", "parked_until")),
    "takeover": (moving.takeover, ("handoff_id", "epoch", "to_pc", "reason", "parked_until")),
    "recall": (moving.recall, ("handoff_id", "epoch", "reason")),
    "hold": (moving.hold, ("handoff_id", "epoch", "reason")),
    "requeue": (moving.requeue, ("handoff_id", "to_pc", "decided_in")),
    "bury": (transitions.bury, ("handoff_id", "reason", "decided_in")),
    "bury_file": (transitions.bury_file, ("path",)),
    "send_wake": (wakes.send_wake, ("record",)),
    "take_wake": (wakes.take_wake, ("processed",)),
    "put_fleet": (rotation.put_fleet, ("record",)),
}

_CARRIED = {"create": "handoff", "send_wake": "wake", "put_fleet": "fleet"}


def check(operation: Operation, source: str) -> None:
    """Raise BadRecord with all that is wrong with an operation, or NewerRecord."""
    version = operation.get("version")
    if isinstance(version, int) and version > VERSION:
        raise NewerRecord(source, version, VERSION)
    problems = []
    if operation.get("kind") != "operation" or version != VERSION:
        problems.append("no operation of version 1")
    if not names.is_operation(operation.get("id")):
        problems.append("id: no id of an operation")
    if not names.is_pc(operation.get("pc")):
        problems.append("pc: no id of a PC")
    if not members.is_time(operation.get("time")):
        problems.append("time: no time")
    since = operation.get("since")
    if since is not None and not names.is_oid(since):
        problems.append("since: no name of a commit")
    if operation.get("type") not in _RULES:
        problems.append(f"type: '{operation.get('type')}' is unknown")
    else:
        _, needed = _RULES[operation["type"]]
        # An operation of an older Trinity, which lies in an outbox perhaps, has less to say.
        named = dict.fromkeys([*needed, *({"news", "reasons"} & set(operation))])
        problems += [f"{name}: wrong" for name in named if not members.CHECKS[name](operation.get(name))]
    if problems:
        raise BadRecord(source, problems)
    if operation["type"] in _CARRIED:
        schema.validate(_CARRIED[operation["type"]], operation["record"], source)


def decision(operation: Operation) -> Decide:
    """The pure function of a checked operation, for `State.change`."""
    rule, _ = _RULES[operation["type"]]
    return lambda tree: rule(tree, operation)


def subject(operation: Operation) -> str:
    """One line for the state's history, for a person."""
    kind, pc = operation["type"], operation["pc"]
    record = operation.get("record") or {}
    about = str(operation.get("handoff_id") or record.get("id") or "")
    if kind == "create":
        return f"handoff: {record['from_pc']} → {record['to_pc']} ({record['reason'].replace('_', ' ')})"
    if kind == "send_wake":
        return f"wake: {record['from']} → {record['to']} ({record['task'].replace('_', ' ')})"
    if kind == "put_fleet":
        return f"fleet: {', '.join(sorted(record['pcs']))}"
    if kind in ("reroute", "pass_on", "takeover"):
        return f"{kind.replace('_', ' ')}: {about} to {operation['to_pc']} by {pc}"
    if kind in ("park", "release", "repark") and operation["until"]:
        return f"{kind}: {about} until {operation['until']} by {pc}"
    details = operation.get("outcome") or operation.get("reason") or operation.get("path") or ""
    return f"{kind.replace('_', ' ')}: {about or pc}{f' by {pc}' if about else ''}{f' ({details})' if details else ''}"
