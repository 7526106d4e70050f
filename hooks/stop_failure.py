"""StopFailure, the part behind `stop_failure.sh HOME SAVED_STDIN CLIENT_PID`: records it, and has the status evaluated.

Without SAVED_STDIN it reads its own stdin.
"""

import sys

sys.path.insert(0, __file__.rpartition("hooks")[0] + "lib")
from trinity.hooks import acting, record

_, _, saved, client = (*sys.argv, "", "", "")[:4]
record.run("StopFailure", acting.at_stop_failure, saved, int(client) if client.isdecimal() else 0)
