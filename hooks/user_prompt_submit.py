"""UserPromptSubmit: records that a turn began, and whether the client typed the prompt itself; never the prompt.

A conversation that was handed away is refused, and what was typed is kept."""

import sys

sys.path.insert(0, __file__.rpartition("hooks")[0] + "lib")
from trinity.hooks import gate, record

record.run("UserPromptSubmit", gate=gate.before_prompt)
