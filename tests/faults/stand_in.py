"""A quick stand-in for Claude Code, for faults that need hundreds of starts: what a real one shows, and no API.

Like the real client it takes `-p`, `--resume`, `--session-id`, reads its prompt, lists itself in `sessions/PID.json` and
appends to the transcript. What it does is the entry of `plan.json` beside it for this start (the last entry for later ones):

    {"do": "answer", "seconds": 0.2}    answers after so long, `answers` times (default 1), then ends
    {"do": "error", "after": 0, "error": "overloaded", …}    answers `after` times, then an error line with these members
    {"do": "leave"}                     ends without a word

An entry's `stay` keeps it alive for so many seconds at its end. Every start and end is a line of `starts.jsonl` beside it,
and "stopped" when it has met its error: what it does from then on is leave.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from pathlib import Path

BESIDE = Path(__file__).resolve().parent


def main(argv: list[str]) -> int:
    if argv == ["--version"]:
        print("2.1.197 (Claude Code)")
        return 0
    session = next((argv[at + 1] for at, word in enumerate(argv) if word in ("--resume", "--session-id")), "none")
    number = _note(session, "start", arguments=argv)
    plan = json.loads((BESIDE / "plan.json").read_text(encoding="utf-8"))
    entry = plan[min(number, len(plan) - 1)]
    profile = Path(os.environ.get("CLAUDE_CONFIG_DIR") or Path.home() / ".claude")
    listed = profile / "sessions" / f"{os.getpid()}.json"
    listed.parent.mkdir(parents=True, exist_ok=True)
    listed.write_text(json.dumps({"pid": os.getpid(), "sessionId": session, "startedAt": time.time() * 1000}))
    prompt = sys.stdin.read() if "-p" in argv else argv[-1]
    time.sleep(entry.get("seconds", 0))
    if entry["do"] != "leave":
        found = next(iter(profile.glob(f"projects/*/{session}.jsonl")), None)
        path = found or profile / "projects" / re.sub(r"[^A-Za-z0-9]", "-", os.getcwd()) / f"{session}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        said = {"role": "user", "content": prompt}
        append(path, session, type="user", promptId=f"prompt-{os.getpid()}", message=said)
        for at in range(entry.get("answers", 1) if entry["do"] == "answer" else entry.get("after", 0)):
            answer(path, session, f"answer {at}")
        if entry["do"] == "error":
            error(path, session, **{key: entry[key] for key in entry if key not in ("do", "after", "seconds", "stay")})
            _note(session, "stopped")
    time.sleep(entry.get("stay", 0))
    listed.unlink(missing_ok=True)
    _note(session, "end")
    return int(entry["do"] != "answer")


def append(path: Path, session: str, **members: object) -> None:
    """One line of the transcript, of now."""
    now = time.time()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03d}Z"
    line = {"isSidechain": False, "sessionId": session, "uuid": f"u{time.time_ns()}", "entrypoint": "sdk-cli"}
    data = json.dumps({**line, "cwd": os.getcwd(), **members, "timestamp": stamp}, separators=(",", ":")) + "\n"
    with path.open("ab") as stream:
        stream.write(data.encode("utf-8"))


def answer(path: Path, session: str, text: str) -> None:
    said = {"role": "assistant", "model": "claude-sonnet-5", "content": [{"type": "text", "text": text}]}
    append(path, session, type="assistant", message={"id": f"msg_{time.time_ns()}", **said})


def error(path: Path, session: str, text: str = "refused", **members: object) -> None:
    said = {"role": "assistant", "model": "<synthetic>", "content": [{"type": "text", "text": text}]}
    append(
        path,
        session,
        type="assistant",
        isApiErrorMessage=True,
        message={"id": f"err_{time.time_ns()}", **said},
        **members,
    )


def _note(session: str, what: str, **more: object) -> int:
    """Write a line of `starts.jsonl`; returns how many starts there were before."""
    file = BESIDE / "starts.jsonl"
    line = {"what": what, "session": session, "pid": os.getpid(), "time": time.time(), **more}
    with file.open("ab") as stream:
        stream.write(json.dumps(line).encode("utf-8") + b"\n")
    return file.read_bytes().count(b'"start"') - 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
