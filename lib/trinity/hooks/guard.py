"""Keeps a carried session out of the place where its project lay on the PC it came from.

The conversation is full of the old absolute paths, and here they may lead into somebody's own clone.
`HOME/guard/<session>.json` holds `old_root` and `new_root`; a tool whose path or command reaches the old root is denied,
and the model hears where the project is. Paths are resolved: `..`, links, `~` and the working folder count. Texts that
a tool only writes, compares or searches for are not looked at: replacing an old path in a file is honest work.

A command is read as text, not run: scripts and computed paths get round it. The client's own deny rules, which
`trinity.work.guard` makes, stand beside it.
"""

import os
import sys

from trinity.hooks import answer, compact_json, system

_LIMIT = 64 << 10
_PATHS = ("file_path", "notebook_path", "path")
_TEXTS = ("old_string", "new_string", "new_source", "content", "prompt", "description")
_NAME = "_-.+@%~#\\"  # what may go on a file's name, besides letters and digits
_BREAKS = ";|&\n"
_BETWEEN = " \t\r\"'()<>`{}=,:$"
_RESOLVED_WORDS = 300
_BASES = 6


def refuse_tool(home: str, session: str, payload: dict[str, object]) -> int | None:
    """Denies the tool when it reaches the old root, or when that cannot be found out."""
    path = f"{home}/guard/{session}.json"
    try:
        document = compact_json.parse(system.read_file(path, _LIMIT).decode("utf-8"))
        old, new = document["old_root"], document["new_root"]  # type: ignore[index]
        given = payload["tool_input"]
        if not os.path.isabs(old) or not os.path.isabs(new) or not isinstance(given, dict):
            raise ValueError("no absolute roots, or no tool input")
        cwd = payload.get("cwd")
        if not reaches(old, new, cwd if isinstance(cwd, str) and cwd else new, str(payload.get("tool_name")), given):
            return None
    except FileNotFoundError:
        return None  # taken away in this moment
    except BaseException as problem:
        return answer.deny(
            f"Trinity: it cannot be checked whether this tool reaches the project's old place ({type(problem).__name__});"
            f" the note is '{path}'. Nothing runs until a person has looked at it."
        )
    return answer.deny(
        f"Trinity: this conversation was carried here from another PC. What lay in '{old}' there lies in '{new}' here;"
        f" '{old}' on this PC is not yours. Use '{new}', and read a file again before editing it."
    )


def reaches(old: str, new: str, cwd: str, tool: str, given: dict[str, object]) -> bool:
    """Whether a tool with the input `given`, called in `cwd`, names something below `old` that is not below `new`."""
    roots = _Roots(old, new)
    for member, value in given.items():
        if not isinstance(value, str) or member in _TEXTS or (member == "pattern" and tool != "Glob"):
            continue
        if member == "command":
            found = _command_reaches(roots, cwd, value)
        elif member in _PATHS or value.startswith(("/", "~")) or os.path.isabs(value):
            found = roots.hold(os.path.join(cwd, os.path.expanduser(value)))
        else:
            found = member == "pattern" and roots.hold(os.path.join(cwd, value))
        if found:
            return True
    return False


class _Roots:
    """The old and the new root, as written and with their links resolved."""

    def __init__(self, old: str, new: str) -> None:
        self.old, self.new = _folded(os.path.normpath(old)), _folded(os.path.normpath(new))
        self.real_old, self.real_new = _folded(os.path.realpath(old)), _folded(os.path.realpath(new))

    def hold(self, path: str, resolve: bool = True) -> bool:
        """Whether `path` belongs to the old root. Where one root lies within the other, the inner one owns it."""
        if self.real_old == self.real_new:
            return False  # the old name leads to the new place
        plain = os.path.normpath(path)
        if not resolve:
            return _owned(_folded(plain), self.old, self.new)
        # both orders: the client takes `..` off the text, the system follows links first
        return any(
            _owned(_folded(os.path.realpath(one)), self.real_old, self.real_new) for one in dict.fromkeys((plain, path))
        )


def _owned(path: str, old: str, new: str) -> bool:
    if not _within(path, old):
        return False
    return not _within(path, new) or len(old) > len(new)


def _within(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip("/\\") + os.sep)


def _folded(path: str) -> str:
    # these file systems take both cases for one name
    return path.casefold() if sys.platform in ("win32", "darwin") else path


def _command_reaches(roots: _Roots, cwd: str, command: str) -> bool:
    if roots.real_old == roots.real_new:
        return False
    while "//" in command:
        command = command.replace("//", "/")
    command = command.replace("/./", "/")
    texts = [command]
    if any(sign in roots.old + roots.real_old for sign in " ()'&;[]"):
        texts.append(command.replace("\\", ""))
    return any(_names(roots, text) for text in texts) or _words_reach(roots, cwd, command)


def _names(roots: _Roots, command: str) -> bool:
    """Whether the old root stands in the text as a path of its own, in any of its spellings."""
    spellings = {roots.old, roots.real_old}
    user = os.path.expanduser("~")
    for root in list(spellings):
        if _within(root, _folded(user)) and len(user) > 1:
            spellings |= {start + root[len(user.rstrip("/")) :] for start in ("~", "$HOME", "${HOME}", '"$HOME"')}
    text = _folded(command)
    for spelling in spellings:
        at = text.find(spelling)
        while at >= 0:
            if _stands_alone(text, at, spelling) and not _goes_on_to_new(roots, text, at, spelling):
                return True
            at = text.find(spelling, at + 1)
    return False


def _stands_alone(text: str, at: int, spelling: str) -> bool:
    """Neither the end of a longer path (`/backup/old`) nor the start of a longer name (`/old-carried`)."""
    end = at + len(spelling)
    following = text[end : end + 1]
    if following and (following.isalnum() or following in _NAME) and text[end : end + 2] != "\\\n":
        return False
    begin = at
    while begin and text[begin - 1] not in _BETWEEN + _BREAKS:
        begin -= 1
    before = text[begin:at]
    return not before or (before.startswith("-") and "/" not in before)  # an option that holds its value: -C/old


def _goes_on_to_new(roots: _Roots, text: str, at: int, spelling: str) -> bool:
    """Whether the path that begins here leads out of the old root into the new one."""
    end = at
    while end < len(text) and text[end] not in _BETWEEN + _BREAKS + "*?[":
        end += 1
    if at + len(spelling) > end or text[end : end + 1] in tuple("*?[{$`"):
        return False
    path = roots.old + text[at + len(spelling) : end]
    plain = os.path.normpath(path)
    return _within(plain, roots.new) and not _owned(plain, roots.old, roots.new) and not roots.hold(path)


def _words_reach(roots: _Roots, cwd: str, command: str) -> bool:
    """Whether a word, taken as a path from the working folder or from where a `cd` in the command leads, is in the old
    root."""
    words = _words(command)
    bases = [cwd]
    for number, word in enumerate(words):
        path = os.path.expanduser(word)
        if number and words[number - 1] in ("cd", "pushd", "-C"):
            goal = os.path.expanduser("~") if word in _BREAKS else path
            bases += [os.path.normpath(os.path.join(base, goal)) for base in bases[: max(0, _BASES - len(bases))]]
        if word in _BREAKS or word.startswith("-"):
            continue
        if any(roots.hold(os.path.join(base, path), resolve=number < _RESOLVED_WORDS) for base in bases):
            return True
    return False


def _words(command: str) -> list[str]:
    for sign in _BREAKS:
        command = command.replace(sign, f" {_BREAKS[0]} ")
    for sign in _BETWEEN:
        command = command.replace(sign, " ")
    return [word for word in command.split(" ") if word and "\0" not in word]
