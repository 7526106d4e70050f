"""Many transcripts read by two processes: this one, and a child that takes from the other end of the list.

Below a few megabytes the child's start costs more than it saves. A child that dies costs time only: what it had not
answered is read here.
"""

from __future__ import annotations

import marshal
import os
import sys
from collections import deque
from collections.abc import Iterator
from typing import Any

from trinity.usage import transcript

# path, bytes to read, offset, state, what was carried
Job = tuple[str, int, int, dict[str, Any], list[tuple[int, str]]]
_WORTH = 24_000_000
_MESSAGE = 8


def read_all(jobs: list[Job]) -> Iterator[dict[str, Any]]:
    """The readings of all jobs, in any order; a file that cannot be read has none."""
    left = deque(jobs)
    if sum(job[1] for job in jobs) < _WORTH or len(jobs) < 2 or (os.cpu_count() or 1) < 2:
        yield from _here(left)
        return
    import queue
    import threading

    answers: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
    helper = threading.Thread(target=_there, args=(left, answers), daemon=True)
    helper.start()
    for answer in _here(left):
        yield answer
        while not answers.empty():
            other = answers.get()
            if other is not None:
                yield other
    helper.join()
    while not answers.empty():
        other = answers.get()
        if other is not None:
            yield other
    yield from _here(left)  # what a dead child gave back


def _here(left: deque[Job]) -> Iterator[dict[str, Any]]:
    while left:
        try:
            job = left.popleft()
        except IndexError:
            return
        answer = _reading(job)
        if answer is not None:
            yield answer


def _reading(job: Job) -> dict[str, Any] | None:
    path, _, offset, state, carried = job
    return transcript.read(path, offset, state, carried)


def _there(left: deque[Job], answers: Any) -> None:
    lib = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    code = f"import sys; sys.path.insert(0, {lib!r}); from trinity.usage import crew; crew.serve()"
    try:
        child = _start([sys.executable, "-I", "-S", "-c", code])
    except OSError:
        return
    sent: deque[Job] = deque()
    try:
        while True:
            # One ahead, so that the child never waits for an answer to be taken.
            while left and len(sent) < 2:
                try:
                    one = left.pop()
                except IndexError:
                    break
                sent.append(one)
                _send(child.stdin, one)
            if not sent:
                break
            answer = _receive(child.stdout)
            answers.put(answer)
            sent.popleft()
    except (OSError, EOFError, ValueError, TypeError):
        left.extend(sent)
    finally:
        child.stdin.close()
        child.stdout.close()
        child.kill()
        child.wait()


def serve() -> None:
    """The child: jobs from stdin, readings to stdout, until stdin ends."""
    stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
    try:
        while True:
            _send(stdout, _reading(_receive(stdin)))
    except (EOFError, OSError):
        return


def _send(stream: Any, document: Any) -> None:
    data = marshal.dumps(document)
    stream.write(len(data).to_bytes(_MESSAGE, "little") + data)
    stream.flush()


def _receive(stream: Any) -> Any:
    size = stream.read(_MESSAGE)
    if len(size) < _MESSAGE:
        raise EOFError
    data = stream.read(int.from_bytes(size, "little"))
    return marshal.loads(data)


if sys.platform == "win32":

    def _start(command: list[str]) -> Any:
        import subprocess

        pipe, hidden = subprocess.PIPE, subprocess.CREATE_NO_WINDOW
        return subprocess.Popen(command, stdin=pipe, stdout=pipe, creationflags=hidden)
else:

    def _start(command: list[str]) -> Any:
        import subprocess

        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
