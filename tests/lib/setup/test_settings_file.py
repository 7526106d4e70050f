"""The client's settings: what it would ignore is refused, and what is written looks like the user's own hand."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trinity.errors import Busy, TrinityError
from trinity.setup import settings_file

HOOK = {"type": "command", "command": "true"}

# Each makes 2.1.197 ignore the whole file or all of its hooks; 2.1.328 drops the entry or the file.
IGNORED: dict[str, bytes] = {
    "truncated": b'{"hooks": {',
    "a comment": b"{} // mine",
    "not UTF-8": b'{"a": "\xff"}',
    "a list": b"[]",
    "a text": b'"hooks"',
    "a key that stands twice": b'{"model": "a", "model": "b"}',
    "hooks as a list": b'{"hooks": []}',
    "hooks as null": b'{"hooks": null}',
    "an event that is no list": b'{"hooks": {"Stop": {}}}',
    "a group that is no object": b'{"hooks": {"Stop": ["x"]}}',
    "a group without hooks": b'{"hooks": {"Stop": [{"matcher": ""}]}}',
    "a matcher that is a number": json.dumps({"hooks": {"Stop": [{"matcher": 5, "hooks": [HOOK]}]}}).encode(),
    "a timeout as text": json.dumps({"hooks": {"Stop": [{"hooks": [{**HOOK, "timeout": "5"}]}]}}).encode(),
    "a timeout of 0": json.dumps({"hooks": {"Stop": [{"hooks": [{**HOOK, "timeout": 0}]}]}}).encode(),
    "no type": b'{"hooks": {"Stop": [{"hooks": [{"command": "true"}]}]}}',
    "args that are no texts": json.dumps({"hooks": {"Stop": [{"hooks": [{**HOOK, "args": [1]}]}]}}).encode(),
    "a status line as text": b'{"statusLine": "date"}',
    "a status line of an unknown type": b'{"statusLine": {"type": "zz"}}',
    "disableAllHooks as text": b'{"disableAllHooks": "true"}',
}


@pytest.mark.parametrize("data", IGNORED.values(), ids=IGNORED.keys())
def test_what_the_client_would_ignore_is_refused_in_one_line_with_a_hint(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_bytes(data)
    with pytest.raises(TrinityError) as raised:
        settings_file.read(tmp_path)
    assert str(path) in raised.value.message
    assert "\n" not in raised.value.message
    assert "not changed" in raised.value.hint
    assert path.read_bytes() == data


@pytest.mark.parametrize("data", [b"", b"  \n", b"{}", b"\xef\xbb\xbf{}\r\n"])
def test_an_empty_file_says_nothing(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_bytes(data)
    assert settings_file.read(tmp_path).value == {}


def test_a_type_of_hook_that_a_newer_client_may_know_is_taken(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_bytes(b'{"hooks": {"Stop": [{"hooks": [{"type": "newer"}]}]}}')
    assert settings_file.read(tmp_path).value["hooks"]


def test_every_problem_is_counted(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_bytes(b'{"statusLine": 1, "hooks": {"Stop": 2, "SessionEnd": 3}}')
    with pytest.raises(TrinityError, match="and 2 more"):
        settings_file.read(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        '{\n  "a": 1\n}\n',
        '{\n    "a": {\n        "b": []\n    }\n}',
        '{\n\t"a": 1,\n\t"b": "é ✓"\n}\n',
        '{\r\n  "a": [\r\n    1\r\n  ]\r\n}\r\n',
        '{"a":1,"b":[1,2]}',
        '{"a": 1, "b": [1, 2]}\n',
        '\ufeff{\n  "a": 1\n}\n\n',
    ],
)
def test_a_file_is_written_in_the_manner_it_had(text: str) -> None:
    data = text.encode("utf-8")
    assert settings_file.render(settings_file.parse(data, Path("s")), data) == data


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(
    st.dictionaries(st.text(st.characters(codec="utf-8"), min_size=1), _VALUES, max_size=4), st.sampled_from("\t 24")
)
def test_whatever_it_says_it_says_afterwards(value: dict[str, Any], indent: str) -> None:
    like = json.dumps({"x": 1}, indent=indent if indent == "\t" else 4 if indent == "4" else 2).encode()
    assert json.loads(settings_file.render(value, like)) == value


@pytest.mark.posix
def test_a_link_stays_a_link_and_the_mode_stays(tmp_path: Path) -> None:
    profile, dotfiles = tmp_path / "profile", tmp_path / "dotfiles"
    profile.mkdir()
    dotfiles.mkdir()
    (dotfiles / "claude.json").write_bytes(b"{}\n")
    (dotfiles / "claude.json").chmod(0o640)
    (profile / "settings.json").symlink_to("../dotfiles/claude.json")
    settings_file.write(settings_file.read(profile), b'{"model": "x"}\n')
    assert (profile / "settings.json").is_symlink()
    assert (dotfiles / "claude.json").read_bytes() == b'{"model": "x"}\n'
    assert stat.S_IMODE((dotfiles / "claude.json").stat().st_mode) == 0o640
    assert [path.name for path in dotfiles.iterdir()] == ["claude.json"]


def test_a_change_made_in_between_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_bytes(b"{}")
    settings = settings_file.read(tmp_path)
    (tmp_path / "settings.json").write_bytes(b'{"model": "mine"}')
    with pytest.raises(Busy):
        settings_file.write(settings, b"{}")
    with pytest.raises(Busy):
        settings_file.remove(settings)
    assert (tmp_path / "settings.json").read_bytes() == b'{"model": "mine"}'
