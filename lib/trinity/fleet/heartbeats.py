"""Heartbeats: each PC's last word about itself, on a ref of its own, replaced without a history.

No two PCs write one ref, so beats never race with the state. A reader sees a whole record or the one before. A beat of
another process under the same id is overwritten only after it was seen: two PCs with one id are found out by that.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trinity import files, schema
from trinity.errors import TrinityError
from trinity.fleet import embedded, names, own_ref
from trinity.fleet.snapshot import MAX_BYTES
from trinity.fleet.state import State

_PREFIX = "refs/trinity-hb/"
_FILE = "heartbeat.json"
_DRAFT = "refs/trinity/beat"


def beat(state: State, record: dict[str, Any]) -> str:
    """Publish this PC's heartbeat; returns its commit. Raises BadRecord, Offline, Busy."""
    schema.validate("heartbeat", record, f"heartbeat of {record.get('pc')}")
    ref = _PREFIX + names.check_pc(record["pc"])
    return state.alone(lambda: _beat(state, ref, record))


def _beat(state: State, ref: str, record: dict[str, Any]) -> str:
    clone = state.clone
    new = clone.commit(
        _DRAFT, None, f"heartbeat: {record['pc']} {record['status']}\n", {_FILE: files.dump_json(record)}
    )
    known = clone.resolve(ref)
    if Path(clone.url) == state.home.remote:
        embedded.sweep(state.home)
    own_ref.replace(clone, ref, new, known, f"the heartbeat of {record['pc']}")
    return new


def read_all(state: State) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """All heartbeats by PC, fetched; and those that cannot be read, with the reason. Raises Offline, Busy."""
    return state.alone(lambda: _read_all(state))


def marks(state: State) -> dict[str, str]:
    """By PC the commit of its heartbeat, as last fetched: it changes with every beat (`lease.silence`)."""
    listed = state.git("for-each-ref", "--format=%(refname) %(objectname)", _PREFIX).decode("utf-8", "replace")
    pairs = [line.removeprefix(_PREFIX).split(" ") for line in listed.splitlines()]
    return {pc: oid for pc, oid in pairs if names.is_pc(pc)}


def _read_all(state: State) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    clone = state.clone
    clone.fetch(f"+{_PREFIX}*:{_PREFIX}*")
    listed = clone.git("for-each-ref", "--format=%(refname) %(objectname)", _PREFIX).decode("utf-8", "replace")
    refs = [line.split(" ") for line in listed.splitlines()]
    asked = "".join(f"{oid}:{_FILE}\n" for _, oid in refs).encode()
    facts = clone.git("cat-file", "--batch-check", stdin=asked).decode("utf-8", "replace").splitlines()
    problems: dict[str, str] = {}
    blobs: dict[str, str] = {}
    for (ref, _), fact in zip(refs, facts, strict=True):
        pc = ref.removeprefix(_PREFIX)
        oid, kind, *size = fact.split(" ")
        if not names.is_pc(pc):
            problems[pc] = "no id of a PC"
        elif kind != "blob" or int(size[0]) > MAX_BYTES:
            problems[pc] = f"no {_FILE} of a usable size"
        else:
            blobs[pc] = oid
    records: dict[str, dict[str, Any]] = {}
    for pc, data in zip(blobs, clone.blobs(list(blobs.values())), strict=True):
        try:
            record = schema.read("heartbeat", data, f"heartbeat of {pc}")
        except TrinityError as error:
            problems[pc] = error.message
            continue
        if record["pc"] != pc:
            problems[pc] = f"it calls itself {record['pc']}"
        else:
            records[pc] = record
    return records, problems
