"""Two processes read what one would read, whatever becomes of the second."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import BinaryIO

import pytest

from tests import transcripts
from tests.lib.usage.writing import Desk, answered, usage
from trinity.home import Home
from trinity.usage import crew


@pytest.fixture
def desk(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr(crew, "_WORTH", 0)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    return Desk(home, tmp_path / "profile")


def _check(desk: Desk) -> None:
    written = transcripts.generate(desk.profile, 12)
    assert desk.update().read == written.files
    assert desk.tokens() == (written.input, written.output, written.cache_read, written.cache_write)


def test_a_forked_reader(desk: Desk) -> None:
    _check(desk)


def test_a_fresh_interpreter_as_reader(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "fork", raising=False)
    _check(desk)


def _dies_at_once(stdin: BinaryIO, stdout: BinaryIO) -> None:
    pass


def _dies_in_the_middle_of_an_answer(stdin: BinaryIO, stdout: BinaryIO) -> None:
    stdin.read(8)
    stdout.write((1000).to_bytes(8, "little") + b"half")


def _says_nonsense(stdin: BinaryIO, stdout: BinaryIO) -> None:
    stdout.write((4).to_bytes(8, "little") + b"\xff\xff\xff\xff")


@pytest.mark.posix
@pytest.mark.parametrize("served", [_dies_at_once, _dies_in_the_middle_of_an_answer, _says_nonsense])
def test_what_a_lost_reader_had_taken_is_read_here(desk: Desk, monkeypatch: pytest.MonkeyPatch, served: object) -> None:
    monkeypatch.setattr(crew, "serve", served)
    _check(desk)


def test_a_job_that_no_pipe_takes_whole_waits_for_an_idle_reader(desk: Desk) -> None:
    """Else the reader would wait for its answer to be read, and whoever reads it for the job to be taken."""
    note = {"sha256": "0" * 64, "size": 1 << 40, "session": "s"}
    names = [f"session-{number}" for number in range(6)]
    with (desk.home.root / "brought.jsonl").open("w", encoding="utf-8") as stream:
        stream.writelines(json.dumps({**note, "name": name}) + "\n" for name in names for _ in range(2000))
    for name in names:
        lines = [answered(s / 50, f"{name}-{s}", usage(1, 1)) for s in range(1500)]
        desk.write(*lines, session=name)
    worker = threading.Thread(target=desk.update, daemon=True)
    worker.start()
    worker.join(120)
    assert not worker.is_alive() and desk.tokens() == (9000, 9000, 0, 0)
