"""The scanner behind `json` takes what `json` takes, and nothing else gets through."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trinity.hooks import compact_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
DAMAGED = [
    "", " ", "{", "[", "}", '{"a"}', '{"a":}', '{"a":1,}', '{"a":1 "b":2}', "[1,]", "[1 2]", '"', '"\\', '"\\x"', '"\n"',
    "{'a':1}", "nul", "01x", "1 2", "{}{}", "NaN", "Infinity", "-Infinity", "[NaN]", '{"a":1}\0', "\ufeff{}", "--1", ".5",
]  # fmt: skip


@settings(deadline=None)
@given(VALUES, st.sampled_from([None, 2]))
def test_it_reads_what_json_writes(value: object, indent: int | None) -> None:
    assert compact_json.parse(f" \n{json.dumps(value, indent=indent)}\t\r\n") == value


@settings(deadline=None)
@given(st.text())
def test_it_writes_strings_that_json_reads(text: str) -> None:
    written = compact_json.quote(text)
    assert written.isascii()
    assert json.loads(written) == text


def test_a_lone_surrogate_is_not_written() -> None:
    assert compact_json.quote("a\ud800b") == '"a?b"'


@pytest.mark.parametrize("text", DAMAGED)
def test_damaged_json_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        compact_json.parse(text)


@pytest.mark.parametrize("text", DAMAGED)
def test_damaged_json_is_a_value_error_where_json_was_never_imported(text: str) -> None:
    """The scanner takes its own exception from `json`, which a hook does not import."""
    lib = Path(compact_json.__file__).parents[2]
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from trinity.hooks import compact_json\n"
        "try: compact_json.parse(sys.stdin.buffer.read().decode())\n"
        "except ValueError: print('ValueError')\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, str(lib)], input=text.encode(), capture_output=True, check=False
    )
    assert done.stdout.strip() == b"ValueError", done.stderr


@settings(deadline=None)
@given(st.text(max_size=40))
def test_it_refuses_what_json_refuses(text: str) -> None:
    try:
        expected: object = json.loads(text)
    except ValueError:
        with pytest.raises(ValueError):
            compact_json.parse(text)
    else:
        if text.strip(compact_json.SPACE).strip("-") not in ("NaN", "Infinity"):
            assert compact_json.parse(text) == expected


@settings(deadline=None, max_examples=40)
@given(st.dictionaries(st.text(), VALUES, min_size=1), st.data())
def test_of_a_cut_object_only_whole_members_are_read(document: dict[str, object], data: st.DataObject) -> None:
    whole = json.dumps(document)
    cut = whole[: data.draw(st.integers(1, len(whole) - 1))]
    found = compact_json.leading_members(cut)
    assert list(found.items()) == list(document.items())[: len(found)]


def test_without_the_private_scanner_json_does_the_work() -> None:
    lib = Path(compact_json.__file__).parents[2]
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); sys.modules['_json'] = None\n"
        "from trinity.hooks import compact_json\n"
        "assert 'json' in sys.modules\n"
        "assert compact_json.parse(' {\"a\": [1, 2.5, null]} ') == {'a': [1, 2.5, None]}\n"
        "assert compact_json.quote('é') == '\"\\\\u00e9\"'\n"
        "for bad in ('{', '', '[NaN]', '{} {}', '\"a'):\n"
        "    try: compact_json.parse(bad)\n"
        "    except ValueError: pass\n"
        "    else: raise SystemExit(bad)\n"
    )
    done = subprocess.run([sys.executable, "-I", "-c", program, str(lib)], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
