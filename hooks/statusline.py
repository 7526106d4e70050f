"""The status line, `statusline.py HOME [PROFILE_KEY]`: shows what is left and where work is."""

import sys

sys.path.insert(0, __file__.rpartition("hooks")[0] + "lib")
from trinity.hooks import statusline

statusline.run()
