"""The fast way says of every line what parsing it says, whatever stands in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as some

from tests import transcripts
from tests.lib.usage.writing import answered, asked, line, usage
from trinity.usage.reading import Reading

REAL = Path(__file__).parents[1] / "credit" / "transcripts"
COUNTS = some.one_of(some.integers(0, 300_000), some.sampled_from([0, 0, 10**15 - 1, 10**15, 2**53, -1]))
HOSTILE = some.sampled_from(
    [
        '"usage":{"input_tokens":5}',
        '],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":1,',
        '{"parentUuid":',
        '},{"type":"tool_use","id":"x","name":"Bash"',
        "\\",
        '"',
        "\n{}",
        "\u2028\u00e9\U0001f600",
        '"timestamp":"2020-01-01T00:00:00.000Z"',
        '"requestId":"req_other"',
        ']}"}',
    ]
)
TEXT = some.lists(some.one_of(HOSTILE, some.text(max_size=20)), max_size=4).map("".join)
VALUES = some.recursive(
    some.one_of(some.none(), some.booleans(), some.integers(), TEXT),
    lambda inner: some.one_of(
        some.lists(inner, max_size=3),
        some.dictionaries(
            some.one_of(TEXT, some.sampled_from(["usage", "message", "type", "stop_reason"])), inner, max_size=3
        ),
    ),
    max_leaves=8,
)
BLOCKS = some.one_of(
    TEXT.map(lambda text: {"type": "text", "text": text}),
    TEXT.map(lambda text: {"type": "thinking", "thinking": text, "signature": "c2ln"}),
    some.dictionaries(TEXT, VALUES, max_size=3).map(
        lambda given: {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": given}
    ),
)
MORE = some.dictionaries(
    some.sampled_from(
        [
            "effort",
            "apiBlockIndex",
            "requestedModel",
            "madeBy",
            "isMeta",
            "isApiErrorMessage",
            "requestSessionId",
            "forkedFrom",
        ]
    ),
    some.one_of(some.just("s1"), some.integers(0, 9), TEXT, VALUES),
    max_size=3,
)


def _fast(data: bytes) -> Reading:
    made = Reading({}, 0)
    made.piece(data, len(data), 0)
    return made


def _slow(data: bytes) -> Reading:
    made = Reading({}, 0)
    for one in data.splitlines(keepends=True):
        made.slowly(one, 0)
    return made


def _rows(made: Reading) -> list[tuple[Any, ...]]:
    """Without the wait, which only the fast way measures."""
    origins, kinds = ({number: _plain(key) for key, number in known.items()} for known in (made.origins, made.kinds))
    # Nothing spent is no row of the ledger.
    rows = [row for row in made.rows.values() if row[16]]
    return sorted((*row[:3], origins[row[3]], kinds[row[4]], *row[5:13], row[14], row[16]) for row in rows)


def _plain(key: tuple[Any, ...]) -> tuple[str, ...]:
    return tuple(
        part.decode("utf-8", "replace").replace("\\\\", "\\") if isinstance(part, bytes) else part or "" for part in key
    )


def _same(data: bytes) -> Reading:
    fast, slow = _fast(data), _slow(data)
    assert _rows(fast) == _rows(slow)
    assert (fast.errors, fast.aside) == (slow.errors, slow.aside)
    return fast


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    spent=some.builds(usage, COUNTS, COUNTS, COUNTS, some.integers(0, 9000), some.integers(0, 9000)),
    block=BLOCKS,
    more=MORE,
    folder=some.one_of(TEXT, some.just("C:\\work"), some.just("/home/user")),
    agent=some.sampled_from(["", "a1"]),
    request=some.sampled_from(["", None, 'odd "id"']),
    split=some.booleans(),
)
def test_an_answer_of_any_content_is_read_as_json_reads_it(
    spent: dict[str, Any],
    block: dict[str, Any],
    more: dict[str, Any],
    folder: str,
    agent: str,
    request: str | None,
    split: bool,
) -> None:
    if not split:
        del spent["cache_creation"]
    _same(
        asked(0, "go on")
        + answered(1, "m1", spent, block=block, folder=folder, agent=agent, request=request, **more)
        + answered(2, "m2", usage(1, 1))
    )


PARENTS = some.sampled_from(["x", "0f0f0f0f-0000-4000-8000-00000000000a", 'odd-"quote"-0000-8000-00000000000a', None])
LINES = some.tuples(
    some.sampled_from(["m1", "m1", "m1", "m2"]),
    some.sampled_from(["", "", "", "other", None]),
    PARENTS,
    some.integers(0, 3),
    some.integers(1, 2),  # a line that says that nothing was spent is no message, and names no tool
    BLOCKS,
    some.sampled_from(["tool_use", None]),
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(run=some.lists(LINES, min_size=1, max_size=6))
def test_the_lines_of_an_answer_are_one_and_the_largest_counts(run: list[tuple[Any, ...]]) -> None:
    data = asked(0, "go on")
    for second, (message, request, parent, out, given_, block, why) in enumerate(run, 1):
        one = json.loads(answered(second, message, usage(given_, out), block=block, request=request))
        one["parentUuid"], one["message"]["stop_reason"] = parent, why
        data += line(one)
    fast, slow = _fast(data), _slow(data)
    assert _rows(fast) == _rows(slow)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=some.data())
def test_keys_in_any_order_change_nothing(data: some.DataObject) -> None:
    entry = json.loads(answered(1, "m1", usage(5, 6, 7, 8, 9), agent="a1"))

    def mixed(document: dict[str, Any]) -> dict[str, Any]:
        keys = data.draw(some.permutations(list(document)))
        return {key: document[key] for key in keys}

    entry["message"]["usage"] = mixed(entry["message"]["usage"])
    entry["message"] = mixed(entry["message"])
    made = _same(line(mixed(entry)))
    (row,) = made.rows.values()
    assert row[5:10] == [5, 6, 7, 8, 9]


@settings(max_examples=150, deadline=None, derandomize=True)
@given(cut=some.integers(1, 900), put=some.binary(max_size=6), at=some.integers(0, 900))
def test_a_damaged_line_never_costs_the_one_behind_it(cut: int, put: bytes, at: int) -> None:
    first = answered(1, "m1", usage(1, 1))
    hurt = (first[:cut].rstrip(b"\n") + b"\n", first[:at] + put.replace(b"\n", b"") + first[at + len(put) :])
    for one in hurt:
        made = _fast(one + answered(2, "m2", usage(2, 2)))
        assert "m2" in made.rows


def test_the_real_clients_recorded_lines_and_generated_ones_are_read_alike(tmp_path: Path) -> None:
    transcripts.generate(tmp_path, 3)
    fast = slow = 0
    for path in [*sorted(REAL.rglob("*.jsonl")), *sorted(tmp_path.rglob("*.jsonl"))]:
        made = _same(path.read_bytes())
        fast, slow = fast + made.fast, slow + made.slow
    assert fast > 300 and slow < fast / 10, (fast, slow)
