"""Work that waits for a person before it is started here, with all reasons why, and what the person has said.

From a PC that this one has never seen, from another trust group, or with changed configuration of the client, of git or of
CI: automatic rounds leave such work alone, and `accept_handoff ID` is the consent. Consent to files is one to their
content: the same ones are not asked about again. Whoever sends says which files it is; whoever receives looks itself,
after unpacking and before anything is started.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from trinity import clock, files, program
from trinity.errors import BadRecord, TrinityError
from trinity.fleet import operations
from trinity.fleet.snapshot import Snapshot
from trinity.home import Home
from trinity.relay.link import Link, Record
from trinity.relay.rounds import Round
from trinity.work import configuration

_FILE = "consents.json"
_SHOWN = 12
_KEPT = 500
_MORE = "and more"


class Needed(TrinityError):
    """Work whose `reasons` a person has to read first."""

    def __init__(self, reasons: list[str]) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = reasons


def meet(link: Link, snapshot: Snapshot) -> list[str]:
    """Remember the PCs of the fleet. The first time all are known: a person has just joined it; later ones are told. One
    whose work waits for a person already stays a stranger until that person accepts some of it."""
    fleet = link.fleet(snapshot)
    if fleet is None:
        return []
    said = _read(link.home)
    known, lines = said.get("pcs"), []
    met = dict(known) if isinstance(known, dict) else {}
    for pc, described in fleet["pcs"].items():
        if pc not in met and pc not in said.get("strangers", []):
            met[pc] = {"installation": described.get("installation"), "since": clock.iso()}
            if known is not None and pc != link.config.pc:
                lines.append(f"{pc} has joined the fleet: work it sends is accepted here from now on")
    if met != known:
        _write(link.home, {**said, "pcs": met})
    for line in lines:
        program.log(link.home, "alarms", line)
    return lines


def reasons(link: Link, snapshot: Snapshot, record: Record) -> list[str]:
    """Why a waiting handoff is not started here without a person; empty when it may be."""
    said = _read(link.home)
    if _agreed(said, record):
        return []
    senders = _senders(record, link.config.pc)
    if not senders:
        return []  # its own work, which nobody else has had
    found = []
    fleet = link.fleet(snapshot) or {"pcs": {}}
    known: Mapping[str, Any] = said["pcs"] if "pcs" in said else fleet["pcs"]
    for pc in sorted(senders):
        found += _of_sender(known, fleet, link.config.pc, pc)
    sessions = record.get("sessions") or []
    lies_here = bool(sessions) and all(each.get("pc") == link.config.pc for each in sessions)
    # What lies here was looked at when it arrived, and nothing more comes with it.
    marks = {} if lies_here else {str(one["path"]): str(one["mark"]) for one in record.get("touches") or []}
    return found + _of_files(said, marks)


def _work(record: Record) -> str:
    """What a person agrees to: the handoff with what it carries now, not with what another PC makes of it later."""
    return f"{record['id']} {(record.get('parts') or {}).get('oid', '')}".strip()


def _agreed(said: Mapping[str, Any], record: Record) -> bool:
    return _work(record) in said.get("handoffs", [])


def _senders(record: Record, pc: str) -> set[str]:
    return {record["from_pc"], *(s.get("pc", record["from_pc"]) for s in record.get("sessions") or [])} - {pc}


def _of_sender(known: Mapping[str, Any], fleet: Record, me: str, pc: str) -> list[str]:
    described = fleet["pcs"].get(pc, {})
    found = []
    if pc not in known:
        found.append(f"the first work from {pc}, a PC that was never seen here")
    elif pc in fleet["pcs"] and known[pc].get("installation") != described.get("installation"):
        found.append(f"{pc} was installed anew since it was last seen here: the first work from it")
    groups = [fleet["pcs"].get(each, {}).get("trust_group", "default") for each in (me, pc)]
    if groups[0] != groups[1]:
        found.append(f"{pc} is in the trust group '{groups[1]}', this PC in '{groups[0]}'")
    return found


def _of_files(said: Mapping[str, Any], marks: Mapping[str, str]) -> list[str]:
    agreed = set(said.get("contents", []))
    new = [path for path, mark in marks.items() if mark not in agreed]
    return [
        f"it brings {path}, which may run by itself" if path == configuration.COMMANDS else f"it changes '{path[:200]}'"
        for path in new
    ]


def touches(top: Path | None, manifest: Mapping[str, Any]) -> list[dict[str, str]]:
    """What a record says of the configuration that its work changes."""
    if top is None:
        return []
    marks = configuration.changed(top, manifest)
    listed = [{"path": path[:200], "mark": mark} for path, mark in list(marks.items())[:_SHOWN]]
    return listed + ([{"path": _MORE, "mark": ""}] if len(marks) > _SHOWN else [])


def check(home: Home, record: Record, top: Path, manifest: Mapping[str, Any]) -> None:
    """Look at unpacked work before anything is started in it; raises Needed."""
    said = _read(home)
    marks = configuration.changed(top, manifest)
    if _agreed(said, record):
        contents = dict.fromkeys([*said.get("contents", []), *marks.values()])
        _write(home, {**said, "contents": list(contents)[-_KEPT:]})
        return
    found = _of_files(said, marks)
    if found:
        raise Needed(found)


def give(link: Link, snapshot: Snapshot, record: Record) -> None:
    """A person accepts this handoff: its senders are known, and its files may be what they are."""
    said = _read(link.home)
    fleet = link.fleet(snapshot) or {"pcs": {}}
    known = dict(said.get("pcs") or {})
    for pc in _senders(record, link.config.pc):
        known[pc] = {"installation": fleet["pcs"].get(pc, {}).get("installation"), "since": clock.iso()}
    strangers = [pc for pc in said.get("strangers", []) if pc not in known]
    handoffs = [*(one for one in said.get("handoffs", []) if one != _work(record)), _work(record)]
    _write(link.home, {**said, "pcs": known, "handoffs": handoffs[-_KEPT:], "strangers": strangers})


def hold(made: Round, record: Record, why: Iterable[str]) -> None:
    """Keep a waiting handoff for a person here, with the reasons; told once."""
    found = list(why)
    told = _read(made.home)
    if "pcs" in told:
        unknown = {pc for pc in _senders(record, made.config.pc) if pc not in told["pcs"]}
        if not unknown <= set(told.get("strangers", [])):
            _write(made.home, {**told, "strangers": sorted({*told.get("strangers", []), *unknown})})
    held = record.get("held") or {}
    if held.get("pc") == made.config.pc and held.get("reasons") == found[: operations.REASONS]:
        return
    made.link.submit(operations.hold(made.config.pc, record["id"], record["epoch"], found[0], found))
    said = f"handoff {record['id']} waits for a person: {'; '.join(found)}"
    program.log(made.home, "alarms", said)
    made.lines.append(said)


def _read(home: Home) -> dict[str, Any]:
    try:
        found = files.read_or(home.root / _FILE, dict)
    except BadRecord as error:
        # Nobody has agreed to anything, and no PC is known: more is asked than needed, not less.
        files.quarantine(home, home.root / _FILE, error.message)
        return {"pcs": {}}
    return found if isinstance(found, dict) else {"pcs": {}}


def _write(home: Home, said: dict[str, Any]) -> None:
    files.write_json(home.root / _FILE, {"kind": "consents", "version": 1, **said})
