"""Where a conversation was: its record keeps that through every PC, so that it finds its first folder again."""

from __future__ import annotations

from typing import Any

from trinity.relay import rounds


def _record(pc: str, cwd: str, been: list[dict[str, str]]) -> dict[str, Any]:
    return {"from_pc": "PC1", "sessions": [{"session_id": "s", "pc": pc, "cwd": cwd, "been": been}]}


def test_a_session_told_anew_by_another_pc_keeps_where_it_was() -> None:
    known = _record("PC1", "/srv/one/project", [])
    fresh = {"session_id": "s", "pc": "PC2", "cwd": "/srv/two/project"}
    (told,) = rounds.been(known, [fresh], "PC2")
    assert told["been"] == [{"pc": "PC1", "cwd": "/srv/one/project"}]
    assert rounds.places(known, told)[-1] == {"pc": "PC2", "cwd": "/srv/two/project"}


def test_the_own_place_is_not_kept_twice_and_a_first_session_has_none() -> None:
    first = {"pc": "PC1", "cwd": "/srv/one/project"}
    known = _record("PC2", "/srv/two/project", [first])
    (told,) = rounds.been(known, [{"session_id": "s", "pc": "PC2", "cwd": "/srv/two/project"}], "PC2")
    assert told["been"] == [first]
    new = {"session_id": "s", "pc": "PC1", "cwd": "/srv/one/project"}
    assert rounds.been({"from_pc": "PC1", "sessions": []}, [new], "PC1") == [new]
