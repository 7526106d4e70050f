"""Secrets in forty places of a worktree and a conversation: none is in any object of the remote, and the person is told."""

from __future__ import annotations

import itertools
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.plan import bash
from tests.clients import Client
from tests.fake_api import ScriptedApi
from tests.lib.work.stage import tree
from tests.relay import remote_scan
from tests.relay.conftest import Pc
from trinity import git

pytestmark = pytest.mark.posix


class Secrets:
    """Makes secrets that are all different, and knows where each was put."""

    def __init__(self) -> None:
        self.where: dict[str, str] = {}
        self._numbers = itertools.count(1000)

    def token(self, where: str) -> str:
        """A token of a kind that is known wherever it stands."""
        number = next(self._numbers)
        body = f"{number}" + "aB3dE5" * 6
        made = [f"sk-ant-api03-{body}", f"ghp_{body}", f"glpat-{body}", f"xoxb-{number}-{body}", f"hf_{body}"][
            number % 5
        ]
        return self._put(made, where)

    def word(self, where: str) -> str:
        """A password that only what stands around it gives away."""
        return self._put(f"Hunter-{next(self._numbers)}-xyzzy", where)

    def key(self, where: str) -> str:
        body = self._put(f"b3BlbnNzaC1rZXk{next(self._numbers)}AAAABG5vbmUAAAAE", where)
        return f"-----BEGIN OPENSSH PRIVATE KEY-----\n{body}\n-----END OPENSSH PRIVATE KEY-----\n"

    def _put(self, secret: str, where: str) -> str:
        self.where[secret] = where
        return secret

    def found(self, contents: Iterator[tuple[str, bytes]]) -> list[str]:
        sought = [
            (spelling, where) for secret, where in self.where.items() for spelling in remote_scan.spellings(secret)
        ]
        return [f"{where}: in {name}" for name, data in contents for spelling, where in sought if spelling in data]


def _sh(folder: Path, script: str) -> None:
    done = subprocess.run(["sh", "-ec", script], cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def _worktree(work: Path, secrets: Secrets) -> set[str]:
    """Plant secrets in a worktree whose commits are published; returns the paths that must be told to stay."""
    written = {
        ".env": f"API_KEY={secrets.word('.env')}\nTOKEN={secrets.token('.env')}\n",
        "conf/.env.local": f"DB_PASSWORD={secrets.word('.env.local')}\n",
        "deploy": secrets.key("a private key without an ending"),
        "id_ed25519": secrets.key("an ssh key"),
        "server.pem": secrets.key("a key by its name"),
        "changed.txt": f"before\n{secrets.token('a tracked file')}\n",
        ".npmrc": f"//registry.example/:_authToken={secrets.word('.npmrc')}\n",
        ".pypirc": f"[private]\nusername = me\npassword = {secrets.word('.pypirc')}\n",
        ".netrc": f"machine example.com login me password {secrets.word('.netrc')}\n",
        "infra.tfstate": f'{{"password": "{secrets.word("a state of terraform")}"}}\n',
        f"note-{secrets.token('the name of a file')}.txt": "nothing\n",
        "flagged.txt": f"{secrets.token('an assume-unchanged file')}\n",
        "hidden.txt": f"{secrets.token('a skip-worktree file')}\n",
        "intended.txt": f"{secrets.token('a file added with intent only')}\n",
        ".claude/settings.local.json": json.dumps({"env": {"K": secrets.token("granted permissions")}}),
        "build/out.txt": f"{secrets.token('an ignored file')}\n",
    }
    for name, text in written.items():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_text(text, encoding="utf-8")
    (work / "blob.bin").write_bytes(b"\0\1\2" + secrets.token("a binary file").encode() + b"\xff")
    (work / "wide.txt").write_bytes(b"\xff\xfe" + f"x {secrets.token('a file in UTF-16')}\n".encode("utf-16-le"))
    (work / "plain.txt").write_text("travels-in-a-file\n", encoding="utf-8")
    (work / "link").symlink_to(f"../{secrets.token('the target of a link')}")
    (work / f"link-{secrets.token('the name of a link')}").symlink_to("plain.txt")
    (work / f"empty-{secrets.token('the name of an empty folder')}").mkdir()
    _sh(
        work,
        "git update-index --assume-unchanged flagged.txt; git update-index --skip-worktree hidden.txt; "
        "git add -N intended.txt; git add -f .env",
    )
    for name, then in (
        ("staged.txt", "echo clean >staged.txt"),
        ("deleted.txt", "rm deleted.txt"),
        ("kept.txt", "echo kept >kept.txt"),
    ):
        (work / name).write_text(f"{secrets.token(f'staged and then gone: {name}')}\n", encoding="utf-8")
        _sh(work, f"git add {name}; {then}")
    inside = work / "nested"
    _sh(work, "git init -q nested; cd nested; echo 1 >f; git add f; git commit -qm n")
    (inside / ".env").write_text(f"K={secrets.token('.env of a repository inside')}\n", encoding="utf-8")
    (inside / "g").write_text("travels-inside\n", encoding="utf-8")
    (inside / "f").write_text(f"{secrets.token('a file of a repository inside')}\n", encoding="utf-8")
    _sh(inside, f"git remote add origin https://me:{secrets.word('an address inside')}@example.invalid/n.git")
    _sh(
        work,
        f"git remote add web 'https://me:{secrets.word('an address')}@example.invalid/p?token={secrets.token('a query')}'; "
        f"git remote add shell ssh://git:{secrets.word('an address of ssh')}@example.invalid/p; "
        f"git remote add opaque https://{secrets.token('an address with a token alone')}@example.invalid/p; "
        f"git config user.apiToken {secrets.token('a setting of git')}; "
        f"echo '/{secrets.token('a rule of ignored names')}' >>.git/info/exclude; "
        f"git branch 'other-{secrets.token('the name of a branch')}'; "
        f"echo '# {secrets.token('a hook')}' >.git/hooks/pre-push; chmod +x .git/hooks/pre-push",
    )
    return {name for name in written if "note-" not in name and "build/" not in name} | {
        *("blob.bin", "wide.txt", "link", "staged.txt", "deleted.txt", "kept.txt", "nested/.env", "nested/f"),
    }


def _conversation(transcript: Path, secrets: Secrets) -> None:
    """Plant secrets in the lines and files that a client keeps beside what it was asked."""
    last = json.loads(transcript.read_text(encoding="utf-8").splitlines()[0])
    base = {key: last[key] for key in ("sessionId", "cwd", "version", "timestamp") if key in last}
    lines: list[dict[str, Any]] = [
        {"type": "last-prompt", "lastPrompt": f"use {secrets.token('the last prompt')}"},
        {"type": "queue-operation", "operation": "enqueue", "content": f"and {secrets.token('a queued prompt')}"},
        {"type": "summary", "summary": f"Bearer {secrets.word('a bearer')}", "leafUuid": "x"},
        {"type": "attachment", "attachment": {"type": "file", "name": secrets.token("a name in an attachment")}},
        {
            "type": "progress",
            "data": {"output": f"PASSWORD='{secrets.word('an assignment')}'", "id": secrets.token("an id")},
        },
        {"type": "system", "content": f"https://me:{secrets.word('an address in a line')}@example.invalid/"},
        {"type": "x-unknown", "deep": [{"er": {secrets.token("a key of a dict"): secrets.key("a key in a line")}}]},
        {"type": "file-history-snapshot", "snapshot": {"a": "q" * 1200 + " AKIA" + secrets.token("text like base64")}},
    ]
    with transcript.open("a", encoding="utf-8") as stream:
        for line in lines:
            stream.write(json.dumps({**base, **line}, separators=(",", ":")) + "\n")
        stream.write(f"no json {secrets.token('a line that is no JSON')}\n")
        stream.write(f'{{"type":"user","message":"torn {secrets.token("a torn line")}')
    beside = transcript.with_suffix("")
    planted = {
        beside / "subagents" / "agent-a1.jsonl": json.dumps(
            {"type": "user", "message": {"role": "user", "content": f"{secrets.token('a subagent')}"}}
        ),
        beside / "subagents" / "agent-a1.meta.json": json.dumps({"description": secrets.token("a subagent's facts")}),
        beside / "tool-results" / "t1.txt": f"long output {secrets.token('a saved tool output')}",
        beside / "tool-results" / "t2.bin": "\0" + secrets.token("a saved output that is no text"),
        beside / "tool-results" / f"{secrets.token('the name of a saved output')}.txt": "nothing",
        transcript.parents[2] / "tasks" / transcript.stem / "1.json": json.dumps(
            {"id": "1", "subject": f"use {secrets.token('a task')}", "description": "", "status": "pending"}
        ),
    }
    for path, text in planted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")


@pytest.fixture
def one(make_client: Callable[..., Client], api: ScriptedApi, tmp_path: Path) -> Iterator[Pc]:
    """PC1 of a fleet, with a published project."""
    fleet = git.init_bare(tmp_path / "fleet.git", server=True).path
    made = Pc(make_client("newest", name="pc1"), api)
    assert made.program("install", "--no-timers", "--pc", "PC1", "--fleet", str(fleet)).returncode == 0
    work = made.client.project
    _sh(
        work,
        "git init -q -b main; echo build/ >.gitignore; echo kept >kept.txt; echo before >changed.txt; echo f >flagged.txt; "
        f"echo h >hidden.txt; git add .; git commit -qm first; git init -q --bare '{tmp_path}/project.git'; "
        f"git remote add origin '{tmp_path}/project.git'; git push -q origin main",
    )
    yield made
    made.unwatch()


def test_no_secret_is_in_any_object_of_the_remote_and_the_person_sees_what_stayed(one: Pc, tmp_path: Path) -> None:
    secrets = Secrets()
    work = one.client.project
    asked, said, ran = (
        secrets.token(where) for where in ("the prompt", "the model's words", "a tool's input and output")
    )
    one.api.set_plan({"steps": [bash(f"echo {ran} >/dev/stderr; echo {ran}", text=f"I use {said}")]})
    one.api.limit_until(float("inf"), after=1, lasts=600)
    stopped = one.client.headless(
        f"travels-in-words with {asked}", "--permission-mode", "acceptEdits", "--allowedTools", "Bash"
    )
    transcript = one.client.transcript(stopped.session)
    _conversation(transcript, secrets)

    # What is committed cannot be left out: such work stays here until a person has taken the secret out.
    _sh(
        work,
        f"echo {secrets.token('a commit that no remote has')} >oops; git add oops; git commit -qm oops; git rm -q oops",
    )
    _sh(work, f"git commit -qm 'without {secrets.token('the message of a commit')}'; git reset -q")
    refused = one.program("save_handoff", "--to", "PC2", "--session", stopped.session)
    assert refused.returncode == 1 and "oops" in refused.stderr and "no remote has" in refused.stderr
    _sh(work, "git reset -q --hard origin/main")

    _sh(work, f"echo {secrets.token('a stash')} >>changed.txt; git stash -q")
    stay = _worktree(work, secrets)
    before = tree(work)
    sent = one.program("save_handoff", "--to", "PC2", "--session", stopped.session)
    assert sent.returncode == 0, sent.stderr
    assert tree(work) == before, "no byte and no time of the worktree, the index, the references and the rest of .git"

    # The scan sees what did travel, in every place that secrets were put into.
    marks = Secrets()
    marks.where = {word: word for word in ("travels-in-a-file", "travels-inside", "travels-in-words")}
    contents = list(remote_scan.everything(tmp_path / "fleet.git", tmp_path / "project.git", tmp_path / "box"))
    seen = {leak.partition(":")[0] for leak in marks.found(iter(contents))}
    assert seen == set(marks.where)
    leaks = secrets.found(iter(contents))
    assert not leaks, "\n".join(leaks)
    assert len(secrets.where) > 40

    # The person sees what was withheld at once, all of it in the log, and in neither a secret.
    record = one.handoffs()[0]
    assert record["parts"]["bytes"] > 1000 and len(json.dumps(record)) < 10_000
    assert ".env" in sent.stdout and "withheld" in sent.stdout and "replaced by tags" in sent.stdout
    log = (one.home.logs / "left_out.log").read_text(encoding="utf-8")
    assert {name for name in stay if f" {name} (" not in log} == set()
    told = [("log", log.encode()), ("answer", sent.stdout.encode()), ("record", json.dumps(record).encode())]
    assert secrets.found(iter(told)) == []
    assert any("stashes stay" in note for note in record["notes"]) or "more: logs/handoff.log" in record["notes"][-1]
