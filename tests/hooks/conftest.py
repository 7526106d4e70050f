import sys
from pathlib import Path

import pytest

from tests.hooks.hook_runner import HookRunner, copy_checkout


@pytest.fixture
def runner(tmp_path: Path) -> HookRunner:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    return HookRunner(home)


@pytest.fixture
def acting_runner(tmp_path: Path, runner: HookRunner) -> HookRunner:
    """A runner whose hooks find an interpreter and an `evaluate_status.py` that says how it was started."""
    copy_checkout(tmp_path / "checkout")
    runner.hooks = tmp_path / "checkout" / "hooks"
    (runner.home / "python").write_text(sys.executable + "\n", encoding="utf-8")
    return runner
