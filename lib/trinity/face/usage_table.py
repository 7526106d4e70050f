"""A usage report for people and for spreadsheets: tables for a terminal, plain columns for a pipe, or CSV."""

from __future__ import annotations

import csv
import io
from typing import Any

from trinity.usage.amounts import KINDS

Record = dict[str, Any]
# Frames of a hundred thousand calls take minutes.
_FRAMED = 1000
_HEAD = ("", "calls", "errors", "input", "output", "cache read", "cache write", "total", "cost")


def text(document: Record, rich: bool, width: int = 120) -> str:
    """The report; `rich` with frames, for a terminal of so many columns."""
    total = document["total"]
    parts = [f"{document['period']['text']} ({document['period']['timezone']} time)", _summary(total)]
    if trend := _trend(document["trend"]):
        parts.append(trend)
    if sources := document.get("sources"):
        parts.append("from " + ", ".join(f"{one['pc']} (seen {_ago(one['seen_seconds_ago'])})" for one in sources))
    parts += [f"  note: {note}" for note in document["notes"]]
    for by, rows in document["by"].items():
        lines = [(row["name"], *_cells(row)) for row in rows]
        parts += ["", *_table((f"by {by}", *_HEAD[1:]), [*lines, ("total", *_cells(total))], rich, width)]
    if "calls" in document:
        head = ("time", "model", "project", "task", "seconds", "tokens", "cost")
        parts += ["", *_table(head, [_call(call) for call in document["calls"]], rich, width)]
    return "\n".join(parts)


def _summary(total: Record) -> str:
    seconds = total["average_seconds"]
    latency = "" if seconds is None else f", {seconds:.1f} s on average"
    cost = total["cost"]
    return (
        f"{total['calls']:,} calls, {total['errors']:,} errors{latency}; {total['tokens']['total']:,} tokens; "
        f"{cost['label']}: {cost['text']} ({cost['quality']})"
    )


def _ago(seconds: float) -> str:
    if seconds < 5400:
        return f"{seconds / 60:.0f} min ago"
    return f"{seconds / 3600:.0f} h ago" if seconds < 48 * 3600 else f"{seconds / 86400:.0f} days ago"


def _trend(trend: Record) -> str:
    named = {"calls": "calls", "tokens": "tokens", "usd": "cost"}
    told = [f"{name} {trend[key]:+.0%}" for key, name in named.items() if trend[key] is not None]
    return f"against the same time before: {', '.join(told)}" if told else ""


def _cells(row: Record) -> tuple[str, ...]:
    tokens = row["tokens"]
    written = tokens["cache_write_5m"] + tokens["cache_write_1h"]
    numbers = (row["calls"], row["errors"], tokens["input"], tokens["output"], tokens["cache_read"], written)
    return (*(f"{number:,}" for number in (*numbers, tokens["total"])), row["cost"]["text"])


def _call(call: Record) -> tuple[str, ...]:
    seconds = "" if call["seconds"] is None else f"{call['seconds']:.1f}"
    what = "error" if call["error"] else call["cost"]["text"]
    tokens = f"{call['tokens']['total']:,}"
    return call["time"], call["model"], call["project"], call["task"], seconds, tokens, what


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]], rich: bool, width: int) -> list[str]:
    rows = [tuple(cell.replace("\n", " ") for cell in row) for row in rows]  # names of others may look like more rows
    return _framed(head, rows, width) if rich and len(rows) <= _FRAMED else _plain(head, rows)


def _plain(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[at]) for row in (head, *rows)) for at in range(len(head))]

    def line(row: tuple[str, ...]) -> str:
        cells = [
            cell.ljust(size) if not at else cell.rjust(size)
            for at, (cell, size) in enumerate(zip(row, widths, strict=True))
        ]
        return "  ".join(cells).rstrip()

    return [line(head), *(line(row) for row in rows)]


def _framed(head: tuple[str, ...], rows: list[tuple[str, ...]], width: int) -> list[str]:
    # Imported here: it costs more than the report itself, and a pipe does without.
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for at, name in enumerate(head):
        table.add_column(name, justify="right" if at else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    console = Console(width=width, markup=False)
    return "".join(segment.text for segment in console.render(table)).rstrip("\n").splitlines()


def as_csv(document: Record) -> str:
    """One line for each row of each table (with --detail: for each call), with a head; numbers unrounded."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    counts = (*KINDS, "total", "web_searches")
    money = ("usd", "quality", "unpriced_tokens")
    if "calls" in document:
        names = ("time", "pc", "account", "model", "project", "session", "task", "seconds", "error")
        writer.writerow((*names, *counts, *money))
        for call in document["calls"]:
            writer.writerow((*(_safe(call[name]) for name in names), *_numbers(call, counts, money)))
        return out.getvalue()
    writer.writerow(("by", "name", "calls", "errors", "average_seconds", *counts, *money))
    for by, rows in document["by"].items():
        for row in [*rows, {**document["total"], "name": "total"}]:
            facts = (by, _safe(row["name"]), row["calls"], row["errors"], row["average_seconds"])
            writer.writerow((*facts, *_numbers(row, counts, money)))
    return out.getvalue()


def _numbers(row: Record, counts: tuple[str, ...], money: tuple[str, ...]) -> list[object]:
    return [*(row["tokens"][name] for name in counts), *(row["cost"][name] for name in money)]


def _safe(value: object) -> object:
    """A spreadsheet runs a cell that begins so as a formula; project and task names may be anybody's."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
