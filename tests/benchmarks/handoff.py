"""From a limit in the middle of a turn on PC1 to PC2's first request with the same conversation, by the real client.

    python tests/benchmarks/handoff.py [--files 10 10000 100000] [--client newest] [--rounds 3] [--poll 1] [--quick]

Two PCs with daemons share a fleet remote on this disk. `claude -p` on PC1 meets a 5-hour limit while five files of its
worktree are uncommitted; nothing is typed from then on. Each phase is the time since the one before it, so that they add up
to the total. Goal: total at most 3 s and one poll interval of PC2. Of a large project PC2 has a worktree ready from the
second arrival on, which it makes between two rounds: the first arrival is shown by itself. A benchmark, not a test: exit 0.
It ends with 1 only when the conversation or the files that arrive are not those that were sent.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(CHECKOUT), str(CHECKOUT / "lib")]

from tests.clients import Client, binary
from tests.fake_api import ScriptedApi, bash
from trinity import clock, git
from trinity.home import Home
from trinity.work.carry import ready_place, readying

PHASES = {
    "hook": "a hook has heard of it",
    "evaluated": "the status is evaluated",
    "packed": "conversation and files are packed",
    "parts": "they are in the remote",
    "state": "the handoff is in the state",
    "seen": "PC2 has seen it (its poll, and its round's start)",
    "claimed": "PC2 has claimed it",
    "restored": "files and conversation are restored",
    "started": "the client is started",
    "asked": "its first request arrives",
}
GOAL = 3.0
PROMPT = "write one.txt and two.txt"
_WAIT = 300.0
_NEW_FILE = "new and uncommitted\n"


class Pc:
    """One PC below `folder`, installed into the fleet, with a login of its own; `watch` starts its daemon."""

    def __init__(self, folder: Path, name: str, client: Path, api: ScriptedApi, fleet: Path, poll: float) -> None:
        self.name = name
        self.client = Client(client, folder / name.lower(), api.url, token=f"token-of-{name}")
        self.home = Home(self.client.home / ".trinity")
        account = ("--account", f"of {name}", "--account-kind", "api")
        self._program("install", "--no-timers", "--pc", name, "--fleet", str(fleet), *account)
        # The interpreter that runs this has the packages, whether or not there is a .venv.
        (self.home.root / "python").write_text(sys.executable + "\n", encoding="utf-8")
        config = json.loads(self.home.config_file.read_text(encoding="utf-8"))
        config |= {"poll_seconds": poll, "roots": [str(self.client.home / "projects")]}
        self.home.config_file.write_text(json.dumps(config), encoding="utf-8")
        self._daemon: subprocess.Popen[bytes] | None = None

    def _environment(self) -> dict[str, str]:
        path = f"{self.client.binary.parent}{os.pathsep}{os.environ['PATH']}"
        return self.client.environment(PATH=path, TRINITY_HOME=str(self.home.root))

    def _command(self, name: str, *arguments: str) -> list[str]:
        return [sys.executable, str(CHECKOUT / "scripts" / f"{name}.py"), *arguments]

    def _program(self, name: str, *arguments: str) -> str:
        done = subprocess.run(
            self._command(name, *arguments), env=self._environment(), capture_output=True, encoding="utf-8", check=False
        )
        if done.returncode:
            raise SystemExit(f"{self.name}: {name}.py ended with {done.returncode}: {done.stderr}{done.stdout}")
        return done.stdout

    def watch(self) -> None:
        none = subprocess.DEVNULL
        command = self._command("credit_monitor", "--interval", "60")
        self._daemon = subprocess.Popen(command, env=self._environment(), stdin=none, stdout=none, stderr=none)

    def unwatch(self) -> None:
        if self._daemon is not None:
            self._daemon.terminate()
            self._daemon.wait()

    def handoff(self, session: str) -> dict[str, Any]:
        for record in json.loads(self._program("handoffs", "list", "--all", "--json")):
            if session in [one["session_id"] for one in record["sessions"]]:
                return dict(record)
        raise SystemExit(f"{self.name} knows no handoff of {session}")

    def said(self, log: str, text: str) -> float | None:
        """When the newest line of a log that holds `text` was written."""
        path = self.home.logs / f"{log}.log"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        found = [line for line in lines if text in line]
        return clock.parse(found[-1].split(" ")[0]) if found else None


class Marks:
    """When files came to be or changed after `begin`: looked at every few milliseconds from beside."""

    def __init__(self, looked: dict[str, Callable[[], Path | None]]) -> None:
        self.times: dict[str, list[float]] = {name: [time.time()] for name in looked}
        self._looked = looked
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._end.wait(0.004):
            for name, find in self._looked.items():
                try:
                    path = find()
                    changed = path.stat().st_mtime if path else 0.0
                except OSError:
                    continue
                if changed > self.times[name][-1]:
                    self.times[name].append(changed)

    def stop(self, after: float) -> dict[str, float]:
        """The first change of each after a moment."""
        self._end.set()
        self._thread.join()
        found = {name: next((t for t in times if t > after), None) for name, times in self.times.items()}
        return {name: t for name, t in found.items() if t is not None}


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env=git.environment(), check=True, stdout=subprocess.PIPE, encoding="utf-8"
    )
    return done.stdout


def _project(top: Path, count: int, one: Pc, two: Pc) -> None:
    """An origin of `count` files, PC1's clone of it as its project, PC2's below its roots."""
    origin = top / "project.git"
    tree = top / "tree"
    for number in range(count):
        path = tree / f"d{number // 100}" / f"f{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"file {number}\n" * 20, encoding="utf-8", newline="\n")
    _git(tree, "init", "-q", "-b", "main", ".")
    _git(tree, "add", ".")
    _git(tree, "commit", "-q", "-m", "start")
    _git(top, "clone", "-q", "--bare", str(tree), str(origin))
    one.client.project.rmdir()
    _git(top, "clone", "-q", str(origin), str(one.client.project))
    (two.client.home / "projects").mkdir()
    _git(top, "clone", "-q", str(origin), str(two.client.home / "projects" / "project"))
    if hasattr(os, "sync"):
        os.sync()  # what building them wrote must not be in the way


def _dirty(project: Path, number: int) -> None:
    for name in ("f0", "f1", "f2"):
        with open(project / "d0" / f"{name}.txt", "a", encoding="utf-8") as stream:
            stream.write(f"changed {number}\n")
    _git(project, "add", "d0/f0.txt")
    (project / "new.txt").write_text(_NEW_FILE, encoding="utf-8")
    (project / "d0" / "f4.txt").unlink(missing_ok=True)


def _round(api: ScriptedApi, fleet: Path, one: Pc, two: Pc, number: int) -> dict[str, float]:
    _dirty(one.client.project, number)
    api.lift()
    api.set_plan({"steps": [bash("echo one > one.txt"), bash("echo two > two.txt")], "default": {"text": "finished"}})
    api.limit_until(float("inf"), after=1, lasts=3600, account=one.client.token)
    work = fleet / "refs" / "trinity" / "work"
    before = set(work.glob("*")) if work.is_dir() else set()
    marks = Marks(
        {
            "evaluated": lambda: one.home.credit_state_file,
            "packed": lambda: one.home.parts_clone / "refs" / "trinity" / "draft",
            "parts": lambda: next(iter(set(work.glob("*")) - before), None),
        }
    )
    first = len(api.requests)
    stopped = one.client.headless(PROMPT, "--permission-mode", "acceptEdits", "--allowedTools", "Bash", timeout=120)
    if stopped.returncode != 1:
        raise SystemExit(f"the client was to stop at a limit, but: {stopped.stdout}{stopped.stderr}")
    asked = _first_request(api, stopped.session, two.client.token, one, two)
    for earlier in (PROMPT, "echo one > one.txt"):
        if earlier not in asked.text:
            raise SystemExit(f"PC2's first request does not hold '{earlier}'")
    record = _done(two, stopped.session)
    heard = _heard(one, stopped.session)
    times = marks.stop(heard)
    times["limit"] = next(r.time for r in api.requests[first:] if r.limited and r.main)
    times["hook"] = heard
    times |= {name: clock.parse(record["chain"][name]) for name in ("seen", "claimed", "started")}
    times["state"] = one.said("handoff", f"{record['id']} created") or clock.parse(record["chain"]["pushed"])
    times["restored"] = two.said("handoff", f"{record['id']} unpacked") or times["started"]
    times["asked"] = asked.time
    _check(two, record["id"])
    return times


def _first_request(api: ScriptedApi, session: str, token: str, one: Pc, two: Pc) -> Any:
    end = time.monotonic() + _WAIT
    while time.monotonic() < end:
        for request in api.main_requests(session):
            if request.account == token:
                return request
        time.sleep(0.01)
    logs = [path for pc in (one, two) for path in sorted(pc.home.logs.glob("*.log"))]
    told = "\n".join(f"{path}:\n{path.read_text(encoding='utf-8')[-1500:]}" for path in logs)
    raise SystemExit(f"PC2 did not go on within {_WAIT:g} s\n{told}")


def _done(two: Pc, session: str) -> dict[str, Any]:
    end = time.monotonic() + _WAIT
    while time.monotonic() < end:
        record = two.handoff(session)
        if record["state"] == "done":
            return record
        time.sleep(0.5)
    raise SystemExit(f"the handoff of {session} is not done after {_WAIT:g} s")


def _heard(pc: Pc, session: str) -> float:
    """When the first hook recorded the end."""
    found = []
    for path in pc.home.events.glob("*.jsonl"):
        for line in path.read_text(encoding="utf-8").splitlines():
            if session in line and re.search(r'"(StopFailure|SessionEnd)"', line):
                found.append(clock.parse(json.loads(line)["time"]))
    return min(found)


def _check(two: Pc, handoff_id: str) -> None:
    place = next((two.home.root / "work").glob(f"*-{handoff_id[-8:]}-*"))
    texts = {name: (place / name).read_text(encoding="utf-8") for name in ("new.txt", "one.txt", "two.txt")}
    if texts != {"new.txt": _NEW_FILE, "one.txt": "one\n", "two.txt": "two\n"} or (place / "d0" / "f4.txt").exists():
        raise SystemExit(f"the files at '{place}' are not those that were sent")


def _rest(two: Pc, count: int) -> None:
    """Wait until PC2 has made what it keeps ready, and until all of this is on the disk."""
    end = time.monotonic() + _WAIT
    folder = two.home.root / "work" / ready_place.FOLDER
    wanted = count >= ready_place.LEAST_FILES
    while (wanted and not any(place.made() for place in ready_place.listed(folder))) or readying.busy(folder):
        if time.monotonic() > end:
            raise SystemExit(f"nothing is ready below '{folder}' after {_WAIT:g} s")
        time.sleep(0.2)
    if hasattr(os, "sync"):
        os.sync()


def _measure(count: int, version: str, rounds: int, poll: float) -> list[dict[str, float]]:
    with tempfile.TemporaryDirectory(prefix="trinity-handoff-") as name, ScriptedApi() as api:
        folder = Path(name).resolve()
        fleet = git.init_bare(folder / "fleet.git", server=True).path
        client = binary(version)
        pcs = [Pc(folder, pc, client, api, fleet, poll) for pc in ("PC1", "PC2")]
        _project(folder, count, pcs[0], pcs[1])
        try:
            for pc in pcs:
                pc.watch()
            measured = []
            for number in range(rounds):
                measured.append(_round(api, fleet, pcs[0], pcs[1], number))
                _rest(pcs[1], count)
            return measured
        finally:
            for pc in pcs:
                pc.unwatch()


def _show(measured: list[dict[str, float]], poll: float) -> None:
    steps: dict[str, list[float]] = {name: [] for name in PHASES}
    for times in measured:
        last = times["limit"]
        for name in PHASES:
            now = times.get(name, last)
            steps[name].append(now - last)
            last = now
    totals = [times["asked"] - times["limit"] for times in measured]
    for name, what in PHASES.items():
        print(f"  {what:<50}{median(steps[name]):8.3f} s   {min(steps[name]):7.3f} to {max(steps[name]):.3f}")
    total, goal = median(totals), GOAL + poll
    missed = "   missed" if total > goal else ""
    print(
        f"  {'from the limit to the first request':<50}{total:8.3f} s   goal {goal:g}, ratio {total / goal:.2f}{missed}"
    )


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, nargs="+", default=[10, 10_000], help="numbers of files of the repository")
    parser.add_argument("--client", default="newest", help="version of Claude Code, default newest")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--poll", type=float, default=1.0, help="poll interval of PC2 in seconds, at least 1")
    parser.add_argument("--quick", action="store_true", help="10 files, one round and none to warm up")
    options = parser.parse_args(argv)
    for count in [10] if options.quick else options.files:
        print(f"{count} files, 5 of them uncommitted; Claude Code {options.client}; poll interval {options.poll:g} s")
        measured = _measure(count, options.client, 1 if options.quick else options.rounds + 1, options.poll)
        if count >= ready_place.LEAST_FILES:
            print(" the first arrival, nothing ready")
            _show(measured[:1], options.poll)
            if len(measured) > 1:
                print(" later ones, a worktree ready")
        if count < ready_place.LEAST_FILES or len(measured) > 1:
            _show(measured[1:] or measured, options.poll)  # the first of several warms up
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
