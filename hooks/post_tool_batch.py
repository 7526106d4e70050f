"""PostToolBatch: records that a batch of tools has run, and ends the turn of a conversation that was handed away, or of an
unattended one whose account is as good as used up."""

import sys

sys.path.insert(0, __file__.rpartition("hooks")[0] + "lib")
from trinity.hooks import gate, record

record.run("PostToolBatch", gate=gate.after_tools)
