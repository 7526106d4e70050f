"""Every benchmark runs and prints its ratios; what they are is for a quiet machine and a person to judge."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
BENCHMARKS = sorted(path.stem for path in HERE.glob("*.py") if not path.stem.startswith("test_"))


@pytest.mark.parametrize("name", BENCHMARKS)
def test_it_runs_quickly_and_prints_a_ratio(name: str) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, str(HERE / f"{name}.py"), "--quick"],
        env=environment,
        capture_output=True,
        encoding="utf-8",
        timeout=300,  # on a machine that is busy with other tests
    )
    assert done.returncode == 0, done.stderr
    assert "ratio" in done.stdout or " x" in done.stdout
    assert re.search(r"\b\d+\.\d\d?\d?\b", done.stdout), done.stdout


def test_each_says_what_it_measures_and_which_goal() -> None:
    for name in BENCHMARKS:
        text = (HERE / f"{name}.py").read_text(encoding="utf-8").split('"""')[1]
        assert "Goal" in text or "goal" in text, name
