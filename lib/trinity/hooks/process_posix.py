"""Starting processes from a hook without `subprocess`, which costs more than the hook: Linux and macOS."""

import _signal  # type: ignore[import-not-found]  # `signal` would bring enum with it
import posix
import sys
from select import select
from time import monotonic

assert sys.platform != "win32"

# What says "inside this session" would make a Claude Code that the child starts take itself for a part of it, and
# some of it is secret. Logins and settings of the user stay.
_SESSION_VARIABLES = (
    b"AI_AGENT",
    b"CLAUDECODE",
    b"CLAUDE_PID",
    b"CLAUDE_EFFORT",
    b"CLAUDE_ENV_FILE",
    b"CLAUDE_PROJECT_DIR",
    b"CLAUDE_CODE_ENTRYPOINT",
)
_SESSION_PREFIXES = (
    b"CLAUDE_CODE_SESSION_",
    b"CLAUDE_CODE_CHILD_",
    b"CLAUDE_CODE_MESSAGING_",
    b"CLAUDE_PLUGIN_",
)
_SIGNALS = (_signal.SIGTERM, _signal.SIGHUP, _signal.SIGINT, _signal.SIGPIPE)
_OUTPUT_LIMIT = 64 << 10


def detach(arguments: list[str], folder: str) -> None:
    """Starts `arguments` in `folder` as a process that belongs to nobody: own session, no descriptor of ours, and not
    our child, because newer clients kill a hook's children together with the hook."""
    if not posix.access(arguments[0], posix.X_OK):
        raise OSError(f"not a program: {arguments[0]}")
    environment = {
        name: value
        for name, value in posix.environ.items()
        if name not in _SESSION_VARIABLES and not name.startswith(_SESSION_PREFIXES)
    }
    child = posix.fork()
    if child:
        posix.waitpid(child, 0)
        return
    try:
        posix.setsid()
        if posix.fork():
            posix._exit(0)
        for number in _SIGNALS:
            _signal.signal(number, _signal.SIG_DFL)  # the launcher of StopFailure ignores them
        nowhere = posix.open("/dev/null", posix.O_RDWR)
        for descriptor in (0, 1, 2):
            posix.dup2(nowhere, descriptor)
        posix.closerange(3, 4096)
        posix.chdir(folder)
        posix.execve(arguments[0], arguments, environment)
    finally:
        posix._exit(127)


def run_shell(command: str, data: bytes, seconds: float) -> bytes:
    """What the shell command prints when it is given `data`, at most 64 KB of it; what it printed so far when it takes
    longer than `seconds`, and then it is ended.

    The command is the user's own, from a setting that the client defines as a shell string.
    """
    deadline = monotonic() + seconds
    its_input, to_it = posix.pipe()
    from_it, its_output = posix.pipe()
    nowhere = posix.open("/dev/null", posix.O_WRONLY | posix.O_CLOEXEC)
    child = posix.posix_spawn(
        "/bin/sh",
        ["sh", "-c", command],
        posix.environ,
        file_actions=(
            (posix.POSIX_SPAWN_DUP2, its_input, 0),
            (posix.POSIX_SPAWN_DUP2, its_output, 1),
            (posix.POSIX_SPAWN_DUP2, nowhere, 2),
        ),
        setpgroup=0,
        setsigdef=(_signal.SIGPIPE,),
    )
    posix.close(its_input)
    posix.close(its_output)
    posix.set_blocking(to_it, False)
    printed = b""
    writing = [to_it]
    while len(printed) < _OUTPUT_LIMIT and (left := deadline - monotonic()) > 0:
        readable, writable, _ = select([from_it], writing, [], left)
        if writable:
            try:
                data = data[posix.write(to_it, data) :]
            except OSError:
                data = b""  # it does not read its input
            if not data:
                posix.close(to_it)
                writing = []
        if readable:
            part = posix.read(from_it, _OUTPUT_LIMIT)
            if not part:
                posix.waitpid(child, posix.WNOHANG)
                return printed
            printed += part
    posix.killpg(child, _signal.SIGKILL)
    return printed
