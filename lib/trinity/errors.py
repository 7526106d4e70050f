"""The one family of expected failures.

Library code raises these; `trinity.program.run` turns them into one line on stderr, a hint and an exit code.
Anything else that escapes is a bug and exits 3.
"""

from __future__ import annotations


class TrinityError(Exception):
    """An expected failure: `message` says what is wrong, `hint` what to type next (may be empty)."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(TrinityError):
    """The call itself is wrong."""

    exit_code = 2


class Busy(TrinityError):
    """Somebody else holds what is needed; the same call may work later."""

    exit_code = 75


class Offline(Busy):
    """The fleet remote does not answer; what was to be sent is safe in the outbox."""


class BadRecord(TrinityError):
    """A record that cannot be trusted: `problems` lists everything that is wrong with it."""

    def __init__(self, source: str, problems: list[str]) -> None:
        super().__init__(f"cannot read '{source}': {'; '.join(problems)}")
        self.source = source
        self.problems = problems


class NewerRecord(TrinityError):
    """A record written by a newer Trinity: it is kept verbatim and left alone."""

    def __init__(self, source: str, version: object, known: int) -> None:
        super().__init__(
            f"cannot read '{source}': version {version} is newer than {known}",
            "upgrade this PC: git pull && ./install.sh, in the checkout",
        )
