"""What packing is told, what one pass finds, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trinity.work.carry.consent import NONE, Consent
from trinity.work.carry.content import Caps, Taken, Withheld
from trinity.work.carry.operation import Operation
from trinity.work.carry.scan import Look

MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Parcel:
    """`manifest` and `bundle` travel together. `moving` are the paths that did not hold still."""

    manifest: dict[str, Any]
    bundle: Path
    left_out: list[dict[str, Any]]
    consistent: bool
    moving: list[str]


@dataclass(frozen=True)
class Rules:
    """How a worktree is packed; for a repository inside they are narrower."""

    caps: Caps
    withheld: Withheld | None
    history: str
    wait: float
    passes: int
    committed_secrets: bool
    consent: Consent = NONE
    published: list[str] | None = None
    depth: int = 0


@dataclass
class Pass:
    """What one pass found."""

    look: Look
    taken: Taken
    operation: Operation | None
    filters: dict[str, set[bytes]] = field(default_factory=dict)
    children: dict[bytes, Parcel] = field(default_factory=dict)
    moving: list[bytes] = field(default_factory=list)
    consistent: bool = False
