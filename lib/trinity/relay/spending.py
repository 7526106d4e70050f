"""What the accounts of the fleet spent today, as far as anybody knows: a budget of `fleet.json` is held against it."""

from __future__ import annotations

from trinity.home import Home


def today(home: Home) -> dict[str, float]:
    """USD by account id. An account that is not in it is one of which nobody knows: its budget is then a permission."""
    return {}
