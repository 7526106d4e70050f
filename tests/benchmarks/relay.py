"""From a session's StopFailure to the picture that knows it, and to the handoff in the fleet's state.

    python tests/benchmarks/relay.py [--quick] [--rounds N]

Each round a new session meets a usage limit: its error line is in the transcript, and the hook is started as the client
starts it. Measured from then on: the hook has left (all the client waits for), the picture knows of the stop (goal: 1 s) and
its handoff is in the state (goal: 2 s), each also as a ratio to `python -S -c pass`. A benchmark, not a test: exit 0.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from statistics import median

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "lib"))

import psutil

from trinity import clock
from trinity.home import Home

PYTHON = os.path.realpath(sys.executable)
PAYLOAD = CHECKOUT / "tests" / "hooks" / "payloads" / "2.1.328" / "StopFailure.json"
GOALS = {"hook has left": None, "picture knows": 1.0, "handoff is in the state": 2.0}
_WAIT = 60.0


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--quick", action="store_true", help="few rounds: shows that it runs")
    options = parser.parse_args(argv)
    rounds = 2 if options.quick else options.rounds
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        home = _install(folder)
        times: dict[str, list[float]] = {what: [] for what in GOALS}
        for number in range(rounds + 1):
            for what, seconds in _stop(folder, home).items():
                if number:  # the first one warms up
                    times[what].append(seconds)
        floor = _floor(rounds)
    print(f"medians of {rounds}; python -S -c pass took {floor * 1000:.1f} ms")
    print(f"{'from the start of the StopFailure hook until':<46}{'seconds':>9}{'goal':>6}{'ratio':>9}")
    for what, goal in GOALS.items():
        middle = median(times[what])
        missed = "   missed" if goal and middle > goal else ""
        print(f"{what:<46}{middle:>9.3f}{goal or '':>6}{middle / floor:>7.1f} x{missed}")
    return 0


def _environment(folder: Path) -> dict[str, str]:
    kept = ("PATH", "SYSTEMROOT", "COMSPEC", "PATHEXT", "TEMP", "TMP")
    here = {name: os.environ[name] for name in kept if name in os.environ}
    return {**here, "HOME": str(folder), "USERPROFILE": str(folder), "TZ": "UTC"}


def _install(folder: Path) -> Home:
    home = Home(folder / ".trinity")
    command = [sys.executable, str(CHECKOUT / "scripts" / "install.py"), "--no-timers", "--home", str(home.root)]
    subprocess.run(command, env=_environment(folder), check=True, capture_output=True)
    # The interpreter that runs this has the packages, whether or not there is a .venv.
    (home.root / "python").write_text(sys.executable + "\n", encoding="utf-8")
    return home


def _stop(folder: Path, home: Home) -> dict[str, float]:
    session = str(uuid.uuid4())
    transcript = folder / ".claude" / "projects" / "-project" / f"{session}.jsonl"
    transcript.parent.mkdir(parents=True, exist_ok=True)
    payload = json.loads(PAYLOAD.read_text(encoding="utf-8"))
    reset = time.strftime("%I:%M%p", time.gmtime(clock.now() + 7200)).lower()
    text = f"You've hit your 5-hour limit · resets {reset} (UTC)"
    payload |= {"session_id": session, "transcript_path": str(transcript), "cwd": str(folder)}
    payload |= {"last_assistant_message": text}
    common = {"sessionId": session, "isSidechain": False, "timestamp": clock.iso(milliseconds=True)}
    lines = [
        {"type": "user", "uuid": "u1", "message": {"role": "user", "content": "build it"}, **common},
        {
            "type": "assistant",
            "uuid": "u2",
            "isApiErrorMessage": True,
            "error": "rate_limit",
            "message": {"model": "<synthetic>", "role": "assistant", "content": [{"type": "text", "text": text}]},
            **common,
        },
    ]
    transcript.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8", newline="\n")
    if sys.platform == "win32":
        launcher = ["powershell.exe", "-NoProfile", "-ExecutionPolicy", "Bypass", "-File"]
        launcher.append(str(CHECKOUT / "hooks" / "stop_failure.ps1"))
    else:
        launcher = ["/bin/sh", str(CHECKOUT / "hooks" / "stop_failure.sh")]
    begin = time.perf_counter()
    subprocess.run(
        [*launcher, PYTHON, str(home.root)], input=json.dumps(payload).encode(), env=_environment(folder), check=True
    )
    left = time.perf_counter() - begin
    knows = _until(home.events / "picture.json", session, begin)
    saved = _handoff(home, session, begin)
    _finished(home)
    return {"hook has left": left, "picture knows": knows, "handoff is in the state": saved}


def _until(path: Path, text: str, begin: float) -> float:
    while time.perf_counter() < begin + _WAIT:
        try:
            if text in path.read_text(encoding="utf-8"):
                return time.perf_counter() - begin
        except OSError:
            pass  # not there yet, or just being replaced
        time.sleep(0.005)
    raise SystemExit(f"{text} was not seen in {path} within {_WAIT:g} s")


def _handoff(home: Home, session: str, begin: float) -> float:
    """The state's own commit, not the view of it: what another PC would fetch."""
    reference = home.remote / "refs" / "heads" / "trinity-state"
    before: bytes = b""
    while time.perf_counter() < begin + _WAIT:
        now = reference.read_bytes() if reference.exists() else b""
        took = time.perf_counter() - begin
        if now != before:
            before = now
            if session.encode() in _state(home):
                return took
        time.sleep(0.005)
    raise SystemExit(f"no handoff of {session} within {_WAIT:g} s")


def _finished(home: Home) -> None:
    """What the hook started tells the fleet more after that; it must not be in the way of the next round."""
    end = time.monotonic() + _WAIT
    while time.monotonic() < end and any(
        str(home.root) in (process.info["cmdline"] or [])  # one that has ended and waits for init has none
        for process in psutil.process_iter(["cmdline"])
    ):
        time.sleep(0.02)


def _state(home: Home) -> bytes:
    command = ["git", "-C", str(home.remote), "grep", "-h", "session_id", "refs/heads/trinity-state", "--", "handoff/"]
    return subprocess.run(command, capture_output=True).stdout


def _floor(rounds: int) -> float:
    took = []
    for _ in range(rounds):
        begin = time.perf_counter()
        subprocess.run([PYTHON, "-S", "-c", "pass"], check=True)
        took.append(time.perf_counter() - begin)
    return median(took)


if __name__ == "__main__":
    raise SystemExit(main())
