"""This PC's entry in the fleet, and its configuration: the two that must agree on name, account and remote.

The account is known in the fleet by a hash salted per fleet, so that two PCs can see that they share one and nobody can
look a label up elsewhere. An account without a label is not claimed to be shared with any other PC's.

A name belongs to the installation that took it. Another one gets it only when that is gone: the same host, and no word of
it for a while.
"""

from __future__ import annotations

import hashlib
import secrets
import socket
import uuid
from dataclasses import dataclass, replace
from typing import Any

from trinity import clock, files, schema
from trinity.config import Account, Config, from_document
from trinity.errors import Offline, TrinityError, UsageError
from trinity.fleet import embedded, heartbeats, operations, outbox, rotation
from trinity.fleet.snapshot import Refusal
from trinity.fleet.state import State, open_state
from trinity.home import Home

# A heartbeat this young stands for a PC that runs. It is the other PC's clock; two live PCs of one name are also found
# out by their heartbeats.
_LIVE_SECONDS = 900.0


@dataclass(frozen=True)
class Declared:
    """The configuration as it is now, and what there is to say about it."""

    config: Config
    notes: list[str]


def account_id(salt: str, label: str, pc: str) -> str:
    """The fleet's name for an account."""
    return hashlib.sha256((salt + (label or f"pc:{pc}")).encode("utf-8")).hexdigest()[:16]


def write_config(home: Home, config: Config) -> bool:
    """Write the configuration when it says something new; True when it did. A file of an older Trinity, which lacks
    keys of today, is kept once beside it."""
    due = files.dump_json(config.document())
    try:
        now = home.config_file.read_bytes()
    except FileNotFoundError:
        now = b""
    if now == due:
        return False
    if now and _lacks(files.load_json(now, str(home.config_file)), config.document()):
        files.write_atomic(home.root / "setup" / f"config-before-{clock.stamp()}.json", now)
    schema.validate("config", files.load_json(due, str(home.config_file)), str(home.config_file))
    files.write_atomic(home.config_file, due)
    return True


def load_config(home: Home) -> Config | None:
    """The configuration of an earlier install; raises BadRecord or NewerRecord for one that cannot be taken over."""
    try:
        data = home.config_file.read_bytes()
    except FileNotFoundError:
        return None
    return from_document(schema.read("config", data, str(home.config_file)))


def declare(home: Home, config: Config, order: list[str] | None) -> Declared:
    """Write `config` and this PC's entry in the fleet; `order` is the rotation, None to leave it or to append this PC.

    An unreachable remote is no error: the configuration stands, and a note says what is missing.
    """
    if order is not None and config.pc not in order:
        raise UsageError(f"the rotation {','.join(order)} does not name this PC, {config.pc}")
    url = config.fleet_url or str(embedded.make(home))
    state = open_state(home, url, config.pc)
    try:
        fleet = rotation.read(state.fetch())
    except Offline as error:
        write_config(home, config)
        return Declared(config, [f"{error.message}: the fleet does not know this PC yet; later: ./install.sh"])
    if isinstance(fleet, Refusal):
        raise TrinityError(f"the fleet at '{url}' cannot be read: {fleet.reason}")
    _refuse_taken(fleet, config, home, state)
    salt = fleet["salt"] if fleet else secrets.token_hex(16)
    while True:
        account = replace(config.account, id=account_id(salt, config.account.label, config.pc))
        config = replace(config, account=account)
        write_config(home, config)
        notes = _put(home, state, fleet, config, salt, order)
        now = rotation.read(state.last())
        if not isinstance(now, dict) or now["salt"] == salt:
            return Declared(config, notes)
        # Two PCs made one fleet at the same time: the first one's salt is the fleet's.
        fleet, salt = now, now["salt"]


def installation(home: Home) -> str:
    """What tells this state folder on this host from every other; the same after it was removed and made again."""
    facts = f"{socket.gethostname()}\n{uuid.getnode():012x}\n{home.root.resolve()}"
    return hashlib.sha256(facts.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _refuse_taken(fleet: dict[str, Any] | None, config: Config, home: Home, state: State) -> None:
    there = (fleet or {}).get("pcs", {}).get(config.pc, {})
    before = load_config(home)
    joined = before is not None and (before.pc, before.fleet_url) == (config.pc, config.fleet_url)
    if not config.fleet_url or joined or not there:
        return
    hint = f"give this PC a name of its own: --pc {_free_name(fleet or {}, config.pc)}"
    hostname = there.get("hostname", socket.gethostname())
    if hostname != socket.gethostname():
        raise TrinityError(f"{config.pc} is '{hostname}' in this fleet", hint)
    if there.get("installation", installation(home)) == installation(home):
        return
    records, _ = heartbeats.read_all(state)
    silent = clock.now() - clock.parse(records[config.pc]["timestamp"]) if config.pc in records else None
    if silent is not None and silent < _LIVE_SECONDS:
        raise TrinityError(
            f"{config.pc} is another installation on '{hostname}', and was heard {max(0, int(silent))} s ago", hint
        )


def _free_name(fleet: dict[str, Any], pc: str) -> str:
    taken = set(fleet.get("pcs", {})) | set(fleet.get("rotation", []))
    return next(name for number in range(2, 1000) if (name := f"PC{number}") not in taken | {pc})


def _put(
    home: Home, state: State, fleet: dict[str, Any] | None, config: Config, salt: str, order: list[str] | None
) -> list[str]:
    known = fleet or {"rotation": [], "pcs": {}}
    entry = {"trust_group": "default"} | known["pcs"].get(config.pc, {})
    entry |= {"hostname": socket.gethostname(), "installation": installation(home)}
    # What a person wrote beside it (its organisation) stays, as long as it is the same account.
    there = entry.get("account", {})
    entry["account"] = {**(there if there.get("id") == config.account.id else {}), **_account(config.account)}
    due = order or [*known["rotation"], *([config.pc] if config.pc not in known["rotation"] else [])]
    if fleet and known["pcs"].get(config.pc) == entry and known["rotation"] == due:
        return []
    document = {"kind": "fleet", "version": 1, "salt": salt, "rotation": due, "pcs": {config.pc: entry}}
    outbox.put(home, operations.put_fleet(config.pc, document), state)
    notes = [f"fleet: {done.reason}" for done in outbox.deliver(home, state) if done.outcome != "applied"]
    now = rotation.read(state.last())
    if isinstance(now, dict) and now["rotation"] != due:
        notes.append(f"the rotation is {','.join(now['rotation'])}: a PC leaves it only by hand")
    return notes


def _account(account: Account) -> dict[str, str]:
    return {"id": account.id, "label": account.label, "kind": account.kind}


def _lacks(document: Any, due: dict[str, Any]) -> bool:
    """Does a document miss members, at any depth, that one of today has?"""
    if not isinstance(document, dict):
        return True
    return any(
        key not in document or (isinstance(value, dict) and _lacks(document[key], value)) for key, value in due.items()
    )
