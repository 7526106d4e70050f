"""TaskCreated: records a task that the session set itself."""

import sys

sys.path.insert(0, __file__.rpartition("hooks")[0] + "lib")
from trinity.hooks import record

record.run("TaskCreated")
