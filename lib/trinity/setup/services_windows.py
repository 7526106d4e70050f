"""The daemon as a task of the user in the Task Scheduler, run by pythonw: no console window opens, not even for a moment.

The task starts at logon and is repeated every five minutes; the scheduler starts no second one while the first runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from trinity.setup.plan import Remove, Run, Step, Write

# Repetition without Duration goes on for ever; PT0S: no time limit.
_TASK = """<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo>
    <Description>Trinity: goes on with Claude Code work that a usage limit stopped</Description>
  </RegistrationInfo>
  <Triggers>
    <LogonTrigger>
      <Repetition><Interval>PT5M</Interval><StopAtDurationEnd>false</StopAtDurationEnd></Repetition>
      <Enabled>true</Enabled>
      <UserId>{user}</UserId>
    </LogonTrigger>
  </Triggers>
  <Principals>
    <Principal id="Author">
      <UserId>{user}</UserId>
      <LogonType>InteractiveToken</LogonType>
      <RunLevel>LeastPrivilege</RunLevel>
    </Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <StartWhenAvailable>true</StartWhenAvailable>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <Hidden>true</Hidden>
  </Settings>
  <Actions Context="Author">
    <Exec>
      <Command>{command}</Command>
      <Arguments>{arguments}</Arguments>
    </Exec>
  </Actions>
</Task>
"""


def name(key: str) -> str:
    """The task's name."""
    return f"Trinity monitor{' ' + key if key else ''}"


def install(command: Sequence[str], user: str, home: Path, key: str) -> list[Step]:
    """Write the task, register it, start it."""
    windowless = Path(command[0]).with_name("pythonw.exe")
    text = _TASK.format(
        user=escape(user),
        command=escape(str(windowless)),
        arguments=escape(" ".join(_quoted(part) for part in command[1:])),
    )
    file = _file(home)
    return [
        # the scheduler reads UTF-16 with its mark, and CRLF like every file of its own
        Write(file, b"\xff\xfe" + text.replace("\n", "\r\n").encode("utf-16-le"), 0o600),
        Run(("schtasks", "/Create", "/TN", name(key), "/XML", str(file), "/F")),
        Run(("schtasks", "/Run", "/TN", name(key)), hint=f'see: schtasks /Query /TN "{name(key)}" /V /FO LIST'),
    ]


def uninstall(home: Path, key: str) -> list[Step]:
    """End and remove the task."""
    return [
        Run(("schtasks", "/End", "/TN", name(key)), required=False),
        Run(("schtasks", "/Delete", "/TN", name(key), "/F"), required=False),
        Remove(_file(home)),
    ]


def _file(home: Path) -> Path:
    return home / "setup" / "monitor-task.xml"


def _quoted(text: str) -> str:
    # a path that ends in a backslash would take the closing quote with it
    return f'"{text}\\"' if text.endswith("\\") else f'"{text}"'
