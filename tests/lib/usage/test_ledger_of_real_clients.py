"""The ledger on what the real client writes, beside ccusage: equal to the token, and nearly all lines read the fast way."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests import ccusage, transcripts
from tests.api.plan import Step, bash
from tests.clients import Client
from tests.fake_api import ScriptedApi
from tests.lib.usage.writing import Desk
from trinity.home import Home
from trinity.usage import transcript

TOOLS = ("--permission-mode", "acceptEdits", "--allowedTools", "Bash,TaskCreate,TaskUpdate,Agent")


def _spent(given: int, out: int, read: int, short: int, long: int) -> dict[str, Any]:
    split = {"ephemeral_5m_input_tokens": short, "ephemeral_1h_input_tokens": long}
    return {
        "input_tokens": given,
        "output_tokens": out,
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": short + long,
        "cache_creation": split,
    }


def _plan() -> dict[str, Any]:
    """Thinking, text and two tools in one answer, a task list, a subagent with a tool of its own, then plain answers."""
    agent = {"description": "a part", "prompt": "run a command", "subagent_type": "general-purpose"}
    task: Step = {
        "thinking": "hm",
        "text": "I start",
        "tools": [
            {"name": "TaskCreate", "input": {"subject": "Build it", "description": "all", "activeForm": "Building"}},
            {"name": "Bash", "input": {"command": "echo one", "description": "say one"}},
        ],
        "usage": _spent(3, 50, 100, 20, 30),
    }
    begun: Step = {
        "tools": [{"name": "TaskUpdate", "input": {"taskId": "1", "status": "in_progress"}}],
        "usage": _spent(5, 60, 200, 0, 40),
    }
    steps: list[Step] = [
        task,
        begun,
        {"tools": [{"name": "Agent", "input": agent}], "usage": _spent(7, 70, 300, 1, 0)},
        bash("echo two", usage=_spent(11, 80, 0, 5, 0)),
        {"text": "the part is done", "usage": _spent(12, 81, 0, 6, 0)},
        {"text": "all is done", "usage": _spent(5, 60, 200, 0, 41)},
    ]
    return {"steps": steps, "default": {"text": "done", "usage": _spent(1, 2, 3, 4, 5)}}


def test_tools_subagents_resume_compaction_fork_and_a_limit_give_the_totals_of_ccusage(
    client: Client, api: ScriptedApi, home: Home
) -> None:
    api.set_plan(_plan())
    desk = Desk(home, client.configuration)
    session = client.headless("work with tools", *TOOLS).session
    desk.update()
    # A background subagent of newer clients takes its answers when it comes to it.
    served = len([r for r in api.main_requests() if r.status == 200])
    assert desk.rows("COUNT(*)", order="1") == [(served,)]
    for prompt, more in (("go on", ()), ("/compact", ()), ("once more", ()), ("branch", ("--fork-session",))):
        assert client.headless(prompt, "--resume", session, *more, *TOOLS).returncode == 0
        desk.update()
    api.limit_until(time.time() + 600)
    assert client.headless("refused", "--resume", session, *TOOLS).returncode == 1
    desk.update()
    assert desk.tokens() == ccusage.totals(client.configuration)
    after = desk.rows("message_id, session_id, agent_id, task, tools, output")
    # 6 answers of the plan, then one for each prompt, and with newer clients one to the background agent's end; the
    # compaction's own request stands in no transcript.
    assert len(after) in (9, 10)
    assert sum(row[-1] for row in after) == 50 + 60 + 70 + 80 + 81 + 60 + (len(after) - 6) * 2
    assert {row[1] for row in after} > {session} and len({row[1] for row in after}) == 2
    assert [row[4] for row in after if row[5] == 50] == ["TaskCreate,Bash"]
    assert {row[3] for row in after if row[5] == 70} == {"Build it"}
    assert any(row[2] for row in after)
    assert desk.query("SELECT kind, session_id FROM error") == [("rate_limit", session)]
    assert desk.query("SELECT COUNT(*) FROM aside") == [(0,)]
    # At one go the same.
    desk.update(rebuild=True)
    assert desk.rows("message_id, session_id, agent_id, task, tools, output") == after
    fast, slow = _shares(client.configuration)
    # Parsed in full: the limit's line, and the client's own note behind the compaction.
    assert slow <= 3 and fast >= 10, (fast, slow)


def _shares(profile: Path) -> tuple[int, int]:
    readings = [transcript.read(str(path), 0, {}, []) for path in (profile / "projects").rglob("*.jsonl")]
    return sum(one["fast"] for one in readings if one), sum(one["slow"] for one in readings if one)


@pytest.mark.parametrize("megabytes", [2, 30])
def test_generated_transcripts_give_the_totals_that_were_written(home: Home, tmp_path: Path, megabytes: int) -> None:
    desk = Desk(home, tmp_path / "profile")
    written = transcripts.generate(desk.profile, megabytes, seed=megabytes)
    update = desk.update()
    assert (update.files, update.messages, update.aside) == (written.files, written.messages, 0)
    assert desk.tokens() == (written.input, written.output, written.cache_read, written.cache_write)
    assert desk.tokens() == ccusage.totals(desk.profile)
    per_model = desk.query(
        "SELECT model, SUM(input + output + cache_read + cache_write_5m + cache_write_1h) FROM summed GROUP BY model"
    )
    assert dict(per_model) == written.by_model
    assert _shares(desk.profile)[1] == 0
