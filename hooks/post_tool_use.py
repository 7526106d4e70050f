"""PostToolUse: records that a tool ran and how long it took."""

import sys

sys.path.insert(0, __file__.rpartition("hooks")[0] + "lib")
from trinity.hooks import record

record.run("PostToolUse")
