"""What the scripted API was asked: one `Request` for every call, with its whole body."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

KEPT = (
    "anthropic-beta",
    "anthropic-version",
    "user-agent",
    "x-app",
    "x-claude-code-session-id",
    "x-stainless-retry-count",
)


@dataclass
class Request:
    """One call. `main` is a turn of the conversation (it offers tools); `status` is 0 where no reply was sent."""

    number: int
    time: float
    method: str
    path: str
    session: str = ""
    account: str = ""
    auth: str = ""
    main: bool = False
    status: int = 0
    limited: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)

    @property
    def model(self) -> str:
        return str(self.body.get("model", ""))

    @property
    def turns(self) -> list[tuple[str, str]]:
        """The conversation as (role, text); tool calls and results are in the text."""
        return [(str(turn.get("role", "")), _text(turn.get("content"))) for turn in self.body.get("messages", [])]

    @property
    def text(self) -> str:
        """The whole conversation in one string."""
        return "\n".join(text for _, text in self.turns)

    @property
    def first_prompt(self) -> str:
        """Everything the user's side said before the model spoke first."""
        said = []
        for role, text in self.turns:
            if role == "assistant":
                break
            said.append(text)
        return "\n".join(said)

    def document(self) -> dict[str, Any]:
        return asdict(self)


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    said = []
    for block in content:
        kind = block.get("type") if isinstance(block, dict) else ""
        if kind == "text":
            said.append(str(block.get("text", "")))
        elif kind == "thinking":
            said.append(str(block.get("thinking", "")))
        elif kind == "tool_use":
            said.append(f"{block.get('name')} {block.get('input')}")
        elif kind == "tool_result":
            said.append(_text(block.get("content")))
    return "\n".join(said)
