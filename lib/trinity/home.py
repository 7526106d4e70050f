"""Where the state of this PC lies, and that nobody else can read it.

`TRINITY_HOME` (default `~/.trinity`) holds prompts, paths and reset times: folders 0700, files 0600. A
folder that is looser, or owned by another user, is refused rather than mended, because somebody may have read it.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from trinity import files
from trinity.errors import TrinityError

README = """This folder belongs to Trinity: see README.md in its checkout.

events/            what Claude Code's hooks recorded, one line an event, one file a day
credit_state.json  the last evaluation; events/picture.json is its cache
config.json        this PC's configuration
usage.db           the ledger of what was used, also of transcripts that are gone: keep it
brought.jsonl      which beginnings of conversations another PC has paid for: the ledger leaves them out
outbox/            changes on their way to the fleet; nothing here is lost when the PC is switched off
journal/           which handoff was started here, once per epoch
state_clone/       a cache of the fleet's state; may be deleted
parts_clone/       a cache of what handoffs carry; may be deleted
remote.git/        the embedded fleet remote, when no other was named: this one is the state, keep it
handoff/ wake/ wake_archive/ heartbeat/ dashboards/ spawn_queue/
                   a read-only view of the state, written by Trinity
results/           what other PCs have finished of this PC's work, until it is taken back
runs/ logs/        what resumed sessions printed, and logs
quarantine/ held/  damaged files and held prompts, with the reason; nothing is deleted
fence/ lease/ guard/
                   what the hooks refuse in single sessions: work that went elsewhere or was accepted here
drain/             unattended sessions that stop between two tools, because a window is as good as used up
"""

_FOLDERS = {
    "events": "events",
    "logs": "logs",
    "outbox": "outbox",
    "journal": "journal",
    "quarantine": "quarantine",
    "held": "held",
    "locks": "locks",
    "notes": "notes",
    "runs": "runs",
    "status_line": "status_line",
}


class Home:
    """The places below one `TRINITY_HOME`; attributes are paths, nothing is created here."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.events = root / "events"
        self.logs = root / "logs"
        self.outbox = root / "outbox"
        self.journal = root / "journal"
        self.quarantine = root / "quarantine"
        self.held = root / "held"
        self.fence = root / "fence"
        self.lease = root / "lease"
        self.guard = root / "guard"
        self.drain = root / "drain"
        self.locks = root / "locks"
        self.notes = root / "notes"
        self.runs = root / "runs"
        self.status_line = root / "status_line"
        self.state_clone = root / "state_clone"
        self.parts_clone = root / "parts_clone"
        self.remote = root / "remote.git"
        self.handoff = root / "handoff"
        self.processed = root / "handoff" / "processed"
        self.wake = root / "wake"
        self.wake_archive = root / "wake_archive"
        self.heartbeat = root / "heartbeat"
        self.dashboards = root / "dashboards"
        self.spawn_queue = root / "spawn_queue"
        self.config_file = root / "config.json"
        self.credit_state_file = root / "credit_state.json"
        self.paused_file = root / "paused.json"


def resolve(option: str | Path | None = None) -> Path:
    """The state folder: `option` (from --home), else `TRINITY_HOME`, else `~/.trinity`.

    With `TRINITY_FORBID_DEFAULT_HOME` set, the default raises: tests must never write in a developer's home.
    """
    named = option or os.environ.get("TRINITY_HOME")
    if named:
        return Path(named).expanduser().absolute()
    if os.environ.get("TRINITY_FORBID_DEFAULT_HOME"):
        raise TrinityError("no state folder given, and the default is forbidden here", "pass --home DIR")
    return Path.home() / ".trinity"


def open_home(option: str | Path | None = None, create: bool = False) -> Home:
    """The state folder, checked. With `create` missing folders are made; else a missing one is an error."""
    home = Home(resolve(option))
    if create:
        home.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        found = home.root.stat()
    except FileNotFoundError:
        raise TrinityError(f"no Trinity state in '{home.root}'", "install it: ./install.sh") from None
    if not stat.S_ISDIR(found.st_mode):
        raise TrinityError(f"'{home.root}' is not a folder", "pass --home DIR")
    _check_private(home.root, found)
    for name in _FOLDERS.values():
        folder = home.root / name
        if not folder.is_dir():
            folder.mkdir(mode=0o700, exist_ok=True)
    if create and not (home.root / "README").exists():
        files.write_atomic(home.root / "README", README.encode("utf-8"))
    return home


if sys.platform == "win32":

    def _check_private(root: Path, found: os.stat_result) -> None:
        """A profile folder is private by its access list; there are no modes to check."""
else:

    def _check_private(root: Path, found: os.stat_result) -> None:
        if found.st_uid != os.geteuid():
            raise TrinityError(f"'{root}' belongs to another user", "pass --home DIR with a folder of your own")
        if found.st_mode & 0o077:
            raise TrinityError(
                f"others may read '{root}' (mode {stat.S_IMODE(found.st_mode):04o})", f"chmod 700 '{root}'"
            )
