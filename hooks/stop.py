"""Stop: records that a turn ended well, and has what is new of accepted work published."""

import sys

sys.path.insert(0, __file__.rpartition("hooks")[0] + "lib")
from trinity.hooks import carried, record

record.run("Stop", carried.at_rest)
