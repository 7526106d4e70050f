"""What runs inside Claude Code's hooks and status line: standard library only, lean (tests count the imports).

`system` is the few system calls of the hook path, for the platform this runs on.
"""

import sys

if sys.platform == "win32":
    from trinity.hooks import system_windows as system
else:
    from trinity.hooks import system_posix as system

__all__ = ["system"]
