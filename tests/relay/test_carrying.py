"""What of a conversation and its files is sent, by this PC's configuration and by what is in them."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trinity import config, files, git, home
from trinity.fleet import parts
from trinity.relay import carrying
from trinity.relay.link import Link
from trinity.work import handoff
from trinity.work.carry import pack
from trinity.work.carry.shapes import Parcel

pytestmark = pytest.mark.posix
TOKEN = "sk-ant-" + "api03-" + "Q7w" * 12
SESSION = "57835f22-9bc7-42a5-89a5-423c249df579"
Send = Callable[..., tuple[carrying.Sent, dict[str, bytes]]]


@pytest.fixture
def send(tmp_path: Path) -> Send:
    """Send a conversation with these blocks of the model, from a dirty worktree; what the remote has then, by name."""
    work = tmp_path / "work"
    work.mkdir()
    script = "git init -q -b main; echo 1 >a; git add a; git commit -qm one; echo 2 >>a"
    subprocess.run(["sh", "-ec", script], cwd=work, check=True)
    state = home.open_home(tmp_path / "home", create=True)
    remote = git.init_bare(tmp_path / "fleet.git", server=True).path
    made = config.Config(fleet_url=str(remote), profiles=(str(tmp_path / "profile"),))

    def go(*blocks: dict[str, Any], **settings: Any) -> tuple[carrying.Sent, dict[str, bytes]]:
        transcript = tmp_path / "profile" / "projects" / "-work" / f"{SESSION}.jsonl"
        transcript.parent.mkdir(parents=True, exist_ok=True)
        line = {"type": "assistant", "message": {"role": "assistant", "content": list(blocks)}, "sessionId": SESSION}
        transcript.write_text(json.dumps(line) + "\n", encoding="utf-8")
        link = Link(state, dataclasses.replace(made, **settings))
        session = {"session_id": SESSION, "cwd": str(work), "transcript_path": str(transcript), "interactive": False}
        record: dict[str, Any] = {"id": handoff.new_id(1.8e9), "epoch": 0, "sessions": [session]}
        sent = carrying.send(link, record)
        if sent.parts is None:
            return sent, {}
        fetched = parts.fetch_parts(
            link.state, record["id"], 0, tmp_path / f"fetched-{record['id']}", sent.parts["oid"]
        )
        return sent, {name: path.read_bytes() for name, path in fetched.items()}

    return go


def test_a_conversation_is_redacted_unless_configured(send: Send) -> None:
    said = {"type": "text", "text": f"the key is {TOKEN}"}
    sent, there = send(said)
    assert (
        TOKEN.encode() not in b"".join(there.values())
        and b"[REDACTED-anthropic-" in there["conversation/conversation.jsonl"]
    )
    assert any("replaced by tags: 1 anthropic" in note for note in sent.notes)
    sent, there = send(said, conversation="full")
    assert TOKEN.encode() in there["conversation/conversation.jsonl"] and "replaced" not in " ".join(sent.notes)
    sent, there = send(said, conversation="none")
    assert carrying.MANIFEST in there and not any(name.startswith("conversation/") for name in there)
    assert any("handed over in words" in note for note in sent.notes)


def test_a_secret_in_a_signed_thought_keeps_the_conversation_here_and_not_the_files(send: Send) -> None:
    sent, there = send({"type": "thinking", "thinking": f"so it is {TOKEN}", "signature": "c2ln" * 20})
    assert carrying.BUNDLE in there and not any(name.startswith("conversation/") for name in there)
    assert TOKEN.encode() not in b"".join(there.values())
    assert any("1 secrets in the model's signed thoughts" in note and "in words" in note for note in sent.notes)


def test_conversation_and_files_share_what_may_travel(
    send: Send, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carrying, "CAP_FILE", 1_000_000)
    monkeypatch.setattr(carrying, "CAP_TOTAL", 2_000_000)
    outputs = tmp_path / "profile" / "projects" / "-work" / SESSION / "tool-results"
    outputs.mkdir(parents=True)
    for name, size in (("small.txt", 800_000), ("large.txt", 1_100_000)):
        (outputs / name).write_bytes(b"x" * size)
    for number in range(60):
        (tmp_path / "work" / f"u{number:02}").write_bytes(b"y" * 100_000)
    sent, there = send({"type": "text", "text": "hello"})
    assert "conversation/session/tool-results/small.txt" in there
    stayed = {line["path"]: line["reason"] for line in sent.left_out}
    assert stayed["session/tool-results/large.txt"] == "larger than 1 MB"
    left = [path for path in stayed if path.startswith("u")]
    assert 45 <= len(left) <= 50 and {stayed[path] for path in left} == {"beyond 1 MB in all"}
    # A record holds a line of it, the log every one.
    assert any(
        f"left behind, {len(stayed)} files of" in note and "more (logs/left_out.log)" in note for note in sent.notes
    )
    assert all(len(note) <= 300 for note in sent.notes)
    log = (tmp_path / "home" / "logs" / "left_out.log").read_text(encoding="utf-8")
    assert all(f" {path} (" in log for path in stayed)


def test_what_did_not_hold_still_and_what_stays_is_said_to_the_person(
    send: Send, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = tmp_path / "profile" / "projects" / "-work" / "memory"
    memory.mkdir(parents=True)
    (memory / "MEMORY.md").write_text("remember\n", encoding="utf-8")
    real = pack.pack

    def moving(*arguments: Any, **options: Any) -> Parcel:
        return dataclasses.replace(real(*arguments, **options), consistent=False, moving=["a", "b"])

    monkeypatch.setattr(pack, "pack", moving)
    sent, _ = send({"type": "text", "text": "hello"})
    assert sent.notes[0] == "somebody was still writing, not of one moment: a, b"
    assert any("memory of this project stays" in note for note in sent.notes)


def test_what_stays_is_in_the_log_once_however_often_work_is_sent(
    send: Send, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work" / ".env").write_text("A=1\n", encoding="utf-8")
    monkeypatch.setattr(handoff, "new_id", lambda t: "0123456789abcdef")
    monkeypatch.setattr(parts, "fetch_parts", lambda *arguments: {})
    for _ in range(2):
        send({"type": "text", "text": "hello"})
    log = (tmp_path / "home" / "logs" / "left_out.log").read_text(encoding="utf-8")
    assert (
        log.count("0123456789abcdef .env (withheld: an environment file, by its name), 4 bytes") == 1 == log.count("\n")
    )


def test_a_transcript_that_is_too_large_is_handed_over_in_words(send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carrying, "CAP_TOTAL", 2_000_000)
    sent, there = send({"type": "text", "text": "x" * 1_200_000})
    assert carrying.MANIFEST in there and not any(name.startswith("conversation/") for name in there)
    assert any("handed over in words: it has 1 MB" in note for note in sent.notes)


def test_the_record_stays_small_whatever_is_to_be_said() -> None:
    record = handoff.build(
        now=1.8e9, from_pc="PC1", to_pc="PC2", reason="r", account="0" * 16, credit_state={},
        excerpts=["e" * 600] * 5, current_work={"first_prompt": "p" * 5000, "last_prompt": "q" * 5000},
        task_queue=[{"id": str(n), "priority": "low", "description": "d" * 250} for n in range(30)],
    )  # fmt: skip
    made = handoff.with_notes(record, [f"{number} " + "n" * 400 for number in range(40)], "logs/handoff.log")
    assert len(files.dump_json(made)) < handoff.MAX_BYTES and made["notes"][-1].endswith("more: logs/handoff.log")
    assert handoff.with_notes(record, ["one"], "x")["notes"] == ["one"] and "notes" not in handoff.with_notes(
        record, [], "x"
    )
