"""Where stopped work may go on: the PCs of the rotation, each with the reason for or against it in words.

Limits belong to accounts, and plans to people: work moves, logins never do. So a PC is chosen by itself only when its
account may relieve the one that stopped (`refused_account`); what a person sends by hand does not come here.

Pure: the facts come in, nothing is read. Times of records are the provider's resets; how long a PC is silent is counted
by this PC's own clock (`lease`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from trinity import clock
from trinity.fleet import rotation, visits
from trinity.fleet.lease import LEASE_SECONDS

Record = Mapping[str, Any]

# What is left at a status, for a PC that knows no percentages: one less the least that makes the status.
_LEFT = {"HEALTHY": 100.0, "WARNING": 30.0, "CRITICAL": 15.0}
_FULL = 97.0
_PAID_KINDS = ("api", "cloud")
_FAR = float("inf")


@dataclass(frozen=True)
class Choice:
    """`to_pc`: who gets the work now, or None. `likeliest`: who has something left first, `until` (epoch seconds, None:
    nobody knows) when. `why`: one sentence for each PC."""

    to_pc: str | None
    likeliest: str
    until: float | None
    why: dict[str, str]


@dataclass(frozen=True)
class _Verdict:
    """`until`: when this reason ends by itself; None: it does not, or nobody knows."""

    why: str
    fits: bool = False
    until: float | None = None
    left: float = 0.0
    weekly: float = _FAR
    busy: bool = False


def choose(
    fleet: Record,
    heartbeats: Mapping[str, Record],
    me: str,
    record: Record,
    now: float,
    *,
    silent: Mapping[str, float] | None = None,
    spent: Mapping[str, float] | None = None,
    without: Collection[str] = (),
    crash: bool = False,
) -> Choice:
    """The PC on which the work of `me`, described by its handoff, goes on by itself.

    `silent`: for how many seconds each PC's heartbeat has not changed here. `spent`: what accounts spent
    of their budgets, in its unit; infinite when a part has no known price; of those that are not in it nobody knows.
    `without`: PCs that had their chance. `crash`: no limit stopped it but its PC is gone, so the account does not matter;
    then only a PC that was heard of is trusted with it.
    """
    found: dict[str, _Verdict] = {}
    for pc in _in_turn(list(fleet["rotation"]), me):
        reasons = _Reasons(fleet, heartbeats.get(pc), me, pc, record, now, (silent or {}).get(pc, 0.0))
        found[pc] = _Verdict("it did not take it in time") if pc in without else reasons.verdict(spent or {}, crash)
    fitting = [pc for pc, verdict in found.items() if verdict.fits]
    best = min(fitting, key=lambda pc: (found[pc].busy, -round(found[pc].left), found[pc].weekly), default=None)
    if best and record.get("hops", 0) >= 2 * len(fleet["rotation"]):
        found = {pc: _Verdict(f"the work has moved {record['hops']} times already") for pc in found}
        best = None
    why = {pc: f"chosen: {verdict.why}" if pc == best else verdict.why for pc, verdict in found.items()}
    own = None if crash else _time((record.get("limit") or {}).get("resets_at"))
    first = min((pc for pc in found if found[pc].until), key=lambda pc: found[pc].until or _FAR, default=None)
    until = found[first].until if first else None
    if best:
        return Choice(best, best, None, why)
    if first is None or until is None or (own is not None and own <= until):
        return Choice(None, me, own, why)
    return Choice(None, first, until, why)


def refused_account(fleet: Record, me: str, pc: str, spent: Mapping[str, float]) -> str:
    """Why the account of `pc` may not relieve that of `me` by itself; empty when it may."""
    mine, theirs = _account(fleet, me), _account(fleet, pc)
    if theirs["id"] == mine["id"]:
        return f"it uses the same account as {me}, so the same limit stops both"
    if theirs["kind"] == "unknown":
        return "nobody has said what kind of account it has (./install.sh --account-kind, on that PC)"
    if _allowed(fleet, mine, theirs):
        return _refused_budget(fleet, mine, theirs, spent)
    if theirs["kind"] == "subscription":
        return (
            "its account is a personal subscription, and fleet.json does not allow both accounts to relieve each other"
        )
    if theirs["kind"] == "seat":
        organisation = theirs.get("organisation")
        if mine["kind"] == "seat" and organisation and organisation == mine.get("organisation"):
            return ""
        return "its account is a seat, and the work's account is no seat of the same organisation"
    return _refused_budget(fleet, mine, theirs, spent)


def _refused_budget(fleet: Record, mine: Record, theirs: Record, spent: Mapping[str, float]) -> str:
    if theirs["kind"] not in _PAID_KINDS or mine["kind"] in _PAID_KINDS:
        return ""
    budget = budget_of(fleet, theirs)
    if budget is None:
        return "its account is paid by use, and fleet.json gives it no budget for that"
    if budget.amount <= 0:
        return "fleet.json gives its account, which is paid by use, a budget of 0"
    used = spent.get(theirs["id"])
    if used == _FAR:
        return f"a part of what it spent has no known price, so its budget of {budget.text} may be used up"
    # Nobody knows what was spent: then the budget is a permission.
    return f"its budget of {budget.text} is used up" if used is not None and used >= budget.amount else ""


@dataclass(frozen=True)
class Allowed:
    """What `fleet.json` lets an account spend in a `day`, `week` or `month`: `usd`, or `tokens`."""

    period: str
    usd: float | None = None
    tokens: int | None = None

    @property
    def amount(self) -> float:
        return self.usd if self.usd is not None else float(self.tokens or 0)

    @property
    def text(self) -> str:
        amount = f"{self.amount:,.0f} tokens" if self.usd is None else f"{self.amount:g} USD"
        return f"{amount} a {self.period}"


def budget_of(fleet: Record, account: Record) -> Allowed | None:
    """The budget of an account, by its label or id; a plain number is USD a day."""
    budgets = fleet.get("budgets", {})
    told = next((budgets[name] for name in sorted(_called(account)) if name in budgets), None)
    if told is None:
        return None
    return Allowed(**told) if isinstance(told, Mapping) else Allowed("day", usd=float(told))


def _allowed(fleet: Record, mine: Record, theirs: Record) -> bool:
    return any(_called(mine) & set(group) and _called(theirs) & set(group) for group in fleet.get("allow", []))


def _called(account: Record) -> set[str]:
    return {account["id"], account.get("label", "")} - {""}


def _account(fleet: Record, pc: str) -> dict[str, Any]:
    known = fleet["pcs"].get(pc, {})
    return {"id": f"of {pc}", "kind": "unknown", **known.get("account", {})}


def _in_turn(order: list[str], me: str) -> list[str]:
    """The others, as the rotation comes to them."""
    first = rotation.next_pc(order, me)
    at = order.index(first) if first in order else 0
    return [pc for pc in order[at:] + order[:at] if pc != me]


def _time(text: object) -> float | None:
    return clock.parse(text) if isinstance(text, str) else None


@dataclass(frozen=True)
class _Reasons:
    fleet: Record
    beat: Record | None
    me: str
    pc: str
    record: Record
    now: float
    silent: float

    def verdict(self, spent: Mapping[str, float], crash: bool) -> _Verdict:
        if self.pc not in self.fleet["pcs"]:
            return _Verdict("it is in the rotation, but was never set up")
        groups = [self.fleet["pcs"].get(pc, {}).get("trust_group", "default") for pc in (self.me, self.pc)]
        if groups[0] != groups[1]:
            return _Verdict(f"it is in the trust group '{groups[1]}', the work in '{groups[0]}'")
        refused = "" if crash else refused_account(self.fleet, self.me, self.pc, spent)
        if refused:
            return _Verdict(refused)
        if self.beat is None:
            return (
                _Verdict("it was never heard of") if crash else self._visited() or _Verdict("never heard of yet", True)
            )
        if self.silent >= LEASE_SECONDS:
            return _Verdict(f"it has been silent for {self.silent / 60:.0f} min")
        if self.beat.get("unable"):
            return _Verdict(f"it takes no work now: {self.beat['unable']}")
        left, weekly = self._left()
        busy = bool(self.beat.get("busy"))
        words = f"{left:.0f} % left{', other work runs there' if busy else ''}"
        fits = _Verdict(words, True, left=left, weekly=weekly, busy=busy)
        return self._exhausted() or (None if crash else self._visited()) or fits

    def _exhausted(self) -> _Verdict | None:
        beat = self.beat or {}
        listed = [limit for limit in beat.get("limits", []) if limit["scope"] == "account"]
        whole = [_time(limit["resets_at"]) for limit in listed if self._in_force(limit)]
        if whole:
            return _until("its account is used up", whole)
        if beat.get("credit_status") == "EXHAUSTED" and not listed:
            full = [window.get("resets_at") for window in self._windows() if window["used_percentage"] >= _FULL]
            return _until("its account is used up", full)
        model = self._model()
        own = [
            _time(limit["resets_at"])
            for limit in beat.get("limits", [])
            if limit["scope"] != "account" and self._in_force(limit) and _same_model(limit.get("model"), model)
        ]
        return _until(f"its account has no {model} left", own) if own else None

    def _windows(self) -> list[Record]:
        """The windows that were not reset since its word."""
        windows = (self.beat or {}).get("windows") or {}
        return [window for window in windows.values() if (window.get("resets_at") or _FAR) > self.now]

    def _in_force(self, limit: Record) -> bool:
        end = _time(limit["resets_at"])
        return end is None or end > self.now

    def _visited(self) -> _Verdict | None:
        end = visits.bars_until(dict(self.record), self.pc)
        if end is None or end <= self.now:
            return None
        return _Verdict(f"the work was there already and was stopped; again from {clock.local(end)}", until=end)

    def _left(self) -> tuple[float, float]:
        """Percent of the tightest window, and when the weekly one starts anew."""
        beat = self.beat or {}
        windows = beat.get("windows") or {}
        if windows:
            left = 100.0 - max((float(window["used_percentage"]) for window in self._windows()), default=0.0)
        else:
            left = _LEFT.get(beat.get("credit_status", "HEALTHY"), 0.0)
        weekly = (windows.get("seven_day") or {}).get("resets_at")
        return max(0.0, left), float(weekly) if weekly and weekly > self.now else _FAR

    def _model(self) -> str:
        limit = self.record.get("limit") or {}
        sessions = self.record.get("sessions") or [{}]
        return str(limit.get("model") or sessions[0].get("model") or "")


def _until(what: str, ends: list[float | None]) -> _Verdict:
    known = [end for end in ends if end is not None]
    if not known or len(known) < len(ends):
        return _Verdict(f"{what}; nobody knows until when")
    return _Verdict(f"{what} until {clock.local(max(known))}", until=max(known))


def _same_model(limited: str | None, wanted: str) -> bool:
    """Is this a limit of the wanted model? Limits name a family (`opus`), sessions a model (`claude-opus-4-5`)."""
    if not limited or not wanted:
        return False
    return limited.lower() in wanted.lower() or wanted.lower() in limited.lower()
