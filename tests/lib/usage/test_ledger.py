"""The ledger's answers, each computed by hand; where ccusage 20 says the same, it is asked too."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests import ccusage, transcripts
from tests.lib.usage.writing import FOLDER, Desk, answered, asked, line, moment, tool, usage
from trinity import home as homes
from trinity import locks
from trinity.errors import Busy, NewerRecord
from trinity.home import Home
from trinity.usage import brought, ledger, rows, updating
from trinity.work import conversation


@pytest.fixture
def desk(home: Home, tmp_path: Path) -> Desk:
    return Desk(home, tmp_path / "profile")


ROW = "message_id, input, output, cache_read, cache_write_5m, cache_write_1h"


def _peer(desk: Desk) -> tuple[int, ...]:
    return ccusage.totals(desk.profile)


def test_a_message_of_three_lines_counts_once_with_its_largest_line(desk: Desk) -> None:
    desk.write(
        asked(0),
        answered(2, "m1", usage(3, 1, 100, 20, 30), block={"type": "thinking", "thinking": "hm", "signature": "x"}),
        answered(4, "m1", usage(3, 70, 100, 20, 30), block=tool("Bash", command="ls")),
        answered(6, "m1", usage(3, 7, 100, 20, 30), block=tool("Read", file_path="a")),
    )
    assert desk.update().messages == 1
    assert desk.rows(ROW) == [("m1", 3, 70, 100, 20, 30)]
    assert desk.rows(
        "session_id, agent_id, project, account, tools, service_tier, speed, model, request_id, seconds"
    ) == [("s1", None, FOLDER, "a" * 16, "Bash,Read", "standard", "standard", "claude-sonnet-5", "req_m1", 4.0)]
    assert desk.tokens() == _peer(desk) == (3, 70, 100, 50)


def test_one_hour_cache_writes_are_kept_apart_from_five_minute_ones(desk: Desk) -> None:
    desk.write(answered(1, "m1", usage(0, 1, 0, 400, 600)), answered(2, "m2", usage(0, 1, 0, 0, 1000)))
    desk.update()
    assert desk.rows(ROW) == [("m1", 0, 1, 0, 400, 600), ("m2", 0, 1, 0, 0, 1000)]
    assert desk.tokens() == _peer(desk)


def test_a_write_without_its_split_is_a_five_minute_one_and_a_split_of_nothing_is_nothing(desk: Desk) -> None:
    bare = {"input_tokens": 1, "output_tokens": 2, "cache_creation_input_tokens": 9}
    # What the client leaves of an answer that it copies into a fork behind a compaction.
    emptied = {**usage(0, 0, 0, 4, 5), "cache_creation_input_tokens": 0}
    desk.write(answered(1, "m1", bare), answered(2, "m2", emptied))
    desk.update()
    assert desk.rows(ROW) == [("m1", 1, 2, 0, 9, 0)]


def test_an_unknown_model_and_another_vendors_are_counted_under_their_names(desk: Desk) -> None:
    desk.write(
        answered(1, "m1", usage(5, 6), model="claude-unheard-of-9"), answered(2, "m2", usage(7, 8), model="zeta")
    )
    desk.update()
    assert desk.rows("model, input, output") == [("claude-unheard-of-9", 5, 6), ("zeta", 7, 8)]
    assert desk.tokens() == _peer(desk)


def test_subagents_and_their_tasks_count_for_their_session(desk: Desk) -> None:
    desk.write(answered(1, "m1", usage(1, 1)))
    sub = desk.path("agent-a1", "-home-user-project/s1/subagents")
    sub.write_bytes(answered(2, "m2", usage(10, 10), agent="a1") + answered(3, "m3", usage(20, 20), agent="a1"))
    assert desk.update().files == 2
    assert desk.rows("message_id, session_id, agent_id") == [("m1", "s1", None), ("m2", "s1", "a1"), ("m3", "s1", "a1")]
    assert desk.tokens() == _peer(desk) == (31, 31, 0, 0)


def test_a_torn_last_line_waits_until_it_is_whole(desk: Desk) -> None:
    torn = answered(2, "m2", usage(7, 7))
    desk.write(answered(1, "m1", usage(1, 1)), torn[:300])
    assert desk.update().messages == 1
    assert desk.tokens() == _peer(desk) == (1, 1, 0, 0)
    desk.append(torn[300:])
    assert desk.update().messages == 1
    assert desk.tokens() == _peer(desk) == (8, 8, 0, 0)


def test_a_line_that_a_killed_client_left_half_does_not_take_the_next_one_with_it(desk: Desk) -> None:
    half = answered(1, "m1", usage(1, 1))
    desk.write(half[:-200], answered(2, "m2", usage(2, 2)), answered(3, "m3", usage(4, 4)))
    desk.update()
    # The half line's own numbers stand in it, but nobody knows whether the rest was as it seems.
    assert desk.rows("message_id, input") == [("m2", 2), ("m3", 4)]
    # ccusage drops the line, and with it the message that is whole.
    assert _peer(desk) == (4, 4, 0, 0)


def test_a_duplicated_file_and_a_hard_link_count_once(desk: Desk) -> None:
    first = desk.write(asked(0), answered(1, "m1", usage(3, 4, 5, 6, 7)), answered(2, "m2", usage(1, 1)))
    desk.path("copy").write_bytes(first.read_bytes())
    os.link(first, desk.path("linked", "-other"))
    update = desk.update()
    assert (update.files, update.messages) == (2, 2)
    assert desk.tokens() == _peer(desk) == (4, 5, 5, 13)


def test_a_fork_counts_only_what_is_new_and_for_the_session_that_asked(desk: Desk) -> None:
    own = [answered(1, "m1", usage(3, 4)), answered(2, "m2", usage(5, 6))]
    forked = [
        answered(1, "m1", usage(3, 4), session="s0", requestSessionId="s1"),
        answered(2, "m2", usage(5, 6), session="s0", requestSessionId="s1"),
        answered(3, "m3", usage(7, 8), session="s0"),
    ]
    # The fork is read first: its name comes first.
    desk.write(*forked, session="s0")
    desk.write(*own, session="s1")
    desk.update()
    assert desk.rows("message_id, session_id") == [("m1", "s1"), ("m2", "s1"), ("m3", "s0")]
    assert desk.tokens() == _peer(desk) == (15, 18, 0, 0)


def test_a_line_without_a_request_is_the_message_of_the_same_id(desk: Desk) -> None:
    desk.write(
        answered(1, "m1", usage(3, 4), request=None),
        answered(2, "m1", usage(3, 9)),
        answered(3, "m2", usage(1, 2), request=None),
        answered(4, "m2", usage(1, 5), request=None),
        answered(5, "m3", usage(1, 1), request="req_a"),
        answered(6, "m3", usage(1, 1), request="req_b"),
    )
    desk.update()
    assert desk.rows("message_id, request_id, output") == [
        ("m1", "req_m1", 9), ("m2", "", 5), ("m3", "req_a", 1), ("m3", "req_b", 1)
    ]  # fmt: skip


def test_an_answer_written_down_twice_under_another_request_counts_once(desk: Desk) -> None:
    desk.write(answered(1, "m1", usage(3, 4)), session="s1")
    side = desk.path("agent-b", "-home-user-project/s1/subagents")
    side.write_bytes(answered(1, "m1", usage(3, 4), request="req_replayed", agent="b"))
    desk.update()
    assert desk.tokens() == _peer(desk) == (3, 4, 0, 0)


def test_errors_and_the_clients_own_notes_are_no_messages(desk: Desk) -> None:
    failed: dict[str, Any] = {"error": "rate_limit", "isApiErrorMessage": True, "apiErrorStatus": 429}
    desk.write(
        answered(1, "e1", usage(), model="<synthetic>", **failed),
        answered(2, "n1", usage(), model="<synthetic>", isApiErrorMessage=False),
        answered(3, "m1", usage(1, 1)),
    )
    update = desk.update()
    assert (update.messages, update.errors, update.aside) == (1, 1, 0)
    assert desk.query("SELECT kind, session_id, project FROM error") == [("rate_limit", "s1", FOLDER)]
    # A copy of the same line is the same error.
    desk.path("copy").write_bytes(desk.path().read_bytes())
    desk.update()
    assert desk.query("SELECT COUNT(*) FROM error") == [(1,)]


def test_what_an_advisor_and_a_compaction_spent_is_billed_beside_the_answer(desk: Desk) -> None:
    spent = usage(
        10, 20, 30,
        iterations=[
            {"type": "message", "input_tokens": 10, "output_tokens": 20, "model": None},
            {"type": "advisor_message", "model": "claude-opus-5", "input_tokens": 400, "output_tokens": 50},
            {"type": "compaction", "input_tokens": 1000, "output_tokens": 5},
        ],
    )  # fmt: skip
    plain = usage(1, 1, iterations=[{"type": "message", "input_tokens": 1, "output_tokens": 1}])
    desk.write(answered(1, "m1", spent), answered(2, "m2", plain))
    desk.update()
    assert desk.rows("model, input, output", "input") == [
        ("claude-sonnet-5", 1, 1), ("claude-sonnet-5", 10, 20), ("claude-opus-5", 400, 50), ("claude-sonnet-5", 1000, 5)
    ]  # fmt: skip
    # ccusage knows the advisor but not the compaction, whose tokens the API leaves out of the sums above.
    assert _peer(desk) == (411, 71, 30, 0)


@pytest.mark.parametrize(
    ("spent", "why"),
    [
        (usage(-5, 6), "a count that is none"),
        (usage(1 << 60, 6), "a count that is none"),
        (usage(1.5, 6), "a count that is none"),
        (usage("7", 6), "a count that is none"),
        (usage(True, 6), "a count that is none"),
    ],
)
def test_a_number_that_cannot_be_is_put_aside_and_said(desk: Desk, spent: dict[str, object], why: str) -> None:
    desk.write(answered(1, "m0", spent), answered(2, "m1", usage(1, 1)))
    update = desk.update()
    assert (update.messages, update.aside) == (1, 1)
    assert desk.query("SELECT reason, lines FROM aside") == [(why, 1)]
    assert desk.tokens() == (1, 1, 0, 0)


def test_odd_lines_cost_no_message_beside_them(desk: Desk) -> None:
    whole = answered(3, "m1", usage(1, 1))
    odd = [
        b"\n",
        b"\x00" * 300 + b"\n",
        b'{"usage":\n',
        b'["usage"]\n',
        b'"usage"\n',
        b'{"type":"assistant","message":{"usage":"none"}}\n',
        b'{"type":"assistant","message":null,"usage":{}}\n',
        b'{"a":' * 100_000 + b'"usage"\n',
        answered(1, "m0", usage(9, 9)).replace(b'"timestamp":"2026', b'"timestamp":"9926x'),
        answered(1, "m0", usage(9, 9)).replace(b'"claude-sonnet-5"', b"null"),
        answered(1, "", usage(9, 9)).replace(b'"uuid"', b'"nouid"'),
    ]
    desk.write(*odd, whole)
    update = desk.update()
    assert (update.messages, update.aside) == (1, 7)
    assert dict(desk.query("SELECT reason, lines FROM aside")) == {
        "not JSON": 1, "no object": 2, "nested too deeply": 1, "no time": 1, "no model": 1, "no id": 1
    }  # fmt: skip
    assert desk.tokens() == (1, 1, 0, 0)


def test_text_that_is_not_utf_8_or_looks_like_usage_changes_nothing(desk: Desk) -> None:
    words = 'say "usage":{"input_tokens":5} and ],"stop_reason":"x","usage":{"input_tokens":9999'
    nested = {"usage": {"input_tokens": 77, "output_tokens": 1}, "message": {"id": "m9", "usage": {"input_tokens": 5}}}
    desk.write(
        asked(0, words, toolUseResult=nested),
        answered(1, "m1", usage(1, 1), block={"type": "text", "text": words}),
        answered(2, "m2", usage(2, 2), block=tool("Write", **nested, content=words)),
        answered(3, "m3", usage(4, 4), block={"type": "text", "text": "caf\xe9 MARK"}).replace(b"MARK", b"\xff\xfe"),
        answered(4, "m4", usage(8, 8), folder="/home/us\xe9r/\u65e5\u672c"),
        answered(5, "m5", usage(16, 16), folder="C:\\work\\a"),
    )
    desk.update()
    assert desk.rows("message_id, input") == [("m1", 1), ("m2", 2), ("m3", 4), ("m4", 8), ("m5", 16)]
    assert [row[0] for row in desk.rows("project")][3:] == ["/home/us\xe9r/\u65e5\u672c", "C:\\work\\a"]


def test_lines_with_spaces_are_counted_which_ccusage_passes_over(desk: Desk) -> None:
    import json

    spaced = json.dumps(json.loads(answered(1, "m1", usage(5, 6)))).encode() + b"\n"
    desk.write(spaced, answered(2, "m2", usage(1, 1)))
    desk.update()
    assert desk.tokens() == (6, 7, 0, 0)
    assert _peer(desk) == (1, 1, 0, 0)


def test_a_line_of_another_order_of_keys_is_counted_the_same(desk: Desk) -> None:
    import json

    entry = json.loads(answered(1, "m1", usage(5, 6, 7, 8, 9)))
    turned = {key: entry[key] for key in reversed(entry)}
    turned["message"] = {key: entry["message"][key] for key in reversed(entry["message"])}
    desk.write(line(turned))
    desk.update()
    assert desk.rows(ROW) == [("m1", 5, 6, 7, 8, 9)]


def test_each_message_counts_for_the_task_that_was_being_worked_on(desk: Desk) -> None:
    desk.write(
        answered(1, "m1", usage(1, 1), block=tool("TaskCreate", subject="Build it", description="all")),
        asked(
            2, [{"type": "tool_result", "tool_use_id": "t"}], toolUseResult={"task": {"id": "1", "subject": "Build it"}}
        ),
        answered(3, "m2", usage(1, 1), block=tool("TaskUpdate", taskId="1", status="in_progress")),
        answered(4, "m3", usage(1, 1)),
    )
    desk.update()
    desk.append(answered(5, "m4", usage(1, 1), block=tool("TaskUpdate", taskId="1", status="completed")))
    desk.append(answered(6, "m5", usage(1, 1)))
    desk.update()
    assert desk.rows("message_id, task") == [
        ("m1", None), ("m2", None), ("m3", "Build it"), ("m4", "Build it"), ("m5", None)
    ]  # fmt: skip


def test_only_what_is_new_is_read_and_a_message_may_grow_between_updates(desk: Desk) -> None:
    desk.write(asked(0), answered(1, "m1", usage(1, 1)))
    assert desk.update().read == 1
    assert desk.update().read == 0
    desk.append(answered(2, "m1", usage(1, 50)), answered(3, "m2", usage(2, 2)))
    update = desk.update()
    assert (update.read, update.messages) == (1, 1)
    assert desk.rows("message_id, output") == [("m1", 50), ("m2", 2)]
    assert desk.tokens() == (3, 52, 0, 0)


def test_the_wait_for_an_answer_is_known_across_updates(desk: Desk) -> None:
    desk.write(asked(10))
    desk.update()
    desk.append(answered(13.5, "m1", usage(1, 1)))
    desk.update()
    assert desk.rows("seconds") == [(3.5,)]


def test_what_is_cut_replaced_or_deleted_stays_in_the_history(desk: Desk) -> None:
    path = desk.write(answered(1, "m1", usage(1, 1)), answered(2, "m2", usage(2, 2)))
    desk.update()
    path.write_bytes(answered(1, "m1", usage(1, 1)))  # cut
    desk.update()
    path.unlink()
    desk.write(answered(3, "m3", usage(4, 4)), answered(4, "m4", usage(8, 8)))  # replaced
    desk.update()
    # Written anew in place, as long as before.
    data = path.read_bytes().replace(b"m4", b"m5")
    path.write_bytes(data)
    os.utime(path, ns=(1, 1))
    desk.update()
    path.unlink()  # the client's 30 days
    assert desk.update().read == 0
    assert [row[0] for row in desk.rows("message_id")] == ["m1", "m2", "m3", "m4", "m5"]
    assert desk.tokens() == (23, 23, 0, 0)
    assert desk.query("SELECT gone FROM file") == [(1,)]


def test_a_file_that_was_moved_counts_once(desk: Desk) -> None:
    path = desk.write(answered(1, "m1", usage(1, 1)))
    desk.update()
    path.rename(desk.path("s1", "-elsewhere"))
    assert desk.update().messages == 0
    assert desk.tokens() == (1, 1, 0, 0)


@pytest.mark.posix
def test_a_pipe_and_what_cannot_be_read_are_passed_over(desk: Desk) -> None:
    desk.write(answered(1, "m1", usage(1, 1)))
    os.mkfifo(desk.path("pipe"))
    desk.path("away").symlink_to("/nowhere/at-all.jsonl")
    (desk.profile / "projects" / "-home-user-project" / "folder.jsonl").mkdir()
    update = desk.update()
    assert (update.files, update.messages) == (1, 1)


def test_a_line_longer_than_any_is_passed_over_and_said(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    from trinity.usage import transcript

    monkeypatch.setattr(transcript, "LONGEST_LINE", 1 << 21)
    monkeypatch.setattr(transcript, "_CHUNK", 1 << 12)
    long = answered(1, "m0", usage(9, 9), block={"type": "text", "text": "x" * (5 << 20)})
    middle = answered(3, "m2", usage(2, 2), block={"type": "text", "text": "x" * 100_000})
    desk.write(answered(2, "m1", usage(1, 1)), long, middle, answered(4, "m3", usage(4, 4)))
    assert desk.update().aside == 1
    assert desk.tokens() == (7, 7, 0, 0)


def test_reading_in_pieces_of_any_size_gives_the_same(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    from trinity.usage import transcript

    lines = [asked(0), answered(1, "m1", usage(1, 1, 1, 1, 1)), answered(2, "m1", usage(1, 9, 1, 1, 1)), asked(5)]
    lines += [answered(6, "m2", usage(3, 3)), asked(7, "x" * 3000), answered(9, "m3", usage(5, 5))]
    desk.write(*lines)
    seen = []
    for size in (1 << 10, 1 << 12, 1 << 21):
        monkeypatch.setattr(transcript, "_CHUNK", size)
        desk.update(rebuild=True)
        seen.append(desk.rows(f"{ROW}, time, seconds"))
    assert seen[0] == seen[1] == seen[2] and len(seen[0]) == 3
    assert [round(row[-1], 6) for row in seen[0]] == [2.0, 1.0, 2.0]


def test_a_rebuilt_ledger_equals_the_old_one_and_keeps_what_is_gone(desk: Desk) -> None:
    gone = desk.write(answered(1, "m1", usage(1, 1, 1, 1, 1)), session="s0")
    desk.write(asked(2), answered(3, "m2", usage(2, 2)), answered(4, "m3", usage(3, 3), request=None))
    desk.update(account="b" * 16)
    gone.unlink()
    every = "message_id, request_id, time, model, session_id, project, account, task, input, output, tools, seconds"
    before, sums = desk.rows(every), desk.query("SELECT * FROM summed ORDER BY time, session_id")
    # Somebody changed a number; another account is logged in by now.
    with ledger.opened(desk.home) as connection:
        connection.execute("UPDATE billed SET output = 999 WHERE message_id = 'm2'")
    desk.update(rebuild=True, account="c" * 16)
    assert desk.rows(every) == before
    assert desk.query("SELECT * FROM summed ORDER BY time, session_id") == sums
    assert desk.tokens() == (6, 6, 1, 2)


def test_a_rebuild_leaves_to_a_deleted_session_what_only_its_fork_still_has(desk: Desk) -> None:
    gone = desk.write(answered(1, "m1", usage(5, 5), session="s0"), session="s0")
    copy = answered(1, "m1", usage(1, 1), session="s9", forkedFrom={"sessionId": "s0"})
    desk.write(copy, answered(2, "m2", usage(2, 2), session="s9"), session="s9")
    desk.update()
    before = desk.rows("message_id, session_id, input")
    assert before == [("m1", "s0", 5), ("m2", "s9", 2)]
    gone.unlink()
    desk.update(rebuild=True)
    assert desk.rows("message_id, session_id, input") == before and desk.tokens() == (7, 7, 0, 0)


@pytest.mark.parametrize("where", [0, 4096, 20_000, 60_000])
def test_a_damaged_ledger_is_put_aside_saved_and_filled_again(desk: Desk, where: int) -> None:
    for number in range(40):
        lines = [answered(s, f"m{number}-{s}", usage(1, 1)) for s in range(20)]
        desk.write(*lines, session=f"s{number}")
    desk.update()
    with ledger.opened(desk.home) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute(
            "INSERT INTO call (id, time, model, outcome, account) VALUES ('c1', 1.0, 'claude-x', 'success', 'a')"
        )
    path = desk.home.root / ledger.NAME
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    data = bytearray(path.read_bytes())
    data[where : where + 3000] = b"\xa5" * 3000
    path.write_bytes(data)
    desk.update()
    desk.update(rebuild=True)
    assert desk.tokens() == (800, 800, 0, 0)
    kept = [one for one in desk.home.quarantine.iterdir() if one.name.endswith(ledger.NAME)]
    assert len(kept) >= 1 and kept[0].with_name(kept[0].name + ".why").exists()
    # Else a report by task would look at every call for every message.
    assert desk.query("SELECT COUNT(*) FROM sqlite_master WHERE name = 'call_message'") == [(1,)]


def test_damage_that_only_a_report_meets_is_repaired_too(desk: Desk) -> None:
    for number in range(40):
        desk.write(*(answered(s, f"m{number}-{s}", usage(1, 1)) for s in range(20)), session=f"s{number}")
    desk.update()
    path = desk.home.root / ledger.NAME
    with sqlite3.connect(path) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'total'").fetchone()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    data = bytearray(path.read_bytes())
    data[(page - 1) * 4096 : page * 4096] = b"\xa5" * 4096
    path.write_bytes(data)
    assert desk.update().read == 0  # nothing is new, so nobody looks
    with pytest.raises(Busy, match="damaged"), rows.own(desk.home, "PC1") as source:
        source.connection.execute("SELECT SUM(messages) FROM summed").fetchone()
    desk.update()
    assert desk.tokens() == (800, 800, 0, 0)


def test_a_ledger_that_is_no_database_at_all_is_replaced(desk: Desk) -> None:
    desk.write(answered(1, "m1", usage(1, 1)))
    (desk.home.root / ledger.NAME).write_bytes(b"not a database, and long enough to be looked at\n" * 99)
    assert desk.update().messages == 1
    assert desk.tokens() == (1, 1, 0, 0)


def test_an_older_version_is_lifted_and_a_newer_one_left_alone(desk: Desk) -> None:
    path = desk.write(answered(1, "m1", usage(1, 1)))
    desk.update()
    path.unlink()
    with ledger.opened(desk.home) as connection:
        connection.execute("DROP TABLE total")
        connection.execute("CREATE TABLE total (quarter INTEGER)")
        connection.execute(f"PRAGMA user_version={ledger.VERSION - 1}")
    desk.update()
    assert desk.tokens() == (1, 1, 0, 0)
    with ledger.opened(desk.home) as connection:
        connection.execute(f"PRAGMA user_version={ledger.VERSION + 1}")
    before = (desk.home.root / ledger.NAME).read_bytes()
    with pytest.raises(NewerRecord):
        desk.update()
    assert (desk.home.root / ledger.NAME).read_bytes() == before


def test_two_updates_at_once_count_once(desk: Desk) -> None:
    for number in range(30):
        desk.write(*(answered(s, f"m{number}-{s}", usage(1, 1)) for s in range(30)), session=f"s{number}")
    failed: list[BaseException] = []

    def run() -> None:
        try:
            desk.update()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert desk.tokens() == (900, 900, 0, 0)


_UPDATE = (
    "import sys; from trinity import home; from trinity.usage import updating; "
    "updating.bring(home.open_home(sys.argv[1]), [sys.argv[2]], 'a')"
)


def _updating(desk: Desk) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", _UPDATE, str(desk.home.root), str(desk.profile)]
    return subprocess.Popen(command, stderr=subprocess.PIPE)


def test_processes_that_find_no_ledger_make_one_and_count_once(desk: Desk) -> None:
    for number in range(20):
        desk.write(*(answered(s, f"m{number}-{s}", usage(1, 1)) for s in range(10)), session=f"s{number}")
    started = [_updating(desk) for _ in range(5)]
    for process in started:
        assert process.communicate()[1] == b"" and process.returncode == 0
    assert desk.tokens() == (200, 200, 0, 0)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return -1


def test_a_killed_update_is_done_again_and_counts_once(desk: Desk) -> None:
    written = transcripts.generate(desk.profile, 30)
    for size in (0, 50_000, 400_000):
        process = _updating(desk)
        while process.poll() is None and _size(desk.home.root / f"{ledger.NAME}-wal") < size:
            time.sleep(0.002)
        process.kill()
        process.communicate()
    desk.update()
    assert desk.tokens() == (written.input, written.output, written.cache_read, written.cache_write)


def test_an_update_beside_one_that_does_not_end_is_busy(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.write(answered(1, "m1", usage(1, 1)))
    monkeypatch.setattr(updating, "_PATIENCE", 0.05)
    with locks.hold_inherited(desk.home.locks / "usage.lock"), pytest.raises(Busy):
        desk.update()


def _carry(desk: Desk, lines: list[bytes], tmp_path: Path, session: str = "s1", slug: str = "-work-e1") -> Path:
    """What a handoff does: the note first, then the conversation lies there."""
    folder = tmp_path / f"parts{len(list(tmp_path.iterdir()))}"
    folder.mkdir()
    (folder / "conversation.jsonl").write_bytes(b"".join(lines))
    brought.note(desk.home, session, folder)
    return desk.write(*lines, session=session, slug=slug)


def test_a_carried_conversation_counts_only_what_was_added_here(desk: Desk, tmp_path: Path) -> None:
    theirs = [asked(0), answered(1, "m1", usage(1, 1)), answered(2, "m2", usage(2, 2))]
    path = _carry(desk, theirs, tmp_path)
    with path.open("ab") as stream:
        stream.write(asked(3) + answered(4, "m3", usage(4, 4)))
    assert desk.update().messages == 1
    assert desk.rows("message_id, seconds") == [("m3", 1.0)]
    # A fork and a copy of it, made here, bring nothing back.
    forked = [answered(1, "m1", usage(1, 1), session="s2"), answered(2, "m2", usage(2, 2), session="s2")]
    desk.write(*forked, answered(5, "m4", usage(8, 8), session="s2"), session="s2")
    desk.path("backup").write_bytes(path.read_bytes())
    desk.update()
    assert [row[0] for row in desk.rows("message_id")] == ["m3", "m4"]
    desk.update(rebuild=True)
    assert desk.tokens() == (12, 12, 0, 0)
    path.unlink()
    desk.update(rebuild=True)
    assert desk.tokens() == (12, 12, 0, 0)


@pytest.mark.parametrize("read_before", [True, False])
def test_a_conversation_that_comes_home_counts_what_was_paid_here(
    desk: Desk, tmp_path: Path, read_before: bool
) -> None:
    ours = [asked(0), answered(1, "m1", usage(1, 1))]
    desk.write(*ours)
    if read_before:
        desk.update()
    # Its lines may have been altered on the way: secrets are replaced.
    carried = [asked(0, "go on [REDACTED]"), *ours[1:], answered(2, "m2", usage(2, 2))]
    path = _carry(desk, carried, tmp_path)
    with path.open("ab") as stream:
        stream.write(answered(3, "m3", usage(4, 4)))
    desk.update()
    assert [row[0] for row in desk.rows("message_id")] == ["m1", "m3"]
    assert desk.tokens() == (5, 5, 0, 0)


def test_from_pc_to_pc_and_home_each_pays_for_its_own_answers(tmp_path: Path) -> None:
    pcs = []
    for name in ("pc1", "pc2", "pc3"):
        pcs.append(Desk(homes.open_home(tmp_path / name / "state", create=True), tmp_path / name / "profile"))
    transcript = pcs[0].write(asked(0), answered(1, "m0", usage(1, 1)))
    sub = transcript.with_suffix("") / "subagents" / "agent-a0.jsonl"
    for number, desk in enumerate([pcs[1], pcs[2], pcs[0], pcs[1]], 1):
        sub.parent.mkdir(parents=True, exist_ok=True)
        with sub.open("ab") as stream:
            stream.write(answered(number + 0.5, f"s{number - 1}", usage(100, 100), agent="a0"))
        parts = tmp_path / f"parts{number}"
        conversation.collect(transcript, parts)
        brought.note(desk.home, "s1", parts)
        cwd = tmp_path / f"work-e{number}"
        placed = conversation.place(parts, desk.profile, cwd, "s1")
        transcript, sub = placed.transcript, placed.session_folder / "subagents" / "agent-a0.jsonl"
        with transcript.open("ab") as stream:
            stream.write(asked(number + 1, folder=str(cwd)) + answered(number + 2, f"m{number}", usage(1, 1)))
        if number % 2:
            desk.update()
    for rebuild in (False, True):
        for desk in pcs:
            desk.update(rebuild=rebuild)
        counted = [[row[0] for row in desk.rows("message_id", order="message_id")] for desk in pcs]
        assert counted == [["m0", "m3", "s0", "s3"], ["m1", "m4", "s1"], ["m2", "s2"]]
    assert sum(desk.tokens()[0] for desk in pcs) == 5 + 400


def test_a_new_account_counts_from_when_it_is_read(desk: Desk) -> None:
    desk.write(answered(1, "m1", usage(1, 1)))
    desk.update(account="a" * 16)
    desk.append(answered(2, "m2", usage(2, 2)))
    desk.update(account="b" * 16)
    assert desk.rows("message_id, account") == [("m1", "a" * 16), ("m2", "b" * 16)]


def test_moments_are_read_to_the_millisecond_on_any_day(desk: Desk) -> None:
    early = answered(1, "m1", usage(1, 1)).replace(moment(1).encode(), b"2024-02-29T23:59:59.999Z")
    offset = answered(2, "m2", usage(1, 1)).replace(moment(2).encode(), b"2026-11-20T11:00:00+01:00")
    false = answered(3, "m3", usage(1, 1)).replace(moment(3).encode(), b"2026-02-30T25:00:00.000Z")
    desk.write(early, offset, false)
    desk.update()
    assert desk.rows("message_id, time") == [("m1", 1709251199.999), ("m2", 1795168800.0)]
    assert desk.query("SELECT reason FROM aside") == [("no time",)]
