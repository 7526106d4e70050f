"""Every example file below cases/ is a table of error frames and what they mean; adding an entry adds a test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from trinity import clock, schema
from trinity.credit import limits, transcript_lines

CASES = Path(__file__).parent / "cases"


def _cases() -> list[Any]:
    found = []
    for path in sorted(CASES.glob("*.json")):
        for number, case in enumerate(json.loads(path.read_text(encoding="utf-8"))):
            found.append(pytest.param(case, id=f"{path.stem}-{number}-{case['name'][:40]}"))
    return found


def _classified(case: dict[str, Any]) -> limits.Verdict:
    line = case.get("line", {})
    error, text = case.get("error"), case.get("text")
    if line.get("type") == "assistant":
        fact = transcript_lines.api_error(line, None)
        error, text, line = fact.error, fact.text, dict(fact.line)
    return limits.classify(error, text, line, clock.parse(case["seen_at"]), "UTC")


@pytest.mark.parametrize("case", _cases())
def test_an_error_frame_has_its_meaning(case: dict[str, Any]) -> None:
    verdict, expected = _classified(case), case["expect"]
    limit = verdict.limit
    assert (verdict.kind, limit and limit.type) == (expected["kind"], expected["type"]), verdict
    assert verdict.needs_person == expected["needs_person"]
    if limit is None:
        return
    assert (limit.scope, limit.model) == (expected["scope"], expected["model"])
    resets_at = None if limit.resets_at is None else clock.iso(limit.resets_at)
    assert resets_at == expected["resets_at"]
    assert expected["confidence"] <= limit.confidence <= 1
    assert limit.seen_at == clock.parse(case["seen_at"])


@pytest.mark.parametrize("case", _cases())
def test_a_limit_survives_its_record(case: dict[str, Any]) -> None:
    limit = _classified(case).limit
    if limit is None:
        return
    document = json.loads(json.dumps(limit.document()))
    schema.validate("limit", document, "test")
    again = limits.Limit.from_document(document)
    assert (again.type, again.scope, again.model, again.confidence) == (
        limit.type,
        limit.scope,
        limit.model,
        limit.confidence,
    )
    assert abs(again.seen_at - limit.seen_at) < 0.001
    assert again.resets_at is None or limit.resets_at is None or 0 <= limit.resets_at - again.resets_at < 1


def test_every_type_of_the_schema_is_known_and_the_other_way_round() -> None:
    document = json.loads((schema.FOLDER / "limit.schema.json").read_text(encoding="utf-8"))
    assert set(limits.TYPES) == set(document["properties"]["type"]["enum"])


def test_every_failure_kind_of_the_client_has_a_meaning_without_any_text() -> None:
    kinds = {error: limits.classify(error, None, None, 1e9).kind for error in _KINDS}
    assert kinds == _KINDS


_KINDS = {
    "rate_limit": "transient",
    "overloaded": "transient",
    "authentication_failed": "auth",
    "oauth_org_not_allowed": "auth",
    "billing_error": "hard",
    "invalid_request": "request",
    "model_not_found": "request",
    "server_error": "transient",
    "max_output_tokens": "request",
    "unknown": "other",
}


def test_the_rest_of_a_transient_trouble_is_configurable() -> None:
    verdict = limits.classify("server_error", "API Error: 529 Overloaded", None, 1000.0, transient_seconds=60)
    assert verdict.limit is not None
    assert verdict.limit.resets_at == 1060.0


def test_a_limit_of_one_model_leaves_the_others_alone() -> None:
    limit = limits.classify("rate_limit", "You've hit your Opus limit", None, 1e9, "UTC").limit
    assert limit is not None
    assert limit.applies_to("claude-opus-5-5[1m]")
    assert not limit.applies_to("claude-sonnet-5-5")
    assert not limit.applies_to(None)


def test_a_limit_is_over_by_itself_at_its_reset() -> None:
    limit = limits.classify("rate_limit", "You've hit your weekly limit · resets in 2 days", None, 1e9, "UTC").limit
    assert limit is not None and limit.resets_at == 1e9 + 2 * 86400
    assert limit.in_force(limit.resets_at - 1)
    assert not limit.in_force(limit.resets_at)


def test_text_that_the_server_quotes_far_behind_changes_nothing() -> None:
    quoted = "API Error: 400 messages.1: bad thing. " + "x " * 300 + "You've hit your weekly limit"
    assert limits.classify("unknown", quoted, None, 1e9).kind == "other"


@pytest.mark.parametrize("line", [{"quotaLimits": 3}, {"apiErrorParams": []}, {"apiErrorStatus": "x"}, {"error": 5}])
def test_fields_of_a_foreign_shape_are_ignored(line: dict[str, Any]) -> None:
    assert limits.classify(None, None, line, 1e9).kind == "other"


def test_importing_limits_loads_no_zones_and_no_packages() -> None:
    code = (
        "import sys; import trinity.credit.limits, trinity.credit.transcripts, trinity.credit.sessions,"
        " trinity.credit.incidents; heavy = {'zoneinfo', 'dateutil', 'psutil', 'jsonschema', 'git', 'filelock'};"
        " print(sorted(heavy & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(limits.__file__).parents[2])}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert run.stdout.strip() == "[]"
