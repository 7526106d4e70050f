"""One event line per hook call, and a hook that never harms its session.

`run(NAME)` is a whole hook: it reads the payload, adds one line to `events/<UTC day>.jsonl` of the state folder by one
append, and ends the process with 0, whatever happened; only a gate (`trinity.hooks.gate`), asked first where the hook has
one, may refuse and say why. Anything wrong is one line in `logs/hooks.log`, never a word on stdout or stderr: the
client would show it to the user or to the model.

The line holds who, when and what kind. It never holds a prompt, a tool's input or output, or the environment, which
carries live secrets. A field of an unexpected type is left out and said so in the log, because a client that changes
one field must not cost all events; a payload that is no object, or names no session, is not recorded.
"""

import sys
from time import gmtime, strftime, time

from trinity.hooks import compact_json, system

TYPE_CHECKING = False  # what `typing` says; importing it would double the hook
if TYPE_CHECKING:
    from collections.abc import Callable

# Above this a payload is not parsed as a whole: its front, where the client writes the ids, is enough.
WHOLE = 16 << 20
FRONT = 64 << 10
PLUGIN = "plugin"

# payload member -> member of the line, longest string; a number has no length; a negative length cuts
_IDS = (("prompt_id", "prompt_id", 64), ("agent_id", "agent_id", 64))
_PLACES = (
    ("transcript_path", "transcript_path", 4096),
    ("cwd", "cwd", 4096),
    ("permission_mode", "permission_mode", 64),
)
_TOOL = (("tool_name", "tool", 200), ("tool_use_id", "key", 128))
_TASK = (("task_id", "task_id", 64), ("task_subject", "subject", -200), ("task_description", "description", -200))
_MEMBERS: dict[str, tuple[tuple[str, str, int], ...]] = {
    "SessionStart": (("source", "start", 64), ("model", "model", 128)),
    "SessionEnd": (("reason", "reason", 64),),
    "PreToolUse": _TOOL,
    "PostToolUse": (*_TOOL, ("duration_ms", "duration_ms", 0)),
    "PostToolUseFailure": (*_TOOL, ("duration_ms", "duration_ms", 0)),
    "StopFailure": (
        ("error", "error", 64),
        ("last_assistant_message", "text", -600),
        ("error_details", "details", -600),
    ),
    "TaskCreated": _TASK,
    "TaskCompleted": _TASK,
    "PreCompact": (("trigger", "trigger", 64),),
    "Notification": (("notification_type", "notification", 64),),
}
# What the client types for the user after a reset (2.1.234 on); the payload has no mark of its own.
_CONTINUATION = ("usage limit has reset", "usage is available again")


def run(
    name: str,
    then: "Callable[[str, dict[str, object]], None] | None" = None,
    source: str = "",
    client: int = 0,
    gate: "Callable[[str, dict[str, object]], int | None] | None" = None,
) -> None:
    """Asks `gate(home, payload)`, records the event `name`, calls `then(home, payload)` and ends the process.

    The payload is stdin, or the file `source`, which is removed. `client` is the client's process id where the
    hook's parent is not the client. What the gate refused is recorded as refused, and its exit code is the hook's.
    """
    home, refused = "", None
    try:
        home = home_folder()
        if not steps_aside(home):
            payload, troubles = receive(name, source)
            session_of(payload)
            if gate:
                # first, so that a full disk cannot open what is closed
                refused = _asked(gate, home, payload, troubles)
            append_event(home, hook_line(name, payload, client, troubles, refused is not None))
            if troubles:
                log(home, name, "; ".join(troubles))
            if then:
                then(home, payload)
    except BaseException as problem:  # also MemoryError, RecursionError and what a signal raises
        log(home, name, f"{type(problem).__name__}: {problem}")
    if source:
        system.remove(source)
    system.leave(refused or 0)


def _asked(
    gate: "Callable[[str, dict[str, object]], int | None]", home: str, payload: dict[str, object], troubles: list[str]
) -> int | None:
    try:
        return gate(home, payload)
    except BaseException as problem:  # a gate that fails is open; it closes by its own files alone
        troubles.append(f"gate: {type(problem).__name__}: {problem}")
        return None


def home_folder() -> str:
    """The state folder: the argument the installer registered, else `TRINITY_HOME`, else `~/.trinity`."""
    named = sys.argv[1] if len(sys.argv) > 1 else ""
    if named and named != PLUGIN:
        return named.rstrip("/")
    named = system.environment("TRINITY_HOME").rstrip("/")
    if named:
        return named
    user = system.user_folder()
    if not user or system.environment("TRINITY_FORBID_DEFAULT_HOME"):
        raise ValueError("no state folder was given, and there is no default here")
    return f"{user}/.trinity"


def steps_aside(home: str) -> bool:
    """Whether this is the plugin's copy of a hook that the user's settings run as well."""
    if len(sys.argv) < 2 or sys.argv[1] != PLUGIN:
        return False
    from trinity.hooks import registration

    return registration.in_settings(home)


def receive(name: str, source: str = "") -> tuple[dict[str, object], list[str]]:
    """The payload of the event `name`, and what was wrong with it without making it useless. ValueError, OSError."""
    troubles: list[str] = []
    if source:
        data = system.read_file(source, WHOLE + 1)
        size = len(data)
    else:
        data, size = system.read_stream(0, WHOLE)
    if size > WHOLE:
        troubles.append(f"a payload of more than {WHOLE} bytes: recorded from its first {FRONT}")
        payload: object = compact_json.leading_members(data[:FRONT].decode("utf-8", "ignore"))
    elif not size:
        raise ValueError("nothing on stdin")
    else:
        payload = compact_json.parse(data.decode("utf-8"))
    if not isinstance(payload, dict):
        raise ValueError(f"the payload is a {type(payload).__name__}, not an object")
    if name and payload.get("hook_event_name") != name:
        raise ValueError("the payload is of another event")
    return payload, troubles


def session_of(payload: dict[str, object]) -> str:
    """The session id, fit for a file name. ValueError for anything else."""
    session = payload.get("session_id")
    if not isinstance(session, str) or len(session) > 64 or not session.replace("-", "").isalnum():
        raise ValueError("the payload names no session")
    if not session.isascii():
        raise ValueError("the payload names no session")
    return session


def hook_line(name: str, payload: dict[str, object], client: int, troubles: list[str], refused: bool = False) -> str:
    """The members of a hook's line behind its time; notes in `troubles` what had to be left out."""
    parts = [f'"event":"hook","source":"hook","name":"{name}","session_id":"{session_of(payload)}"']
    for member, written, longest in (*_IDS, *_PLACES, *_MEMBERS.get(name, ())):
        value = payload.get(member)
        if value is None:
            continue
        if isinstance(value, str) and longest < 0:
            parts.append(f'"{written}":{compact_json.quote(value[:-longest])}')
        elif isinstance(value, str) and longest > 0 and len(value) <= longest:
            parts.append(f'"{written}":{compact_json.quote(value)}')
        elif longest == 0 and is_number(value):
            parts.append(f'"{written}":{value}')
        else:
            troubles.append(f"'{member}' has an unexpected form: left out")
    prompt = payload.get("prompt")
    if name == "UserPromptSubmit" and isinstance(prompt, str) and is_continuation(prompt):
        parts.append('"auto":true')
    if refused:
        parts.append('"refused":true')
    entrypoint = system.environment("CLAUDE_CODE_ENTRYPOINT")
    if entrypoint:
        parts.append(f'"entrypoint":{compact_json.quote(entrypoint[:64])}')
    told = system.environment("CLAUDE_PID")
    parts.append(f'"pid":{int(told) if told.isdecimal() and len(told) < 12 else client or system.parent()}')
    return ",".join(parts)


def is_number(value: object) -> bool:
    """A number that is one for every JSON reader: not a bool, not infinite, not negative."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1e15


def is_continuation(prompt: str) -> bool:
    """Whether the client wrote this prompt itself, to go on after a reset."""
    return len(prompt) < 2000 and "ontinue" in prompt and any(words in prompt for words in _CONTINUATION)


def append_event(home: str, members: str) -> None:
    """Adds one line to today's event file. OSError."""
    now = time()
    stamp = strftime("%Y-%m-%dT%H:%M:%S", gmtime(now))
    line = f'{{"kind":"event","version":1,"time":"{stamp}.{int(now % 1 * 1000):03d}Z",{members}}}\n'
    system.append(f"{home}/events", f"{stamp[:10]}.jsonl", line.encode("ascii"))


def log(home: str, name: str, trouble: str) -> None:
    """One line in hooks.log; where even that cannot be written, nobody is left to tell."""
    try:
        stamp = strftime("%Y-%m-%dT%H:%M:%SZ", gmtime(time()))
        said = "".join(sign if sign.isprintable() else " " for sign in trouble[:300])
        system.append(f"{home}/logs", "hooks.log", f"{stamp} {name}: {said}\n".encode("utf-8", "replace"))
    except BaseException:
        pass
