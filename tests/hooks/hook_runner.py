"""Hooks as the client runs them: real processes, the resolved interpreter, `-I -S`, the state folder as argument."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
PAYLOADS = Path(__file__).parent / "payloads"
PYTHON = os.path.realpath(sys.executable)
WAIT = 20.0  # seconds for what runs behind a hook; reached only when it is lost

# event -> file; StopFailure is a shell's because the client ends it early
FILES = {
    "SessionStart": "session_start.py",
    "UserPromptSubmit": "user_prompt_submit.py",
    "PreToolUse": "pre_tool_use.py",
    "PostToolUse": "post_tool_use.py",
    "PostToolUseFailure": "post_tool_use_failure.py",
    "PostToolBatch": "post_tool_batch.py",
    "Stop": "stop.py",
    "StopFailure": "stop_failure.sh",
    "PreCompact": "pre_compact.py",
    "SubagentStop": "subagent_stop.py",
    "TaskCreated": "task_created.py",
    "TaskCompleted": "task_completed.py",
    "Notification": "notification.py",
    "SessionEnd": "session_end.py",
}
HOOK_PAYLOADS = sorted(
    f"{file.parent.name}/{file.stem}" for file in PAYLOADS.glob("*/*.json") if not file.stem.startswith("statusline")
)

Finished = subprocess.CompletedProcess[bytes]

_EVALUATION = """\
import json, os, sys
told = {
    "arguments": sys.argv[1:],
    "own_session": os.getsid(0) == os.getpgid(0) and os.getppid() != int(os.environ["CALLER"]),
    "open": [n for n in range(3, 64) if os.path.exists(f"/proc/self/fd/{n}")],
    "prefix": sys.prefix,
    "environment": sorted(os.environ),
    "folder": os.getcwd(),
}
with open(STARTED, "a", encoding="utf-8") as file:
    file.write(json.dumps(told) + "\\n")
"""


@dataclass
class HookRunner:
    """Runs files of `hooks/` for one state folder, and reads what they left there."""

    home: Path
    hooks: Path = CHECKOUT / "hooks"
    environment: dict[str, str] = field(default_factory=dict)

    def command(self, file: str, *more: str, home: str | None = None) -> list[str]:
        named = str(self.home) if home is None else home
        if file.endswith(".sh") and sys.platform == "win32":
            launcher = str(self.hooks / file.replace(".sh", ".ps1"))
            return ["powershell.exe", "-NoProfile", "-ExecutionPolicy", "Bypass", "-File", launcher, PYTHON, named]
        if file.endswith(".sh"):
            return ["/bin/sh", str(self.hooks / file), PYTHON, named]
        return [PYTHON, "-I", "-S", str(self.hooks / file), named, *more]

    def environ(self) -> dict[str, str]:
        kept = ("PATH", "SYSTEMROOT", "COMSPEC", "PATHEXT", "TEMP", "TMP")  # Windows needs the latter
        base = {name: os.environ[name] for name in kept if name in os.environ}
        base |= {"TZ": "UTC", "CALLER": str(os.getpid())}
        return {**base, "TRINITY_FORBID_DEFAULT_HOME": "1", **self.environment}

    def run(
        self, file: str, stdin: bytes | dict[str, Any], *more: str, home: str | None = None, **options: Any
    ) -> Finished:
        command = self.command(file, *more, home=home)
        given = stdin if isinstance(stdin, bytes) else compact(stdin)
        return subprocess.run(
            command, input=given, capture_output=True, env=self.environ(), timeout=60, check=False, **options
        )

    def events(self) -> list[dict[str, Any]]:
        files = sorted(self.home.glob("events/*.jsonl"))
        return [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]

    def log(self) -> list[str]:
        file = self.home / "logs" / "hooks.log"
        return file.read_text(encoding="utf-8").splitlines() if file.exists() else []

    def started(self) -> list[dict[str, Any]]:
        """How each evaluation found itself started (in a checkout of `copy_checkout`)."""
        file = self.hooks.parent / "started"
        return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []


def compact(document: dict[str, Any]) -> bytes:
    """As the client writes it."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def payload(name: str) -> dict[str, Any]:
    """A recorded payload, by its path below payloads/ without the suffix."""
    document: dict[str, Any] = json.loads((PAYLOADS / f"{name}.json").read_text(encoding="utf-8"))
    return document


def payload_of(event: str) -> dict[str, Any]:
    """A recorded payload of this event."""
    return payload(next(name for name in HOOK_PAYLOADS if payload(name)["hook_event_name"] == event))


def wait_until(said: Callable[[], bool]) -> None:
    """Returns when `said()` is true; fails the test when that takes too long."""
    end = time.monotonic() + WAIT
    while not said():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def copy_checkout(checkout: Path) -> None:
    """What the client needs of a checkout, with a program in place of the evaluation that writes down its start."""
    for folder in ("hooks", "lib", ".claude-plugin"):
        shutil.copytree(CHECKOUT / folder, checkout / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (checkout / "scripts").mkdir()
    program = _EVALUATION.replace("STARTED", repr(str(checkout / "started")))
    (checkout / "scripts" / "evaluate_status.py").write_text(program, encoding="utf-8")
