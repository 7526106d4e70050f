"""A program on a terminal, by a private tmux server: what it shows can be read, and keys can be sent.

The server is this terminal's alone (`tmux -L <name> -f /dev/null`), so no configuration and no session of the person who
runs the tests is touched, and closing it ends whatever still runs in it.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

_NUMBERS = itertools.count(1)


class Terminal:
    """`command` on a screen of `columns` x `rows`; its screen stays readable after it has ended."""

    def __init__(
        self,
        command: list[str],
        cwd: Path,
        environment: Mapping[str, str],
        columns: int = 140,
        rows: int = 45,
    ) -> None:
        found = shutil.which("tmux")
        if found is None:
            raise FileNotFoundError("this test shows a program on a terminal and there is no tmux: install tmux")
        self._tmux = found
        self._environment = dict(environment)
        self.name = f"trinity-test-{os.getpid()}-{next(_NUMBERS)}"
        size = ("-x", str(columns), "-y", str(rows))
        # All in one call: the option must hold before the command can end.
        self._run(
            "start-server", ";", "set-option", "-g", "remain-on-exit", "on", ";",
            "new-session", "-d", "-s", "main", *size, "-c", str(cwd), "--", *command,
        )  # fmt: skip

    def screen(self) -> str:
        """What is on the screen now, without colours."""
        return self._run("capture-pane", "-p", "-J", "-t", "main")

    def scrollback(self) -> str:
        """Everything that was on the screen since the start."""
        return self._run("capture-pane", "-p", "-J", "-S", "-", "-t", "main")

    def keys(self, *names: str) -> None:
        """Press keys by tmux's names: `Enter`, `Escape`, `Down`, `C-c`."""
        self._run("send-keys", "-t", "main", *names)

    def write(self, text: str) -> None:
        """Type text as it is, without Enter."""
        self._run("send-keys", "-t", "main", "-l", "--", text)

    def say(self, text: str) -> None:
        """Type a prompt and send it, once the input line shows it: an Enter that comes too early is taken as a newline."""
        self.write(text)
        self.wait_for(re.escape(text[-20:]))
        time.sleep(0.3)
        self.keys("Enter")

    def wait_for(self, wanted: str | Callable[[str], object], timeout: float = 30) -> str:
        """The screen as soon as it matches a pattern (or `wanted(screen)` is true); TimeoutError with the screen."""
        end = time.monotonic() + timeout
        while True:
            screen = self.screen()
            if re.search(wanted, screen) if isinstance(wanted, str) else wanted(screen):
                return screen
            if time.monotonic() > end:
                raise TimeoutError(f"waited {timeout} s for {wanted!r}; the screen shows:\n{screen.rstrip()}")
            time.sleep(0.1)

    @property
    def pid(self) -> int:
        """The process of the command."""
        return int(self._run("display-message", "-p", "-t", "main", "#{pane_pid}"))

    @property
    def ended(self) -> int | None:
        """The command's exit status once it has ended, else None."""
        dead, _, status = self._run(
            "display-message", "-p", "-t", "main", "#{pane_dead}/#{pane_dead_status}"
        ).partition("/")
        return int(status.strip() or -1) if dead == "1" else None  # none when a signal ended it

    def wait(self, timeout: float = 30) -> int:
        """The exit status, once the command has ended."""
        self.wait_for(lambda screen: self.ended is not None, timeout)
        return self.ended or 0

    def close(self) -> None:
        subprocess.run(self._command("kill-server"), env=self._environment, capture_output=True, check=False)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _command(self, *arguments: str) -> list[str]:
        return [self._tmux, "-u", "-L", self.name, "-f", os.devnull, *arguments]

    def _run(self, *arguments: str) -> str:
        done = subprocess.run(
            self._command(*arguments),
            env=self._environment,
            capture_output=True,
            encoding="utf-8",
            timeout=20,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"tmux {arguments[0]} failed: {done.stderr.strip()}")
        return done.stdout
