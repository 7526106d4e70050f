"""Two processes read what one would read, whatever becomes of the second."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

import pytest

from tests import transcripts
from tests.lib.usage.writing import Desk
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
