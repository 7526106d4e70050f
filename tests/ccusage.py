"""ccusage 20, the peer that the ledger is measured against: its native program, without node and without the network."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

from tests import clients

VERSION = "20.0.24"
KINDS = ("inputTokens", "outputTokens", "cacheReadTokens", "cacheCreationTokens")


@cache
def binary() -> Path:
    """The native program of ccusage; raises clients.ClientMissing."""
    machine = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64"}.get(platform.machine().lower(), "arm64")
    package = f"@ccusage/ccusage-{sys.platform}-{machine}"
    name = "ccusage.exe" if sys.platform == "win32" else "ccusage"
    found = clients.installed(
        package, VERSION, f"ccusage-{VERSION}", lambda place: place / "node_modules" / package / "bin" / name
    )
    if not os.access(found, os.X_OK):
        found.chmod(0o755)  # its own launcher does this too
    return found


def command(*report: str) -> list[str]:
    return [str(binary()), "claude", *report, "--json", "--offline", "--timezone", "UTC"]


def environment(profile: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("SYSTEMROOT", "TEMP", "TMP") if name in os.environ}
    return {**kept, "HOME": str(profile), "USERPROFILE": str(profile), "CLAUDE_CONFIG_DIR": str(profile), "TZ": "UTC"}


def report(profile: Path, *what: str) -> dict[str, Any]:
    """Its answer for one profile, `daily` or `session`."""
    done = subprocess.run(
        command(*(what or ("daily",))), env=environment(profile), capture_output=True, timeout=120, check=True
    )
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def totals(profile: Path) -> tuple[int, int, int, int]:
    """Input, output, cache read and cache written tokens, as ccusage counts them."""
    found = report(profile)["totals"]
    return found[KINDS[0]], found[KINDS[1]], found[KINDS[2]], found[KINDS[3]]
