"""What the accounts of the fleet spent, as far as anybody knows: the budgets of `fleet.json` are held against it."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Mapping
from typing import Any

from trinity import clock, program
from trinity.config import Budget, Config
from trinity.errors import TrinityError
from trinity.fleet import choice
from trinity.home import Home
from trinity.relay.link import Link
from trinity.usage import budgets, fleet_rows
from trinity.usage.budgets import Spent
from trinity.usage.periods import Zone
from trinity.usage.prices import Book


def of(home: Home, fleet: Mapping[str, Any]) -> dict[str, float]:
    """By account id what was spent in the period of its budget, in the budget's own unit, by what all PCs have published;
    infinite where a part of it has no known price.

    An account that is not in it is one of which nobody knows: its budget is then a permission.
    """
    return {
        account: spent.amount if spent.sure else math.inf
        for account, spent in judged(home, fleet).items()
        if spent.amount or not spent.sure
    }


def judged(home: Home, fleet: Mapping[str, Any]) -> dict[str, Spent]:
    """By account id its budget with what is spent of it; empty when that cannot be said."""
    found: dict[str, Spent] = {}
    known = {pc["account"]["id"]: pc["account"] for pc in fleet["pcs"].values()}
    wanted = {account: choice.budget_of(fleet, facts) for account, facts in known.items()}
    if not any(wanted.values()):
        return found
    try:
        book = Book(home)
        with fleet_rows.opened(home) as source:
            for account, budget in wanted.items():
                if budget is not None:
                    name = f"fleet.json {known[account].get('label') or account}"
                    made = Budget(name, budget.period, budget.usd, budget.tokens, account=account)
                    found[account] = budgets.of(source, made, Config(), book, Zone(), clock.now())
    except (TrinityError, sqlite3.Error, OSError) as error:
        program.log(home, "usage", f"what was spent is not known: {error}")
        return {}
    return found


def own(link: Link) -> list[Spent]:
    """The budget that the fleet gives this PC's account, if any."""
    fleet = link.fleet(link.state.last())
    found = judged(link.home, fleet) if fleet is not None else {}
    return [spent for account, spent in found.items() if account == link.config.account.id]
