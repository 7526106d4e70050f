"""Ends the turn of an unattended session between two tools when its account's window is as good as used up.

Nothing here runs unless `HOME/drain/<session>.json` is there (written by `trinity.relay.drain`): `until`, the window's
reset (epoch seconds), `window`, its name, and `used`, its percentage. It stops once per batch of the main thread, never a
subagent half-way, and never a person's session. Unlike a fence it only saves work from a wall: whatever is damaged, out of
date, too far ahead or cannot be recorded stops nothing.
"""

from time import gmtime, strftime, time

from trinity.hooks import answer, compact_json, record, system

_LIMIT = 4096
_LONGEST = 8 * 86400.0  # the longest window is a week
_UNATTENDED = "sdk-cli"
WINDOWS = ("five_hour", "seven_day")


def end_turn(home: str, session: str, payload: dict[str, object]) -> int | None:
    """Lets no further request follow this batch of tools; None when the session may go on. ValueError, OSError."""
    if payload.get("agent_id") or system.environment("CLAUDE_CODE_ENTRYPOINT") != _UNATTENDED:
        return None
    if system.present(f"{home}/paused.json") and _paused(home):
        return None
    order = compact_json.parse(system.read_file(f"{home}/drain/{session}.json", _LIMIT).decode("utf-8"))
    if not isinstance(order, dict):
        raise ValueError("the order to drain is not an object")
    until, window, used = order.get("until"), order.get("window"), order.get("used")
    if window not in WINDOWS or not record.is_number(until) or not record.is_number(used):
        raise ValueError("the order to drain is damaged")
    now = time()
    if not now < until < now + _LONGEST:  # type: ignore[operator]
        return None
    prompt = payload.get("prompt_id")
    told = f',"prompt_id":{compact_json.quote(prompt)}' if isinstance(prompt, str) and len(prompt) <= 64 else ""
    # The event first: what is stopped without it would not be continued by anybody.
    facts = f'"window":"{window}","until":{until},"used":{used}'
    record.append_event(home, f'"event":"drain","source":"hook","session_id":"{session}"{told},{facts}')
    return answer.end_turn(
        f"Trinity: {used:g} % of the {str(window).replace('_', '-')} window is used, so this session stops here, between"
        " two tools. It is handed over, or goes on after the reset."
    )


def _paused(home: str) -> bool:
    """Does the pause still last? One that is over stays as a file; a damaged one lasts."""
    try:
        pause = compact_json.parse(system.read_file(f"{home}/paused.json", _LIMIT).decode("utf-8"))
    except FileNotFoundError:
        return False
    except ValueError:
        return True
    until = pause.get("until") if isinstance(pause, dict) else None
    # `2026-11-29T22:00:00Z`, whose order is that of time
    return not (isinstance(until, str) and len(until) == 20 and until <= strftime("%Y-%m-%dT%H:%M:%SZ", gmtime()))
