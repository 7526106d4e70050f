"""Notification: records what the client says about its own waiting for a reset."""

import sys

sys.path.insert(0, __file__.rpartition("hooks")[0] + "lib")
from trinity.hooks import record

record.run("Notification")
