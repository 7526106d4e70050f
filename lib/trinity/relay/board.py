"""Where the work is, in words: for the status line, `trinity status` and the seeds' dashboard file.

Read from the view of the state, so it costs no git and shows what was known at the last fetch.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trinity import clock, files, schema
from trinity.config import Config
from trinity.credit import ahead
from trinity.credit.evaluation import Evaluation
from trinity.errors import BadRecord, TrinityError
from trinity.fleet import rotation
from trinity.home import Home
from trinity.relay import homecoming, lost

Record = dict[str, Any]
_RECENT = 2 * 86400.0
_ERRORS = 10
_SHOWN = 3


def open_handoffs(home: Home) -> list[Record]:
    """The handoffs that are not done, oldest first."""
    paths = list(home.handoff.glob("handoff_*.json"))
    recent = time.time() - _RECENT
    paths += [path for path in home.processed.glob("handoff_*.json") if path.stat().st_mtime > recent]
    found = [record for path in paths if (record := _read(path)) and record["state"] not in ("done", "dead")]
    return sorted(found, key=lambda record: str(record["timestamp"]))


def _read(path: Path) -> Record | None:
    try:
        return schema.read("handoff", path.read_bytes(), str(path))
    except (TrinityError, OSError):
        return None  # the round that fetched it has reported it


def where(record: Record, pc: str, others: Mapping[str, str] | None = None) -> str:
    """One handoff in a few words; `others`: what there is to know of the PCs (`others.in_words`)."""
    state, by_hand = record["state"], f"trinity accept_handoff {record['id']}"
    why = f" ({record['outcome']})" if record.get("outcome") else ""
    if state == "dead":
        return f"given up: {record.get('outcome') or 'by a person'}; trinity handoffs requeue {record['id']}"
    if state == "done":
        return str(record.get("outcome") or state)
    if record.get("held"):
        return f"kept for a person on {record['held']['pc']}: {record['held']['why']}; there: {by_hand}"
    if state == "parked" and record["parked_until"] is None:
        at = "" if record["to_pc"] == pc else f" on {record['to_pc']}"
        why = f"waits{at}: {record['outcome']}" if why else f"parked{at} until a success or a person"
        return f"{why}; {by_hand}"
    if state == "parked":
        at = "" if record["to_pc"] == pc else f" for {_with(record['to_pc'], others)}"
        return f"parked{at} until {clock.local(clock.parse(record['parked_until']))}{why}"
    if state == "queued":
        if record["to_pc"] == pc:
            return f"ready: {by_hand}"
        return f"waits for {_with(record['to_pc'], others)}{why}"
    doing = "runs" if state == "running" else "starting"
    return f"{doing} on {'this PC' if record['owner'] == pc else _with(record['owner'], others)}"


def _with(pc: str, others: Mapping[str, str] | None) -> str:
    about = (others or {}).get(pc)
    return f"{pc}, {about}" if about else pc


def what(record: Record) -> str:
    """What the handoff is about, in a few words."""
    work = record.get("current_work") or {}
    session = (record.get("sessions") or [{}])[0]
    folder = Path(session.get("cwd") or "").name
    text = work.get("subject") or work.get("last_prompt") or work.get("task_id") or record["reason"]
    return f"{folder}: {text}"[:60] if folder else str(text)[:60]


def news(home: Home) -> list[str]:
    """What a person here should know of work that is not open any more: results that came home, results that stayed."""
    lines = [f"handoff {one['handoff_id']}: {one['said']}" for one in homecoming.waiting(home)]
    recent = time.time() - _RECENT
    return lines + [lost.in_words(kept) for kept in lost.of(home) if clock.parse(kept["at"]) > recent]


def write(home: Home, config: Config, answer: Evaluation) -> None:
    """Write the status line's text and `dashboards/credit_status.json`."""
    waiting = open_handoffs(home)
    everything = news(home) + [f"{what(record)} {where(record, config.pc)}" for record in waiting]
    shown = everything[:_SHOWN]
    if len(everything) > _SHOWN:
        shown.append(f"and {len(everything) - _SHOWN} more")
    reason = f" ({answer.signals[0].text})" if answer.signals else ""
    line = f"{config.pc} {answer.status}{reason}{_ahead(answer)}\t{'; '.join(shown)}".replace("\n", " ")
    # Not fsynced and not through a lock: it is rewritten at every evaluation, and a lost one costs a minute.
    temporary = home.status_line / f"text.{time.monotonic_ns()}"
    temporary.write_text(line + "\n", encoding="utf-8", newline="\n")
    files.replace(temporary, home.status_line / "text")
    update_dashboard(home, config, answer.document)


def _ahead(answer: Evaluation) -> str:
    """The window that will be full first, if one will: the client itself shows how much of it is used."""
    full = [one for one in answer.aheads if one.likely is not None and one.used < 100]
    first = min(full, key=lambda one: one.likely or 0.0, default=None)
    if first is None:
        return ""
    return f", {first.name.replace('_', '-')} window {ahead.when_full(first)}"


def update_dashboard(home: Home, config: Config, document: Record, order: list[str] | None = None) -> Record:
    """Bring this PC's entry of `dashboards/credit_status.json` up to date; the other PCs' entries stay."""
    path = home.dashboards / "credit_status.json"
    home.dashboards.mkdir(mode=0o700, exist_ok=True)
    try:
        known = schema.read("credit_status", path.read_bytes(), str(path))
    except FileNotFoundError:
        known = {"kind": "credit_status", "version": 1, "pcs": {}}
    except BadRecord as error:
        files.quarantine(home, path, error.message)
        known = {"kind": "credit_status", "version": 1, "pcs": {}}
    keys = (
        "pc",
        "timestamp",
        "status",
        "rate_limit_count",
        "slow_response_count",
        "error_rate",
        "success_count",
        "error_count",
        "avg_response_time",
    )
    entry = {key: document[key] for key in keys}
    entry["recent_errors"] = document.get("recent_errors", [])[-_ERRORS:]
    entry["next_pc"] = (
        rotation.next_pc(order, config.pc) if order else known["pcs"].get(config.pc, {}).get("next_pc", config.pc)
    )
    known["pcs"][config.pc] = entry
    known["last_update"] = clock.iso()
    files.write_json(path, known)
    return known
