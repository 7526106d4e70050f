"""The harness itself: what the tests stand on does what they take for granted. No Trinity program runs here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.clients import LOWEST, NEWEST, Client, ClientMissing
from tests.fake_api import FAILURES, ScriptedApi, bash
from tests.terminal import Terminal
from trinity import home as homes
from trinity.errors import TrinityError

CHECKOUT = Path(__file__).resolve().parent.parent
INTERRUPTED = "Stop and wait for limit to reset"


def test_the_default_state_folder_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRINITY_HOME", raising=False)
    with pytest.raises(TrinityError, match="default is forbidden"):
        homes.resolve(None)


def test_nothing_of_this_machines_login_or_git_identity_is_left(tmp_path: Path) -> None:
    known = [name for name in os.environ if name.startswith(("ANTHROPIC_", "CLAUDE"))]
    author = subprocess.run(
        ["git", "var", "GIT_AUTHOR_IDENT"], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    assert not known and author.startswith("Test <test@example.invalid>")


def test_a_skip_is_a_failure_in_ci(tmp_path: Path) -> None:
    """By a whole run of its own: the rule is one of the runner."""
    (tmp_path / "conftest.py").write_text(
        "from tests.conftest import pytest_runtest_makereport as pytest_runtest_makereport\n", encoding="utf-8"
    )
    (tmp_path / "test_one.py").write_text(
        "import pytest\n\n\ndef test_left_out() -> None:\n    pytest.skip('no wish')\n", encoding="utf-8"
    )
    path = os.pathsep.join([str(CHECKOUT), str(CHECKOUT / "lib")])
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    codes = [
        subprocess.run(
            command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": path, "CI": ci}, capture_output=True, check=False
        ).returncode
        for ci in ("", "true")
    ]
    assert codes == [0, 1]


REPEATED = """
from pathlib import Path

import pytest


def test_that_holds_alone() -> None:
    Path("ran").touch() if not Path("ran").exists() else Path("again").touch()
    assert Path("again").exists()


@pytest.mark.parametrize("n", range({always}))
def test_that_never_holds(n: int) -> None:
    raise AssertionError


def test_that_holds() -> None:
    Path(f"held-{{len(list(Path().glob('held-*')))}}").touch()
"""


@pytest.mark.posix
@pytest.mark.parametrize(("always", "code", "repeated"), [(0, 0, True), (2, 1, True), (6, 1, False)])
def test_what_fails_beside_others_is_repeated_alone_and_what_fails_there_too_has_failed(
    always: int, code: int, repeated: bool, tmp_path: Path
) -> None:
    (tmp_path / "test_one.py").write_text(REPEATED.format(always=always), encoding="utf-8")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    done = subprocess.run(
        ["sh", str(CHECKOUT / "tests" / "run_tests.sh"), sys.executable],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert (tmp_path / "again").exists() == repeated
    assert ("== once more, alone" in done.stdout) == repeated
    assert len(list(tmp_path.glob("held-*"))) == 1  # what had passed is not run again


def test_without_npm_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from tests import clients

    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ClientMissing, match="install node and npm"):
        clients.binary("0.0.1")


# The scripted API, without a client


def _ask(
    api: ScriptedApi, prompt: str, session: str = "s", **headers: str
) -> tuple[int, dict[str, Any], dict[str, str]]:
    body = {"model": "m", "tools": [{"name": "Bash"}], "messages": [{"role": "user", "content": prompt}]}
    request = urllib.request.Request(
        f"{api.url}/v1/messages",
        json.dumps(body).encode(),
        {"content-type": "application/json", "x-claude-code-session-id": session, **headers},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as reply:
            return reply.status, json.load(reply), dict(reply.headers)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.load(refused), dict(refused.headers)


def _said(api: ScriptedApi, prompt: str, session: str = "s", **headers: str) -> str:
    return str(_ask(api, prompt, session, **headers)[1]["content"][0].get("text"))


def test_a_plan_is_played_in_order_for_its_session_or_prompt_only(api: ScriptedApi) -> None:
    api.set_plan({"steps": [{"text": "one", "times": 2}, {"text": "two"}], "default": {"text": "end"}})
    api.set_plan({"default": {"text": "for s2"}}, session="s2")
    api.set_plan({"default": {"text": "for the apple"}}, prompt="apple")
    assert [_said(api, "pear") for _ in range(4)] == ["one", "one", "two", "end"]
    assert _said(api, "pear", "s2") == "for s2" and _said(api, "an apple a day", "s3") == "for the apple"


def test_a_limit_names_its_reset_ends_by_itself_and_can_be_moved(api: ScriptedApi) -> None:
    reset = time.time() + 60
    api.limit_until(reset, "seven_day", after=1)
    served, _, before = _ask(api, "x")
    refused, body, headers = _ask(api, "x")
    assert (served, refused, body["error"]["type"]) == (200, 429, "rate_limit_error")
    assert before["anthropic-ratelimit-unified-status"] == "allowed"
    assert headers["anthropic-ratelimit-unified-representative-claim"] == "seven_day"
    assert 0 <= int(headers["anthropic-ratelimit-unified-reset"]) - reset <= 1
    api.move_reset(time.time() + 0.3)
    assert _ask(api, "x")[0] == 429
    time.sleep(0.35)
    assert _ask(api, "x")[0] == 200


def test_a_limit_can_belong_to_one_account(api: ScriptedApi) -> None:
    api.limit_until(time.time() + 60, account="first")
    codes = [_ask(api, "x", authorization=f"Bearer {token}")[0] for token in ("first", "second")]
    assert codes == [429, 200]


def test_it_runs_as_a_program_with_control_endpoints(tmp_path: Path) -> None:
    port_file = tmp_path / "port"
    program = subprocess.Popen(
        [
            sys.executable,
            str(CHECKOUT / "tests" / "fake_api.py"),
            "--port-file",
            str(port_file),
            "--limit",
            "five_hour",
        ],
        stdout=subprocess.DEVNULL,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
    )
    try:
        end = time.monotonic() + 20
        while not port_file.exists():
            assert time.monotonic() < end and program.poll() is None
            time.sleep(0.02)
        url = f"http://127.0.0.1:{port_file.read_text(encoding='utf-8')}"

        def post(path: str, document: object) -> None:
            urllib.request.urlopen(
                urllib.request.Request(url + path, json.dumps(document).encode()), timeout=10
            ).close()

        with pytest.raises(urllib.error.HTTPError, match="429"):
            post("/v1/messages", {"tools": [{}], "messages": []})
        post("/__limit", {"until": None})
        post("/__plan", {"plan": {"default": {"text": "served"}}})
        post("/v1/messages", {"tools": [{}], "messages": [{"role": "user", "content": "remember me"}]})
        with urllib.request.urlopen(f"{url}/__requests?after=1", timeout=10) as reply:
            requests = json.load(reply)
        assert [request["status"] for request in requests] == [200]
        assert requests[0]["body"]["messages"][0]["content"] == "remember me"
        post("/__stop", {})
        assert program.wait(timeout=10) == 0
    finally:
        program.kill()
        program.wait()


# Real clients against it


def test_a_turn_with_a_tool_ends_well(client: Client, api: ScriptedApi) -> None:
    api.set_plan({"steps": [bash("echo from-the-tool > made")], "default": {"text": "all finished"}})
    result = client.headless("make a file", "--allowedTools", "Bash")
    assert result.returncode == 0 and result.text == "all finished"
    assert (client.project / "made").read_text(encoding="utf-8") == "from-the-tool\n"
    assert [request.status for request in api.main_requests(result.session)] == [200, 200]


def test_a_key_logs_in_too(version: str, make_client: Callable[..., Client], api: ScriptedApi) -> None:
    client = make_client(version, auth="key")
    assert client.headless("hello").returncode == 0
    assert {request.auth for request in api.main_requests()} == {"key"}


def test_a_limit_in_the_middle_of_a_turn_and_the_same_session_after_it(client: Client, api: ScriptedApi) -> None:
    api.set_plan({"steps": [bash("echo the-first-result")], "default": {"text": "all finished"}})
    reset = time.time() + 5
    api.limit_until(reset, after=1)
    stopped = client.headless("the first prompt")
    assert stopped.returncode == 1 and "You've hit your" in stopped.text
    errors = [line for line in client.lines(stopped.session) if line.get("isApiErrorMessage") is True]
    assert [line["error"] for line in errors] == ["rate_limit"]
    if client.binary.resolve() != _lowest():
        assert abs(errors[0]["quotaLimits"]["resetsAt"] - reset) <= 1
    time.sleep(max(0.0, reset - time.time()) + 0.1)
    resumed = client.headless("the second prompt", "--resume", stopped.session)
    assert (resumed.returncode, resumed.session, resumed.text) == (0, stopped.session, "all finished")
    first = next(request for request in api.main_requests(stopped.session) if request.time > reset)
    for earlier in ("the first prompt", "the-first-result", "the second prompt"):
        assert earlier in first.text


def _lowest() -> Path:
    from tests import clients

    return clients.binary(LOWEST).resolve()


@pytest.mark.parametrize("claim", ["seven_day", "seven_day_opus", "overage", "org_spend"])
def test_the_client_names_each_limit_in_its_own_words(claim: str, client: Client, api: ScriptedApi) -> None:
    words = {"seven_day": "weekly", "seven_day_opus": "Opus", "overage": "usage credits", "org_spend": "limit"}
    api.limit_until(time.time() + 3600, claim)
    stopped = client.headless("hello")
    assert stopped.returncode == 1 and words[claim] in stopped.text


@pytest.mark.parametrize("failure", ["credit_balance_400", "spend_cap_400", "too_long_400", "model_404", "other_400"])
def test_a_failure_without_retries_ends_the_run_with_an_error(failure: str, client: Client, api: ScriptedApi) -> None:
    api.set_plan({"default": FAILURES[failure](time.time() + 3600)})
    result = client.headless("hello", CLAUDE_CODE_MAX_RETRIES="0")
    assert result.returncode == 1 and result.document["is_error"] is True


@pytest.mark.posix
def test_the_interactive_client_answers_on_a_terminal(client: Client, api: ScriptedApi) -> None:
    api.set_plan({"default": {"text": "an answer on the screen"}})
    with client.tmux() as terminal:
        terminal.wait_for("for shortcuts|auto mode|❯")
        terminal.say("say something")
        terminal.wait_for("an answer on the screen")
        assert "say something" in api.wait_for(bool)[0].text


@pytest.mark.posix
def test_the_lowest_client_opens_its_menu_at_a_limit(make_client: Callable[..., Client], api: ScriptedApi) -> None:
    with _limited(make_client(LOWEST), api) as terminal:
        terminal.wait_for(INTERRUPTED)


@pytest.mark.posix
def test_the_newest_client_waits_for_the_reset_by_itself(make_client: Callable[..., Client], api: ScriptedApi) -> None:
    with _limited(make_client(NEWEST), api) as terminal:
        screen = terminal.wait_for("Continuing automatically at")
        assert INTERRUPTED not in screen


def _limited(client: Client, api: ScriptedApi) -> Terminal:
    """The interactive client, at a limit that resets in 10 minutes."""
    api.limit_until(time.time() + 600)
    terminal = client.tmux()
    try:
        terminal.wait_for("for shortcuts|auto mode|❯")
        terminal.say("do the work")
        api.wait_for(bool)
    except BaseException:
        terminal.close()
        raise
    return terminal
