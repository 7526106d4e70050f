"""Our entries in the client's settings: put in beside those of others, found again, and taken out so that nothing is left.

An entry of ours carries `"managedBy": "trinity"`, a member that the clients keep and ignore (2.1.197 and 2.1.328), and is
known without it by what it runs, should an editor drop the member. Everything here is a function of documents: what is
on the disk before and after is the subject of `profiles`.
"""

from __future__ import annotations

import copy
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trinity import files
from trinity.errors import TrinityError
from trinity.hooks import registry
from trinity.setup.settings_file import Settings

MARK = ("managedBy", "trinity")
# what of the user's status line is about its place, not about its program
_LAYOUT = ("padding", "refreshInterval", "hideVimModeIndicator")


@dataclass(frozen=True)
class Registration:
    """What the entries need to know: the resolved interpreter, the hooks' folder and the state folder."""

    python: str
    hooks: str
    home: str

    def entries(self) -> dict[str, list[Any]]:
        """The groups per event, each hook with our mark."""
        found: dict[str, Any] = copy.deepcopy(
            registry.settings_hooks(self.python, self.hooks, self.home, windows=sys.platform == "win32")
        )
        for groups in found.values():
            for group in groups:
                for hook in group["hooks"]:
                    hook[MARK[0]] = MARK[1]
        return found

    def status_line(self, profile: Path, before: dict[str, Any] | None) -> dict[str, Any]:
        """Our status line, laid out as the one `before` was."""
        line = dict(registry.status_line(self.python, self.hooks, self.home, str(profile)))
        line |= {key: before[key] for key in _LAYOUT if before and key in before}
        line[MARK[0]] = MARK[1]
        return line


def ours(entry: object) -> bool:
    """Did Trinity write this hook or status line?"""
    return (isinstance(entry, dict) and entry.get(MARK[0]) == MARK[1]) or registry.is_ours(entry)


def refuse_if_defeated(settings: Settings) -> None:
    """Raise TrinityError when settings of the user or the organisation keep every hook from running."""
    if settings.value.get("disableAllHooks"):
        raise TrinityError(
            f"'{settings.path}' says disableAllHooks: no hook and no status line would run",
            "set it to false, or install with --no-hooks",
        )
    for path, value in managed():
        for name in ("disableAllHooks", "allowManagedHooksOnly"):
            if value.get(name) is True:
                raise TrinityError(
                    f"'{path}' says {name}: your organisation allows no hooks of users",
                    "ask its administrator, or install with --no-hooks",
                )


def managed() -> list[tuple[Path, dict[str, Any]]]:
    """The settings files of this machine's administrator that can be read, as the client finds them."""
    folder = Path(_MANAGED)
    found = []
    for path in (folder / "managed-settings.json", *sorted(folder.glob("managed-settings.d/*.json"))):
        try:
            value = files.load_json(path.read_bytes(), str(path))
        except (OSError, TrinityError):
            continue  # the client reads it, or complains of it, itself
        if isinstance(value, dict):
            found.append((path, value))
    return found


if sys.platform == "win32":
    _MANAGED = r"C:\Program Files\ClaudeCode"
elif sys.platform == "darwin":
    _MANAGED = "/Library/Application Support/ClaudeCode"
else:
    _MANAGED = "/etc/claude-code"


def wanted(settings: Settings, profile: Path, made: Registration, before: dict[str, Any] | None) -> dict[str, Any]:
    """The settings with our entries in place of what was ours; `before` is the status line of the user."""
    value = without(settings.value, before)
    hooks = value.setdefault("hooks", {})
    for event, groups in made.entries().items():
        hooks.setdefault(event, []).extend(groups)
    value["statusLine"] = made.status_line(profile, before)  # a key that is there keeps its place
    return value


def without(value: dict[str, Any], before: dict[str, Any] | None) -> dict[str, Any]:
    """The settings without our entries; our status line gives way to the one from `before`."""
    value = copy.deepcopy(value)
    hooks = value.get("hooks", {})
    for event, groups in list(hooks.items()):
        kept = [group for group in groups if not _drained(group)]
        if kept or not groups:
            hooks[event] = kept
            continue
        del hooks[event]
        if not hooks:
            del value["hooks"]
    if ours(value.get("statusLine")):
        if before is None:
            del value["statusLine"]
        else:
            value["statusLine"] = before
    return value


def _drained(group: dict[str, Any]) -> bool:
    """Take our hooks out of a group; is it empty by that?"""
    foreign = [hook for hook in group["hooks"] if not ours(hook)]
    had_ours = len(foreign) < len(group["hooks"])
    group["hooks"] = foreign
    return had_ours and not foreign


def homes(value: dict[str, Any]) -> set[str]:
    """The state folders that our hooks in these settings report to."""
    return {
        hook["args"][-1]
        for groups in value.get("hooks", {}).values()
        for group in groups
        for hook in group["hooks"]
        if ours(hook) and hook.get("args")
    }


def registered(settings: Settings, profile: Path, made: Registration) -> bool:
    """Do these settings hold exactly what `made` would write?"""
    line = settings.value.get("statusLine")
    before = line if isinstance(line, dict) and ours(line) else None
    expected = made.entries()
    line_now = {key: before[key] for key in ("type", "command")} if before else None
    line_due = {key: made.status_line(profile, None)[key] for key in ("type", "command")}
    for event, groups in settings.value.get("hooks", {}).items():
        mine = [group for group in groups if any(ours(hook) for hook in group["hooks"])]
        if [_bare(group) for group in mine] != [_bare(group) for group in expected.pop(event, [])]:
            return False
    return not expected and line_now == line_due


def _bare(group: dict[str, Any]) -> dict[str, Any]:
    # clients that rewrite the file drop what they do not know: the mark, and before 2.1.295 what a failure means
    lost = (MARK[0], "onFailure")
    hooks = [{key: value for key, value in hook.items() if key not in lost} for hook in group["hooks"] if ours(hook)]
    return {"hooks": hooks, "matcher": group.get("matcher", "")}
