"""What stands in for Claude Code in the demo of a machine that cannot fetch it: recordings of the real client, played.

It takes the arguments with which Trinity starts a client (`-p`, `--resume`, the prompt as argument or on stdin), asks the
same scripted API, writes transcript lines as recorded from 2.1.328, and runs the hooks that the settings really register
with the payloads recorded from it. It knows one tool, Write. Nothing here is imported by Trinity.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

VERSION = "2.1.328"
HERE = Path(__file__).resolve().parent
PAYLOADS = HERE / "hooks" / "payloads" / VERSION
CLAIM = "anthropic-ratelimit-unified-representative-claim"
RESET = "anthropic-ratelimit-unified-reset"


class Limited(Exception):
    """The API refused: `status`, `claim` and `resets_at` as its reply said."""

    def __init__(self, status: int, claim: str, resets_at: int) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.claim = claim
        self.resets_at = resets_at


class Conversation:
    """One session: its transcript on disk, and the hooks that hear of it."""

    def __init__(self, session: str, cwd: Path, permission_mode: str) -> None:
        self.session = session
        self.cwd = str(cwd)
        self.permission_mode = permission_mode
        self.configuration = Path(os.environ.get("CLAUDE_CONFIG_DIR") or Path.home() / ".claude")
        slug = re.sub(r"[^A-Za-z0-9]", "-", self.cwd)
        self.file = self.configuration / "projects" / slug / f"{session}.jsonl"
        self.prompt_id = str(uuid.uuid4())
        self.recorded = json.loads((HERE / "demo_recording.json").read_text(encoding="utf-8"))
        self.lines: list[dict[str, Any]] = []
        if self.file.exists():
            self.lines = [json.loads(line) for line in self.file.read_text(encoding="utf-8").splitlines()]

    def write(self, kind: str, **changes: Any) -> None:
        """Append the recorded line of this kind, as it would be here and now."""
        line = deepcopy(self.recorded[kind])
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        mine = {
            "parentUuid": self.lines[-1]["uuid"] if self.lines else None,
            "uuid": str(uuid.uuid4()),
            "timestamp": now,
            "cwd": self.cwd,
            "sessionId": self.session,
        }
        for key, value in {"promptId": self.prompt_id, "permissionMode": self.permission_mode, **mine}.items():
            if key in line or key in mine:
                line[key] = value
        line |= changes
        self.lines.append(line)
        self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(self.file, "a", encoding="utf-8", newline="\n") as stream:
            stream.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")

    def messages(self) -> list[dict[str, Any]]:
        """The history as the API gets it: error lines are not sent."""
        kept = [line["message"] for line in self.lines if not line.get("isApiErrorMessage")]
        return [{"role": message["role"], "content": message["content"]} for message in kept]

    def ask(self) -> dict[str, Any]:
        """One request with the whole history; raises Limited."""
        body = {"model": "recorded", "max_tokens": 1024, "tools": [{"name": "Write"}], "messages": self.messages()}
        request = urllib.request.Request(
            os.environ["ANTHROPIC_BASE_URL"] + "/v1/messages",
            json.dumps(body).encode(),
            {
                "content-type": "application/json",
                "authorization": "Bearer " + os.environ.get("CLAUDE_CODE_OAUTH_TOKEN", ""),
                "x-claude-code-session-id": self.session,
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                message: dict[str, Any] = json.load(reply)
                return message
        except urllib.error.HTTPError as refused:
            claim, reset = refused.headers.get(CLAIM, ""), refused.headers.get(RESET, "0")
            raise Limited(refused.code, claim, int(reset)) from None

    def hook(self, event: str, recorded: str | None = None, wait: bool = True, **changes: Any) -> str:
        """Run what the settings register for `event` with the recorded payload; returns what it said."""
        payload = json.loads((PAYLOADS / f"{recorded or event}.json").read_text(encoding="utf-8"))
        payload |= {"session_id": self.session, "transcript_path": str(self.file), "cwd": self.cwd}
        payload |= {key: self.prompt_id for key in ("prompt_id",) if key in payload}
        payload |= {key: self.permission_mode for key in ("permission_mode",) if key in payload}
        payload |= changes
        settings = json.loads((self.configuration / "settings.json").read_text(encoding="utf-8"))
        environment = {
            **os.environ,
            "CLAUDECODE": "1",
            "CLAUDE_CODE_ENTRYPOINT": "sdk-cli",
            "CLAUDE_CODE_SESSION_ID": self.session,
            "CLAUDE_PROJECT_DIR": self.cwd,
            "CLAUDE_PID": str(os.getpid()),
        }
        said = ""
        for group in settings.get("hooks", {}).get(event, []):
            for hook in group["hooks"]:
                command = [hook["command"], *hook["args"]] if "args" in hook else ["/bin/sh", "-c", hook["command"]]
                done = subprocess.run(
                    command, cwd=self.cwd, env=environment, input=json.dumps(payload).encode(), capture_output=True,
                    timeout=60, check=False,
                )  # fmt: skip
                said += done.stdout.decode("utf-8", "replace")
                if done.returncode == 2 and event == "UserPromptSubmit":
                    why = done.stderr.decode("utf-8", "replace")
                    raise SystemExit(f"UserPromptSubmit operation blocked by hook:\n{why}")
        return said


def turn(conversation: Conversation, prompt: str) -> tuple[int, str]:
    """From the prompt to the last answer, or to the limit; the exit code and the text."""
    conversation.hook("UserPromptSubmit", prompt=prompt)
    conversation.write("prompt", message={"role": "user", "content": prompt})
    while True:
        try:
            message = conversation.ask()
        except Limited as limit:
            return 1, _stopped(conversation, limit)
        conversation.write("answer", message=message, requestId="req_" + uuid.uuid4().hex[:20])
        calls = [block for block in message["content"] if block["type"] == "tool_use"]
        if not calls:
            text = "".join(block.get("text", "") for block in message["content"])
            conversation.hook("Stop", last_assistant_message=text)
            conversation.hook("SessionEnd")
            return 0, text
        for call in calls:
            _run_tool(conversation, call)


def _run_tool(conversation: Conversation, call: dict[str, Any]) -> None:
    about = {"tool_name": call["name"], "tool_input": call["input"], "tool_use_id": call["id"]}
    conversation.hook("PreToolUse", **about)
    began = time.monotonic()
    Path(call["input"]["file_path"]).write_text(call["input"]["content"], encoding="utf-8", newline="\n")
    said = f"File created successfully at: {call['input']['file_path']}"
    duration = int(1000 * (time.monotonic() - began))
    conversation.hook("PostToolUse", tool_response={"type": "create"}, duration_ms=duration, **about)
    result = {"type": "tool_result", "tool_use_id": call["id"], "content": said}
    conversation.write("tool_result", message={"role": "user", "content": [result]}, toolUseResult=said)


def _stopped(conversation: Conversation, limit: Limited) -> str:
    clock = datetime.fromtimestamp(limit.resets_at, UTC).strftime("%I:%M%p").lstrip("0").lower()
    text = f"You've hit your 5-hour limit · resets {clock} (UTC)"
    quota = {**conversation.recorded["error"]["quotaLimits"], "resetsAt": limit.resets_at, "rateLimitType": limit.claim}
    message = {**conversation.recorded["error"]["message"], "content": [{"type": "text", "text": text}]}
    params = {"rate_limit_info": quota}
    conversation.write("error", message=message, quotaLimits=quota, apiErrorParams=params, apiErrorStatus=limit.status)
    conversation.hook("StopFailure", last_assistant_message=text)
    conversation.hook("SessionEnd")
    return text


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", action="version", version=f"{VERSION} (recorded)")
    parser.add_argument("-p", "--print", action="store_true")
    parser.add_argument("--resume", metavar="SESSION")
    parser.add_argument("--output-format")
    parser.add_argument("--model")
    parser.add_argument("--settings")
    parser.add_argument("--permission-mode", default="default")
    parser.add_argument("prompt", nargs="?")
    arguments, _ = parser.parse_known_args(argv)
    prompt = arguments.prompt or sys.stdin.buffer.read().decode("utf-8")
    conversation = Conversation(arguments.resume or str(uuid.uuid4()), Path.cwd(), arguments.permission_mode)
    if arguments.resume and not conversation.lines:
        print(f"No conversation found with session ID: {arguments.resume}", file=sys.stderr)
        return 1
    note = conversation.hook("SessionStart", "SessionStart-resume" if arguments.resume else None)
    code, text = turn(conversation, f"{note}\n{prompt}".strip())
    result = {"type": "result", "subtype": "success", "is_error": bool(code), "result": text}
    print(json.dumps({**result, "session_id": conversation.session}))
    return code


if __name__ == "__main__":
    raise SystemExit(main())
