"""UserPromptSubmit: records that a turn began, and whether the client typed the prompt itself; never the prompt."""

import sys

sys.path.insert(0, __file__.rpartition("hooks")[0] + "lib")
from trinity.hooks import record

record.run("UserPromptSubmit")
