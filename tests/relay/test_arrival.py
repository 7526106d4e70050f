"""Work that arrives, with the real clients: the old place stays as it is, and model and person hear what they must."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.plan import bash
from tests.clients import Client
from tests.fake_api import ScriptedApi
from tests.hooks.test_guard_clients import state
from tests.hooks.test_real_clients import tool
from tests.relay.conftest import PROMPT, Pc
from tests.relay.test_two_pcs import STATUS, _git, _join
from trinity import git

pytestmark = pytest.mark.posix
ON_OLD = [
    tool("Edit", file_path="OLD/kept.txt", old_string="kept", new_string="ours"),
    tool("Write", file_path="OLD/new.txt", content="ours"),
    tool("Write", file_path="OLD/kept.txt", content="ours"),
    tool("NotebookEdit", notebook_path="OLD/n.ipynb", new_source="x", cell_type="code", edit_mode="insert"),
    bash("echo ours > OLD/kept.txt"),
    bash("cd OLD && echo ours > kept.txt"),
    bash("cd ../../../../pc1 && rm project/kept.txt"),
    bash("O=OLD; rm $O/kept.txt"),
    bash("sed -i s/kept/ours/ 'OLD/kept.txt'"),
    bash("python3 -c \"open('OLD/kept.txt', 'w')\""),
    bash("git -C OLD checkout ."),
    bash("cat > OLD/new.txt <<'E'\nours\nE"),
]
COMMANDS = sum("command" in step["tools"][0]["input"] for step in ON_OLD)
OWN = [
    bash("echo ours > b.txt"),
    tool("Read", file_path="NEW/kept.txt"),
    tool("Edit", file_path="NEW/kept.txt", old_string="kept", new_string="ours"),
]


@pytest.fixture(params=["2.1.197", "newest"])
def two(
    request: pytest.FixtureRequest, make_client: Callable[..., Client], api: ScriptedApi, tmp_path: Path
) -> Iterator[tuple[Pc, Pc]]:
    """PC1 with dirty work, and PC2, on whose disk the very path of PC1's project exists: it is PC1's."""
    fleet = git.init_bare(tmp_path / "fleet.git", server=True).path
    one = _join(make_client(request.param, name="pc1", token="token-of-pc1"), api, "PC1", fleet)
    two = _join(make_client(request.param, name="pc2", token="token-of-pc2"), api, "PC2", fleet)
    work = one.client.project
    _git(work, "init", "-q", "-b", "main")
    (work / "kept.txt").write_text("kept\n", encoding="utf-8")
    (work / ".mcp.json").write_text('{"mcpServers": {"own": {"command": "own-server"}}}', encoding="utf-8")
    _git(work, "add", ".")
    _git(work, "commit", "-qm", "first")
    (work / "changed.txt").write_text("changed\n", encoding="utf-8")
    _git(work, "add", "changed.txt")
    (work / "changed.txt").write_text("changed again\n", encoding="utf-8")
    settings = json.loads(two.client.settings.read_text(encoding="utf-8"))
    settings["permissions"] = {"allow": ["Bash"]}
    two.client.settings.write_text(json.dumps(settings), encoding="utf-8")
    two.configure_top(poll_seconds=1, after_restore={"command": ["false"]}, trust_restored=True)
    yield one, two
    one.unwatch()
    two.unwatch()
    subprocess.run(["tmux", "-L", "resumed", "kill-server"], env=two.environment(), capture_output=True)


def steps(work: Path, new: Path) -> list[Any]:
    made: list[Any] = json.loads(json.dumps([*ON_OLD, *OWN]).replace("OLD", str(work)).replace("NEW", str(new)))
    return made


def served(pc: Pc, session: str) -> list[Any]:
    return [r for r in pc.api.main_requests(session) if r.account == pc.client.token and not r.limited]


def send(one: Pc, two: Pc, session: str) -> tuple[str, Path]:
    """The handoff's id, and where its work will lie on PC2: the claim takes the next epoch."""
    sent = one.program("save_handoff", "--to", "PC2", "--session", session)
    assert sent.returncode == 0, sent.stderr
    record = one.handoffs()[0]
    return record["id"], two.home.root / "work" / f"project-{record['id'][-8:]}-e{record['epoch'] + 1}"


def stopped(one: Pc) -> str:
    """A headless session that PC1's account has stopped in mid-turn; its id."""
    one.api.set_plan({"steps": [bash("echo one > a.txt")], "default": {"text": "all is done"}})
    one.api.limit_until(float("inf"), after=1, lasts=600, account=one.client.token)
    result = one.client.headless(PROMPT, "--permission-mode", "acceptEdits", "--allowedTools", "Bash")
    assert result.returncode == 1 and "limit" in result.text
    return result.session


def test_nothing_is_changed_at_the_old_place_whatever_is_tried(two: tuple[Pc, Pc]) -> None:
    one, two_ = two
    work, session = one.client.project, stopped(one)
    status, before = _git(work, *STATUS), state(work)
    handoff, new = send(one, two_, session)
    assert state(work) == before
    one.api.set_plan({"steps": steps(work, new), "default": {"text": "all is done"}})
    assert two_.program("accept_handoff", handoff).returncode == 0  # by a person: it brings an .mcp.json along
    two_.watch()
    done = two_.settle(lambda found: [r["state"] for r in found] == ["done"], timeout=150)[0]
    assert done["owner"] == "PC2" and state(work) == before

    # its own place it had, in the same conversation, and there it could work
    first, last = served(two_, session)[0], served(two_, session)[-1]
    assert PROMPT in first.text and "echo one > a.txt" in first.text
    for words in ("is now below", "read a file again before editing it", "own-server", "false, did not succeed"):
        assert words in first.text, words
    assert json.dumps(last.body).count("on this PC is not yours") >= COMMANDS
    assert (new / "kept.txt").read_text(encoding="utf-8") == "ours\n" and (new / "b.txt").exists()
    assert set(status.splitlines()) <= set(_git(new, *STATUS).splitlines())
    trusted = json.loads((two_.client.home / ".claude.json").read_text(encoding="utf-8"))["projects"]
    assert trusted[str(new)]["hasTrustDialogAccepted"] is True

    # the person is told the same, and is kept out in the same way when they go on by hand with everything allowed
    shown = two_.program("handoffs", "show", handoff).stdout
    assert "own-server" in shown and "did not succeed" in shown
    one.api.set_plan({"steps": steps(work, new), "default": {"text": "done by hand"}})
    (new / "b.txt").unlink()
    bypass = ("--permission-mode", "bypassPermissions")
    by_hand = two_.client.headless("go on", "--resume", session, *bypass, cwd=new, timeout=120, IS_SANDBOX="1")
    assert by_hand.text == "done by hand" and (new / "b.txt").exists()
    assert state(work) == before


def test_an_interactive_session_arrives_in_tmux_and_is_kept_out_too(two: tuple[Pc, Pc]) -> None:
    one, two_ = two
    work = one.client.project
    (work / ".mcp.json").unlink()  # an interactive client asks about its servers, and only a person may answer that
    one.api.set_plan({"steps": [bash("true")], "default": {"text": "ok"}})
    one.api.limit_until(float("inf"), after=1, lasts=600, account=one.client.token)
    with one.client.tmux(PROMPT, "--permission-mode", "acceptEdits", "--allowedTools", "Bash"):
        one.api.wait_for(lambda requests: any(r.limited for r in requests), timeout=60)
        session = str(next(r.session for r in one.api.main_requests() if r.limited))
        before = state(work)
        handoff, new = send(one, two_, session)
    one.api.set_plan({"steps": steps(work, new), "default": {"text": "all is done"}})
    two_.configure(resume={"interactive": "tmux"})
    assert two_.program("accept_handoff", handoff).returncode == 0  # by a person: it takes an .mcp.json away
    two_.watch()
    two_.settle(lambda found: [r["state"] for r in found] in (["running"], ["done"]), timeout=150)
    two_.api.wait_for(lambda requests: len(served(two_, session)) > len(ON_OLD) + len(OWN), timeout=120)
    first, last = served(two_, session)[0], served(two_, session)[-1]
    assert PROMPT in first.text and "is now below" in first.text and "did not succeed" in first.text
    assert json.dumps(last.body).count("on this PC is not yours") >= COMMANDS
    assert (new / "kept.txt").read_text(encoding="utf-8") == "ours\n" and state(work) == before
