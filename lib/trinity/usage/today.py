"""The numbers of today as `summary` wrote them: `usage_summary.json`. After midnight they are yesterday's, and not shown.

Reading costs no database and no prices, so that an evaluation stays cheap.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from trinity import clock, files, schema
from trinity.config import Config
from trinity.errors import BadRecord, NewerRecord
from trinity.home import Home

if TYPE_CHECKING:
    from trinity.credit.status import Signal


def path(home: Home) -> Path:
    """Where the numbers stand."""
    return home.root / "usage_summary.json"


def read(home: Home, now: float | None = None) -> dict[str, Any] | None:
    """The summary of today; None when there is none yet."""
    document = known(home)
    moment = clock.now() if now is None else now
    return document if document is not None and clock.parse(document["until"]) > moment else None


def known(home: Home) -> dict[str, Any] | None:
    """The last summary, of whatever day."""
    file = path(home)
    try:
        return schema.read("usage_summary", file.read_bytes(), str(file))
    except (FileNotFoundError, NewerRecord):
        return None
    except BadRecord as error:
        files.quarantine(home, file, error.message)
        return None


def signals(home: Home, config: Config, now: float | None = None) -> list[Signal]:
    """What the budgets say to the evaluation, on the ladder of the allowances (70, 85, 97 %)."""
    moment = clock.now() if now is None else now
    document = known(home)
    if document is None or not document["budgets"]:
        return []
    # Imported here: a report needs no evaluation.
    from trinity.credit.status import STATUSES, Signal

    age = moment - clock.parse(document["timestamp"])
    made = []
    for entry in document["budgets"]:
        status = STATUSES[sum(entry["percent"] >= step for step in config.ladder.window_used)]
        if status != "HEALTHY" and clock.parse(entry["until"]) > moment:
            confidence = 0.95 if entry["sure"] else 0.7
            made.append(Signal("budget", status, entry["text"][:300], age, confidence, entry["percent"]))
    return made
