"""Joining a fleet: what others wrote stays, and a live PC keeps its name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from trinity import clock, git, schema
from trinity.config import Account, Config
from trinity.errors import TrinityError
from trinity.fleet import heartbeats, names, operations, rotation
from trinity.fleet.state import State, open_state
from trinity.home import Home, open_home
from trinity.setup import membership


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    return git.init_bare(tmp_path / "fleet.git", server=True).path


def a_home(tmp_path: Path, name: str) -> Home:
    home = open_home(tmp_path / name, create=True)
    (home.root / "setup").mkdir(exist_ok=True)
    return home


def config(pc: str, remote: Path, label: str = "", kind: str = "api") -> Config:
    return replace(Config(), pc=pc, fleet_url=str(remote), account=Account(label=label, kind=kind))


def beat(state: State, pc: str, seconds_ago: float) -> None:
    moment = clock.iso(clock.now() - seconds_ago)
    heartbeats.beat(state, {"kind": "heartbeat", "version": 1, "pc": pc, "timestamp": moment, "status": "alive"})


def fleet(tmp_path: Path, remote: Path) -> dict[str, Any]:
    document = rotation.read(open_state(a_home(tmp_path, "looker"), remote, "LOOKER").fetch())
    assert isinstance(document, dict)
    return document


def test_a_second_pc_joins_and_what_is_there_stays(tmp_path: Path, remote: Path) -> None:
    membership.declare(a_home(tmp_path, "one"), config("PC1", remote, "work"), ["PC1", "PC2", "PC3"])
    state = open_state(a_home(tmp_path, "person"), remote, "PC1")
    known = fleet(tmp_path, remote)
    account = {**known["pcs"]["PC1"]["account"], "organisation": "Example"}
    edited = {**known, "allow": [["ann", "bob"]], "pcs": {"PC1": {**known["pcs"]["PC1"], "account": account}}}
    operation = operations.put_fleet("PC1", edited)
    assert state.change(operation["id"], "fleet", operations.decision(operation)).done

    joined = membership.declare(a_home(tmp_path, "two"), config("PC2", remote, "work"), None)
    membership.declare(a_home(tmp_path, "one"), config("PC1", remote, "work"), None)
    now = fleet(tmp_path, remote)
    assert joined.notes == [] and now["rotation"] == ["PC1", "PC2", "PC3"]
    assert now["salt"] == known["salt"] and now["allow"] == [["ann", "bob"]]
    assert now["pcs"]["PC1"]["account"]["organisation"] == "Example"
    assert now["pcs"]["PC1"]["account"]["id"] == now["pcs"]["PC2"]["account"]["id"] == joined.config.account.id
    assert now["pcs"]["PC1"]["installation"] != now["pcs"]["PC2"]["installation"]


def test_a_name_that_a_live_pc_has_is_refused_with_a_free_one(tmp_path: Path, remote: Path) -> None:
    membership.declare(a_home(tmp_path, "one"), config("PC1", remote), ["PC1", "PC2"])
    beat(open_state(a_home(tmp_path, "one"), remote, "PC1"), "PC1", 20)
    with pytest.raises(TrinityError, match=r"is another installation on '.*', and was heard 2. s ago") as refused:
        membership.declare(a_home(tmp_path, "two"), config("PC1", remote), None)
    assert refused.value.hint.endswith("--pc PC3")
    assert not a_home(tmp_path, "two").config_file.exists()
    membership.declare(a_home(tmp_path, "one"), config("PC1", remote), None)  # itself is not another


def test_a_pc_that_is_gone_leaves_its_name_to_a_new_installation_of_its_host(tmp_path: Path, remote: Path) -> None:
    membership.declare(a_home(tmp_path, "one"), config("PC1", remote), None)
    beat(open_state(a_home(tmp_path, "one"), remote, "PC1"), "PC1", 7200)
    membership.declare(a_home(tmp_path, "two"), config("PC1", remote), None)
    assert fleet(tmp_path, remote)["pcs"]["PC1"]["installation"] == membership.installation(a_home(tmp_path, "two"))


def test_another_host_never_gets_the_name(tmp_path: Path, remote: Path) -> None:
    document = {
        "kind": "fleet",
        "version": 1,
        "salt": "0" * 32,
        "rotation": ["PC1"],
        "pcs": {"PC1": {"hostname": "another", "account": {"id": "0" * 16, "kind": "api"}}},
    }
    schema.validate("fleet", document, names.FLEET)
    operation = operations.put_fleet("PC1", document)
    state = open_state(a_home(tmp_path, "other"), remote, "PC1")
    assert state.change(operation["id"], "fleet", operations.decision(operation)).done
    with pytest.raises(TrinityError, match="PC1 is 'another' in this fleet"):
        membership.declare(a_home(tmp_path, "two"), config("PC1", remote), None)


def test_of_two_pcs_that_make_a_fleet_at_once_both_use_the_first_ones_salt(
    tmp_path: Path, remote: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = membership._refuse_taken

    def between(*given: Any) -> None:
        real(*given)
        monkeypatch.setattr(membership, "_refuse_taken", real)
        membership.declare(a_home(tmp_path, "one"), config("PC1", remote, "work"), None)

    monkeypatch.setattr(membership, "_refuse_taken", between)
    second = membership.declare(a_home(tmp_path, "two"), config("PC2", remote, "work"), None)
    now = fleet(tmp_path, remote)
    assert now["pcs"]["PC1"]["account"]["id"] == now["pcs"]["PC2"]["account"]["id"] == second.config.account.id
    assert second.config.account.id == membership.account_id(now["salt"], "work", "PC2")
