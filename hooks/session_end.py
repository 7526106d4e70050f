"""SessionEnd: records it, and has the status evaluated when the transcript ends in an API error."""

import sys

sys.path.insert(0, __file__.rpartition("hooks")[0] + "lib")
from trinity.hooks import acting, record

record.run("SessionEnd", acting.at_session_end)
