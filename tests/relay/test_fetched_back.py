"""Work that was sent to another PC and not accepted there is gone on with where it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.api.plan import bash
from tests.clients import Client
from tests.fake_api import ScriptedApi
from tests.relay.conftest import PROMPT
from tests.relay.test_two_pcs import _join
from trinity import git
from trinity.work import fence

pytestmark = pytest.mark.posix


def test_a_conversation_that_nobody_took_goes_on_at_home(
    make_client: Callable[..., Client], api: ScriptedApi, tmp_path: Path
) -> None:
    fleet = git.init_bare(tmp_path / "fleet.git", server=True).path
    one, _ = (
        _join(make_client("newest", name=f"pc{n}", token=f"token-of-pc{n}"), api, f"PC{n}", fleet) for n in (1, 2)
    )
    api.set_plan({"steps": [bash("echo one > a.txt")], "default": {"text": "all is done"}})
    api.limit_until(float("inf"), after=1, lasts=600, account=one.client.token)
    stopped = one.client.headless(PROMPT, "--permission-mode", "acceptEdits", "--allowedTools", "Bash")
    sent = one.program("save_handoff", "--to", "PC2", "--session", stopped.session)
    assert sent.returncode == 0 and fence.is_raised(one.home, stopped.session)
    api.lift()
    done = one.program("accept_handoff", sent.stdout.split()[1])
    assert done.returncode == 0, done.stdout + done.stderr
    assert not fence.is_raised(one.home, stopped.session)
    served = [request for request in api.main_requests(stopped.session) if not request.limited]
    assert "echo one > a.txt" in served[-1].text and one.resumes() == 1
