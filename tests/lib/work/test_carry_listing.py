"""The index as it is looked up, without being taken apart."""

from __future__ import annotations

import pytest

from trinity.work.carry import scan

A, B = "a" * 40, "b" * 40
RAW = (
    f"H 100644 {A} 0\ta\0M 100644 {A} 1\tb\0M 100755 {B} 2\tb\0M 120000 {A} 3\tb\0h 100644 {A} 0\tc\td\0"
    f"H 160000 {B} 0\td\0S 100644 {B} 0\tx 160000 {B} 0\te\0s 100644 {B} 0\tz\0"
).encode()
LINES = {
    b"a": [("100644", A, 0)],
    b"b": [("100644", A, 1), ("100755", B, 2), ("120000", A, 3)],
    b"c\td": [("100644", A, 0)],
    b"d": [("160000", B, 0)],
    f"x 160000 {B} 0\te".encode(): [("100644", B, 0)],
    b"z": [("100644", B, 0)],
    b"e": [],
    b"zz": [],
}


@pytest.mark.parametrize("singly", [50, 2, 0])
def test_each_path_has_its_stages(monkeypatch: pytest.MonkeyPatch, singly: int) -> None:
    monkeypatch.setattr(scan, "_SINGLY", singly)
    listed = scan.Listing(RAW)
    for _ in range(2):
        assert {path: listed.lines(path) for path in LINES} == LINES
    assert [path for path in LINES if path in listed] == [path for path, lines in LINES.items() if lines]


def test_paths_flags_links_and_contents_are_found() -> None:
    listed = scan.Listing(RAW)
    assert list(dict.fromkeys(listed.paths)) == [path for path, lines in LINES.items() if lines]
    assert listed.flags == {b"c\td": "h", f"x 160000 {B} 0\te".encode(): "S", b"z": "s"}
    assert listed.links == {b"d"}
    assert listed.with_blob(A) == [b"a", b"b", b"c\td"] and listed.with_blob("c" * 40) == []
    assert scan.Listing(b"").paths == [] and scan.Listing(b"").flags == {}


def test_the_fingerprint_is_of_what_is_left() -> None:
    listed = scan.Listing(RAW)
    without = b"".join(record + b"\0" for record in RAW.split(b"\0")[:-1] if not record.endswith(b"\tb"))
    assert listed.proof({b"b", b"gone"}) == scan.Listing(without).proof(set())
    assert listed.proof(set()) == listed.proof({b"gone"}) != listed.proof({b"z"})
