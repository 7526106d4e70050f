from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lib.credit.scene import Scene
from trinity.home import Home


@pytest.fixture
def scene(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """An installed PC on which nothing has happened yet; its own zone is UTC."""
    monkeypatch.setenv("TZ", "UTC")
    if hasattr(time, "tzset"):  # Windows asks the system instead, and its runners are in UTC
        time.tzset()
    yield Scene(home, tmp_path)
    monkeypatch.undo()
    if hasattr(time, "tzset"):
        time.tzset()
