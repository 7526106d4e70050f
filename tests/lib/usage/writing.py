"""Lines of transcripts as client 2.1.197 writes them, and what a ledger makes of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from trinity.home import Home
from trinity.usage import ledger, updating
from trinity.usage.updating import Updated

FOLDER = "/home/user/project"
SLUG = "-home-user-project"


def line(entry: dict[str, Any]) -> bytes:
    return json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass") + b"\n"


def moment(second: float) -> str:
    return f"2026-11-20T10:{int(second // 60):02d}:{second % 60:06.3f}Z"


def _tail(session: str, folder: str) -> dict[str, Any]:
    return {"userType": "external", "entrypoint": "cli", "cwd": folder, "sessionId": session, "version": "2.1.197"}


def asked(second: float, text: Any = "go on", session: str = "s1", folder: str = FOLDER, **more: Any) -> bytes:
    """A user's line."""
    return line(
        {
            "parentUuid": None,
            "isSidechain": False,
            "promptId": "p1",
            "type": "user",
            "message": {"role": "user", "content": text},
            "uuid": f"u-{session}-{second}",
            "timestamp": moment(second),
            **more,
            **_tail(session, folder),
        }
    )


def usage(given: Any = 0, out: Any = 0, read: Any = 0, short: Any = 0, long: Any = 0, **more: Any) -> dict[str, Any]:
    """Tokens: input, output, cache read, written for five minutes and for an hour."""
    return {
        "input_tokens": given,
        "cache_creation_input_tokens": short + long,
        "cache_read_input_tokens": read,
        "output_tokens": out,
        "server_tool_use": {"web_search_requests": 0, "web_fetch_requests": 0},
        "service_tier": "standard",
        "cache_creation": {"ephemeral_1h_input_tokens": long, "ephemeral_5m_input_tokens": short},
        "inference_geo": "",
        "iterations": [],
        "speed": "standard",
        **more,
    }


def answered(
    second: float,
    message: str,
    spent: Any,
    *,
    request: str | None = "",
    session: str = "s1",
    agent: str = "",
    model: str = "claude-sonnet-5",
    folder: str = FOLDER,
    block: dict[str, Any] | None = None,
    **more: Any,
) -> bytes:
    """A line of an answer; `request` "" is that of the message, None none."""
    named = {} if request is None else {"requestId": request or f"req_{message}"}
    return line(
        {
            "parentUuid": "x",
            "isSidechain": bool(agent),
            **({"agentId": agent} if agent else {}),
            "message": {
                "id": message,
                "type": "message",
                "role": "assistant",
                "model": model,
                "content": [block or {"type": "text", "text": "done"}],
                "stop_reason": "end_turn",
                "stop_sequence": None,
                "usage": spent,
                "stop_details": None,
            },
            **named,
            "type": "assistant",
            "uuid": f"a-{session}-{second}",
            "timestamp": moment(second),
            **more,
            **_tail(session, folder),
        }
    )


def tool(name: str, **given: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": "toolu_1", "name": name, "input": given}


class Desk:
    """One PC: a state folder, a profile, and what its ledger says."""

    def __init__(self, home: Home, profile: Path) -> None:
        self.home = home
        self.profile = profile

    def path(self, session: str = "s1", slug: str = SLUG) -> Path:
        found = self.profile / "projects" / slug / f"{session}.jsonl"
        found.parent.mkdir(parents=True, exist_ok=True)
        return found

    def write(self, *lines: bytes, session: str = "s1", slug: str = SLUG) -> Path:
        found = self.path(session, slug)
        found.write_bytes(b"".join(lines))
        return found

    def append(self, *lines: bytes, session: str = "s1") -> None:
        with self.path(session).open("ab") as stream:
            stream.write(b"".join(lines))

    def update(self, rebuild: bool = False, account: str = "a" * 16) -> Updated:
        return updating.bring(self.home, [str(self.profile)], account, rebuild)

    def rows(self, columns: str, order: str = "time, message_id", where: str = "1") -> list[tuple[Any, ...]]:
        with ledger.opened(self.home) as connection:
            return connection.execute(f"SELECT {columns} FROM message WHERE {where} ORDER BY {order}").fetchall()

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with ledger.opened(self.home) as connection:
            return connection.execute(sql).fetchall()

    def tokens(self) -> tuple[int, ...]:
        """Input, output, cache read and written, from the sums; they must be those of the messages."""
        sums = "SUM(input), SUM(output), SUM(cache_read), SUM(cache_write_5m + cache_write_1h)"
        (one,) = self.query(f"SELECT {sums} FROM summed")
        (other,) = self.query(f"SELECT {sums} FROM message")
        (counted,) = self.query("SELECT COALESCE(SUM(messages), 0), (SELECT COUNT(*) FROM message) FROM summed")
        assert one == other and counted[0] == counted[1]
        return tuple(value or 0 for value in one)
