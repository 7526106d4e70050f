"""Starting processes from a hook: Windows."""

import os
import subprocess
import sys

assert sys.platform == "win32"

_SESSION_VARIABLES = (
    "AI_AGENT",
    "CLAUDECODE",
    "CLAUDE_PID",
    "CLAUDE_EFFORT",
    "CLAUDE_ENV_FILE",
    "CLAUDE_PROJECT_DIR",
    "CLAUDE_CODE_ENTRYPOINT",
)
_SESSION_PREFIXES = (
    "CLAUDE_CODE_SESSION_",
    "CLAUDE_CODE_CHILD_",
    "CLAUDE_CODE_MESSAGING_",
    "CLAUDE_PLUGIN_",
)
_OUTPUT_LIMIT = 64 << 10


def detach(arguments: list[str], folder: str) -> None:
    """Starts `arguments` in `folder` as a process that outlives the client, without a window of its own or of its
    children (DETACHED_PROCESS would leave them without a console, and each would open one)."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in _SESSION_VARIABLES and not name.startswith(_SESSION_PREFIXES)
    }
    flags = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
    try:
        _start(arguments, folder, environment, flags | subprocess.CREATE_BREAKAWAY_FROM_JOB)
    except PermissionError:
        _start(arguments, folder, environment, flags)  # a job that lets nobody out


def run_shell(command: str, data: bytes, seconds: float) -> bytes:
    """What the shell command prints when it is given `data`, at most 64 KB of it; what it printed so far when it takes
    longer than `seconds`, and then it is ended.

    The command is the user's own, from a setting that the client defines as a shell string.
    """
    try:
        done = subprocess.run(
            command,
            shell=True,
            input=data,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=seconds,
            creationflags=subprocess.CREATE_NO_WINDOW,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        return (late.stdout or b"")[:_OUTPUT_LIMIT]
    return done.stdout[:_OUTPUT_LIMIT]


def _start(arguments: list[str], folder: str, environment: dict[str, str], flags: int) -> None:
    subprocess.Popen(
        arguments,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        close_fds=True,
        creationflags=flags,
    )
