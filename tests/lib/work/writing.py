"""A process that keeps A >= B >= C >= A-1 in three files: `writing.py FOLDER atomic|in-place PAUSE`."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path


def main() -> None:
    folder, how, pause = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    number = 0
    while True:
        number += 1
        for name in ("A", "B", "C"):
            data = b"%012d\n" % number  # always the same size
            if how == "atomic":
                temporary = folder.parent / f"{name}.new"
                temporary.write_bytes(data)
                os.replace(temporary, folder / name)
            else:
                with open(folder / name, "r+b") as stream:
                    stream.write(data)
        if number == 1:
            print("writing", flush=True)
        time.sleep(pause)


if __name__ == "__main__":
    main()
