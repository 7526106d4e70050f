"""Starting processes from a hook, for the platform this runs on: `detach` and `run_shell`."""

import sys

if sys.platform == "win32":
    from trinity.hooks.process_windows import detach, run_shell
else:
    from trinity.hooks.process_posix import detach, run_shell

__all__ = ["detach", "run_shell"]
