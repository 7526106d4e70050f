"""One place for numbers: the report, the status and the status line say the same; budgets count by them."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import CHECKOUT, Program
from tests.lib.usage.filling import NOON, OPUS, bill
from trinity import CreditMonitor, clock, config, log_call
from trinity.config import Account, Budget, Config
from trinity.credit import evaluation
from trinity.home import Home
from trinity.usage import budgets, periods, rows, summary, today
from trinity.usage.periods import Zone
from trinity.usage.prices import Book

MINE = Account(id="00112233", label="work", kind="subscription")


@pytest.fixture
def settings(home: Home, tmp_path: Path) -> Config:
    made = Config(profiles=(str(tmp_path / ".claude"),), account=MINE)
    config.save(home, made)
    return made


def _status_line(home: Home) -> str:
    command = [sys.executable, str(CHECKOUT / "hooks" / "statusline.py"), str(home.root)]
    return subprocess.run(command, input="{}", capture_output=True, encoding="utf-8", check=True).stdout


def _written(home: Home, settings: Config, now: float | None = None) -> dict[str, Any]:
    with rows.own(home, settings.pc) as source:
        return summary.write(home, settings, source, Book(home), now)


def _bill(home: Home, message_id: str, tokens: tuple[int, ...], **facts: Any) -> None:
    bill(home, message_id, tokens, **{"account": MINE.id, "time": clock.now(), **facts})


def test_the_report_the_status_and_the_status_line_say_the_same(home: Home, settings: Config, program: Program) -> None:
    _bill(home, "m1", (1_000_000, 100, 20_000, 3_000, 400), seconds=2.0)
    _bill(home, "m2", (77, 3), model="no-such-model")
    _bill(home, "old", (5,), time=clock.now() - 3 * 86400)
    report = json.loads(program("usage_report", "--json").stdout)
    status = json.loads(program("evaluate_status", "--json").stdout)
    told = program("evaluate_status").stdout
    line = _status_line(home)
    assert report["total"] == status["usage"]["today"]
    assert report["total"]["tokens"]["total"] == 1_023_580 and report["total"]["calls"] == 2
    text = status["usage"]["text"]
    # 5 + 0.0025 + 0.01 + 0.01875 + 0.004 = 5.03525
    assert text == "today 1.0M tokens, 2 calls, at least $5.04 + unpriced: 80 tokens (API-equivalent)"
    assert text in told and text in line and report["total"]["cost"]["text"] in text
    _bill(home, "m3", (1_000_000,))
    program("usage_report", "--update")
    assert "at least $10.04" in _status_line(home) and "at least $10.04" in program("evaluate_status").stdout


def test_after_midnight_nobody_shows_what_was_used_yesterday(home: Home, settings: Config, program: Program) -> None:
    _bill(home, "m1", (1,), time=clock.now() - 86400)
    _written(home, settings, clock.now() - 86400)
    assert "today" not in _status_line(home) and "tokens" not in program("evaluate_status").stdout
    assert today.read(home) is None


def test_what_is_paid_by_use_is_called_cost(home: Home, settings: Config) -> None:
    _bill(home, "m1", (1_000_000,))
    paid = replace(settings, account=replace(MINE, kind="api"))
    assert _written(home, paid)["text"] == "today 1.0M tokens, 1 call, $5.00"


def test_a_day_without_calls_is_called_as_its_account_is_paid(home: Home, settings: Config) -> None:
    paid = replace(settings, account=replace(MINE, kind="api"))
    assert _written(home, paid)["text"] == "today 0 tokens, 0 calls, $0.00"
    assert _written(home, settings)["text"] == "today 0 tokens, 0 calls, $0.00 (API-equivalent)"


def _alarms(home: Home) -> list[str]:
    try:
        return (home.logs / "alarms.log").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []


def test_each_step_of_a_budget_is_told_once_and_again_in_the_next_period(home: Home, settings: Config) -> None:
    mine = replace(settings, budgets=(Budget("a day", "day", usd=10.0),))
    day = periods.current(Zone(), "day", NOON)
    steps = []
    for number, usd in enumerate((7.0, 0.5, 0.4, 1.1, 0.4, 0.2, 1.0)):  # 7, 7.5, 7.9, 9, 9.4, 9.6, 10.6
        _bill(home, f"m{number}", (int(usd * 200_000),), time=day.start + number)
        _written(home, mine, day.start + 100)
        _written(home, mine, day.start + 100)
        steps.append(len(_alarms(home)))
    assert steps == [0, 1, 1, 2, 2, 3, 3]
    assert "75 % is passed" in _alarms(home)[0] and "95 % is passed" in _alarms(home)[2]
    _bill(home, "next", (2_000_000,), time=day.end + 1)
    _written(home, mine, day.end + 2)
    assert len(_alarms(home)) == 4 and "100 % spent ($10.00 of $10.00 a day): 95 % is passed" in _alarms(home)[3]


def test_a_budget_is_of_a_project_an_account_or_this_pc_in_money_or_tokens(home: Home, settings: Config) -> None:
    _bill(home, "m1", (100,), project="/home/you/site")
    _bill(home, "m2", (10,), project="C:\\code\\site", account="aabbccdd")
    _bill(home, "m3", (1,), project="/home/you/other")
    wanted = (
        Budget("site", "week", tokens=1000, project="site"),
        Budget("path", "week", tokens=1000, project="/home/you/site"),
        Budget("label", "month", tokens=1000, account="work"),
        Budget("id", "month", tokens=1000, account="aabbccdd"),
        Budget("pc", "day", tokens=1000),
    )
    with rows.own(home, "PC1") as source:
        found = budgets.spent(source, replace(settings, budgets=wanted), Book(home), clock.now())
    assert [spent.amount for spent in found] == [110, 100, 101, 10, 111]
    assert found[0].text == "budget 'site' 11 % spent (110 of 1,000 tokens a week)"


@pytest.mark.parametrize(
    ("usd", "status"), [(10.0, "HEALTHY"), (7.0, "WARNING"), (5.8, "CRITICAL"), (5.0, "EXHAUSTED"), (1.0, "EXHAUSTED")]
)
def test_a_budget_counts_in_the_status_like_an_allowance(home: Home, settings: Config, usd: float, status: str) -> None:
    mine = replace(settings, budgets=(Budget("a day", "day", usd=usd),))
    _bill(home, "m1", (1_000_000,))
    _written(home, mine)
    answer = evaluation.evaluate(home, mine, told=today.signals(home, mine))
    assert answer.status == status
    assert [signal.name for signal in answer.signals] == ([] if status == "HEALTHY" else ["budget"])
    config.save(home, mine)
    assert not CreditMonitor(home.root).should_trigger_handoff()


def test_a_search_without_a_price_leaves_a_budget_of_tokens_sure(home: Home, settings: Config) -> None:
    _bill(home, "m1", (40, 0, 0, 0, 0, 3), model="claude-3-opus-20240229")  # no price of a search is published
    wanted = (Budget("money", "day", usd=100.0), Budget("tokens", "day", tokens=50))
    document = _written(home, replace(settings, budgets=wanted))
    assert [entry["sure"] for entry in document["budgets"]] == [False, True]
    log_call.record(OPUS, 1.0, state_home=home.root)  # of unknown tokens
    document = _written(home, replace(settings, budgets=wanted))
    assert [entry["sure"] for entry in document["budgets"]] == [False, False]


def test_a_budget_with_a_part_that_has_no_price_is_not_sure(home: Home, settings: Config) -> None:
    mine = replace(settings, budgets=(Budget("a day", "day", usd=100.0), Budget("tokens", "day", tokens=50)))
    _bill(home, "m1", (40,), model="no-such-model")
    document = _written(home, mine)
    money, tokens = document["budgets"]
    assert not money["sure"] and "unpriced: 40 tokens of $100.00" in money["text"]
    assert tokens["sure"] and tokens["percent"] == 80
    assert [signal.confidence for signal in today.signals(home, mine)] == [0.95]
    assert "budget 'tokens' 80 % spent" in _status_line(home)
    assert OPUS not in money["text"]
