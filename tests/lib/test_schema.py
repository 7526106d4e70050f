"""Every record kind has examples: adding a file below tests/examples adds a test."""

from __future__ import annotations

from pathlib import Path

import pytest

from trinity import files, schema
from trinity.errors import BadRecord, NewerRecord

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def _examples(verdict: str) -> list[Path]:
    return sorted(EXAMPLES.glob(f"*/{verdict}/*.json"))


def test_every_kind_has_valid_and_invalid_examples() -> None:
    for kind in schema.KINDS:
        assert (schema.FOLDER / f"{kind}.schema.json").is_file()
        for verdict in ("valid", "invalid"):
            assert list((EXAMPLES / kind / verdict).glob("*.json")), f"{kind} has no {verdict} example"


@pytest.mark.parametrize("path", _examples("valid"), ids=lambda p: f"{p.parts[-3]}-{p.stem}")
def test_it_reads_a_valid_record_and_what_it_read_is_valid_again(path: Path) -> None:
    kind = path.parts[-3]
    record = schema.read(kind, path.read_bytes(), str(path))
    assert record["kind"] == kind and record["version"] == 1
    assert schema.read(kind, files.dump_json(record), "again") == record


@pytest.mark.parametrize("path", _examples("invalid"), ids=lambda p: f"{p.parts[-3]}-{p.stem}")
def test_it_refuses_an_invalid_record_and_names_it(path: Path) -> None:
    with pytest.raises((BadRecord, NewerRecord)) as refused:
        schema.read(path.parts[-3], path.read_bytes(), str(path))
    assert str(path) in refused.value.message
    assert isinstance(refused.value, NewerRecord) == (path.stem == "newer_version")


def test_every_problem_of_a_record_is_named_at_once() -> None:
    bad = b'{"kind":"wake","version":1,"from":"pc1","to":"PC2","timestamp":"yesterday","task":1,"message":""}'
    with pytest.raises(BadRecord) as refused:
        schema.read("wake", bad, "wake/PC2.json")
    assert {problem.split(":")[0] for problem in refused.value.problems} == {"from", "timestamp", "task"}


def test_a_truncated_record_is_refused_at_every_length() -> None:
    whole = (EXAMPLES / "handoff" / "valid" / "older_shape.json").read_bytes().rstrip()
    for length in range(len(whole)):
        with pytest.raises(BadRecord):
            schema.read("handoff", whole[:length], "cut")


def test_bytes_that_were_valid_are_not_validated_again_and_others_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, memo = tmp_path / "config.json", tmp_path / "config.valid"
    file.write_bytes(b'{"kind":"config","version":1,"pc":"PC1"}')
    first = schema.read_own("config", file, memo)
    with monkeypatch.context() as patch:
        patch.setattr(schema, "validate", lambda *told: pytest.fail("validated again"))
        assert schema.read_own("config", file, memo) == first
    for bad in (b'{"kind":"config","version":1,"pc":"pc1"}', b'{"kind":"config"', b""):
        file.write_bytes(bad)
        for _ in range(2):
            with pytest.raises(BadRecord):
                schema.read_own("config", file, memo)
    memo.write_bytes(b"\xff")
    file.write_bytes(b'{"kind":"config","version":1,"pc":"PC2"}')
    assert schema.read_own("config", file, memo)["pc"] == "PC2"
