"""What the doctor looks at for work from other PCs: how it would be unpacked here, and what open work lacks here."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from trinity.setup.checks import Finding, Patient

_SHOWN = 6


def carried(patient: Patient) -> Iterator[Finding]:
    """Where clones are looked for, the command after unpacking, and what arrived work misses."""
    # Here, because the doctor starts without the environment of the checkout, too.
    from trinity.relay import arrival, board

    config = patient.config
    sound = True
    for root in config.roots:
        if not Path(root).is_dir():
            sound = False
            yield Finding("carried", "warn", f"'{root}' in roots is no folder here", "mend roots in config.json")
    commands = [config.after_restore.command, *config.after_restore.projects.values()]
    for command in commands:
        if command and "/" not in command[0] and shutil.which(command[0]) is None:
            sound = False
            text = f"after_restore names '{command[0]}', which is not on the daemon's PATH"
            yield Finding("carried", "warn", text, "name its absolute path in config.json")
    for record in board.open_handoffs(patient.home):
        if record["owner"] != config.pc:
            continue
        for text in arrival.told_of(patient.home, record, "lacking")[:_SHOWN]:
            sound = False
            yield Finding("carried", "warn", f"{board.what(record)}: {text}", f"trinity handoffs show {record['id']}")
    if sound:
        where = ", ".join(config.roots) or "nowhere (roots is empty: projects are cloned)"
        yield Finding("carried", "ok", f"clones are looked for in {where}")
