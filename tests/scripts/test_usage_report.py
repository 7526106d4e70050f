"""The report as a user calls it, on transcripts of whose totals every number is known."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Program
from trinity import config
from trinity.config import Account, Config
from trinity.home import Home

NAMES = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


def _message(time: str, number: int, tokens: tuple[int, ...], model: str = "claude-opus-4-5") -> bytes:
    """One line of a transcript, as the client writes it."""
    entry = {
        "type": "assistant",
        "sessionId": "11111111-2222-4333-8444-555555555555",
        "cwd": "/home/you/site",
        "uuid": f"u{number}",
        "requestId": f"req_{number}",
        "timestamp": time,
        "message": {
            "id": f"msg_{number}",
            "model": model,
            "role": "assistant",
            "content": [],
            "usage": dict(zip(NAMES, tokens, strict=False)),
        },
    }
    return json.dumps(entry, separators=(",", ":")).encode() + b"\n"


@pytest.fixture
def pc(home: Home, tmp_path: Path) -> Path:
    """A PC with one transcript; the file."""
    account = Account(id="0011223344556677", label="work", kind="api")
    config.save(home, Config(profiles=(str(tmp_path / "profile"),), account=account))
    folder = tmp_path / "profile" / "projects" / "-home-you-site"
    folder.mkdir(parents=True)
    file = folder / "11111111-2222-4333-8444-555555555555.jsonl"
    file.write_bytes(
        _message("2026-11-18T10:00:00.000Z", 1, (100_000, 0))
        + _message("2026-11-19T10:00:00.000Z", 2, (200_000, 1_000))
        + _message("2026-11-19T23:30:00.000Z", 3, (10, 20, 30, 40), "no-such-model")
        + _message("2026-11-20T10:00:00.000Z", 4, (400_000, 0))
    )
    return file


def _report(program: Program, *arguments: str) -> dict[str, Any]:
    done = program("usage_report", "--json", "--timezone", "UTC", *arguments)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_a_day_is_told_with_the_trend_against_the_day_before(pc: Path, program: Program) -> None:
    found = _report(program, "--date", "2026-11-19", "--by", "model,project,session,pc,account,task,day")
    assert (found["total"]["calls"], found["total"]["tokens"]["total"]) == (2, 201_100)
    assert found["total"]["cost"]["text"] == "at least $1.02 + unpriced: 100 tokens"  # 1 + 0.025
    assert found["total"]["cost"]["label"] == "cost" and found["before"]["tokens"]["total"] == 100_000
    assert found["trend"] == {"calls": 1.0, "tokens": 1.011, "usd": 1.05}
    named = {by: [row["name"] for row in rows] for by, rows in found["by"].items()}
    assert named == {
        "model": ["claude-opus-4-5", "no-such-model"],
        "project": ["/home/you/site"],
        "session": ["11111111-2222-4333-8444-555555555555"],
        "pc": ["PC1"],
        "account": ["work"],
        "task": ["(none)"],
        "day": ["2026-11-19"],
    }


@pytest.mark.parametrize(
    ("arguments", "tokens"),
    [
        (("--since", "2026-11-19"), 601_100),
        (("--since", "2026-11-19", "--until", "2026-11-19"), 201_100),
        (("--since", "2026-11-19T10:00", "--until", "2026-11-19T10:00:01"), 201_000),
        (("--since", "2026-11-18T10:00:00.001", "--until", "2026-11-19T10:00"), 0),
        (("--date", "2026-11-20", "--timezone", "Asia/Tokyo"), 400_100),  # 23:30 in UTC is the next day there
    ],
)
def test_a_span_begins_and_ends_where_it_is_told(
    pc: Path, program: Program, arguments: tuple[str, ...], tokens: int
) -> None:
    assert _report(program, *arguments)["total"]["tokens"]["total"] == tokens


def test_today_a_week_and_a_month_end_today(pc: Path, program: Program) -> None:
    now = datetime.now(UTC)
    with pc.open("ab") as stream:
        stream.write(_message(now.isoformat(timespec="milliseconds").replace("+00:00", "Z"), 5, (7,)))
    for span in ((), ("--week",), ("--month",)):
        found = _report(program, *span, "--by", "day")
        assert found["by"]["day"][-1]["tokens"]["total"] == 7
        days = (found["period"]["until"] - found["period"]["since"]) / 86400
        assert days == {(): 1, ("--week",): 7, ("--month",): 30}[span]


def test_it_is_told_as_a_table_and_as_csv(pc: Path, program: Program) -> None:
    span = ("--since", "2026-11-18", "--until", "2026-11-20", "--timezone", "UTC")
    table = program("usage_report", *span).stdout
    assert "4 calls, 0 errors" in table and "at least $3.52 + unpriced: 100 tokens (lower bound)" in table
    assert [line.split()[0] for line in table.splitlines()[-3:]] == ["claude-opus-4-5", "no-such-model", "total"]
    rows = list(csv.DictReader(io.StringIO(program("usage_report", *span, "--csv", "--by", "model,day").stdout)))
    assert [(row["by"], row["name"], row["total"]) for row in rows] == [
        ("model", "claude-opus-4-5", "701000"),
        ("model", "no-such-model", "100"),
        ("model", "total", "701100"),
        ("day", "2026-11-18", "100000"),
        ("day", "2026-11-19", "201100"),
        ("day", "2026-11-20", "400000"),
        ("day", "total", "701100"),
    ]
    calls = list(csv.DictReader(io.StringIO(program("usage_report", *span, "--csv", "--detail").stdout)))
    assert [(call["time"], call["input"], call["quality"]) for call in calls] == [
        ("2026-11-18 10:00:00", "100000", "exact"),
        ("2026-11-19 10:00:00", "200000", "exact"),
        ("2026-11-19 23:30:00", "10", "lower bound"),
        ("2026-11-20 10:00:00", "400000", "exact"),
    ]


def test_a_formula_in_a_name_is_no_formula_in_a_spreadsheet(pc: Path, program: Program) -> None:
    with pc.open("ab") as stream:
        stream.write(_message("2026-11-20T11:00:00.000Z", 6, (1,), "=1+1"))
    told = program("usage_report", "--date", "2026-11-20", "--timezone", "UTC", "--csv").stdout
    assert "'=1+1" in told


def test_a_terminal_gets_frames(pc: Path, program: Program) -> None:
    from trinity.face import usage_table

    found = _report(program, "--date", "2026-11-19")
    shown = usage_table.text(found, rich=True, width=140)
    assert "┃" in shown and "no-such-model" in shown and "unpriced: 100 tokens" in shown
    found["by"]["model"][0]["name"] = "one\ntotal  0"
    assert "one total  0" in usage_table.text(found, rich=False)
    many = _report(program, "--date", "2026-11-19", "--detail")
    many["calls"] *= 2000  # framing so many would take minutes
    lines = usage_table.text(many, rich=True, width=140).splitlines()
    assert sum(line.startswith(("2026-11-19 1", "2026-11-19 2")) for line in lines) == len(many["calls"])


def test_what_the_client_has_deleted_stays_in_the_report_and_a_rebuild_keeps_it(pc: Path, program: Program) -> None:
    span = ("--since", "2026-11-18", "--until", "2026-11-20")
    before = _report(program, *span)
    pc.unlink()
    assert _report(program, *span)["total"] == before["total"]
    assert _report(program, *span, "--rebuild")["total"] == before["total"]


def test_update_says_nothing_and_writes_the_summary(pc: Path, program: Program, home: Home) -> None:
    done = program("usage_report", "--update")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (home.root / "usage_summary.json").is_file() and (home.status_line / "usage").is_file()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--by", "colour"), "'colour' is nothing to report by"),
        (("--timezone", "Mars/Base"), "'Mars/Base' is no time zone"),
        (("--timezone", "../../etc/passwd"), "is no time zone"),
        (("--date", "yesterday"), "'yesterday' is no date"),
        (("--until", "2026-11-20"), "--until needs --since"),
        (("--since", "2026-11-20", "--until", "2026-11-18"), "nothing lies between"),
        (("--week", "--month"), "not allowed with argument"),
        (("--date", "9999-12-31"), "is no"),
        (("--date", "0001-01-01"), "is no"),
    ],
)
def test_nonsense_is_a_usage_error(pc: Path, program: Program, arguments: tuple[str, ...], said: str) -> None:
    done = program("usage_report", *arguments)
    assert done.returncode == 2 and said in done.stderr, done.stderr


def test_alone_the_fleet_is_this_pc(pc: Path, program: Program) -> None:
    found = _report(program, "--fleet", "--since", "2026-11-18", "--by", "pc,project")
    assert found["total"]["tokens"]["total"] == 701_100 and [one["pc"] for one in found["sources"]] == ["PC1"]
    assert [row["name"] for row in found["by"]["project"]] == ["site"]
    assert "from PC1 (seen 0 min ago)" in program("usage_report", "--fleet").stdout
