"""Starting a claimed handoff, and learning what became of the start.

The chain written → pushed → seen → claimed → started → first line is timed; only the last one counts: a new answer of the
model in the conversation. Before it, a start can have ended in three ways: at the limit again, refused by the client (then a
new session is started from the handoff's text), or dead.
"""

from __future__ import annotations

import sys
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from trinity import clock, files, program
from trinity.config import Config
from trinity.credit import limits, sessions, transcript_tail, transcripts
from trinity.credit.transcripts import Cursor
from trinity.errors import TrinityError
from trinity.fleet import journal
from trinity.home import Home
from trinity.relay import drain
from trinity.work import client as clients
from trinity.work import launch, prompt

Record = dict[str, Any]
_POLL_SECONDS = 0.1
_END_SECONDS = 8.0


@dataclass(frozen=True)
class Seen:
    """What the transcript says since a start: the first answer's time, and how it stands now.

    `state`: "answered", "limit" (stopped again before any answer), "failed" (an error that no reset cures), "silent".
    """

    state: Literal["answered", "limit", "failed", "silent"]
    first_line: float | None = None
    verdict: limits.Verdict | None = None
    text: str = ""


def prepare(record: Record, mode: str) -> dict[str, Any]:
    """What the journal must know before anything is started: the conversation and how far it goes."""
    session = (record.get("sessions") or [None])[0]
    path = Path(session["transcript_path"]) if session and session.get("transcript_path") else None
    if path is not None and path.is_file():
        _, cursor = transcripts.read_new(path, None, first_bytes=0)
        return {"mode": mode, "session_id": session["session_id"], "cursor": cursor.document()}
    return new_conversation(mode)


def new_conversation(mode: str) -> dict[str, Any]:
    """The same for a conversation that does not exist yet: its id is ours, so that it can be found."""
    return {"mode": mode, "session_id": str(uuid.uuid4()), "cursor": None, "new": True}


def start(home: Home, config: Config, record: Record, entry: dict[str, Any]) -> dict[str, Any]:
    """Start the client for `record` as `entry` says; the entry with pid, started_at and where. Raises TrinityError."""
    session = entry.get("session") or (record.get("sessions") or [{}])[0]
    _check_profile(config, session.get("config_dir"))
    drain.withdraw(home, record)
    fresh = bool(entry.get("new"))
    told = prompt.new_session(record) if fresh else prompt.resume(record)
    if entry.get("note"):
        told = f"{told}\n{entry['note']}\n"
    begin = launch.Start(
        client=clients.find(config.client),
        cwd=session.get("cwd") or str(Path.home()),
        text=told,
        session_id=None if fresh else entry["session_id"],
        new_session_id=entry["session_id"] if fresh else None,
        permission_mode=config.resume.permission_mode,
        config_dir=session.get("config_dir"),
        model=session.get("model"),
        arguments=tuple(entry.get("arguments") or ()),
        name=f"trinity-{record['id']}-e{record['epoch']}",
        run_file=home.runs / f"{record['id']}-e{record['epoch']}{'-new' if fresh else ''}",
    )
    if entry["mode"] != "headless" and not fresh:
        # A screen client's prompt is an argument that others can read, and a person's start has none of ours; what was
        # recorded reaches them by SessionStart.
        note = f"{entry.get('note', '')}\n{prompt.recorded(record)}".lstrip()
        files.write_atomic(_note(home, entry), note.encode("utf-8"))
    started = launch.run(begin, entry["mode"])
    program.log(home, "handoff", f"{record['id']} epoch {record['epoch']} started {started.where}")
    return {
        **entry,
        "pid": started.pid,
        "born": birth(started.pid),
        "started_at": clock.iso(milliseconds=True),
        "where": started.where,
        "config_dir": session.get("config_dir"),
    }


def _check_profile(config: Config, config_dir: str | None) -> None:
    # Its settings say what a session may do and which programs its hooks run: that is this PC's to choose, not a record's.
    own = {Path.home() / ".claude", *map(Path, config.profiles)}
    if config_dir and Path(config_dir) not in own:
        raise TrinityError(
            f"'{config_dir}' is no profile of this PC", "add it to profiles in config.json, if you trust its settings"
        )


def take_back_note(home: Home, entry: dict[str, Any]) -> None:
    """The session has read it; a later resume by hand must not get it again."""
    _note(home, entry).unlink(missing_ok=True)


def _note(home: Home, entry: dict[str, Any]) -> Path:
    return home.notes / f"{entry['session_id']}.txt"


def seen(entry: dict[str, Any]) -> Seen:
    """What the conversation holds since the start."""
    path = transcript_of(entry)
    if path is None:
        return Seen("silent")
    cursor = Cursor.from_document(entry["cursor"]) if entry.get("cursor") else None
    facts, _ = transcripts.read_new(path, cursor)
    first = next((f.time for f in facts if isinstance(f, transcripts.ApiCall) and not f.sidechain), None)
    if first is not None:
        return Seen("answered", first)
    errors = [f for f in facts if isinstance(f, transcripts.ApiError) and not f.sidechain]
    if not errors:
        return Seen("silent")
    last = errors[-1]
    verdict = limits.classify(last.error, last.text, last.line, last.time, source="transcript")
    again = verdict.kind in ("hard", "transient", "auth")
    return Seen("limit" if again else "failed", None, verdict, last.text)


def transcript_of(entry: dict[str, Any]) -> Path | None:
    """The conversation's transcript: the one known, or wherever the client put a new one."""
    if entry.get("cursor"):
        path = Path(entry["cursor"]["path"])
        return path if path.is_file() else None
    profile = Path(entry["config_dir"]) if entry.get("config_dir") else Path.home() / ".claude"
    return next(iter((profile / "projects").glob(f"*/{entry['session_id']}.jsonl")), None)


def lives(entry: dict[str, Any]) -> bool:
    """Does the started client still run? Known by its process, else by the client's own list of live sessions."""
    if entry.get("pid") is not None:
        return birth(entry["pid"]) == entry.get("born") is not None
    profile = Path(entry["config_dir"]) if entry.get("config_dir") else Path.home() / ".claude"
    return any(client["session_id"] == entry["session_id"] for client in sessions.live_clients(profile))


def process_of(session_id: str) -> tuple[int, float] | None:
    """The running client that was started on this conversation: its process id, and when it began (epoch seconds)."""
    import psutil

    for process in psutil.process_iter(["pid", "cmdline", "create_time"]):
        arguments = process.info["cmdline"] or []
        if session_id in arguments and {"--resume", "--session-id"} & set(arguments):
            return process.info["pid"], process.info["create_time"]
    return None


def wait(entry: dict[str, Any], seconds: float) -> Seen:
    """Wait until the start has succeeded or failed, at most `seconds`."""
    deadline = time.monotonic() + seconds
    # A window of a terminal takes a moment to register itself; before that its absence means nothing.
    settled = time.monotonic() + (_END_SECONDS if entry.get("pid") is None else 0)
    while True:
        running = lives(entry) or time.monotonic() < settled
        found = seen(entry)
        if found.state == "answered" or not running or time.monotonic() >= deadline:
            return found
        if found.state in ("limit", "failed") and entry["mode"] != "headless":
            return found  # an interactive client stays open at its error
        time.sleep(_POLL_SECONDS)


def live_elsewhere(record: Record) -> list[sessions.Client]:
    """The clients that have the record's conversation open."""
    return [
        client
        for session in record.get("sessions") or []
        if session.get("config_dir")
        for client in sessions.live_clients(Path(session["config_dir"]))
        if client["session_id"] == session["session_id"]
    ]


def open_in(record: Record, mode: str) -> str:
    """Why a client that has the conversation open forbids a start in `mode`, in words; empty when none does.

    The client itself lets one conversation be open twice, and both then write to it. Only a client at which nothing goes on
    is ever asked to leave, and only where a window takes its place: one that says it is idle, or that shows the dialog of
    the limit that stopped it (2.1.197). One that runs where this process cannot look is known by a number that means
    another process here.
    """
    stopped = any(_stands_at_error(session) for session in record.get("sessions") or [])
    for client in live_elsewhere(record):
        where = f"the conversation is open in a client (process {client['pid']})"
        if mode == "headless":
            return f"{where}: go on there, or close it"
        quiet = client["status"] == "idle" or (client["status"] == "waiting" and stopped)
        if mode in ("tmux", "terminal") and not (client["certain"] and quiet):
            return f"{where}, which is {client['status'] or 'not known to be idle'}: go on there, or close it"
    return ""


def _stands_at_error(session: Record) -> bool:
    path = Path(session.get("transcript_path") or "")
    return path.is_file() and transcript_tail.tail_facts(path).stopped


def continued(record: Record) -> str:
    """Has the conversation gone on without us since it stopped? How, in words; empty when it has not."""
    for session in record.get("sessions") or []:
        path = Path(session.get("transcript_path") or "")
        if not path.is_file():
            continue
        tail = transcript_tail.tail_facts(path)
        if tail.last_uuid is not None and tail.last_uuid == session.get("last_uuid"):
            continue  # nothing was added, whatever the times say
        stopped_at = clock.parse(record["timestamp"])
        if record.get("limit"):
            stopped_at = min(stopped_at, clock.parse(record["limit"]["seen_at"]))
        # "prompt" alone is not enough: a prompt that a hook refused or that hit the limit again led nowhere.
        if tail.ends_with in ("answer", "tool_use", "tool_result") and (tail.last_time or 0) > stopped_at + 1:
            return "the session went on by itself"
    return ""


def as_it_stands(record: Record) -> list[dict[str, Any]]:
    """The record's sessions, with the ends that their transcripts have now."""
    found = []
    for session in record.get("sessions") or []:
        path = Path(session.get("transcript_path") or "")
        if path.is_file():
            tail = transcript_tail.tail_facts(path)
            session = {**session, "transcript_bytes": tail.size, "last_uuid": tail.last_uuid}
        found.append(session)
    return found


def journal_entry(home: Home, record: Record) -> dict[str, Any] | None:
    """What was started for this record and epoch, if anything."""
    return journal.read(home, record["id"], record["epoch"])


def _birth_linux(pid: int | None) -> str | None:
    # In ticks since the boot: seconds since 1970 are made of these and the clock, and move whenever that is set.
    try:
        data = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return None
    fields = data.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X") else f"{fields[19]}@{boot}"


def _birth_anywhere(pid: int | None) -> str | None:
    import psutil

    if pid is None:
        return None
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.3f}"
    except psutil.Error:
        return None


# When a process began, as a text to be compared; None when it does not run. A process id alone may have been given to
# another process since.
birth = _birth_linux if sys.platform == "linux" else _birth_anywhere
