"""A shell command with its variables replaced by what they hold, as far as the command itself or the environment says so.

Assignments count in the order of the text, wherever they stand. Of the environment only paths are taken.
"""

import os

from trinity.hooks.guard_roots import Roots

# Values that double themselves would fill the memory.
_LONGEST = 4096
_MORE = 1 << 16


def expanded(roots: Roots, cwd: str, command: str) -> str:
    """The command with the values of variables that it sets itself, of $PWD, and of those the environment has."""
    if "$" not in command and "%" not in command:
        return command
    known = {"PWD": cwd}
    made: list[str] = []
    at, room = 0, len(command) + _MORE
    while at < len(command):
        if room < 0:
            made.append(command[at:])
            break
        if command[at] == "$" or (roots.windows and command[at] == "%"):
            name, end = _variable(command, at)
            value = known.get(name) if name else None
            if value is None and name:
                value = _from_environment(roots, name)
            if value is not None:
                made.append(value)
                room -= len(value)
                at = end
                continue
        if (command[at].isalpha() or command[at] == "_") and (not at or command[at - 1] in " \t\n;&|({\"'`:$"):
            end = at
            while end < len(command) and (command[end].isalnum() or command[end] == "_"):
                end += 1
            equals = end
            while roots.windows and command[equals : equals + 1] == " ":
                equals += 1  # PowerShell: $name = value
            if command[equals : equals + 1] == "=":
                value = _value(command, equals + 1, roots.windows)
                known[command[at:end]] = _expanded_value(roots, known, value)
            made.append(command[at:end])
            at = end
            continue
        made.append(command[at])
        at += 1
    return "".join(made)


def _variable(command: str, at: int) -> "tuple[str, int]":
    """The name of the variable that is used at `at`, and where its use ends; "" for what is none."""
    if command[at] == "%":
        end = command.find("%", at + 1)
        name = command[at + 1 : end] if end > 0 else ""
        return (name, end + 1) if name.replace("_", "").isalnum() else ("", at)
    begin = at + 1
    braced = command[begin : begin + 1] == "{"
    begin += braced
    if command[begin : begin + 4].casefold() == "env:":
        begin += 4
    end = begin
    while end < len(command) and (command[end].isalnum() or command[end] == "_"):
        end += 1
    name = command[begin:end]
    if not braced:
        return name, end
    close = command.find("}", end)
    if close < 0 or (close > end and command[end] not in ":-"):
        return "", at
    return name, close + 1


def _from_environment(roots: Roots, name: str) -> "str | None":
    value = os.environ.get(name)
    if name == "HOME" and value is None:
        return roots.home
    # Only paths: whatever else is in there is nobody's business.
    return value if value and (value.startswith(("/", "~")) or value[1:3] in (":\\", ":/")) else None


def _value(command: str, at: int, blanks: bool) -> str:
    while blanks and command[at : at + 1] == " ":
        at += 1
    first = command[at : at + 1]
    if first in ("'", '"'):
        return command[at + 1 :].partition(first)[0]
    end = at
    while end < len(command) and command[end] not in " \t\n;&|)'\"`":
        end += 1
    return command[at:end]


def _expanded_value(roots: Roots, known: "dict[str, str]", value: str) -> str:
    value = value[:_LONGEST]
    for name in sorted(known, key=len, reverse=True) if "$" in value else ():
        value = value.replace(f"${{{name}}}", known[name]).replace(f"${name}", known[name])[:_LONGEST]
    return value if "\0" in value else str(roots.flavour.expanduser(value))
