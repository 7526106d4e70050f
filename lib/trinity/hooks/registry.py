"""Which hook stands for which event: the installer writes the user's settings from this, the plugin its hooks.json.

What the installer has to keep, besides the settings:

- exec form, never a shell string: `PYTHON -I -S <checkout>/hooks/<file> HOME` with the *resolved* interpreter of the
  virtual environment (`-I -S`: nothing of the user's environment is imported);
- `HOME/python`: one line, the *virtual environment's* interpreter (`.venv/bin/python`, not resolved), with which
  hooks start `evaluate_status.py`;
- `HOME/registered/<profile_key(config_dir)>`: one line, `settings_mark(...)`, for each profile whose settings hold
  the hooks, removed with them; settings.json is written with `ensure_ascii=False`;
- `HOME/status_line/previous-<profile_key>`: the command of a status line that was there before, as it was.

`timeout` is a number: as a string the newest client turns off every hook of the file without a word.
"""

import json
import shlex
from dataclasses import dataclass

from trinity.hooks.record import PLUGIN
from trinity.hooks.registration import profile_key

__all__ = ["HOOKS", "Hook", "is_ours", "plugin_hooks", "profile_key", "settings_hooks", "settings_mark", "status_line"]


@dataclass(frozen=True)
class Hook:
    """One event: the file in `hooks/`, the matcher (None: every occurrence), seconds, and what a failed hook means.

    `on_failure` is for settings alone: the plugin runs whatever `python3` there is, and where there is none it must not
    cost every prompt.
    """

    event: str
    file: str
    matcher: str | None = None
    timeout: int = 10
    on_failure: str | None = None


HOOKS = (
    Hook("SessionStart", "session_start.py"),
    # it closes what was handed away, also when it cannot run (2.1.295 on; older clients ignore the word), so it gets time
    Hook("UserPromptSubmit", "user_prompt_submit.py", timeout=30, on_failure="block"),
    Hook("PreToolUse", "pre_tool_use.py"),
    Hook("PostToolUse", "post_tool_use.py"),
    Hook("PostToolUseFailure", "post_tool_use_failure.py"),
    Hook("PostToolBatch", "post_tool_batch.py"),
    Hook("Stop", "stop.py"),
    Hook("StopFailure", "stop_failure.sh"),
    Hook("PreCompact", "pre_compact.py"),
    Hook("SubagentStop", "subagent_stop.py"),
    Hook("TaskCreated", "task_created.py"),
    Hook("TaskCompleted", "task_completed.py"),
    # only what the client says about its own waiting for a reset
    Hook("Notification", "notification.py", "quota_auto_resume_fired|quota_auto_resume_disabled"),
    # in settings a longer timeout also lengthens the client's 1.5 s budget; a plugin has no more than that
    Hook("SessionEnd", "session_end.py", timeout=5),
)


def settings_hooks(python: str, hooks_folder: str, home: str, windows: bool = False) -> dict[str, list[object]]:
    """The `hooks` member of a settings file: event -> list of one matcher group."""
    return {hook.event: [_group(hook, python, hooks_folder, home, windows)] for hook in HOOKS}


def plugin_hooks() -> dict[str, object]:
    """The document of `hooks/hooks.json`: the same table, with the plugin's folder and no state folder named."""
    folder = "${CLAUDE_PLUGIN_ROOT}/hooks"
    return {
        "description": "Records what happens, so that work stopped by a limit can go on, and closes what was handed away",
        "hooks": {hook.event: [_group(hook, "python3", folder, PLUGIN, False)] for hook in HOOKS},
    }


def status_line(python: str, hooks_folder: str, home: str, config_dir: str) -> dict[str, object]:
    """The `statusLine` member of the settings of the profile `config_dir`. The client runs it by a shell."""
    program = _joined(hooks_folder, "statusline.py")
    arguments = [python, "-I", "-S", program, home, profile_key(config_dir)]
    # double quotes are what sh, cmd and PowerShell's `&` agree on; a backslash in them is a problem of sh alone
    quoted = " ".join(f'"{part}"' for part in arguments) if "\\" in hooks_folder else shlex.join(arguments)
    return {"type": "command", "command": quoted}


def settings_mark(hooks_folder: str) -> str:
    """The text by which a settings file that holds these hooks is known: their folder, as JSON writes it."""
    return json.dumps(_joined(hooks_folder, ""), ensure_ascii=False)[:-1]


def is_ours(entry: object) -> bool:
    """Whether a hook entry or `statusLine` of a settings file was written from this table, by whatever checkout."""
    if not isinstance(entry, dict):
        return False
    arguments = entry.get("args")
    if not isinstance(arguments, list):
        command = str(entry.get("command", ""))
        return " -I -S " in command.replace('"', "") and "hooks/statusline.py" in command.replace("\\", "/")
    files = {hook.file for hook in HOOKS} | {"stop_failure.ps1"}
    paths = [str(part).replace("\\", "/") for part in arguments]
    is_launcher = any(path.endswith(("hooks/stop_failure.sh", "hooks/stop_failure.ps1")) for path in paths)
    return is_launcher or (
        paths[:2] == ["-I", "-S"] and any(path.endswith(tuple(f"hooks/{file}" for file in files)) for path in paths)
    )


def _group(hook: Hook, python: str, folder: str, home: str, windows: bool) -> dict[str, object]:
    if not hook.file.endswith(".sh"):
        program = [python, "-I", "-S", _joined(folder, hook.file), home]
    elif windows:
        launcher = _joined(folder, hook.file.replace(".sh", ".ps1"))
        program = ["powershell.exe", "-NoProfile", "-ExecutionPolicy", "Bypass", "-File", launcher, python, home]
    else:
        program = ["/bin/sh", _joined(folder, hook.file), python, home]
    entry: dict[str, object] = {
        "type": "command",
        "command": program[0],
        "args": program[1:],
        "timeout": hook.timeout,
    }
    if hook.on_failure and home != PLUGIN:
        entry["onFailure"] = hook.on_failure
    group: dict[str, object] = {"hooks": [entry]}
    if hook.matcher:
        group["matcher"] = hook.matcher
    return group


def _joined(folder: str, file: str) -> str:
    separator = "\\" if "\\" in folder else "/"
    return folder.rstrip("/\\") + separator + file
