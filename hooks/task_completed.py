"""TaskCompleted: records that a task of the session is done."""

import sys

sys.path.insert(0, __file__.rpartition("hooks")[0] + "lib")
from trinity.hooks import record

record.run("TaskCompleted")
