"""What all PCs used: published, read, each message once; real git remotes, one state folder a PC."""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Program
from tests.lib.usage.filling import NOON, OPUS, bill
from trinity import clock, config, files, git, schema
from trinity.config import Account, Config
from trinity.errors import BadRecord, Busy, Offline
from trinity.fleet import choice, usage_refs
from trinity.home import Home, open_home
from trinity.relay import spending, usage_sharing
from trinity.relay.link import Link
from trinity.relay.usage_sharing import Shared
from trinity.setup import membership
from trinity.usage import day_record, fleet_rows, periods, rows, sums, today
from trinity.usage.day_record import DAY, Group, Row
from trinity.usage.prices import Book

EVER = periods.Span(0, 4e9, 0, "")
Pc = Callable[[str], Link]


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    return git.init_bare(tmp_path / "fleet.git", server=True).path


@pytest.fixture
def pc(tmp_path: Path, remote: Path) -> Pc:
    def make(name: str) -> Link:
        account = Account(id=f"{name[-1]:0>16}", label=f"of {name}", kind="api")
        config = Config(pc=name, fleet_url=str(remote), account=account)
        return Link(open_home(tmp_path / name, create=True), config)

    return make


def _bill(link: Link, message_id: str, tokens: tuple[int, ...], **facts: object) -> None:
    bill(link.home, message_id, tokens, **{"account": link.config.account.id, "time": clock.now() - 60, **facts})


def _sums(home: Home, by: str | None = None) -> dict[str, sums.Sum]:
    with fleet_rows.opened(home) as source:
        return sums.sums(source, EVER, Book(home), by)


def _all(links: list[Link]) -> Shared:
    """Everybody publishes, then the first reads."""
    for link in links:
        usage_sharing.share(link)
    return usage_sharing.share(links[0])


def test_a_conversation_that_went_round_counts_each_message_once_on_the_pc_that_paid(pc: Pc) -> None:
    links = [pc(f"PC{number}") for number in (1, 2, 3)]
    for number, link in enumerate(links, 1):
        for turn in range(5):
            _bill(link, f"m{number}{turn}", (number, 10 * number), session="s1", seconds=2.0)
    # Somebody copied the folder of PC1 to PC3 by hand, so PC3 bills the same messages to itself.
    for turn in range(5):
        _bill(links[2], f"m1{turn}", (1, 10), session="s1")
    shared = _all(links)
    assert [seen.pc for seen in shared.seen] == ["PC1", "PC2", "PC3"] and not shared.problems
    for link in links[1:]:
        usage_sharing.share(link)
    for link in links:
        by_pc = {name: (part.calls, part.tokens.total) for name, part in _sums(link.home, "pc").items()}
        assert by_pc == {"PC1": (5, 55), "PC2": (5, 110), "PC3": (5, 165)}
        by_account = {name[-1]: part.tokens.total for name, part in _sums(link.home, "account").items()}
        assert by_account == {"1": 55, "2": 110, "3": 165}
        whole = _sums(link.home)[""]
        assert (whole.calls, whole.tokens.total, whole.average_seconds) == (15, 330, 2.0)


def test_what_the_fleet_shows_of_a_pc_is_what_its_own_report_shows(pc: Pc) -> None:
    one = pc("PC1")
    for number in range(50):
        tokens = (number, 7 * number, 1000 * number, number % 3, number % 5, number % 2)
        model = (OPUS, "claude-haiku-5-5", "no-such-model")[number % 3]
        _bill(one, f"m{number}", tokens, model=model, project=f"/a/p{number % 4}", time=clock.now() - 7000 * number)
    _bill(one, "long", (150_000, 1), model="claude-haiku-5-5")
    _all([one])
    with rows.own(one.home, "PC1") as source:
        own = {by: sums.sums(source, EVER, Book(one.home), by) for by in ("model", "session", "account")}
    for by, parts in own.items():
        fleet = _sums(one.home, by)
        assert {name: (part.calls, part.tokens, part.money) for name, part in fleet.items()} == {
            name: (part.calls, part.tokens, part.money) for name, part in parts.items()
        }
    assert set(_sums(one.home, "project")) == {"", "p0", "p1", "p2", "p3"}


def test_publishing_again_sends_what_changed_and_leaves_no_history(pc: Pc, remote: Path) -> None:
    one, two = pc("PC1"), pc("PC2")
    for day in range(4):
        _bill(one, f"m{day}", (1,), time=clock.now() - day * DAY)
    _all([one, two])
    before = usage_refs.read_all(two.state)["PC1"].files if usage_sharing.share(two) else {}
    _bill(one, "later", (5,))
    usage_sharing.share(one)
    usage_sharing.share(two)
    after = usage_refs.read_all(two.state)["PC1"].files
    assert len(after) == 5
    changed = [path for path in after if after[path] != before[path]]
    assert (
        len([path for path in changed if path.startswith("days/")]) == 1 and len(changed) <= 2
    )  # today's, and the index
    log = subprocess.run(
        ["git", "-C", str(remote), "rev-list", "--count", "refs/trinity-usage/PC1"], capture_output=True, check=True
    )
    assert log.stdout == b"1\n" and _sums(two.home)[""].tokens.total == 9


def test_nothing_is_pushed_in_a_round_without_news(pc: Pc) -> None:
    one = pc("PC1")
    _bill(one, "m1", (1,))
    now = clock.now()
    usage_sharing.share(one, now, at_once=False)
    ref = usage_refs.read_all(one.state)["PC1"].files
    usage_sharing.share(one, now + 1000, at_once=False)
    _bill(one, "m2", (1,))
    usage_sharing.share(one, now + 10, at_once=False)
    assert usage_refs.read_all(one.state)["PC1"].files == ref
    usage_sharing.share(one, now + 1000, at_once=False)
    assert usage_refs.read_all(one.state)["PC1"].files != ref


def test_a_pc_that_does_not_share_reads_the_others_and_tells_nothing(pc: Pc) -> None:
    one, two = pc("PC1"), pc("PC2")
    one.config = replace(one.config, share_usage=False)
    _bill(one, "m1", (1,))
    _bill(two, "m2", (100,))
    _all([two, one])
    usage_sharing.share(one, at_once=False)
    assert usage_refs.read_all(one.state).keys() == {"PC2"}
    assert _sums(one.home)[""].tokens.total == 101 and _sums(two.home)[""].tokens.total == 100


DAMAGE: dict[str, Callable[[dict[str, Any]], bytes]] = {
    "not JSON": lambda record: b"{ torn",
    "it says it is of PC1": lambda record: files.dump_json({**record, "pc": "PC1"}),
    "on 2020-01-01": lambda record: files.dump_json({**record, "day": "2020-01-01"}),
    "newer than 1": lambda record: files.dump_json({**record, "version": 9}),
    "a time outside the day": lambda record: files.dump_json(_changed(record, times="0 99999 0")),
    "columns of different lengths": lambda record: files.dump_json(_changed(record, input="1 2 3 4")),
    "negative count": lambda record: files.dump_json(_changed(record, cache_read="-5 0 0")),
    "a count that cannot be": lambda record: files.dump_json(
        _changed(record, cache_read="999999999999 999999999999 0")
    ),
    "does not match": lambda record: files.dump_json(_changed(record, input="99999999999999999 1 1")),
}


def test_what_another_pc_damaged_is_kept_aside_and_said_and_the_rest_stays(pc: Pc) -> None:
    one, two = pc("PC1"), pc("PC2")
    for day in range(len(DAMAGE) + 1):
        for number in range(3):
            _bill(two, f"m{day}{number}", (100,), time=clock.now() - DAY * day)
    whole = 300 * (len(DAMAGE) + 1)
    _all([one, two])
    assert _sums(one.home)[""].tokens.total == whole
    published = usage_refs.read_all(one.state)["PC2"].files
    spoiled: dict[str, bytes | str] = {**published}
    for path, damage in zip([path for path in published if path != usage_refs.INDEX], DAMAGE.values(), strict=False):
        spoiled[path] = damage(json.loads(usage_refs.read(one.state, [published[path]])[0]))
    usage_refs.publish(two.state, "PC2", spoiled)
    shared = usage_sharing.share(one)
    assert len(shared.problems) == len(DAMAGE)
    for said in DAMAGE:
        assert [said in problem for problem in shared.problems].count(True) == 1, said
    assert _sums(one.home)[""].tokens.total == whole
    kept = {file.read_bytes() for file in one.home.quarantine.iterdir() if not file.name.endswith(".why")}
    assert kept == {data for data in spoiled.values() if isinstance(data, bytes)}
    again = usage_sharing.share(one)  # said again, kept once
    assert len(again.problems) == len(DAMAGE) and len(list(one.home.quarantine.iterdir())) == 2 * len(DAMAGE)
    usage_refs.publish(two.state, "PC2", published)
    assert not usage_sharing.share(one).problems and _sums(one.home)[""].tokens.total == whole


def _changed(record: dict[str, Any], **columns: str) -> dict[str, Any]:
    return {**record, "groups": [{**record["groups"][0], **columns}]}


def test_entries_of_a_tree_that_nobody_generates_are_not_read(pc: Pc, remote: Path, tmp_path: Path) -> None:
    one = pc("PC1")
    _bill(one, "m1", (1,))
    work = tmp_path / "hostile"
    run = ["git", "-C", str(work)]
    subprocess.run(["git", "init", "-q", str(work)], check=True)
    (work / "days").mkdir()
    (work / "days" / "2026-11-20.json").symlink_to("/etc/passwd")
    (work / "evil.json").write_text("{}", encoding="utf-8")
    (work / "days" / "..json").write_text("{}", encoding="utf-8")
    subprocess.run([*run, "add", "."], check=True)
    subprocess.run([*run, "commit", "-qm", "x"], check=True)
    for name in ("PC2", "no-pc"):
        subprocess.run([*run, "push", "-q", str(remote), f"HEAD:refs/trinity-usage/{name}"], check=True)
    shared = usage_sharing.share(one)
    assert len(shared.problems) == 3 and all("usage of PC2" in problem for problem in shared.problems)
    assert _sums(one.home)[""].tokens.total == 1


def test_offline_the_others_are_as_they_were_seen_last(pc: Pc, remote: Path) -> None:
    one, two = pc("PC1"), pc("PC2")
    _bill(two, "m2", (100,))
    _all([two, one])
    usage_sharing.share(one)
    remote.rename(remote.with_name("gone.git"))
    _bill(one, "m1", (1,))
    shared = usage_sharing.share(one)
    assert "does not answer" in shared.offline and {seen.pc for seen in shared.seen} == {"PC1", "PC2"}
    assert _sums(one.home)[""].tokens.total == 101
    remote.with_name("gone.git").rename(remote)
    usage_sharing.share(one)
    usage_sharing.share(two)
    assert _sums(two.home)[""].tokens.total == 101


def test_days_long_past_are_told_in_sums_without_what_counts_elsewhere(pc: Pc) -> None:
    one, two = pc("PC1"), pc("PC2")
    old = clock.now() - (day_record.DETAIL_DAYS + 2) * DAY
    for link in (one, two):
        for number in range(4):
            _bill(link, f"m{number}", (250_000, 3), time=old + number, model="claude-haiku-5-5")
    _bill(two, "own", (7,), time=old, model="claude-haiku-5-5")
    # While the day was young both told every call, and PC2 knows what counts on PC1.
    now = old + 100
    for link in (one, two, one, two):
        usage_sharing.share(link, now)
    before = _sums(two.home)[""]
    for link in (one, two, one):
        usage_sharing.share(link)
    published = usage_refs.read_all(one.state)["PC2"].files
    days = [json.loads(data) for data in usage_refs.read(one.state, list(published.values()))]
    (day,) = (document for document in days if document["kind"] == "usage_day")
    assert all("keys" not in group and "calls" in group for group in day["groups"])
    after = _sums(one.home)[""]
    assert (after.calls, after.tokens, after.money) == (before.calls, before.tokens, before.money)
    assert after.tokens.input == 4 * 250_000 + 7


def test_a_damaged_table_is_read_anew(pc: Pc) -> None:
    one, two = pc("PC1"), pc("PC2")
    _bill(two, "m2", (100,))
    _all([one, two])
    (one.home.root / fleet_rows.FILE).write_bytes(b"not a database" * 100)
    usage_sharing.share(one)
    assert _sums(one.home)[""].tokens.total == 100 and list(one.home.quarantine.glob("*fleet_usage.db"))


def test_damage_that_only_a_report_meets_is_read_anew_too(pc: Pc) -> None:
    one, two = pc("PC1"), pc("PC2")
    for number in range(200):
        _bill(two, f"m{number}", (1,))
    _all([one, two])
    path = one.home.root / fleet_rows.FILE
    connection = sqlite3.connect(path)
    (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'row'").fetchone()
    connection.close()
    data = bytearray(path.read_bytes())
    data[(page - 1) * 4096 : page * 4096] = b"\xa5" * 4096
    path.write_bytes(data)
    with pytest.raises(Busy, match="damaged"):
        _sums(one.home)
    usage_sharing.share(one)
    assert _sums(one.home)[""].tokens.total == 200 and list(one.home.quarantine.glob("*fleet_usage.db"))


def test_a_fleet_that_takes_nothing_of_this_pc_still_tells_of_the_others(
    pc: Pc, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = pc("PC1"), pc("PC2")
    _bill(one, "m1", (1,))
    _bill(two, "m2", (100,))
    usage_sharing.share(two)

    def refused(*_: object) -> None:
        raise Offline("what was used here was not taken: pre-receive hook declined", "try again later")

    monkeypatch.setattr(usage_refs, "publish", refused)
    shared = usage_sharing.share(one)
    assert {seen.pc for seen in shared.seen} == {"PC2"} and not shared.offline
    assert "pre-receive" in shared.problems[0] and _sums(one.home)[""].tokens.total == 101


def _random_rows(chance: random.Random, number: int, sessions: int) -> list[Row]:
    """Conversations as a client has them: each request reads what the one before wrote."""
    made = []
    start = int(NOON // DAY) * DAY
    for session in range(sessions):
        group = Group(f"{chance.getrandbits(128):032x}", "site", OPUS, "00112233445566aa", "", "standard", "", 0, 0, 0)
        read, time = 15_000, start + chance.randrange(20_000)
        for at in range(number // sessions):
            write, output = chance.randrange(200, 3000), chance.randrange(20, 900)
            time += chance.randrange(3, 60)
            counts = (chance.randrange(1, 12), output, read, 0, write, 0)
            key = day_record.key(f"msg_{session}_{at}", "req")
            made.append(Row(group, key, min(time, start + DAY - 1), counts, 4.0, 1))
            read += write
    return made


def test_a_record_gives_back_what_was_put_in() -> None:
    chance = random.Random(4)
    given = _random_rows(chance, 300, 7)
    given += [
        replace(row, group=row.group._replace(failed=1), counts=(0,) * 6, key=number)
        for number, row in enumerate(given[:9])
    ]
    record = day_record.dump("PC1", "2025-11-20", given)
    schema.validate("usage_day", record, "a day")
    found = list(day_record.load(json.loads(files.dump_json(record)), "a day"))

    def order(row: Row) -> tuple[object, ...]:
        return row.group, row.time, row.key

    assert sorted(found, key=order) == sorted(given, key=order)
    with pytest.raises(BadRecord):
        list(day_record.load({**record, "day": "2025-13-01"}, "a day"))


def test_a_call_costs_a_dozen_bytes_on_the_way() -> None:
    given = _random_rows(random.Random(5), 5_000, 12)
    record = files.dump_json(day_record.dump("PC1", "2025-11-20", given))
    # git compresses an object in the same way
    assert len(zlib.compress(record)) / len(given) < 14


def _fleet(links: list[Link], **rules: Any) -> dict[str, Any]:
    pcs = {
        link.config.pc: {"account": {"id": link.config.account.id, "label": f"of {link.config.pc}", "kind": "api"}}
        for link in links
    }
    return {"kind": "fleet", "version": 1, "salt": "0" * 32, "rotation": list(pcs), "pcs": pcs, **rules}


def test_a_budget_of_the_fleet_counts_what_all_pcs_spent_on_the_account(pc: Pc) -> None:
    one, two = pc("PC1"), pc("PC2")
    account = one.config.account.id
    _bill(one, "m1", (200_000,))
    _bill(two, "m2", (200_000,), account=account)
    _bill(two, "m3", (1_000_000,))
    _all([one, two])
    day = _fleet([one, two], budgets={"of PC1": 5, "of PC2": {"period": "month", "tokens": 2_000_000}})
    assert spending.of(one.home, day) == {account: 2.0, two.config.account.id: 1_000_000}
    assert spending.of(one.home, _fleet([one, two])) == {}
    judged = spending.judged(one.home, day)[account]
    assert judged.text == "budget 'fleet.json of PC1' 40 % spent ($2.00 of $5.00 a day)"
    _bill(two, "m4", (1,), account=account, model="no-such-model")
    _all([one, two])
    usage_sharing.share(one)
    assert spending.of(one.home, day)[account] == float("inf")
    mine = {"id": "f" * 16, "kind": "subscription"}
    day["pcs"]["PC3"] = {"account": mine}
    spent = spending.of(one.home, day)
    assert "no known price" in choice.refused_account(day, "PC3", "PC1", spent)
    assert choice.refused_account(day, "PC3", "PC2", spent) == ""
    assert "budget of 1,000,000 tokens a month is used up" in choice.refused_account(
        {**day, "budgets": {"of PC2": {"period": "month", "tokens": 1_000_000}}}, "PC3", "PC2", spent
    )


def test_a_round_of_the_daemon_adds_up_and_tells_the_fleet(
    home: Home, remote: Path, program: Program, tmp_path: Path
) -> None:
    account = Account(id="0011223344556677", label="work", kind="api")
    settings = Config(fleet_url=str(remote), profiles=(str(tmp_path / "profile"),), account=account)
    (home.root / "setup").mkdir()
    membership.declare(home, settings, ["PC1", "PC2"])
    settings = config.load(home)
    bill(home, "m1", (1_000_000,), time=clock.now(), account=settings.account.id)
    done = program("credit_monitor", "--once")
    assert done.returncode == 0, done.stderr
    told = today.read(home)
    assert told is not None and told["text"] == "today 1.0M tokens, 1 call, $5.00"
    command = ["git", "-C", str(remote), "for-each-ref", "refs/trinity-usage/"]
    listed = subprocess.run(command, capture_output=True, check=True)
    assert listed.stdout.count(b"refs/trinity-usage/PC1") == 1
    assert not (home.logs / "usage.log").exists()
