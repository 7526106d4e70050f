"""Keeps a carried session out of the places where its project lay on the PCs it came from.

The conversation is full of the old absolute paths, and here they may lead into somebody's own clone.
`HOME/guard/<session>.json` holds `old_roots` and `new_root`; a tool whose path or command reaches an old root is denied,
and the model hears where the project is. Paths are resolved: `..`, links, `~` and the working folder count. Texts that
a tool only writes, compares or searches for are not looked at: replacing an old path in a file is honest work. Subagents
have their parent's session, and so its guard; a fork gets its own with its first prompt (`inherit`).

A command is read as text, not run (`guard_command` says what that does not see). The client's own deny rules, which
`trinity.work.guard` makes, stand beside it.
"""

import os

from trinity.hooks import answer, compact_json, guard_command, system
from trinity.hooks.guard_roots import Roots, within

TYPE_CHECKING = False  # what `typing` says; importing it would cost more than this module
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

_LIMIT = 64 << 10
_PATHS = ("file_path", "notebook_path", "path", "cwd", "directory")
_PLACES = (*_PATHS, "uri", "url", "file", "filename", "target", "destination", "source")
_TEXTS = ("old_string", "new_string", "new_source", "content", "text", "prompt", "description")
_LONGEST = 4096
_DEEPEST = 20


def refuse_tool(home: str, session: str, payload: dict[str, object]) -> int | None:
    """Denies the tool when it reaches an old root, or when that cannot be found out."""
    path = f"{home}/guard/{session}.json"
    try:
        olds, new = _roots(path)
        given = payload["tool_input"]
        if not isinstance(given, dict):
            raise ValueError("no tool input")
        cwd = payload.get("cwd")
        cwd = cwd if isinstance(cwd, str) and cwd else new
        tool = str(payload.get("tool_name"))
        found = next((old for old in olds if reaches(old, new, cwd, tool, given)), None)
        if found is None:
            return None
    except FileNotFoundError:
        return None  # taken away in this moment
    except BaseException as problem:
        return answer.deny(
            f"Trinity: it cannot be checked whether this tool reaches the project's old place ({type(problem).__name__});"
            f" the note is '{path}'. Nothing runs until a person has looked at it."
        )
    return answer.deny(
        f"Trinity: this conversation was carried here from another PC. What lay in '{found}' there lies in '{new}' here;"
        f" '{found}' on this PC is not yours. Use '{new}', and read a file again before editing it."
    )


def inherit(home: str, session: str, cwd: str) -> None:
    """Give a session the guard of the one whose work lies in its folder: a fork has the old paths, and a new id."""
    for name in os.listdir(f"{home}/guard") if cwd else ():
        if not name.endswith(".json"):
            continue
        path = f"{home}/guard/{name}"
        try:
            _, new = _roots(path)
        except (OSError, ValueError, KeyError, TypeError, UnicodeError):
            continue  # a damaged note closes its own session, and says nothing about others
        if within(os.path.realpath(cwd), os.path.realpath(new)):
            system.replace(f"{home}/guard", f"{session}.json", system.read_file(path, _LIMIT))
            return


def _roots(path: str) -> tuple[list[str], str]:
    document = compact_json.parse(system.read_file(path, _LIMIT).decode("utf-8"))
    if not isinstance(document, dict):
        raise ValueError("no object")
    # a note of an older Trinity names one root
    olds, new = document.get("old_roots") or [document["old_root"]], document["new_root"]
    if not isinstance(olds, list) or not all(map(os.path.isabs, [*olds, new])):
        raise ValueError("no absolute roots")
    return olds, new


def reaches(old: str, new: str, cwd: str, tool: str, given: dict[str, object], flavour: "ModuleType" = os.path) -> bool:
    """Whether a tool with the input `given`, called in `cwd`, names something below `old` that is not below `new`."""
    roots = Roots(old, new, flavour)
    if roots.same:
        return False
    if tool.startswith("mcp__"):
        return _server_reaches(roots, cwd, given)
    for member, value in given.items():
        if not isinstance(value, str) or member in _TEXTS or (member == "pattern" and tool != "Glob"):
            continue
        if member in ("command", "script"):
            found = guard_command.reaches(roots, cwd, value)
        elif member in _PATHS or value.startswith(("/", "~")) or flavour.isabs(value):
            found = roots.hold(roots.join(cwd, value))
        else:
            base = given.get("path")
            found = member == "pattern" and roots.hold(
                roots.join(roots.join(cwd, base) if isinstance(base, str) else cwd, value)
            )
        if found:
            return True
    return False


def _server_reaches(roots: Roots, cwd: str, given: dict[str, object]) -> bool:
    """The same for a tool of a server that nobody knows here: any text may be a path or a command.

    Only where it also says which place it works on, texts for a file are left alone.
    """
    names_place = any(member in _PLACES for member, _ in _strings(given))
    for member, text in _strings(given):
        if member in _TEXTS and names_place:
            continue
        if member in ("command", "script", "cmd", "code") and guard_command.reaches(roots, cwd, text):
            return True
        if guard_command.names(roots, _unquoted(text) if "%" in text else text):
            return True
        if len(text) <= _LONGEST and "\n" not in text:
            place = _unquoted(text[7:]) if text.startswith("file://") else text
            if roots.hold(roots.join(cwd, place)):
                return True
    return False


def _strings(value: object, member: str = "", deep: int = 0) -> "Iterator[tuple[str, str]]":
    """All texts of the input with the member they stand in; a list's have the list's."""
    if isinstance(value, str):
        yield member, value
    elif deep > _DEEPEST:
        raise ValueError("a tool input too deep to be read")
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _strings(inner, str(name), deep + 1)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner, member, deep + 1)


def _unquoted(text: str) -> str:
    """`%20` and the like as what they stand for in an address."""
    parts = text.split("%")
    made = parts[0].encode("utf-8", "surrogateescape")
    for part in parts[1:]:
        try:
            made += bytes((int(part[:2], 16),)) + part[2:].encode("utf-8", "surrogateescape")
        except ValueError:
            made += b"%" + part.encode("utf-8", "surrogateescape")
    return made.decode("utf-8", "surrogateescape")
