"""A second process of this program that serves one function over two pipes.

A fork where that is safe: it has everything loaded. A fresh interpreter elsewhere, which loads what the function needs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import BinaryIO

Served = Callable[[BinaryIO, BinaryIO], None]


class Child:
    """`stdin` and `stdout` as its holder sees them; `end` ends it, whatever it does."""

    def __init__(self, stdin: BinaryIO, stdout: BinaryIO, ended: Callable[[], object]) -> None:
        self.stdin = stdin
        self.stdout = stdout
        self._ended = ended

    def end(self) -> None:
        for stream in (self.stdin, self.stdout):
            try:
                stream.close()
            except OSError:
                pass  # it is dead already
        self._ended()


def start(served: Served) -> Child:
    """Serve a function of a module of this library in a process of its own. Raises OSError."""
    import threading

    # A fork copies one thread only: what the others hold would be held for ever.
    return _forked(served) if hasattr(os, "fork") and threading.active_count() == 1 else _fresh(served)


def _fresh(served: Served) -> Child:
    import subprocess

    lib = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    module, name = served.__module__, served.__qualname__
    code = (
        f"import sys; sys.path.insert(0, {lib!r}); from importlib import import_module; "
        f"import_module({module!r}).{name}(sys.stdin.buffer, sys.stdout.buffer)"
    )
    child = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )

    def ended() -> None:
        child.kill()
        child.wait()

    return Child(child.stdin, child.stdout, ended)  # type: ignore[arg-type]


def _forked(served: Served) -> Child:
    read_jobs, write_jobs = os.pipe()
    read_answers, write_answers = os.pipe()
    pid = os.fork()
    if not pid:
        # Nothing of the parent's may be finished twice: no handlers at exit, no buffers written.
        try:
            os.close(write_jobs)
            os.close(read_answers)
            with os.fdopen(read_jobs, "rb") as stdin, os.fdopen(write_answers, "wb") as stdout:
                served(stdin, stdout)
        finally:
            os._exit(0)
    os.close(read_jobs)
    os.close(write_answers)
    return Child(os.fdopen(write_jobs, "wb"), os.fdopen(read_answers, "rb"), lambda: os.waitpid(pid, 0))
