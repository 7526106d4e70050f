"""The doctor's look at the hooks: registered in every profile, allowed to run, and really running.

A hook that is registered may still never fire (a setting, a client that ignores the file, an interpreter that is gone), and
nothing tells: so the newest event is compared with the newest conversation of the profile.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trinity import clock
from trinity.hooks import registry
from trinity.setup import environment, installed, registration, settings_file
from trinity.setup.checks import Finding, Patient
from trinity.setup.registration import Registration
from trinity.setup.settings_file import Settings

# A conversation is written a moment after its hooks ran; more than this is no order of events.
_LAG = 300
_TAIL = 256 << 10


def hooks(patient: Patient) -> Iterator[Finding]:
    """Per profile: the settings, the entries, the interpreter, the status line, the plugin."""
    for name in patient.config.profiles:
        profile = Path(name)
        settings = settings_file.read(profile)
        registration.refuse_if_defeated(settings)
        yield from _entries(patient, profile, settings)
        yield from _plugin(patient, settings)
        yield from _firing(patient, profile)


def log(patient: Patient) -> Iterator[Finding]:
    """Hooks fail open; what went wrong in them since the installation is counted here."""
    since = installed.load(patient.home).at
    path = patient.home.logs / "hooks.log"
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        lines = []
    recent = [line for line in lines if line[:20] >= since]
    if recent:
        yield Finding(
            "hooks.log", "warn", f"{len(recent)} lines since {since}; the last: {recent[-1]}", f"see '{path}'"
        )
    else:
        yield Finding("hooks.log", "ok", "no trouble" + (f" since {since}" if since else ""))


def _entries(patient: Patient, profile: Path, settings: Settings) -> Iterator[Finding]:
    commands = {
        _interpreter(hook)
        for groups in settings.value.get("hooks", {}).values()
        for group in groups
        for hook in group["hooks"]
        if registration.ours(hook)
    }
    if not commands:
        text = f"none of ours in '{settings.path}'"
        yield Finding("hooks", "warn" if _enabled_plugin(settings.value) else "fail", text, patient.mend)
        return
    dead = [command for command in sorted(commands) if environment.alive(command) is None]
    if dead:
        yield Finding("hooks", "fail", f"their interpreter '{dead[0]}' is gone: none runs", patient.mend)
        return
    made = Registration(sorted(commands)[0], str(patient.checkout / "hooks"), str(patient.home.root))
    if not registration.registered(settings, profile, made):
        text = f"'{settings.path}' has other entries of ours than this version needs"
        yield Finding("hooks", "fail", text, patient.mend)
        return
    yield Finding("hooks", "ok", f"{len(registry.HOOKS)} and the status line in '{settings.path}'")


def _interpreter(hook: dict[str, Any]) -> str:
    """Python's place in an entry: the command, or after a launcher's own file the last but one."""
    arguments = hook.get("args", [])
    return str(hook["command"] if arguments[:2] == ["-I", "-S"] or len(arguments) < 2 else arguments[-2])


def _plugin(patient: Patient, settings: Settings) -> Iterator[Finding]:
    plugin = _enabled_plugin(settings.value)
    if not plugin:
        return
    mark = registry.settings_mark(str(patient.checkout / "hooks"))
    if mark.encode("utf-8") in (settings.data or b""):
        yield Finding("plugin", "ok", f"'{plugin}' is enabled too; its copies of the hooks step aside")
    else:
        yield Finding("plugin", "warn", f"'{plugin}' records, but a plugin has no status line", patient.mend)


def _enabled_plugin(value: dict[str, Any]) -> str:
    plugins = value.get("enabledPlugins")
    names = plugins if isinstance(plugins, dict) else {}
    return next((name for name, on in names.items() if on and name.startswith("trinity@")), "")


def _firing(patient: Patient, profile: Path) -> Iterator[Finding]:
    event = _last_event(patient, str(profile))
    conversation = _last_conversation(profile)
    if conversation > max(event, _installed_at(patient)) + _LAG:
        text = f"the conversation of {clock.iso(conversation)} in '{profile}' left no event: the hooks do not fire"
        yield Finding("events", "fail", text, f"start claude, and look for settings it skipped; then {patient.mend}")
    elif event:
        age = max(0, int(clock.now() - event))
        yield Finding("events", "ok", f"the last one {_age(age)} ago from '{profile}'")
    else:
        yield Finding("events", "warn", f"none yet from '{profile}'", "start claude once")


def _last_event(patient: Patient, profile: str) -> float:
    """When a hook of this profile last recorded something; 0 when never, as far as the last two days' ends tell."""
    for path in sorted(patient.home.events.glob("????-??-??.jsonl"), reverse=True)[:2]:
        with open(path, "rb") as stream:
            stream.seek(max(0, path.stat().st_size - _TAIL))
            lines = stream.read().split(b"\n")
        for line in reversed(lines):
            try:
                event = json.loads(line)
                inside = str(event.get("transcript_path", "")).startswith(profile + os.sep)
                if event.get("event") == "hook" and inside:
                    return clock.parse(event["time"])
            except (ValueError, AttributeError, KeyError):
                continue  # a line of another kind, or the first one cut
    return 0.0


def _last_conversation(profile: Path) -> float:
    return max((path.stat().st_mtime for path in profile.glob("projects/*/*.jsonl")), default=0.0)


def _installed_at(patient: Patient) -> float:
    at = installed.load(patient.home).at
    return clock.parse(at) if at else 0.0


def _age(seconds: int) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
