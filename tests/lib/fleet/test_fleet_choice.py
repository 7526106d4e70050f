"""Who gets stopped work: each rule alone in a table, and all of them together by invented fleets."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trinity import clock, schema
from trinity.fleet.choice import Choice, choose, refused_account
from trinity.fleet.lease import LEASE_SECONDS

Record = dict[str, Any]
NOW = clock.parse("2026-11-20T10:00:00Z")
SOON, LATE = "2026-11-20T12:00:00Z", "2026-11-20T18:00:00Z"


def account(kind: str = "api", name: str = "", **more: str) -> Record:
    return {"id": (name or kind).encode().hex().ljust(16, "0")[:16], "label": name or kind, "kind": kind, **more}


def fleet(*accounts: Record, **more: Any) -> Record:
    order = [f"PC{at + 1}" for at in range(len(accounts))]
    pcs = {pc: {"account": owned} for pc, owned in zip(order, accounts, strict=True)}
    document = {"kind": "fleet", "version": 1, "salt": "0" * 32, "rotation": order, "pcs": pcs, **more}
    schema.validate("fleet", document, "fleet")
    return document


def beat(pc: str, status: str = "HEALTHY", **more: Any) -> Record:
    record = {
        "kind": "heartbeat",
        "version": 1,
        "pc": pc,
        "timestamp": SOON,
        "status": "alive",
        "credit_status": status,
    }
    schema.validate("heartbeat", {**record, **more}, pc)
    return {**record, **more}


def limit(resets_at: str | None, scope: str = "account", model: str | None = None) -> Record:
    return {
        "type": "five_hour",
        "scope": scope,
        "model": model,
        "resets_at": resets_at,
        "source": "transcript",
        "seen_at": SOON,
        "confidence": 1.0,
    }


def windows(used: float, weekly_resets: float | None = None) -> Record:
    return {
        "five_hour": {"used_percentage": used, "resets_at": NOW + 3600},
        "seven_day": {"used_percentage": 0, "resets_at": weekly_resets},
    }


THREE = fleet(account(name="one"), account(name="two"), account(name="three"))


def ask(where: Record, *beats: Record, record: Record | None = None, me: str = "PC1", **more: Any) -> Choice:
    return choose(where, {each["pc"]: each for each in beats}, me, record or {}, NOW, **more)


def test_of_equals_the_next_in_the_rotation_gets_it() -> None:
    assert ask(THREE, beat("PC2"), beat("PC3")).to_pc == "PC2"
    assert ask(THREE, beat("PC1"), beat("PC3"), me="PC2").to_pc == "PC3"
    assert ask(THREE, beat("PC1"), beat("PC2"), me="PC3").to_pc == "PC1"


def test_most_headroom_then_the_soonest_weekly_reset_decides() -> None:
    assert ask(THREE, beat("PC2", windows=windows(60)), beat("PC3", windows=windows(20))).to_pc == "PC3"
    sooner = beat("PC3", windows=windows(20, NOW + 86400))
    assert ask(THREE, beat("PC2", windows=windows(20, NOW + 2 * 86400)), sooner).to_pc == "PC3"
    assert ask(THREE, beat("PC2", "WARNING"), beat("PC3")).to_pc == "PC3"


def test_a_pc_never_heard_of_is_the_last_one_tried_but_is_tried() -> None:
    assert ask(THREE, beat("PC3", "CRITICAL")).to_pc == "PC3"
    chosen = ask(THREE)
    assert chosen.to_pc == "PC2" and chosen.why["PC2"] == "chosen: never heard of yet"


@pytest.mark.parametrize(
    ("told", "because"),
    [
        ({"beats": [beat("PC2", "EXHAUSTED", limits=[limit(SOON)])]}, "its account is used up until"),
        ({"beats": [beat("PC2", "EXHAUSTED")]}, "nobody knows until when"),
        ({"beats": [beat("PC2", "EXHAUSTED", windows=windows(98))]}, "its account is used up until"),
        (
            {
                "beats": [beat("PC2", "WARNING", limits=[limit(SOON, "account+model", "opus")])],
                "record": {"sessions": [{"model": "claude-opus-4-5"}]},
            },
            "its account has no claude-opus-4-5 left until",
        ),
        ({"beats": [beat("PC2")], "silent": {"PC2": LEASE_SECONDS}}, "it has been silent for 15 min"),
        ({"beats": [beat("PC2", unable="100 MB free, less than 200")]}, "it takes no work now: 100 MB free"),
        ({"beats": [beat("PC2")], "without": ["PC2"]}, "it did not take it in time"),
        ({"beats": [beat("PC2")], "record": {"hops": 4}}, "the work has moved 4 times already"),
        (
            {"beats": [beat("PC2")], "record": {"visits": [{"pc": "PC2", "at": SOON, "until": LATE}]}},
            "the work was there already and was stopped; again from",
        ),
        (
            {"beats": [beat("PC2")], "record": {"visits": [{"pc": "PC2", "at": "2026-11-20T09:00:00Z"}]}},
            "the work was there already",
        ),
        ({"pcs": {}}, "in the rotation, but was never set up"),
        ({"group": "private"}, "it is in the trust group 'private', the work in 'default'"),
        ({"accounts": ("api", "unknown")}, "nobody has said what kind of account it has"),
        ({"same": True}, "it uses the same account as PC1"),
    ],
)
def test_a_pc_that_may_not_or_cannot_take_it_says_why(told: Record, because: str) -> None:
    mine, theirs = told.pop("accounts", ("api", "api"))
    there = account(theirs, "one" if told.pop("same", False) else "two")
    where = fleet(account(mine, "one"), there)
    if "pcs" in told:
        where["pcs"].pop("PC2")
        told.pop("pcs")
    if "group" in told:
        where["pcs"]["PC2"]["trust_group"] = told.pop("group")
    chosen = ask(where, *told.pop("beats", [beat("PC2")]), **told)
    assert chosen.to_pc is None
    assert because in chosen.why["PC2"]


@pytest.mark.parametrize(
    ("mine", "theirs", "rules", "because"),
    [
        (account("api", "a"), account("api", "b"), {}, ""),
        (account("cloud", "a"), account("api", "b"), {}, ""),
        (account("seat", "a", organisation="Ex"), account("seat", "b", organisation="Ex"), {}, ""),
        (account("seat", "a", organisation="Ex"), account("seat", "b", organisation="Other"), {}, "is a seat"),
        (account("seat", "a"), account("seat", "b"), {}, "is a seat"),
        (account("subscription", "a"), account("seat", "b", organisation="Ex"), {}, "is a seat"),
        (account("subscription", "a"), account("subscription", "b"), {}, "personal subscription"),
        (account("subscription", "a"), account("subscription", "b"), {"allow": [["a", "b"]]}, ""),
        (account("subscription", "a"), account("subscription", "b"), {"allow": [["a", "x"], ["y", "b"]]}, "personal"),
        (account("unknown", "a"), account("subscription", "b"), {}, "personal subscription"),
        (account("subscription", "a"), account("unknown", "b"), {"allow": [["a", "b"]]}, "nobody has said"),
        (account("subscription", "a"), account("api", "b"), {}, "paid by use"),
        (account("unknown", "a"), account("api", "b"), {}, "paid by use"),
        (account("subscription", "a"), account("api", "b"), {"allow": [["a", "b"]]}, "paid by use"),
        (account("subscription", "a"), account("api", "b"), {"budgets": {"b": 20}}, ""),
        (
            account("subscription", "a"),
            account("cloud", "b"),
            {"budgets": {"b": 5}},
            "budget of 5 USD a day is used up",
        ),
        (account("api", "same"), account("api", "same"), {"allow": [["same", "b"]]}, "same account"),
    ],
)
def test_which_account_may_relieve_which(mine: Record, theirs: Record, rules: Record, because: str) -> None:
    refused = refused_account(fleet(mine, theirs, **rules), "PC1", "PC2", {theirs["id"]: 6.5})
    assert because in refused and bool(refused) == bool(because), refused


def test_a_limit_of_another_model_or_one_that_is_over_is_no_reason() -> None:
    other = beat("PC2", limits=[limit(SOON, "account+model", "opus")])
    assert ask(THREE, other, record={"sessions": [{"model": "claude-sonnet-5"}]}).to_pc == "PC2"
    assert ask(THREE, beat("PC2", "EXHAUSTED", limits=[limit("2026-11-20T09:59:00Z")])).to_pc is not None


def test_when_nobody_can_it_waits_for_the_earliest_reset_of_all() -> None:
    used_up = [beat("PC2", "EXHAUSTED", limits=[limit(SOON)]), beat("PC3", "EXHAUSTED", limits=[limit(LATE)])]
    chosen = ask(THREE, *used_up, record={"limit": limit(LATE)})
    assert (chosen.to_pc, chosen.likeliest, chosen.until) == (None, "PC2", clock.parse(SOON))
    chosen = ask(THREE, *used_up, record={"limit": limit("2026-11-20T11:00:00Z")})
    assert (chosen.likeliest, chosen.until) == ("PC1", clock.parse("2026-11-20T11:00:00Z"))


def test_two_personal_subscriptions_park_on_their_own_pc_until_the_reset() -> None:
    where = fleet(account("subscription", "ann"), account("subscription", "bob"))
    chosen = ask(where, beat("PC2"), record={"limit": limit(SOON)})
    assert (chosen.to_pc, chosen.likeliest, chosen.until) == (None, "PC1", clock.parse(SOON))


def test_after_a_crash_the_account_does_not_matter_but_being_alive_does() -> None:
    where = fleet(account("subscription", "a"), account("subscription", "a"), account("unknown", "c"))
    assert ask(where, beat("PC3"), crash=True).to_pc == "PC3"
    assert ask(where, crash=True).to_pc is None
    assert (
        ask(where, beat("PC2"), crash=True, record={"visits": [{"pc": "PC2", "at": SOON, "until": LATE}]}).to_pc
        == "PC2"
    )


RULES: list[Record] = [{}, {"allow": [["a", "b"]]}, {"budgets": {"c": 10}}]
KINDS = st.sampled_from(["api", "cloud", "seat", "subscription", "unknown"])
STATUSES = st.sampled_from([None, "HEALTHY", "WARNING", "CRITICAL", "EXHAUSTED"])


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(data=st.data(), size=st.integers(1, 5))
def test_whatever_the_fleet_is_the_choice_keeps_the_rules_and_gives_each_pc_a_reason(
    data: st.DataObject, size: int
) -> None:
    owned = [account(data.draw(KINDS), data.draw(st.sampled_from("abc"))) for _ in range(size)]
    rules: Record = data.draw(st.sampled_from(RULES))
    where = fleet(*owned, **rules)
    beats = []
    silent = {}
    for pc in where["rotation"]:
        status = data.draw(STATUSES)
        if status:
            beats.append(beat(pc, status, windows=windows(data.draw(st.integers(0, 100)))))
            silent[pc] = data.draw(st.sampled_from([0.0, 899.0, 901.0]))
        where["pcs"][pc]["trust_group"] = data.draw(st.sampled_from(["default", "default", "other"]))
    me = data.draw(st.sampled_from(where["rotation"]))
    chosen = ask(where, *beats, me=me, silent=silent)
    assert set(chosen.why) == set(where["rotation"]) - {me}
    assert all(chosen.why.values())
    assert chosen == ask(where, *beats, me=me, silent=silent)
    if chosen.to_pc is None:
        assert chosen.likeliest in where["rotation"]
        return
    mine, theirs = where["pcs"][me], where["pcs"][chosen.to_pc]
    assert chosen.to_pc != me and theirs["account"]["id"] != mine["account"]["id"]
    assert theirs["account"]["kind"] != "unknown" and theirs["trust_group"] == mine["trust_group"]
    assert silent.get(chosen.to_pc, 0) < LEASE_SECONDS
    assert all(each["credit_status"] != "EXHAUSTED" for each in beats if each["pc"] == chosen.to_pc)
    if theirs["account"]["kind"] == "subscription":
        assert {mine["account"]["label"], theirs["account"]["label"]} == {"a", "b"} and "allow" in rules
    if theirs["account"]["kind"] in ("api", "cloud") and mine["account"]["kind"] not in ("api", "cloud"):
        assert theirs["account"]["label"] == "c" and "budgets" in rules
