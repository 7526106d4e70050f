"""Trinity: carries Claude Code work on when a usage limit ends a session.

The names below are the library's face for code (`from trinity import CreditMonitor`). They are looked up when first
used, so that a hook that imports `trinity.hooks` pays for nothing else.
"""

from __future__ import annotations

TYPE_CHECKING = False  # type checkers know the name; importing typing would cost every hook a start
if TYPE_CHECKING:
    from trinity.face.credit_monitor import CreditMonitor as CreditMonitor
    from trinity.face.credit_monitor import get_next_pc as get_next_pc
    from trinity.face.credit_monitor import save_handoff_state as save_handoff_state
    from trinity.face.credit_monitor import trigger_handoff as trigger_handoff
    from trinity.face.credit_monitor import update_dashboard_data as update_dashboard_data
    from trinity.usage import log_call as log_call

_FACE = {
    "CreditMonitor": "trinity.face.credit_monitor",
    "save_handoff_state": "trinity.face.credit_monitor",
    "trigger_handoff": "trinity.face.credit_monitor",
    "get_next_pc": "trinity.face.credit_monitor",
    "update_dashboard_data": "trinity.face.credit_monitor",
    "log_call": "trinity.usage.log_call",  # the module itself
}


def __getattr__(name: str) -> object:
    if name not in _FACE:
        raise AttributeError(f"module 'trinity' has no attribute {name!r}")
    from importlib import import_module

    found = import_module(_FACE[name])
    return found if _FACE[name].endswith(f".{name}") else getattr(found, name)
