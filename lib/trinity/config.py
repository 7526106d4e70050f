"""This PC's configuration, `config.json`: what it is called, whose account it uses, and every number that decides
when Trinity acts.

A missing file gives the defaults, so that every program works in a fresh checkout. A damaged one is refused: guessing a
threshold or a permission mode would act on work in a way nobody chose.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from trinity import files, schema
from trinity.errors import UsageError
from trinity.home import Home

PC = re.compile(r"^[A-Z0-9][A-Z0-9_-]{0,31}$")
ACCOUNT_KINDS = ("api", "cloud", "seat", "subscription", "unknown")
CONVERSATIONS = ("redacted", "full", "none")
RESUME_MODES = ("headless", "tmux", "terminal", "none", "offer")


@dataclass(frozen=True)
class Account:
    """Whose limits these are: `id` is a hash salted per fleet, never a login."""

    id: str = "0" * 16
    label: str = ""
    kind: str = "unknown"


@dataclass(frozen=True)
class Ladder:
    """The status ladder: WARNING, CRITICAL and EXHAUSTED of each signal, in this order."""

    window_minutes: float = 60
    rate_limits: tuple[int, ...] = (1, 2, 3)
    error_rate: tuple[float, ...] = (0.10, 0.20, 0.30)
    error_rate_from_calls: int = 10
    slow_seconds: float = 10
    slow_streak: tuple[int, ...] = (3, 5)
    window_used: tuple[float, ...] = (70, 85, 97)
    transient_reset_seconds: float = 300


@dataclass(frozen=True)
class Resume:
    """How stopped work is started again; modes are RESUME_MODES, times are seconds.

    `after_reset_seconds` lets the provider's own clock reach the reset; `own_wait_seconds` is how long a client that
    waits by itself gets after the reset (it continues 30 to 90 s late) before its wait counts as dead. `max_resumes` is
    per conversation and night; `at_once` how many headless resumed sessions may run at a time.
    """

    unattended: str = "headless"
    interactive: str = "offer"
    permission_mode: str = "acceptEdits"
    max_resumes: int = 8
    at_once: int = 1
    after_reset_seconds: float = 5
    own_wait_seconds: float = 150


@dataclass(frozen=True)
class Budget:
    """What may be spent in a calendar `day`, `week` or `month`: `usd`, or `tokens` of all kinds together.

    Of this PC, or of what it spends on one `account` (its label or id) or one `project` (its folder's name or path).
    """

    name: str
    period: str
    usd: float | None = None
    tokens: int | None = None
    account: str | None = None
    project: str | None = None


@dataclass(frozen=True)
class AfterRestore:
    """What is run in the folder of work that was unpacked here: `command` as a list of arguments, or another one for a
    project by the address of one of its remotes; ended after `seconds`, 420 at most. It comes from here and never from
    the fleet."""

    command: tuple[str, ...] = ()
    projects: dict[str, tuple[str, ...]] = field(default_factory=dict)
    seconds: float = 300


@dataclass(frozen=True)
class Config:
    """`config.json` as values; `profiles` are the CLAUDE_CONFIG_DIR folders whose sessions belong to this PC.

    `roots` are the folders below which this PC's own clones of projects lie; `work_folder` is where work from another PC
    is unpacked (None: `work` in the state folder). `trust_restored`: the client does not ask whether its folder is trusted.
    `hold_minutes`: how long work waits here for a person before it goes elsewhere. `ready_worktrees`: whether worktrees of
    large projects are kept ready for work to come, or the clones of which one is made beforehand as well.

    What of the work may leave this PC: `conversation` is one of CONVERSATIONS; `carry` are patterns of ignored files that
    go along all the same (`fixtures/*.bin`); `carry_permissions`: so do those granted in `.claude/settings.local.json`.

    `wake_command` is run to wake another PC, with `{pc}` replaced by its name; it comes from here and never from the fleet.
    """

    pc: str = "PC1"
    fleet_url: str | None = None
    account: Account = field(default_factory=Account)
    profiles: tuple[str, ...] = ()
    client: str | None = None
    python: str | None = None
    checkout: str | None = None
    interval_seconds: float = 60
    poll_seconds: float = 30
    act: bool = True
    ladder: Ladder = field(default_factory=Ladder)
    resume: Resume = field(default_factory=Resume)
    wake_command: tuple[str, ...] = ()
    roots: tuple[str, ...] = ()
    work_folder: str | None = None
    trust_restored: bool = False
    ready_worktrees: bool | tuple[str, ...] = True
    hold_minutes: float = 60
    after_restore: AfterRestore = field(default_factory=AfterRestore)
    conversation: str = "redacted"
    carry: tuple[str, ...] = ()
    carry_permissions: bool = False
    budgets: tuple[Budget, ...] = ()
    share_usage: bool = True

    def document(self) -> dict[str, Any]:
        """The file's content, as JSON has it: lists where the values are tuples."""
        return {"kind": "config", "version": 1, **_lists(asdict(self))}


def load(home: Home) -> Config:
    """The configuration of `home`; raises BadRecord or NewerRecord."""
    try:
        return from_document(schema.read_own("config", home.config_file, home.locks / "config.valid"))
    except FileNotFoundError:
        return Config(profiles=(str(Path.home() / ".claude"),))


def from_document(document: dict[str, Any]) -> Config:
    """A validated document as Config; what it does not name has its default."""
    values = {key: value for key, value in document.items() if key not in ("kind", "version")}
    values["account"] = Account(**values.get("account", {}))
    values["ladder"] = Ladder(**_tuples(values.get("ladder", {})))
    values["resume"] = Resume(**values.get("resume", {}))
    after = _tuples(values.get("after_restore", {}))
    values["after_restore"] = AfterRestore(**{**after, "projects": _tuples(after.get("projects", {}))})
    values["budgets"] = [Budget(**budget) for budget in values.get("budgets", [])]
    return Config(**_tuples(values))


def _lists(values: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _lists(value) if isinstance(value, dict) else list(value) if isinstance(value, tuple) else value
        for key, value in values.items()
    }


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}


def save(home: Home, config: Config) -> None:
    """Validate and write; raises BadRecord."""
    document = config.document()
    schema.validate("config", document, str(home.config_file))
    files.write_json(home.config_file, document)


def check_pc(name: str) -> str:
    """`name` when it is a PC id; raises UsageError."""
    if not PC.match(name):
        raise UsageError(f"'{name}' is no PC name: capital letters, digits, - and _ only, like PC1")
    return name
