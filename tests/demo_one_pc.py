"""The demo's other story, for somebody with one PC: parked at the limit, resumed after its reset."""

from __future__ import annotations

import time

from tests.demo_stage import DemoFailed, Pc, Stage
from tests.fake_api import Request

TITLE = "Trinity, one PC: a usage limit ends a session, and the same conversation goes on by itself"
TASK = "Write the release notes: first notes.md with the features, then fixes.md with the fixes."
FIRST = "First the features."


def play(stage: Stage, reset_in: float) -> None:
    """The whole story; raises DemoFailed at the first step that does not happen."""
    stage.tell(f"a scripted API stands for the provider: {stage.api.url}; no account, no request leaves this machine")
    stage.tell("Trinity is installed into a home of its own, and its daemon watches")
    pc = stage.pc("PC1")
    pc.install("--account", "demo", "--account-kind", "subscription")
    pc.watch()
    session, reset = _work_until_the_limit(stage, pc, reset_in)
    _see_it_parked(stage, pc, session)
    first = _see_it_resumed(stage, pc, session, reset)
    stage.tell("what the resumed session sent first: the same conversation, earlier turns included")
    stage.show_conversation(first)
    if TASK not in first.text or FIRST not in first.text:
        raise DemoFailed("the first request of the resumed session does not hold the earlier turns")
    _show_where_everything_is(stage, pc, session)


def _work_until_the_limit(stage: Stage, pc: Pc, reset_in: float) -> tuple[str, float]:
    notes = {"file_path": "notes.md", "content": "# Features\n"}
    fixes = {"file_path": "fixes.md", "content": "# Fixes\n"}
    answers = ((FIRST, notes), ("Now the fixes, as asked.", fixes))
    steps = [{"text": text, "tools": [{"name": "Write", "input": file}]} for text, file in answers]
    stage.api.set_plan({"steps": steps, "default": {"text": "Both files are written."}})
    limit = stage.api.limit_until(time.time() + reset_in, after=1)
    stopped = pc.claude(TASK, "--permission-mode", "acceptEdits")
    if stopped.returncode != 1 or not any(request.limited for request in stage.api.requests):
        raise DemoFailed(f"the client was to stop at a limit, but: {stopped.stdout[-500:]} {stopped.stderr[-500:]}")
    stage.tell(f"Claude Code stops in the middle: “{stopped.text}” (exit {stopped.returncode})")
    stage.tell(f"notes.md is written, fixes.md is not; session {stopped.session}")
    return stopped.session, limit.until


def _see_it_parked(stage: Stage, pc: Pc, session: str) -> None:
    record = stage.wait("the work was parked", lambda: pc.handoff(session))
    until = record.get("parked_until")
    stage.tell(f"recorded, judged and saved: handoff {record['id']}, {record['state']} until {until}")
    pc.program("evaluate_status")
    pc.program("handoffs", "list")


def _see_it_resumed(stage: Stage, pc: Pc, session: str, reset: float) -> Request:
    stage.tell(f"{max(0.0, reset - time.time()):.0f} s to the reset; nobody types anything")
    first = stage.wait("the session was resumed", lambda: stage.served(session, pc, reset), reset - time.time() + 90)
    stage.tell(f"the reset was {first.time - reset:.1f} s ago: the daemon has resumed session {session}")
    stage.wait("the handoff was done", lambda: pc.handoff(session, state="done"), 120)
    stage.wait("fixes.md was written", lambda: (pc.client.project / "fixes.md").exists())
    stage.tell("fixes.md is written too, and the handoff is done")
    resumed = {request.session for request in stage.api.main_requests()}
    if resumed != {session}:
        raise DemoFailed(f"more than one session asked the API: {sorted(resumed)}")
    return first


def _show_where_everything_is(stage: Stage, pc: Pc, session: str) -> None:
    record = pc.handoff(session, state="done")
    pc.program("handoffs", "show", str(record["id"]))
    transcript = pc.client.transcript(session)
    rows = [
        ("the work", pc.client.project, "notes.md fixes.md"),
        ("the conversation", transcript.parent.parent, f"{transcript.name}, {len(pc.client.lines(session))} lines"),
        ("what hooks recorded", pc.home / "events", f"{pc.events()} events"),
        ("the handoff", pc.home / "handoff" / "processed", f"of {record['id']}, {record['state']}"),
        ("the fleet's state", pc.home / "remote.git", "refs/heads/trinity-state, one commit per change"),
        ("the resumed run", pc.home / "runs", " ".join(sorted(p.name for p in (pc.home / "runs").iterdir()))),
        ("hooks, status line", pc.client.settings, "entries of the installer, known by their mark"),
    ]
    print("\n  what is where (below " + str(stage.folder) + ")")
    for name, place, what in rows:
        print(f"    {name:<20} {place.relative_to(stage.folder)!s:<36} {what}")
    print()
