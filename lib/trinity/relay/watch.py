"""The daemon's loop: one per PC, standard library only, and nearly always asleep.

It looks (a few `stat` calls, at a remote fleet one `git ls-remote`) and starts a short child, `credit_monitor.py --once`,
when there is something to do; the child does everything else. So the loop stays small, a bug in the work cannot end it,
and an upgrade is picked up by the next child. Times are read from the wall clock at every turn: a PC that slept through
a reset sees it at once.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from trinity import clock, git, locks, program
from trinity.errors import Busy
from trinity.home import Home

CHILD_SECONDS = 600
_STEP = 1.0
_STATE_REF = "refs/heads/trinity-state"
_ROUND_FILE = "round.json"
_CALL_FILE = "round.called"


def write_round(home: Home, next_at: float | None, fleet_url: str | None, profiles: Sequence[str], poll: float) -> None:
    """What a child tells the loop: when it wants to be called at the latest, and what to look at."""
    document = {"next_at": next_at, "fleet_url": fleet_url, "profiles": list(profiles), "poll_seconds": poll}
    temporary = home.root / f"{_ROUND_FILE}.{os.getpid()}"
    temporary.write_text(json.dumps(document), encoding="utf-8", newline="\n")
    temporary.chmod(0o600)
    os.replace(temporary, home.root / _ROUND_FILE)


def call(home: Home) -> None:
    """Ask the loop for a round at once: somebody has changed what it waits for."""
    # A file of its own: a round that is running would write over `round.json`, and the call would be lost.
    (home.root / _CALL_FILE).touch(mode=0o600)


class _Round:
    """The last `write_round`, or defaults: then the first child is due at once."""

    def __init__(self, home: Home) -> None:
        try:
            document = json.loads((home.root / _ROUND_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            document = None
        if not isinstance(document, dict):
            document = {}
        next_at, url, poll = (document.get(key) for key in ("next_at", "fleet_url", "poll_seconds"))
        profiles = document.get("profiles")
        self.next_at: float | None = float(next_at) if isinstance(next_at, int | float) else None
        self.fleet_url: str | None = url if isinstance(url, str) else None
        self.profiles: list[str] = [str(profile) for profile in profiles] if isinstance(profiles, list) else []
        self.poll: float = max(1.0, float(poll)) if isinstance(poll, int | float) else 30.0


def _seen(home: Home, profiles: Sequence[str]) -> tuple[object, ...]:
    """A fingerprint of all that could call for an evaluation: the log, the transcripts, the outbox, the configuration."""
    marks: list[object] = [_mark(home.config_file), _mark(home.paused_file)]
    # Not the cache beside the event log: each round writes it.
    marks += [_newest(home.events, (".jsonl",)), _newest(home.outbox, (".json",))]
    for profile in profiles:
        projects = Path(profile) / "projects"
        try:
            with os.scandir(projects) as folders:
                marks += [_newest(Path(entry.path), (".jsonl",)) for entry in folders if entry.is_dir()]
        except OSError:
            continue  # a profile that was never used
    return tuple(marks)


def _mark(path: Path) -> object:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _newest(folder: Path, suffixes: tuple[str, ...]) -> object:
    newest, count, size = 0, 0, 0
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(suffixes):
                    found = entry.stat()
                    newest = max(newest, found.st_mtime_ns)
                    count, size = count + 1, size + found.st_size
    except OSError:
        return None
    return str(folder), newest, count, size


def _tip(url: str | None) -> str | None:
    """The state's commit at a fleet remote; None for the embedded one (only this PC writes it) and while offline."""
    if url is None:
        return None
    try:
        return (
            git.Repository(Path.home(), timeout=20).run("ls-remote", "--", url, _STATE_REF).decode("ascii", "replace")
        )
    except (git.GitError, OSError):
        return None


class Watch:
    """One PC's loop over `home`; `child` is the argument list of one round."""

    def __init__(self, home: Home, child: list[str], interval: float) -> None:
        self.home = home
        self.child = child
        self.interval = interval
        self.stopping = False

    def run(self) -> int:
        """Loop until SIGTERM or SIGINT; raises Busy when this PC's daemon runs already."""
        with locks.hold_inherited(self.home.locks / "monitor.lock", timeout=0.2):
            for name in ("SIGTERM", "SIGINT"):
                signal.signal(getattr(signal, name), self._stop)
            program.log(self.home, "monitor", f"started, interval {self.interval:g} s")
            self._loop()
            program.log(self.home, "monitor", "stopped")
        return 0

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.stopping = True

    def _loop(self) -> None:
        seen: tuple[object, ...] | None = None
        tip: str | None = None
        called: object = None
        evaluated = polled = 0.0
        while not self.stopping and self.home.root.is_dir():
            wanted = _Round(self.home)
            now = clock.now()
            call_mark = _mark(self.home.root / _CALL_FILE)
            due = call_mark != called or (wanted.next_at is not None and now >= wanted.next_at)
            if now < evaluated or now < polled:
                # The wall clock was set back: what a round had asked for is as far ahead as it was set.
                due, evaluated, polled = True, 0.0, 0.0
            if now - polled >= wanted.poll:
                polled = now
                newest = _tip(wanted.fleet_url)
                due, tip = due or newest not in (None, tip), newest or tip
            if now - evaluated >= self.interval:
                evaluated = now
                due = due or _seen(self.home, wanted.profiles) != seen
            if due:
                # Looked at before: what is written while the round runs calls for another one.
                called, seen = call_mark, _seen(self.home, wanted.profiles)
                self._round()
                before, wanted = wanted, _Round(self.home)
                if wanted.profiles != before.profiles:
                    seen = None  # what was written there during the round was not looked at before it
            self._sleep(min(evaluated + self.interval, polled + wanted.poll, wanted.next_at or float("inf")))

    def _round(self) -> None:
        try:
            done = subprocess.run(
                self.child,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=CHILD_SECONDS,
                **_NO_WINDOW,  # type: ignore[call-overload]
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            program.log(self.home, "monitor", f"round failed: {type(error).__name__}: {error}")
            self._backoff()
            return
        for line in done.stderr.decode("utf-8", "replace").splitlines():
            program.log(self.home, "monitor", line)
        if done.returncode:
            program.log(self.home, "monitor", f"round ended with {done.returncode}")
            self._backoff()

    def _backoff(self) -> None:
        # A round that fails leaves its due time behind; without this the loop would call it again at once, for ever.
        wanted = _Round(self.home)
        write_round(self.home, clock.now() + self.interval, wanted.fleet_url, wanted.profiles, wanted.poll)

    def _sleep(self, until: float) -> None:
        # One short step: a sleeping PC stops this clock but not the one on the wall, and a hook may set an earlier time.
        time.sleep(max(0.05, min(until - clock.now(), _STEP)))


if sys.platform == "win32":
    _NO_WINDOW: dict[str, object] = {"creationflags": subprocess.CREATE_NO_WINDOW}
else:
    _NO_WINDOW = {"start_new_session": True}


def held(home: Home) -> bool:
    """Does this PC's daemon run?"""
    try:
        with locks.hold_inherited(home.locks / "monitor.lock", timeout=0):
            return False
    except Busy:
        return True
