"""From PC to PC: the same conversation on the same files, and home again."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.api.plan import bash
from tests.clients import Client
from tests.fake_api import ScriptedApi
from tests.relay.conftest import PROMPT, Pc
from trinity import config, git
from trinity.usage import ledger, updating

pytestmark = pytest.mark.posix
TOKEN = "ghp_abcdefghijklmnopqrstuvwxyz0123456789"
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n-----END OPENSSH PRIVATE KEY-----\n"
STATUS = ("status", "--porcelain=v2", "--untracked-files=all")


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
    return done.stdout


def _join(client: Client, api: ScriptedApi, name: str, fleet: Path, kind: str = "unknown") -> Pc:
    made = Pc(client, api)
    account = ("--account", f"of {name}", "--account-kind", kind)
    answer = made.program("install", "--no-timers", "--pc", name, "--fleet", str(fleet), *account)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return made


@pytest.fixture(params=["2.1.197", "newest"])
def two(
    request: pytest.FixtureRequest, make_client: Callable[..., Client], api: ScriptedApi, tmp_path: Path
) -> Iterator[tuple[Pc, Pc]]:
    """PC1 with a project that has uncommitted work, PC2 with its own clone; each with its own login."""
    fleet = git.init_bare(tmp_path / "fleet.git", server=True).path
    project = tmp_path / "project.git"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(project)], check=True)
    one = _join(make_client(request.param, name="pc1", token="token-of-pc1"), api, "PC1", fleet)
    two = _join(make_client(request.param, name="pc2", token="token-of-pc2"), api, "PC2", fleet)
    work = one.client.project
    _git(work, "init", "-q", "-b", "main")
    (work / "kept.txt").write_text("kept\n", encoding="utf-8")
    (work / "changed.txt").write_text("before\n", encoding="utf-8")
    _git(work, "add", ".")
    _git(work, "commit", "-qm", "first")
    _git(work, "remote", "add", "origin", str(project))
    _git(work, "push", "-q", "origin", "main")
    (work / "changed.txt").write_text("after\n", encoding="utf-8")
    (work / "staged.txt").write_text("staged\n", encoding="utf-8")
    _git(work, "add", "staged.txt")
    (work / ".env").write_text("ANTHROPIC_API_KEY=sk-ant-api03-abcdefghijklmnop\n", encoding="utf-8")
    (work / "deploy_key").write_text(KEY, encoding="utf-8")
    (two.client.home / "projects").mkdir()
    subprocess.run(["git", "clone", "-q", str(project), str(two.client.home / "projects" / "clone")], check=True)
    document = json.loads(two.home.config_file.read_text(encoding="utf-8"))
    document["roots"] = [str(two.client.home / "projects")]
    document["poll_seconds"] = 1
    two.home.config_file.write_text(json.dumps(document), encoding="utf-8")
    yield one, two
    one.unwatch()
    two.unwatch()


def _nowhere(repository: Path, *secrets: bytes) -> None:
    """No object of the repository holds one of these, a bundle inside a blob included."""
    listed = _git(repository, "cat-file", "--batch-check", "--batch-all-objects").splitlines()
    assert len(listed) > 20
    for oid in (line.split()[0] for line in listed):
        kind = _git(repository, "cat-file", "-t", oid).strip()
        data = subprocess.run(
            ["git", "-C", str(repository), "cat-file", kind, oid], capture_output=True, check=True
        ).stdout
        assert not any(secret in data for secret in secrets)
        if data.startswith((b"# v2 git bundle", b"# v3 git bundle")):
            unpacked = repository.parent / f"bundle-{oid}"
            subprocess.run(["git", "init", "-q", "--bare", str(unpacked)], check=True)
            pack = data.partition(b"\n\n")[2]
            subprocess.run(
                ["git", "-C", str(unpacked), "unpack-objects", "-q"], input=pack, capture_output=True, check=False
            )
            for inner in _git(unpacked, "cat-file", "--batch-check", "--batch-all-objects").splitlines():
                blob = subprocess.run(
                    ["git", "-C", str(unpacked), "cat-file", inner.split()[1], inner.split()[0]], capture_output=True
                ).stdout
                assert not any(secret in blob for secret in secrets)


def _counted_where_paid(*pcs: Pc) -> None:
    """Each PC's ledger has the answers that its own account got, and no other, though the conversation lies on all."""
    for pc in pcs:
        updating.update(pc.home, config.load(pc.home))
        with ledger.opened(pc.home) as connection:
            counted = connection.execute("SELECT COUNT(*), COUNT(DISTINCT session_id) FROM message").fetchone()
        # Titles are asked for without tools, and stand in no transcript.
        served = [r for r in pc.api.main_requests() if r.account == pc.client.token and r.status == 200]
        assert counted == (len(served), 1), pc.story([])


def test_work_goes_to_the_next_pc_and_comes_home(two: tuple[Pc, Pc]) -> None:
    one, two_ = two
    api, work = one.api, one.client.project
    api.set_plan({"steps": [bash("echo one > a.txt"), bash("echo two > b.txt")], "default": {"text": "all is done"}})
    api.limit_until(float("inf"), after=1, lasts=600, account=one.client.token)
    asked_for = f"{PROMPT}; my token is {TOKEN}"
    stopped = one.client.headless(asked_for, "--permission-mode", "acceptEdits", "--allowedTools", "Bash")
    assert stopped.returncode == 1 and "limit" in stopped.text
    before = _git(work, *STATUS), _git(work, "reflog"), _git(work, "stash", "list")

    sent = one.program("save_handoff", "--to", "PC2", "--session", stopped.session)
    assert sent.returncode == 0, sent.stderr
    assert ".env" in sent.stdout and "deploy_key" in sent.stdout and "github" in sent.stdout  # withheld, and said so
    two_.configure(resume={"permission_mode": "acceptEdits"})
    two_.watch()
    done = two_.settle(lambda found: [r["state"] for r in found] == ["done"], timeout=60)[0]
    assert done["owner"] == "PC2" and two_.resumes() == 1 and one.resumes() == 0
    assert not list(two_.home.lease.glob("*.json"))  # given back
    served = [r for r in api.main_requests(stopped.session) if r.account == two_.client.token]
    assert PROMPT in served[0].text and "echo one > a.txt" in served[0].text and str(work) in served[0].text

    # PC2 has the same uncommitted files, but for the secret and what it did since.
    place = next((two_.home.root / "work").glob("project-*"))
    there = _git(place, *STATUS)
    assert [line for line in before[0].splitlines() if not line.endswith((".env", "deploy_key"))] == [
        line for line in there.splitlines() if not line.endswith("b.txt")
    ]
    assert (place / "changed.txt").read_text(encoding="utf-8") == "after\n"
    assert (_git(work, *STATUS), _git(work, "reflog"), _git(work, "stash", "list")) == before
    _nowhere(one.home.root.parents[1] / "fleet.git", b"sk-ant-api03", TOKEN.encode(), b"b3BlbnNzaC1r")

    # The old PC refuses the conversation, and nothing reaches the API.
    asked = len(api.requests)
    refused = one.client.headless("go on", "--resume", stopped.session)
    assert "PC2" in refused.stdout + refused.stderr and len(api.main_requests()) == len(
        [r for r in api.requests[:asked] if r.main]
    )

    home = one.program("accept_handoff", done["id"], "--take-back", "--json")
    assert home.returncode == 0, home.stderr
    back = json.loads(home.stdout)
    assert back["equal"], back["differences"]
    assert _git(Path(back["session"]["cwd"]), *STATUS) == there
    assert (_git(work, *STATUS), _git(work, "reflog")) == before[:2]
    api.lift()
    again = one.client.headless("what next?", "--resume", stopped.session, cwd=Path(back["session"]["cwd"]))
    assert again.returncode == 0 and "echo two > b.txt" in api.main_requests(stopped.session)[-1].text
    _counted_where_paid(one, two_)


def test_by_itself_it_goes_where_the_account_may_relieve_and_else_says_why_not(
    make_client: Callable[..., Client], api: ScriptedApi, tmp_path: Path
) -> None:
    fleet = git.init_bare(tmp_path / "fleet.git", server=True).path
    pcs = [
        _join(make_client("newest", name=f"pc{n}", token=f"token-of-pc{n}"), api, f"PC{n}", fleet, "api")
        for n in (1, 2)
    ]
    three = _join(make_client("newest", name="pc3", token="token-of-pc3"), api, "PC3", fleet, "subscription")
    one, two = pcs
    try:
        for pc in (one, two, three):
            pc.configure_top(poll_seconds=1)
            pc.watch()
        api.set_plan({"steps": [bash("echo one > a.txt")], "default": {"text": "all is done"}})
        api.limit_until(float("inf"), after=1, lasts=600, account=one.client.token)
        stopped = one.client.headless(PROMPT, "--permission-mode", "acceptEdits", "--allowedTools", "Bash")
        done = two.settle(lambda found: [r["state"] for r in found] == ["done"], timeout=60)[0]
        assert done["owner"] == "PC2" and done["from_pc"] == "PC1" and two.resumes() == 1
        assert [r.account for r in api.main_requests(stopped.session) if not r.limited][-1] == two.client.token

        # A personal subscription is relieved by nobody whom nobody allowed: parked, with the reason.
        api.limit_until(float("inf"), lasts=600, account=three.client.token)
        three.client.headless("something else")
        parked = three.settle(lambda found: any(r["state"] == "parked" for r in found), timeout=30)
        mine = next(r for r in parked if r["from_pc"] == "PC3")
        assert "PC1: " in mine["outcome"] and "budget" in mine["outcome"] and mine["to_pc"] == "PC3"
        assert three.resumes() == 0
    finally:
        for pc in (one, two, three):
            pc.unwatch()
