"""The status line: shows how much is left, and records it, for no hook is told.

`run()` is the whole program `statusline.py HOME [PROFILE_KEY]`. It prints one line: PC and status, both windows of
the account with their reset in local time, what was used today, where handed-over or parked work is. Files of
`HOME/status_line`:

- `text`: one line by `evaluate_status`, `PC and status` TAB `where work is` (the TAB and what follows may be missing);
- `usage`: one line by the ledger, `until when (epoch seconds)` TAB `what was used today`, and how far budgets are spent;
- `<PROFILE_KEY>.last`: the windows recorded last, so that only a change becomes an event;
- `previous-<PROFILE_KEY>`: the command of the status line that was configured before, called first and shown first.

A change near a window's end starts an evaluation: unattended sessions of the account are stopped before the wall.

A part that fails is left out and one line in hooks.log; what is known is printed, and the exit code is 0.
"""

import sys
from time import localtime, strftime, time

from trinity.hooks import compact_json, record, system

NO_STATUS = "trinity: no status yet"
PREVIOUS_SECONDS = 2.0
NEARLY = 90.0  # per cent of a window from which on a change is looked at without delay
# member of `rate_limits`, its name on the line, how its reset is written
_WINDOWS = (("five_hour", "5h", "%H:%M"), ("seven_day", "7d", "%a %d %b %H:%M"))


def run() -> None:
    """Prints the status line, records the windows when they changed, and ends the process."""
    troubles: list[str] = []
    home, said, before = "", [NO_STATUS], b""
    try:
        home = record.home_folder()
        profile = _profile()
        data, size = system.read_stream(0, record.WHOLE)
        before = _previous(home, profile, data, troubles)
        head, where = _prepared(home)
        used = _used(home)
        said = [head, used, where]
        if size > record.WHOLE:
            raise ValueError(f"a payload of {size} bytes")
        payload = compact_json.parse(data.decode("utf-8"))
        if not isinstance(payload, dict):
            raise ValueError(f"the payload is a {type(payload).__name__}, not an object")
        windows = _windows(payload)
        said = [head, *_shown(windows), used, where]
        _record(home, profile, payload, windows)
    except BaseException as problem:  # nothing may reach the user's terminal but the line
        troubles.append(f"{type(problem).__name__}: {problem}")
    try:
        line = " · ".join(part for part in said if part)
        system.show(before + _plain(line).encode("utf-8", "replace") + b"\n")
    except BaseException as problem:
        troubles.append(f"{type(problem).__name__}: {problem}")
    if troubles:
        record.log(home, "statusline", "; ".join(troubles))
    system.leave()


def _profile() -> str:
    key = sys.argv[2] if len(sys.argv) > 2 else "default"
    if not key.isalnum() or len(key) > 64:
        raise ValueError("the profile key is no word")
    return key


def _previous(home: str, profile: str, data: bytes, troubles: list[str]) -> bytes:
    file = f"{home}/status_line/previous-{profile}"
    if not system.modified(file):
        return b""
    from trinity.hooks import process

    try:
        command = system.read_file(file, 64 << 10).decode("utf-8")
        printed = process.run_shell(command, data, PREVIOUS_SECONDS)
    except (OSError, ValueError) as problem:
        troubles.append(f"the status line configured before: {problem}")
        return b""
    # it is shown as the client would show it, colours included
    return printed.rstrip(b"\r\n") + b"\n" if printed.strip() else b""


def _prepared(home: str) -> tuple[str, str]:
    try:
        text = system.read_file(f"{home}/status_line/text", 4096).decode("utf-8", "replace")
    except OSError:
        return NO_STATUS, ""
    head, _, where = text.partition("\n")[0].partition("\t")
    return head or NO_STATUS, where


def _used(home: str) -> str:
    """What was used today, unless that day is over."""
    try:
        until, _, text = system.read_file(f"{home}/status_line/usage", 4096).decode("utf-8", "replace").partition("\t")
        return text.partition("\n")[0] if float(until) > time() else ""
    except (OSError, ValueError):
        return ""  # nothing was added up yet


def _windows(payload: dict[str, object]) -> dict[str, tuple[float, float]]:
    """Window -> (used per cent, reset as epoch seconds), of those that are told and well-formed."""
    found: dict[str, tuple[float, float]] = {}
    limits = payload.get("rate_limits")
    for name, _, _ in _WINDOWS if isinstance(limits, dict) else ():
        window = limits.get(name) if isinstance(limits, dict) else None
        if not isinstance(window, dict):
            continue
        used, resets = window.get("used_percentage"), window.get("resets_at")
        if not isinstance(used, (int, float)) or not isinstance(resets, (int, float)):
            continue
        if record.is_number(used) and used <= 1000 and record.is_number(resets) and resets < 1e11:
            found[name] = (used, resets)
    return found


def _shown(windows: dict[str, tuple[float, float]]) -> list[str]:
    shown = []
    for name, label, form in _WINDOWS:
        if name in windows and windows[name][1] > time():
            used, resets = windows[name]
            shown.append(f"{label} {used:.0f}% until {strftime(form, localtime(resets))}")
    return shown


def _record(home: str, profile: str, payload: dict[str, object], windows: dict[str, tuple[float, float]]) -> None:
    if not windows:
        return
    told = ",".join(
        f'"{name}":{{"used_percentage":{used},"resets_at":{resets}}}' for name, (used, resets) in windows.items()
    )
    try:
        last = system.read_file(f"{home}/status_line/{profile}.last", 4096)
    except OSError:
        last = b""
    if last == told.encode("ascii"):
        return
    model = payload.get("model")
    model = model.get("id") if isinstance(model, dict) else None
    named = f',"model":{compact_json.quote(model[:128])}' if isinstance(model, str) else ""
    session = f'"session_id":"{record.session_of(payload)}"'
    record.append_event(home, f'"event":"window","source":"status_line",{session}{named},{told}')
    # the event first: after a crash between the two it is told twice, not never
    system.replace(f"{home}/status_line", f"{profile}.last", told.encode("ascii"))
    if any(used >= NEARLY for used, _ in windows.values()):
        # a daemon may look a minute later, or there is none; it comes once a percentage
        from trinity.hooks import acting

        acting.start_evaluation(home)


def _plain(text: str) -> str:
    return "".join(sign for sign in text if sign.isprintable())
