"""PreToolUse: records that a tool is about to run."""

import sys

sys.path.insert(0, __file__.rpartition("hooks")[0] + "lib")
from trinity.hooks import record

record.run("PreToolUse")
