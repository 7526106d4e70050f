"""Making this process one that gives way: what it does may take longer, and nobody should feel it."""

from __future__ import annotations

import sys

if sys.platform == "win32":
    import ctypes

    _BELOW_NORMAL = 0x4000

    def lower() -> None:
        """Let this process and those it starts run behind all others."""
        # Processes started by one of this class get the same.
        ctypes.windll.kernel32.SetPriorityClass(ctypes.windll.kernel32.GetCurrentProcess(), _BELOW_NORMAL)
else:
    import os

    _NICE = 15

    def lower() -> None:
        """Let this process and those it starts run behind all others."""
        os.nice(_NICE)
        _lower_disk()


if sys.platform == "linux":

    def _lower_disk() -> None:
        import psutil

        try:
            psutil.Process().ionice(psutil.IOPRIO_CLASS_IDLE)
        except (psutil.Error, OSError):
            pass  # not allowed in this container: the processor alone is left to the others
else:

    def _lower_disk() -> None:
        """Only Linux has priorities of its own for the disk."""
