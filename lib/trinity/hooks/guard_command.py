"""Whether a shell command, read as text, reaches the old place of a carried project.

Seen are: the old root as a path of its own in any quoting, also inside the code of another language; `~`, `$HOME` and
variables that the command sets or the environment holds; words as paths from the working folder and from wherever a `cd`
(or `-C`) leads, with links resolved; patterns of names; and commands that sweep a whole tree (`rm -r`, `find -delete`,
`xargs`, …) started above the old root. Read in doubt as reaching: a message or a here-document that names the old root
is refused, too.

Not seen, because a text does not show it: paths that are put together or decoded while the command runs
(`"/srv/" + "app"`, `$(printf …)`, base64, `${X%/*}`), what scripts and programs do by themselves (a Makefile, a git alias, a
`.envrc`), loops that feed names from above the old root to a command, commands that unpack or copy a tree over a folder
above it, names that only another process knows, and mounts and hard links into it. Outside of the tool's own folder, reading
a tree from above (`grep -r x ~`) is let through. The client's deny rules stand beside this, and know no more.
"""

from trinity.hooks import guard_variables
from trinity.hooks.guard_roots import Roots, within

_NAME = "_-.+@%~#\\"  # what may go on a file's name, besides letters and digits
_BREAKS = ";|&\n"
_BETWEEN = " \t\r\"'()<>`{}=,:$"
_BEFORE = "@+^!%#"  # what may stand in front of a path without being of its name, as in `curl -d @FILE`
_RESOLVED_WORDS = 1000
_FOLDERS = 12
_MOST_MOVES = 60
_DEEPEST = 3
# What a word needs to lead anywhere else than below the folder it is said in.
_CLIMBING = ("/", "\\", "..", "~", ":", "=", "@", "*", "?", "[", "{")
_MOVES = ("cd", "pushd", "chdir", "-C", "--directory", "--chdir", "--prefix", "set-location", "push-location", "sl")
_SWEEPS = ("rm", "chmod", "chown", "chgrp", "remove-item", "rd", "rmdir", "icacls")  # with a flag for the whole tree
_ALWAYS = ("xargs", "rsync", "robocopy", "-delete", "-exec", "-execdir", "-ok", "-okdir", "parallel", "shred")


def reaches(roots: Roots, cwd: str, command: str) -> bool:
    """Whether `command`, run in `cwd`, names something in the old root."""
    if roots.same:
        return False
    command = command.replace("\\\n", "") if not roots.windows else command
    texts = dict.fromkeys((command, guard_variables.expanded(roots, cwd, command)))
    left = [_RESOLVED_WORDS]
    return any(_names(roots, text) or _words_reach(roots, cwd, text, left) for text in texts)


def names(roots: Roots, text: str) -> bool:
    """Whether the old root stands somewhere in `text` as a path of its own."""
    return not roots.same and _names(roots, text)


def _names(roots: Roots, command: str) -> bool:
    text = _collapsed(roots, command)
    texts = [text]
    if not roots.windows and "\\" in text:
        texts.append(text.replace("\\", ""))
    if "'" in text or '"' in text:
        # quotes in the middle of a path: "/srv"/'app'
        texts.append(texts[-1].replace("'", "").replace('"', ""))
    return any(_spelled(roots, one, spelling) for one in texts for spelling in _spellings(roots))


def _collapsed(roots: Roots, text: str) -> str:
    text = roots.folded(text)
    while "//" in text:
        text = text.replace("//", "/")
    if roots.windows:
        text = text.replace("/?/", " ")
    return text.replace("/./", "/")


def _spellings(roots: Roots) -> "list[str]":
    """All ways to write the old root, folded."""
    found = [roots.old, roots.real_old]
    for root in (roots.old, roots.real_old):
        if within(root, roots.home) and len(roots.home) > 3:
            rest = root[len(roots.home.rstrip("/")) :]
            starts = ["~", "$HOME", "${HOME}"]
            if roots.windows:
                starts += ["%userprofile%", "$env:userprofile", "%homedrive%%homepath%", "${env:userprofile}"]
            found += [roots.folded(start) + rest for start in starts]
        if roots.windows and root[1:2] == ":":
            found += [f"{start}{root[0]}{root[2:]}" for start in ("/", "/mnt/", "/cygdrive/")]
        if root.startswith("//"):
            found.append(root[1:])
    return list(dict.fromkeys(found))


def _spelled(roots: Roots, text: str, spelling: str) -> bool:
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
    if following and (following.isalnum() or following in _NAME) and text[end : end + 2] not in ("\\\n", "\\n"):
        return False
    begin = at
    while begin and text[begin - 1] not in _BETWEEN + _BREAKS:
        begin -= 1
    before = text[begin:at].strip(_BEFORE)
    if before and spelling[0] not in "/~$%" and before.startswith("/") and before.endswith("/"):
        return False
    return not before or (before.startswith("-") and "/" not in before)  # an option that holds its value: -C/old


def _goes_on_to_new(roots: Roots, text: str, at: int, spelling: str) -> bool:
    """Whether the path that begins here leads out of the old root into the new one."""
    end = at
    while end < len(text) and text[end] not in _BETWEEN + _BREAKS + "*?[":
        end += 1
    if roots.windows and end == at + 1 and text[end : end + 1] == ":":
        end += 1
        while end < len(text) and text[end] not in _BETWEEN + _BREAKS + "*?[":
            end += 1
    if at + len(spelling) > end or text[end : end + 1] in tuple("*?[{$`"):
        return False
    path = roots.old + text[at + len(spelling) : end]
    plain = roots.plain(path)
    return within(plain, roots.new) and not roots.hold(path)


def _words_reach(roots: Roots, cwd: str, command: str, left: "list[int]", deep: int = 0) -> bool:
    """Whether a word, taken as a path from the working folder or from where a `cd` leads, is in the old root."""
    words, inner = _tokens(roots, command)
    if any(_stream_reaches(roots, cwd, each, left) for each in (words, _blind_words(roots, command))):
        return True
    return deep < _DEEPEST and any(_words_reach(roots, cwd, text, left, deep + 1) for text in inner)


def _stream_reaches(roots: Roots, cwd: str, words: "list[str]", left: "list[int]") -> bool:
    """`left`: for so many words links are still looked at; beyond them paths count as they are written."""
    folders, here, moving, moves = [cwd], cwd, False, 0
    segment: list[str] = []
    tried: set[str] = set()
    for word in words:
        if word in _BREAKS:
            if moving:  # `cd` alone
                here = roots.flavour.expanduser("~")
                folders = [*folders, here][-_FOLDERS:]
                moving = False
                tried.clear()
            if word != "|":
                if _sweeps(roots, folders, segment):
                    return True
                segment = []
            continue
        segment.append(word)
        if moving and (not word.startswith("-") or word.startswith("-/")):
            moving, moves = False, moves + 1
            if moves <= _MOST_MOVES:
                goals = [roots.flavour.normpath(roots.join(base, word)) for base in (here, cwd)]
                here = goals[0]
                folders = list(dict.fromkeys([*folders, *goals]))
                folders = [folders[0], *folders[1:][-_FOLDERS:]]
                tried.clear()
        elif word.casefold() in _MOVES:
            moving = True
            continue
        if word in tried:
            continue
        tried.add(word)
        left[0] -= 1
        resolve = left[0] > 0
        if not resolve and not any(sign in word for sign in _CLIMBING):
            # As text it stays below the folders, none of which is in the old root; only those above it matter.
            bases = [base for base in folders if roots.above(base)]
        else:
            bases = folders
        for path in _as_paths(roots, word) if bases else ():
            if any(roots.hold(roots.join(base, path), resolve) for base in bases):
                return True
    return _sweeps(roots, folders, segment)


def _as_paths(roots: Roots, word: str) -> "list[str]":
    """What in the word may be a path: itself, what follows a `=`, what an option holds."""
    found = [] if word.startswith("-") else [word]
    if "=" in word:
        found += word.split("=")[1:]
    if word.startswith("-") and len(word) > 2 and ("/" in word or ".." in word):
        found.append(word[2:])
        found.append(word.lstrip("-"))
    if word[:1] in _BEFORE and len(word) > 1:
        found.append(word[1:])
    if ":" in word and "/" in word and not roots.windows:
        found += word.split(":")
    if word.startswith("file://"):
        found.append(word[7:])
    return [path for path in found if path]


def _sweeps(roots: Roots, folders: "list[str]", segment: "list[str]") -> bool:
    """Whether one command of the line goes through a whole tree in which the old root lies."""
    if not segment:
        return False
    plain = [word.replace("\\", "/").rpartition("/")[2].casefold() for word in segment]
    always = any(word in _ALWAYS for word in plain)
    flags = [word for word in segment if word.startswith(("-", "/")) and len(word) < 20]
    whole = any("r" in flag.casefold() or flag.casefold() == "/s" for flag in flags)
    if not always and not (whole and any(word in _SWEEPS for word in plain)):
        return False
    return any(roots.above(roots.join(base, word)) for word in segment if not word.startswith("-") for base in folders)


def _blind_words(roots: Roots, command: str) -> "list[str]":
    """The words, quotes taken for blanks: what code in quotes names."""
    for sign in _BREAKS:
        command = command.replace(sign, f" {sign if sign == '|' else ';'} ")
    for sign in _BETWEEN:
        if sign != ":" or not roots.windows:  # there it is of a path
            command = command.replace(sign, " ")
    return [word for word in command.split(" ") if word and "\0" not in word]


def _tokens(roots: Roots, command: str) -> "tuple[list[str], list[str]]":
    """The words as a shell makes them, breaks among them, and what stood in quotes with blanks in it."""
    if not any(sign in command for sign in "'\"\\{"):
        return [], []
    words: list[str] = []
    inner: list[str] = []
    word: list[str] = []
    at, size = 0, len(command)
    while at < size:
        sign = command[at]
        if sign in "'\"":
            end = at + 1
            while end < size and command[end] != sign:
                end += 2 if sign == '"' and command[end] == "\\" and not roots.windows else 1
            text = command[at + 1 : end]
            if sign == '"' and not roots.windows:
                text = text.replace('\\"', '"').replace("\\\\", "\\")
            word.append(text)
            if any(between in text for between in " ;|&<>\n"):
                inner.append(text)
            at = end + 1
            continue
        if sign == "\\" and not roots.windows:
            word.append(command[at + 1 : at + 2])
            at += 2
            continue
        if sign in " \t\r()<>`" or sign in _BREAKS:
            if word:
                words.append("".join(word))
                word = []
            if sign in _BREAKS:
                words.append("|" if sign == "|" else ";")
        else:
            word.append(sign)
        at += 1
    if word:
        words.append("".join(word))
    return [found for found in words if "\0" not in found], inner
