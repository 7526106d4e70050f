"""SessionStart: records it, gives a resumed session its notes, and has forgotten limits looked for."""

import sys

sys.path.insert(0, __file__.rpartition("hooks")[0] + "lib")
from trinity.hooks import acting, record

record.run("SessionStart", acting.at_session_start)
