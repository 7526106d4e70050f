"""What every test stands on: no default state folder, no developer's settings, real clients against a scripted API."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import clients
from tests.clients import VERSIONS, Client
from tests.fake_api import ScriptedApi
from trinity import home as homes

CHECKOUT = Path(__file__).resolve().parent.parent
SHORT = "/tmp" if os.path.isdir("/tmp") else None  # sockets live below it, and their names are bounded
FOREIGN = ("ANTHROPIC_", "CLAUDE", "GIT_", "TRINITY_HOME", "XDG_", "TMUX")
IDENTITY = {
    "GIT_AUTHOR_NAME": "Test",
    "GIT_AUTHOR_EMAIL": "test@example.invalid",
    "GIT_COMMITTER_NAME": "Test",
    "GIT_COMMITTER_EMAIL": "test@example.invalid",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
}

Program = Callable[..., subprocess.CompletedProcess[str]]


def _in_ci() -> bool:
    return os.environ.get("CI", "").lower() not in ("", "0", "false")


# What needs another system is left out by name, not skipped: the header says so.


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "posix: needs a terminal, signals or modes that this Windows has not")


# These mostly wait for a clock: first, so that the others run meanwhile; before all, those in which a client goes on by
# itself, up to 100 s after a reset.
WAITING = ("tests/relay/", "tests/hooks/test_handed_away", "tests/test_demo", "tests/test_harness")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    items.sort(
        key=lambda item: (
            "own_continuation" not in item.name and "client_continued" not in item.name,
            not item.nodeid.startswith(WAITING),
        )
    )
    if sys.platform != "win32":
        return
    elsewhere = [item for item in items if item.get_closest_marker("posix")]
    if elsewhere:
        config.hook.pytest_deselected(items=elsewhere)
        items[:] = [item for item in items if item not in elsewhere]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a test that does not run has failed: nobody reads a list of skips."""
    report = yield
    if _in_ci() and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"did not run, and CI leaves nothing out: {report.longrepr}"
    return report


@pytest.fixture(scope="session", autouse=True)
def _neutral_environment() -> Iterator[None]:
    """Nothing of the machine that runs the tests: its login, its git identity, its home, its language."""
    folder = Path(tempfile.mkdtemp(prefix="trinity-", dir=SHORT))
    (folder / "home").mkdir(mode=0o700)
    (folder / "tmux").mkdir(mode=0o700)
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(FOREIGN):
                patch.delenv(name)
        for name, value in IDENTITY.items():
            patch.setenv(name, value)
        patch.setenv("HOME", str(folder / "home"))
        patch.setenv("USERPROFILE", str(folder / "home"))
        patch.setenv("TMUX_TMPDIR", str(folder / "tmux"))
        patch.setenv("LC_ALL", "C.UTF-8")
        patch.setenv("TRINITY_FORBID_DEFAULT_HOME", "1")
        patch.setenv("PYTHONPATH", str(CHECKOUT / "lib"))
        yield
        _end_terminals(folder / "tmux")
    shutil.rmtree(folder, ignore_errors=True)


def _end_terminals(folder: Path) -> None:
    for socket in folder.glob("tmux-*/*"):
        subprocess.run(["tmux", "-S", str(socket), "kill-server"], capture_output=True, check=False)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> homes.Home:
    """An empty state folder, which is also TRINITY_HOME for everything this test starts."""
    root = tmp_path / "trinity"
    monkeypatch.setenv("TRINITY_HOME", str(root))
    return homes.open_home(root, create=True)


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Program:
    """`program("save_handoff", "--json")` runs `scripts/save_handoff.py` as its own process."""

    def run(name: str, *arguments: str, timeout: float = 60, **options: Any) -> subprocess.CompletedProcess[str]:
        # A program must find lib by its own line, so PYTHONPATH does not help it.
        environment = {**os.environ, **options.pop("env", {})}
        environment.pop("PYTHONPATH", None)
        return subprocess.run(
            [sys.executable, str(CHECKOUT / "scripts" / f"{name}.py"), *arguments],
            capture_output=True,
            encoding="utf-8",
            env=environment,
            timeout=timeout,
            check=False,
            **options,
        )

    return run


@pytest.fixture
def api() -> Iterator[ScriptedApi]:
    with ScriptedApi() as served:
        yield served


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    """Each client version Trinity must work with: a test that asks for it runs once with each."""
    return str(request.param)


@pytest.fixture
def make_client(tmp_path: Path, api: ScriptedApi) -> Callable[..., Client]:
    """`make_client("newest", auth="key")`: a client in a home of its own, logged in to `api`."""

    def make(version: str, name: str = "pc", **options: Any) -> Client:
        return Client(clients.binary(version), tmp_path / name, api.url, **options)

    return make


@pytest.fixture
def client(version: str, make_client: Callable[..., Client]) -> Client:
    """The real client, once with the lowest version supported and once with the newest."""
    return make_client(version)
