"""Trinity: carries Claude Code work on when a usage limit ends a session.

The names below are the library's face for code (`from trinity import CreditMonitor`). They are looked up when first
used, so that a hook that imports `trinity.hooks` pays for nothing else.
"""

from __future__ import annotations

_FACE = {
    "CreditMonitor": "trinity.face.credit_monitor",
    "save_handoff_state": "trinity.face.credit_monitor",
    "trigger_handoff": "trinity.face.credit_monitor",
    "get_next_pc": "trinity.face.credit_monitor",
    "update_dashboard_data": "trinity.face.credit_monitor",
}


def __getattr__(name: str) -> object:
    if name not in _FACE:
        raise AttributeError(f"module 'trinity' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_FACE[name]), name)
