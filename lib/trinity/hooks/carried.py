"""What a hook does for work that this PC accepted from another one: it calls for a round, which publishes what is new."""

from trinity.hooks import record, system


def at_rest(home: str, payload: dict[str, object]) -> None:
    """Calls the daemon when a turn, or the session, of accepted work has ended; for other sessions one look and no more."""
    if system.present(f"{home}/lease/{record.session_of(payload)}.json"):
        system.replace(home, "round.called", b"")
