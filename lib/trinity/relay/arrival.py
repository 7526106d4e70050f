"""What happens around work that was just unpacked: the user's own command, the folder's trust, and what this PC lacks.

Nothing of it can lose the work: what fails becomes a sentence for the model and for the person.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trinity import program, schema
from trinity.config import Config
from trinity.errors import TrinityError
from trinity.fleet import journal
from trinity.home import Home
from trinity.work import after_restore, surroundings, trust
from trinity.work import client as clients

_LIMIT = 100_000
_EPOCHS = 20
# A round of the daemon is ended after ten minutes, and what it was unpacking would begin anew with the next one.
_MOST_SECONDS = 420.0


@dataclass
class Around:
    """`lacking` for the model and the person, `told` for the person alone; `session_folder` is the one of the old PC."""

    lacking: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    session_folder: str = ""


def settle(
    home: Home, config: Config, name: str, cwd: Path, below: Path, remotes: Iterable[str], described: bytes | None
) -> Around:
    """Run `after_restore`, have the client trust the folder where so configured, and compare with the other PC.

    `name` is of this arrival, `described` the other PC's record of its surroundings, if it sent one.
    """
    made = Around()
    command = after_restore.chosen(config.after_restore, remotes)
    if command:
        output = home.runs / f"{name}.after_restore"
        program.log(home, "handoff", f"{name} after_restore: $ {' '.join(command)}")
        ran = after_restore.run(command, cwd, output, min(config.after_restore.seconds, _MOST_SECONDS))
        if ran.failure:
            made.lacking.append(f"this PC's command for unpacked work, {command[0]}, did not succeed: {ran.failure}")
        else:
            made.told.append(f"after_restore ran; its output: '{output}'")
    profile = Path(config.profiles[0])
    if config.trust_restored:
        try:
            trust.accept(profile, cwd, below)
        except (TrinityError, OSError) as error:
            made.told.append(f"the client will ask whether it may trust the folder: {error}")
    made.told += surroundings.asked(cwd)
    if described is not None:
        _compare(made, config, profile, cwd, described)
    return made


def _compare(made: Around, config: Config, profile: Path, cwd: Path, described: bytes) -> None:
    try:
        there = schema.read("surroundings", described, "surroundings", _LIMIT)
    except TrinityError as error:
        made.told.append(f"what the other PC had around the work cannot be read: {error.message}")
        return
    made.session_folder = there["session_folder"]
    made.lacking += surroundings.lacking(there, profile, cwd, _client(config))
    made.lacking += surroundings.left_running(there)


def _client(config: Config) -> str | None:
    try:
        return clients.find(config.client)
    except TrinityError:
        return None  # the start says so


def of_operation(name: str | None, commands: Iterable[str]) -> list[str]:
    """What has to be known of a rebase, merge or the like that is stopped in the middle."""
    if name is None:
        return []
    said = [f"a {name} is stopped in the middle, as it was"]
    return said + [f"going on with it runs: {command}" for command in commands]


def told_of(home: Home, record: Mapping[str, Any], member: str = "told") -> list[str]:
    """What was found when the handoff's work arrived on this PC; of its newest arrival here. `member` "lacking": what this
    PC could mend."""
    for epoch in range(record["epoch"], max(0, record["epoch"] - _EPOCHS), -1):
        entry = journal.read(home, record["id"], epoch) or {}
        if isinstance(entry.get(member), list):
            return [str(text) for text in entry[member]]
    return []


def describe(session: Mapping[str, Any], top: Path | None) -> dict[str, Any] | None:
    """This PC's surroundings of a session that goes to another PC; None when they do not make a valid record."""
    try:
        made = surroundings.collect(session, top)
        schema.validate("surroundings", made, "surroundings")
    except (TrinityError, OSError):
        return None
    return made
