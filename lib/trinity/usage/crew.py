"""Many transcripts read by two processes: this one, and a child that takes from the other end of the list.

Below a few megabytes the child's start costs more than it saves. A child that dies costs time only: what it had not
answered is read here.
"""

from __future__ import annotations

import gc
import marshal
import os
from collections import deque
from collections.abc import Iterator
from typing import Any, BinaryIO

from trinity.usage import transcript
from trinity.usage.child import Child, start

# path, bytes to read, offset, state, what was carried
Job = tuple[str, int, int, dict[str, Any], list[tuple[int, str]]]
_WORTH = 24_000_000
_SIZE = 8
_AHEAD = 2
_FITS = 4000


def read_all(jobs: list[Job]) -> Iterator[dict[str, Any]]:
    """The readings of all jobs, in any order; a file that cannot be read has none."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield from _read_all(deque(jobs))
    finally:
        if collecting:
            gc.enable()


def _read_all(left: deque[Job]) -> Iterator[dict[str, Any]]:
    if sum(job[1] for job in left) < _WORTH or len(left) < 2 or (os.cpu_count() or 1) < 2:
        yield from _here(left)
        return
    import queue
    import threading

    answers: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    child = start(serve)
    # A thread of its own waits for the child, so that this one need not.
    helper = threading.Thread(target=_there, args=(child, left, answers), daemon=True)
    helper.start()
    for answer in _here(left):
        yield answer
        while not answers.empty():
            yield answers.get()
    helper.join()
    while not answers.empty():
        yield answers.get()
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


def _there(child: Child, left: deque[Job], answers: Any) -> None:
    sent: deque[Job] = deque()
    try:
        while True:
            # One ahead, so that the child never waits for an answer to be taken.
            while left and len(sent) < _AHEAD:
                try:
                    job = left.pop()
                except IndexError:
                    break
                if sent and len(marshal.dumps(job)) > _FITS:
                    # No pipe takes it before the child reads, which may itself wait for its answer to be read.
                    left.append(job)
                    break
                sent.append(job)
                _send(child.stdin, job)
            if not sent:
                return
            answer = _receive(child.stdout)
            sent.popleft()
            if answer is not None:
                answers.put(answer)
    except (OSError, EOFError, ValueError, TypeError):
        left.extend(sent)
    finally:
        child.end()


def serve(stdin: BinaryIO, stdout: BinaryIO) -> None:
    """The child: jobs from stdin, readings to stdout, until stdin ends."""
    gc.disable()  # rows refer to nothing that refers to them
    try:
        while True:
            _send(stdout, _reading(_receive(stdin)))
    except (EOFError, OSError):
        return


def _send(stream: BinaryIO, document: Any) -> None:
    data = marshal.dumps(document)
    stream.write(len(data).to_bytes(_SIZE, "little") + data)
    stream.flush()


def _receive(stream: BinaryIO) -> Any:
    size = stream.read(_SIZE)
    if len(size) < _SIZE:
        raise EOFError
    return marshal.loads(stream.read(int.from_bytes(size, "little")))
