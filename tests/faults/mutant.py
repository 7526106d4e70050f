"""A program of Trinity with one of its safeguards switched off, for harnesses that must find that out:

    mutant.py NAME SCRIPT [ARGUMENT …]

no_journal    what was started is not remembered
no_fence      a conversation that goes elsewhere is not closed where it was
no_epoch      a word of an older epoch counts like one of now
no_handoff    a conversation's open handoff is not looked for before another one is made
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "lib"))

from trinity.fleet import handoffs, journal, transitions
from trinity.fleet.snapshot import Refusal, Tree
from trinity.relay import closing, link


def no_journal() -> None:
    """What was started is not remembered."""
    _set(journal, "start_once", lambda *_: True)
    _set(journal, "read", lambda *_: None)
    _set(journal, "note", lambda *_, **__: None)


def no_fence() -> None:
    """A conversation that goes elsewhere is not closed where it was."""
    _set(closing, "close_here", lambda *_: None)


def no_epoch() -> None:
    """A word of an older epoch counts like one of now."""

    def held(tree: Tree, operation: dict[str, Any]) -> handoffs.Found | Refusal:
        return transitions.in_state(tree, operation, *transitions.HELD)

    _set(transitions, "held", held)
    _set(transitions, "same_epoch", lambda *_: True)


def no_handoff() -> None:
    """A conversation's open handoff is not looked for before another one is made."""
    _set(link.Link, "of_session", lambda *_: None)


def _set(where: object, name: str, what: object) -> None:
    getattr(where, name)  # a name that is gone would switch nothing off
    setattr(where, name, what)


MUTANTS = {made.__name__: made for made in (no_journal, no_fence, no_epoch, no_handoff)}


if __name__ == "__main__":
    MUTANTS[sys.argv[1]]()
    sys.argv = sys.argv[2:]
    runpy.run_path(sys.argv[0], run_name="__main__")
