"""See Trinity at its main job, with no account and nothing installed: ./install.sh --demo

A temporary home gets Trinity by its own installer; a scripted API on loopback stands for the provider; the real Claude
Code works on a task until a usage limit stops it, the daemon parks the work, waits for the reset, and resumes the same
conversation. Every line carries the seconds since the start, every step is asked of the programs that users call.
Afterwards only `.venv` and package caches are left.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(CHECKOUT), str(CHECKOUT / "lib")]

from tests.demo_stage import DemoFailed, Stage
from tests.fake_api import Request, ScriptedApi
from trinity.errors import TrinityError

TASK = "Write the release notes: first notes.md with the features, then fixes.md with the fixes."
FIRST = "First the features."
RESET_IN = 20.0


def play(stage: Stage, reset_in: float) -> None:
    """The whole story; raises DemoFailed at the first step that does not happen."""
    stage.tell(f"a scripted API stands for the provider: {stage.api.url}; no account, no request leaves this machine")
    stage.tell("Trinity is installed into a home of its own")
    account = ("--account", "demo", "--account-kind", "subscription")
    stage.program("install", "--pc", "PC1", *account, "--no-timers", shown=False)
    stage.start_daemon("--interval", "1")
    stage.tell("the daemon watches (an installation has your system start it)")
    session, reset = work_until_the_limit(stage, reset_in)
    see_it_parked(stage, session)
    first = see_it_resumed(stage, session, reset)
    see_the_conversation(stage, first)
    show_where_everything_is(stage, session)


def work_until_the_limit(stage: Stage, reset_in: float) -> tuple[str, float]:
    notes = {"file_path": str(stage.client.project / "notes.md"), "content": "# Features\n"}
    fixes = {"file_path": str(stage.client.project / "fixes.md"), "content": "# Fixes\n"}
    answers = ((FIRST, notes), ("Now the fixes, as asked.", fixes))
    steps = [{"text": text, "tools": [{"name": "Write", "input": file}]} for text, file in answers]
    stage.api.set_plan({"steps": steps, "default": {"text": "Both files are written."}})
    reset = time.time() + reset_in
    limit = stage.api.limit_until(reset, after=1)
    stage.command("claude", "-p", TASK)
    stopped = stage.client.headless(TASK, "--permission-mode", "acceptEdits", timeout=120)
    if stopped.returncode != 1 or not any(request.limited for request in stage.api.requests):
        raise DemoFailed(f"the client was to stop at a limit, but: {stopped.stdout[-500:]} {stopped.stderr[-500:]}")
    stage.tell(f"Claude Code stops in the middle: “{stopped.text}” (exit {stopped.returncode})")
    stage.tell(f"notes.md is written, fixes.md is not; session {stopped.session}")
    return stopped.session, limit.until


def see_it_parked(stage: Stage, session: str) -> None:
    record = stage.wait("the work was parked", lambda: stage.handoff(session))
    until = record.get("parked_until")
    stage.tell(f"recorded, judged and saved: handoff {record['id']}, {record['state']} until {until}")
    stage.program("evaluate_status")
    stage.program("handoffs", "list")


def see_it_resumed(stage: Stage, session: str, reset: float) -> Request:
    stage.tell(f"{max(0.0, reset - time.time()):.0f} s to the reset; nobody types anything")
    first = stage.wait("the session was resumed", lambda: stage.served(session, reset), reset - time.time() + 90)
    stage.tell(f"the reset was {first.time - reset:.1f} s ago: the daemon has resumed session {session}")
    stage.wait("the handoff was done", lambda: stage.handoff(session, "done"), 60)
    stage.wait("fixes.md was written", lambda: (stage.client.project / "fixes.md").exists())
    stage.tell("fixes.md is written too, and the handoff is done")
    resumed = {request.session for request in stage.api.main_requests()}
    if resumed != {session}:
        raise DemoFailed(f"more than one session asked the API: {sorted(resumed)}")
    return first


def see_the_conversation(stage: Stage, first: Request) -> None:
    stage.tell("what the resumed session sent first: the same conversation, earlier turns included")
    for role, text in first.turns:
        # the client's reminders to the model are no part of what was said
        said = re.sub(r"<system-reminder>.*?</system-reminder>", "", text, flags=re.S)
        lines = [line for line in said.splitlines() if line.strip()] if role in ("user", "assistant") else []
        for line in lines[:4]:
            stage.show(f"{role:>9} │ {line[:100]}{' …' if line[100:] else ''}")
    if TASK not in first.text or FIRST not in first.text:
        raise DemoFailed("the first request of the resumed session does not hold the earlier turns")


def show_where_everything_is(stage: Stage, session: str) -> None:
    record = stage.handoff(session, "done")
    stage.program("handoffs", "show", str(record["id"]))
    transcript = stage.client.transcript(session)
    rows = [
        ("the work", stage.client.project, "notes.md fixes.md"),
        ("the conversation", transcript.parent.parent, f"{transcript.name}, {len(stage.client.lines(session))} lines"),
        ("what hooks recorded", stage.home / "events", f"{stage.events()} events"),
        ("the handoff", stage.home / "handoff" / "processed", f"of {record['id']}, {record['state']}"),
        ("the fleet's state", stage.home / "remote.git", "refs/heads/trinity-state, one commit per change"),
        ("the resumed run", stage.home / "runs", " ".join(sorted(p.name for p in (stage.home / "runs").iterdir()))),
        ("hooks, status line", stage.client.settings, "entries of the installer, known by their mark"),
    ]
    print("\n  what is where (below " + str(stage.folder) + ")")
    for name, place, what in rows:
        print(f"    {name:<20} {place.relative_to(stage.folder)!s:<36} {what}")
    print()


def _compiled() -> set[Path]:
    """The byte code folders of the checkout: the ones a demo makes are taken away again."""
    return {found for part in ("lib", "hooks", "scripts", "tests") for found in (CHECKOUT / part).rglob("__pycache__")}


def _removed(folder: Path) -> bool:
    for _ in range(20):  # what is just ending may still write
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return True
        time.sleep(0.25)
    return False


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reset-in", type=float, default=RESET_IN, metavar="SECONDS", help="default 20")
    parser.add_argument("--keep", action="store_true", help="leave the temporary home for a look")
    arguments = parser.parse_args(argv)
    before = _compiled()
    folder = Path(tempfile.mkdtemp(prefix="trinity-demo-")).resolve()
    print(
        f"Trinity, one PC: a usage limit ends a session, and the same conversation goes on by itself\n  in {folder}\n"
    )
    failed = ""
    try:
        with ScriptedApi() as api, Stage(api, folder) as stage:
            play(stage, arguments.reset_in)
    except (DemoFailed, TrinityError, TimeoutError, subprocess.TimeoutExpired, OSError) as error:
        failed = str(error)
    except KeyboardInterrupt:
        failed = "interrupted"
    if failed:
        print(f"demo: error: {failed}", file=sys.stderr)
        for log in [*sorted(folder.glob("home/.trinity/logs/*.log")), folder / "daemon.log"]:
            if log.exists():
                lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-8:]
                print("\n".join([f"  {log.name}:", *(f"    {line}" for line in lines)]), file=sys.stderr)
    if arguments.keep:
        print(f"  kept: {folder}")
    else:
        print(f"  removed: {folder}" if _removed(folder) else f"  could not be removed: {folder}")
    for made in _compiled() - before:
        shutil.rmtree(made, ignore_errors=True)
    return 130 if failed == "interrupted" else int(bool(failed))


if __name__ == "__main__":
    raise SystemExit(main())
