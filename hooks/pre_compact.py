"""PreCompact: records that a conversation is about to be summed up, and refuses it where it was handed away."""

import sys

sys.path.insert(0, __file__.rpartition("hooks")[0] + "lib")
from trinity.hooks import gate, record

record.run("PreCompact", gate=gate.before_compaction)
