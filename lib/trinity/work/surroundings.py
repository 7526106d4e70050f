"""What a conversation had around it on its PC, by name, and what of that another PC lacks.

`collect` looks on the PC that hands over: names of MCP servers, of the command-line tools that were really used, of
environment variables from settings, a hash of the user's own CLAUDE.md; never a value of any of them. `lacking` compares
on the PC that accepts, in sentences for the model and for the person.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from trinity import redaction
from trinity.work import client as clients

_NAMES = 60
_COMMANDS = 8
_LONG = 160
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+@-]{0,59}$")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,79}$")
# Each PC's client has its own login and its own settings of this kind.
_OWN = ("ANTHROPIC_", "CLAUDE", "DISABLE_", "AWS_", "GOOGLE_", "OTEL_")
_SERVER = re.compile(r"mcp__(.+?)__")
_BREAKS = re.compile(r"[;&|\n()`]|\$\(")
_BEFORE = {"sudo", "env", "time", "nohup", "exec", "command", "xargs", "then", "do", "else", "if", "while", "!", "{"}
_SHELLS = {"sh", "bash", "zsh", "fish", "dash", "tmux", "screen", "login", "sshd", "pwsh", "powershell.exe", "cmd.exe"}
_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def collect(session: Mapping[str, Any], top: Path | None) -> dict[str, Any]:
    """The record of kind `surroundings` for a session of this PC; `top` is the worktree it works in, if any."""
    transcript = Path(session.get("transcript_path") or "")
    profile = Path(session.get("config_dir") or Path.home() / ".claude")
    cwd = Path(session["cwd"])
    servers, tools, shells = set(_servers(profile, cwd)), set(), []
    for name, given in _tool_uses(transcript):
        if found := _SERVER.match(name):
            servers.add(found[1])
        elif name == "Bash" and isinstance(given.get("command"), str):
            tools |= set(_programs(given["command"]))
            if given.get("run_in_background"):
                shells.append(_cut(given["command"]))
    return {
        "kind": "surroundings",
        "version": 1,
        "system": sys.platform,
        "client_version": session.get("client_version"),
        "mcp_servers": _names(servers),
        "tools": _names(tool for tool in tools if shutil.which(tool)),
        "environment": _names(_variables(profile, cwd)),
        "plugins": _names(_plugins(profile)),
        "instructions": _hash(profile / "CLAUDE.md"),
        "session_folder": str(transcript.with_suffix("")) if transcript.name else "",
        "shells": shells[-_COMMANDS:],
        "processes": list(_processes(top or cwd, str(session.get("session_id"))))[:_COMMANDS],
    }


def lacking(there: Mapping[str, Any], profile: Path, cwd: Path, client: str | None) -> list[str]:
    """What this PC lacks of the surroundings, one sentence each; `cwd` is the work's folder here."""
    said = []
    here = clients.version(client) if client else None
    came = clients.parse_version(there["client_version"] or "")
    if here and came and here < came:
        said.append(f"the client here is {_dotted(here)}, older than {_dotted(came)} there: update it")
    servers = [name for name in there["mcp_servers"] if name not in set(_servers(profile, cwd))]
    if servers:
        said.append(f"MCP servers that are not configured here: {', '.join(servers)}")
    said += _servers_of_project(cwd)
    tools = [name for name in there["tools"] if not shutil.which(name)]
    if tools:
        said.append(f"command-line tools that are not installed here: {', '.join(tools)}")
    known = {*os.environ, *_variables(profile, cwd)}
    unset = [name for name in there["environment"] if name not in known]
    if unset:
        said.append(f"environment variables that are not set here: {', '.join(unset)}")
    plugins = [name for name in there["plugins"] if name not in set(_plugins(profile))]
    if plugins:
        said.append(f"plugins that are not enabled here: {', '.join(plugins)}")
    own = _hash(profile / "CLAUDE.md")
    if own != there["instructions"]:
        which = (
            "there is none here" if own is None else "there was none there" if not there["instructions"] else "differs"
        )
        said.append(f"the user's own CLAUDE.md: {which}; the one of this PC counts")
    if there["system"] != sys.platform:
        said.append(f"the other PC's system is {there['system']}, this one's {sys.platform}")
    return said


def left_running(there: Mapping[str, Any]) -> list[str]:
    """What ran beside the conversation on the other PC, one sentence each."""
    said = []
    if there["shells"]:
        commands = "; ".join(json.dumps(command, ensure_ascii=False) for command in there["shells"])
        said.append(f"shells in the background ended with the session there: {commands}")
    if there["processes"]:
        said.append(f"still running there, in the old folder: {'; '.join(there['processes'])}")
    return said


def asked(cwd: Path) -> list[str]:
    """What an interactive client asks in this folder, and only a person may answer, one sentence each."""
    servers: list[str] = []
    for folder in (cwd, *cwd.parents):
        servers += _members(_document(folder / ".mcp.json").get("mcpServers"))
        if (folder / ".git").exists():
            break
    if not servers:
        return []
    return [
        f"a client on a screen asks first whether it may use the project's MCP servers: {', '.join(servers[:_COMMANDS])}"
    ]


def _servers(profile: Path, cwd: Path) -> Iterator[str]:
    """The names of MCP servers that the client knows in this folder."""
    own = _document(profile / ".claude.json") or _document(profile.parent / ".claude.json")
    projects = own.get("projects")
    for folder in (cwd, *cwd.parents):
        if isinstance(projects, dict) and isinstance(projects.get(str(folder)), dict):
            yield from _members(projects[str(folder)].get("mcpServers"))
        yield from _members(_document(folder / ".mcp.json").get("mcpServers"))
        if (folder / ".git").exists():
            break
    yield from _members(own.get("mcpServers"))


def _servers_of_project(cwd: Path) -> list[str]:
    """What the project's own servers need and this PC has not."""
    said = []
    for folder in (cwd, *cwd.parents):
        servers = _document(folder / ".mcp.json").get("mcpServers")
        for name, server in servers.items() if isinstance(servers, dict) else ():
            if not isinstance(server, dict):
                continue
            command = server.get("command")
            if isinstance(command, str) and "$" not in command and not shutil.which(command, path=_path(folder)):
                said.append(f"the program '{command}' of the MCP server '{name}' is not installed here")
            unset = sorted({v for v in _REFERENCE.findall(json.dumps(server)) if v not in os.environ})
            if unset:
                said.append(f"the MCP server '{name}' needs environment variables not set here: {', '.join(unset)}")
        if (folder / ".git").exists():
            break
    return said


def _path(folder: Path) -> str:
    return os.pathsep.join([str(folder), os.environ.get("PATH", os.defpath)])


def _variables(profile: Path, cwd: Path) -> Iterator[str]:
    places = [profile / "settings.json", cwd / ".claude" / "settings.json", cwd / ".claude" / "settings.local.json"]
    for place in places:
        for name in _members(_document(place).get("env")):
            if _VARIABLE.match(name) and not name.startswith(_OWN):
                yield name


def _plugins(profile: Path) -> Iterator[str]:
    enabled = _document(profile / "settings.json").get("enabledPlugins")
    for name, on in enabled.items() if isinstance(enabled, dict) else ():
        if on is not False:
            yield str(name)


def _members(value: object) -> list[str]:
    return [str(name) for name in value] if isinstance(value, dict) else []


def _document(path: Path) -> dict[str, Any]:
    """The file's object; empty for what is none: it is only looked at for names."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _hash(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    except OSError:
        return None


def _tool_uses(transcript: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        stream = transcript.open("rb")
    except OSError:
        return
    with stream:
        for line in stream:
            if b'"tool_use"' not in line:
                continue
            try:
                content = json.loads(line)["message"]["content"]
            except (ValueError, KeyError, TypeError, RecursionError):
                continue
            for block in content if isinstance(content, list) else ():
                if isinstance(block, dict) and block.get("type") == "tool_use" and isinstance(block.get("input"), dict):
                    yield str(block.get("name")), block["input"]


def _programs(command: str) -> Iterator[str]:
    """The first words of a command's parts, as far as they look like names of programs."""
    for part in _BREAKS.split(command[:20_000]):
        for word in part.split():
            if word in _BEFORE or ("=" in word and "/" not in word.partition("=")[0]) or word.startswith("-"):
                continue
            if _NAME.match(word):
                yield word
            break


def _processes(top: Path, session_id: str) -> Iterator[str]:
    """Programs that work in the folder and are neither the session's client nor somebody's shell."""
    import psutil

    own = {os.getpid(), os.getppid()}
    try:
        own.update(parent.pid for parent in psutil.Process().parents())
    except psutil.Error:
        pass  # one of them has ended meanwhile, or may not be looked at: it is listed, which harms nobody
    place = os.path.realpath(top)
    for process in psutil.process_iter(["pid", "name", "cwd", "cmdline"]):
        found = process.info
        arguments = [str(part) for part in found["cmdline"] or []]
        where = found["cwd"]
        if not where or found["pid"] in own or not arguments or session_id in arguments:
            continue
        if not Path(where).is_relative_to(place) or found["name"] in _SHELLS or "claude" in str(found["name"]):
            continue
        yield f"process {found['pid']}: {_cut(' '.join(arguments))}"


def _cut(command: str) -> str:
    return redaction.redact(" ".join(command.split()))[:_LONG]


def _names(found: Iterator[str] | set[str]) -> list[str]:
    return sorted({name for name in found if 0 < len(name) <= 120})[:_NAMES]


def _dotted(version: Sequence[int]) -> str:
    return ".".join(map(str, version))
