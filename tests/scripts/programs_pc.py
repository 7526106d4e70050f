"""A PC of a fleet of three for tests of the programs: installed by the installer, without a client and without services."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import CHECKOUT
from tests.lib.credit.scene import Scene
from trinity import clock, config, schema
from trinity.home import Home

Done = subprocess.CompletedProcess[str]


class ProgramsPC:
    """PC1; its programs run as their own processes, and `scene` is what hooks and clients wrote in the last minute."""

    def __init__(self, folder: Path, installed: Path | None = None) -> None:
        self.user = folder / "user"
        self.home = Home(self.user / ".trinity")
        if installed is None:
            self.user.mkdir()
            self.ok("install", "--no-timers", "--no-hooks", "--rotation", "PC1,PC2,PC3")
        else:
            shutil.copytree(installed, self.user, symlinks=True)
        self.scene = Scene(self.home, folder, clock.now() - 60)
        self.configure(profiles=list(self.scene.config.profiles))

    @property
    def environment(self) -> dict[str, str]:
        kept = ("PATH", "SYSTEMROOT", "COMSPEC", "PATHEXT", "TEMP", "TMP")
        here = {name: os.environ[name] for name in kept if name in os.environ}
        users = {"HOME": str(self.user), "USERPROFILE": str(self.user), "TRINITY_HOME": str(self.home.root)}
        return {**here, **users, "TZ": "UTC", "LC_ALL": "C.UTF-8"}

    def command(self, name: str, *arguments: str) -> list[str]:
        return [sys.executable, str(CHECKOUT / "scripts" / f"{name}.py"), *arguments]

    def run(self, name: str, *arguments: str) -> Done:
        return subprocess.run(
            self.command(name, *arguments),
            env=self.environment,
            cwd=self.user,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
        )

    def ok(self, name: str, *arguments: str) -> str:
        """What it prints when all is well."""
        done = self.run(name, *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def fails(self, code: int, name: str, *arguments: str) -> str:
        """Its one line about an expected failure; a hint may follow."""
        done = self.run(name, *arguments)
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        assert done.stdout == ""
        assert re.fullmatch(rf"{name}: error: [^\n]+\n(  [^\n]+\n)*", done.stderr), done.stderr
        return done.stderr

    def configure(self, **members: Any) -> None:
        settings = {**json.loads(self.home.config_file.read_text(encoding="utf-8")), **members}
        config.save(self.home, config.from_document(settings))

    def handoffs(self) -> list[dict[str, Any]]:
        """The records in handoff/, oldest first."""
        found = [schema.read("handoff", path.read_bytes(), str(path)) for path in self.home.handoff.glob("*.json")]
        return sorted(found, key=lambda record: str(record["id"]))

    def read(self, kind: str, path: Path) -> dict[str, Any]:
        return schema.read(kind, path.read_bytes(), str(path))

    def log(self, name: str) -> list[str]:
        path = self.home.logs / f"{name}.log"
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a user who has just installed; state folders can be copied."""
    return ProgramsPC(tmp_path_factory.mktemp("installed")).user


@pytest.fixture
def pc(tmp_path: Path, installed: Path) -> ProgramsPC:
    return ProgramsPC(tmp_path, installed)
