"""Whether this PC may still work on a handoff that it accepted: `HOME/lease/<session>.json`, renewed by its holder.

A lease ends by a clock of this PC that counts sleep and starts anew at a restart. So it also names the boot in which it
was granted: after a restart it has run out, whatever its numbers say. Sessions without the file know nothing of leases.
"""

import sys

from trinity import clock
from trinity.hooks import answer, compact_json, record, system

_LIMIT = 64 << 10
_BOOT = "/proc/sys/kernel/random/boot_id"


def boot() -> str:
    """What is different after each restart of this PC; "" where the system does not say it (then only the clock counts)."""
    if sys.platform != "linux":
        return ""
    try:
        return system.read_file(_BOOT, 64).decode("ascii").strip()
    except (OSError, ValueError):
        return ""


def refuse_tool(home: str, session: str) -> int | None:
    """Denies the tool once the lease has run out. The turn goes on: a PC that only slept gets its lease back soon."""
    path = f"{home}/lease/{session}.json"
    try:
        document = compact_json.parse(system.read_file(path, _LIMIT).decode("utf-8"))
        if not isinstance(document, dict):
            raise ValueError("not an object")
        granted, until = document["granted_boottime"], document["until_boottime"]
        if not record.is_number(granted) or not record.is_number(until):
            raise ValueError("its times are no numbers")
        if document["boot"] == boot() and granted <= clock.boottime() < until:
            return None
        said = f"this PC's lease on handoff {document['handoff_id']}, epoch {document['epoch']}, has run out"
    except FileNotFoundError:
        return None  # given back in this moment
    except BaseException as problem:
        said = f"nobody can say whether this PC may still work here: '{path}' is damaged ({type(problem).__name__})"
    return answer.deny(
        f"Trinity: {said}; another PC may have taken the work over. No tool runs until the lease is renewed, which may"
        " take a minute. If it is refused again, stop and say how far the work is."
    )
