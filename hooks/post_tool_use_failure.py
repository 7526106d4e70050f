"""PostToolUseFailure: records that a tool failed, which is no error of the API."""

import sys

sys.path.insert(0, __file__.rpartition("hooks")[0] + "lib")
from trinity.hooks import record

record.run("PostToolUseFailure")
