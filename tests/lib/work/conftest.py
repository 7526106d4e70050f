"""A stage with two PCs for each test of carrying."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lib.work.stage import Stage


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    for name in ("GIT_CONFIG_GLOBAL", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / "nobody"))  # what the stage sets is taken back
    monkeypatch.delenv("GIT_CONFIG_NOSYSTEM")
    return Stage(tmp_path)
