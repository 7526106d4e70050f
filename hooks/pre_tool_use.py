"""PreToolUse: records that a tool is about to run.

It is refused in a conversation that was handed away, in accepted work whose lease has run out, and where the tool reaches
the place that a carried project had on another PC."""

import sys

sys.path.insert(0, __file__.rpartition("hooks")[0] + "lib")
from trinity.hooks import gate, record

record.run("PreToolUse", gate=gate.before_tool)
