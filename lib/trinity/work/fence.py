"""Closing a conversation on this PC while it goes on elsewhere.

From `raise_fence` to `lower_fence` the hooks refuse every prompt (the client's own continuation after a reset
included), deny every tool and end a running turn at its next batch of tools; what is typed is kept in `held/`. The fence is
durable when `raise_fence` returns. Raised again, it tells the newer facts. It needs the hooks registered: without
them the client runs whatever it is asked.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from trinity import files
from trinity.errors import BadRecord, TrinityError
from trinity.home import Home
from trinity.work import session_notes


def raise_fence(
    home: Home,
    session_id: str,
    *,
    handoff_id: str,
    to_pc: str,
    since: str,
    take_back: str,
    switched_off: Iterable[str] = (),
) -> Path:
    """Close the conversation `session_id` here; returns the fence's file.

    `since` is the moment of the handoff (ISO, `Z`), `take_back` the command a person types to get the conversation back,
    `switched_off` the settings that were written to end a client's wait.
    """
    facts = {"handoff_id": handoff_id, "to_pc": to_pc, "since": since, "take_back": take_back}
    missing = [name for name, value in facts.items() if not value]
    if missing:
        raise TrinityError(f"a fence without {', '.join(missing)} would not say where the work went")
    return session_notes.put(
        home.fence, session_id, {"kind": "fence", "version": 1, **facts, "switched_off": list(switched_off)}
    )


def lower_fence(home: Home, session_id: str) -> bool:
    """Open the conversation again; was it closed?"""
    return session_notes.drop(home.fence, session_id)


def switched_off(home: Home, session_id: str) -> list[Path]:
    """The settings files that were written with the fence; none where it is damaged."""
    try:
        facts = files.read_or(session_notes.place(home.fence, session_id), dict)
    except BadRecord:
        return []
    named = facts.get("switched_off") if isinstance(facts, dict) else None
    return [Path(path) for path in named or [] if isinstance(path, str)]


def is_raised(home: Home, session_id: str) -> bool:
    """Is the conversation closed here? A damaged fence closes, too."""
    path = session_notes.place(home.fence, session_id)
    return path.is_symlink() or path.exists()


def raised_at(home: Home, session_id: str) -> float | None:
    """Since when (epoch seconds) the conversation is closed here; None when it is open."""
    path = session_notes.place(home.fence, session_id)
    try:
        return path.lstat().st_mtime
    except FileNotFoundError:
        return None


def held_prompts(home: Home, session_id: str) -> list[Path]:
    """The prompts that were refused and kept, oldest first."""
    session_notes.place(home.fence, session_id)
    return sorted(home.held.glob(f"{session_id}-[0-9]*_[0-9]*_[0-9]*.txt"))
