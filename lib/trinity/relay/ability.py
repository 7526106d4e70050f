"""Whether this PC can take work now, in words for the others and for a person."""

from __future__ import annotations

import shutil

from trinity import clock, files
from trinity.config import Config
from trinity.errors import BadRecord, TrinityError
from trinity.home import Home
from trinity.relay import pausing
from trinity.work import client as clients

LEAST_FREE_BYTES = 200_000_000


def unable(home: Home, config: Config) -> str | None:
    """Why this PC takes no work of others now; None when it does."""
    pause = pausing.read(home)
    if pause is not None:
        return f"acting is paused there{f' until {clock.local(pause.until)}' if pause.until else ''}"
    if not config.act:
        return "acting is switched off in its config.json"
    if said := full(home):
        return said
    try:
        client = clients.find(config.client)
    except TrinityError as error:
        return error.message
    version = _version(home, client)
    if version and version < clients.OLDEST:
        return f"its Claude Code {_dotted(version)} is older than {_dotted(clients.OLDEST)}"
    return None


def full(home: Home) -> str | None:
    """Why nothing new may begin on this disk; None when there is room."""
    free = shutil.disk_usage(home.root).free
    return f"its disk is full, {free // 1_000_000} MB are free" if free < LEAST_FREE_BYTES else None


def client_version(home: Home, config: Config) -> str | None:
    """The version of this PC's Claude Code; None when there is none, or it does not say."""
    try:
        version = _version(home, clients.find(config.client))
    except TrinityError:
        return None
    return _dotted(version) if version else None


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _version(home: Home, client: str) -> tuple[int, ...] | None:
    """Asked once for each client that lies there: to start it costs more than all the rest of a round."""
    memory = home.root / "client_version.json"
    try:
        known = files.read_or(memory, dict)
    except BadRecord:
        known = {}
    found = clients.identity(client)
    if isinstance(known, dict) and known.get("client") == found:
        return clients.parse_version(str(known.get("version")))
    version = clients.version(client)
    if version is not None:
        files.write_json(memory, {"client": found, "version": _dotted(version)})
    return version
