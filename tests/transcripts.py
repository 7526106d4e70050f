"""Transcripts as the client writes them, of any size, without the client: for benchmarks and for exact totals.

`generate(profile, megabytes)` writes below `<profile>/projects/`: per gigabyte 500 files with 116,000 messages, most bytes
in tool results, a tenth of the files those of subagents, a message on one to three lines whose output grows from line to
line, some files copied. It returns what a ledger has to find, added up while writing. The same seed, the same bytes.
"""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass, field
from pathlib import Path

FILES_PER_GB = 500
MESSAGES_PER_GB = 116_000
MODELS = ("claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-4-5", "claude-of-no-price-1")
TOOLS = ("Bash", "Read", "Edit", "Grep", "Write", "WebFetch")
_START = 1_790_000_000
_DAY = 86_400
_TAIL = (
    '"userType":"external","entrypoint":"cli","cwd":"{cwd}","sessionId":"{session}","version":"2.1.197",'
    '"gitBranch":"main"}}\n'
)


@dataclass
class Totals:
    """What was written, each message once."""

    messages: int = 0
    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    files: int = 0
    size: int = 0
    by_model: dict[str, int] = field(default_factory=dict)


def generate(profile: Path, megabytes: float, seed: int = 1) -> Totals:
    """Write about so many megabytes; every 50th file has a copy under another name."""
    rng = random.Random(seed)
    text = "".join(rng.choice(_WORDS) for _ in range(20_000))
    totals = Totals()
    files = max(2, round(megabytes / 1000 * FILES_PER_GB))
    messages = round(megabytes / 1000 * MESSAGES_PER_GB) // files
    projects = [profile / "projects" / f"-home-user-project-{number}" for number in range(8)]
    session = ""
    for number in range(files):
        folder = projects[number % len(projects)]
        cwd = f"/home/user/project/{number % len(projects)}"
        agent = f"a{rng.getrandbits(60):016x}" if number % 10 == 9 else ""
        session = session if agent else str(uuid.UUID(int=rng.getrandbits(128), version=4))
        if agent:
            folder, cwd = projects[(number - 1) % len(projects)], f"/home/user/project/{(number - 1) % len(projects)}"
        path = folder / session / "subagents" / f"agent-{agent}.jsonl" if agent else folder / f"{session}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        data = "".join(_session(rng, text, totals, messages, cwd, session, agent, number)).encode("ascii")
        path.write_bytes(data)
        totals.files, totals.size = totals.files + 1, totals.size + len(data)
        if number % 50 == 49 and not agent:
            path.with_name(f"{uuid.UUID(int=rng.getrandbits(128), version=4)}.jsonl").write_bytes(data)
            totals.files, totals.size = totals.files + 1, totals.size + len(data)
    return totals


def _session(
    rng: random.Random, text: str, totals: Totals, messages: int, cwd: str, session: str, agent: str, number: int
) -> list[str]:
    tail = _TAIL.format(cwd=cwd, session=session)
    side = f'"isSidechain":true,"agentId":"{agent}",' if agent else '"isSidechain":false,'
    moment = _START + number % 30 * _DAY + rng.random() * _DAY / 2
    lines: list[str] = []
    parent = "null"
    asked = str(uuid.UUID(int=rng.getrandbits(128), version=4))
    for turn in range(messages):
        moment += rng.random() * 20
        tool = f"toolu_{rng.getrandbits(80):020x}"
        said = _words(rng, text, int(rng.paretovariate(1.1) * 800) % 24_000)
        own = _uuid(rng)
        if turn % 12 == 0:
            content = f'"{said[: 10 * _CELL]}"'
            result = ""
        else:
            content = f'[{{"tool_use_id":"{tool}","type":"tool_result","content":"{said}","is_error":false}}]'
            result = f'"toolUseResult":{{"stdout":"{said}","stderr":"","interrupted":false,"isImage":false}},'
        lines.append(
            f'{{"parentUuid":{parent},{side}"promptId":"{asked}","type":"user","message":{{"role":"user","content":{content}}}'
            f',"uuid":"{own}","timestamp":"{_time(moment)}",{result}{tail}'
        )
        parent = f'"{own}"'
        moment += 1 + rng.random() * 15
        parent, moment = _message(rng, text, totals, lines, side, tail, parent, moment)
    return lines


def _message(
    rng: random.Random, text: str, totals: Totals, lines: list[str], side: str, tail: str, parent: str, moment: float
) -> tuple[str, float]:
    message, request = f"msg_01{rng.getrandbits(96):024x}", f"req_011{rng.getrandbits(96):024x}"
    model = MODELS[min(3, int(rng.expovariate(1.2)))]
    given, read, out = rng.randrange(1, 400), rng.randrange(180_000), rng.randrange(2, 4000)
    short, long = rng.choice(((rng.randrange(9000), 0), (0, rng.randrange(9000)), (0, 0)))
    blocks = rng.choice((("tool_use",), ("text", "tool_use"), ("thinking", "text", "tool_use")))
    for index, block in enumerate(blocks):
        seen = out if index == len(blocks) - 1 else 1 + index
        words = _words(rng, text, rng.randrange(40, 1200))
        if block == "tool_use":
            made = (
                f'"type":"tool_use","id":"toolu_{rng.getrandbits(80):020x}","name":"{rng.choice(TOOLS)}",'
                f'"input":{{"command":"{words}","description":"run it"}}'
            )
        elif block == "text":
            made = f'"type":"text","text":"{words}"'
        else:
            made = f'"type":"thinking","thinking":"{words}","signature":"{rng.getrandbits(2400):x}"'
        own = _uuid(rng)
        lines.append(
            f'{{"parentUuid":{parent},{side}"message":{{"model":"{model}","id":"{message}","type":"message","role":"assistant",'
            f'"content":[{{{made}}}],"stop_reason":"tool_use","stop_sequence":null,"usage":{{"input_tokens":{given},'
            f'"cache_creation_input_tokens":{short + long},"cache_read_input_tokens":{read},"output_tokens":{seen},'
            f'"server_tool_use":{{"web_search_requests":0,"web_fetch_requests":0}},"service_tier":"standard",'
            f'"cache_creation":{{"ephemeral_1h_input_tokens":{long},"ephemeral_5m_input_tokens":{short}}},'
            f'"inference_geo":"","iterations":[],"speed":"standard"}},"stop_details":null}},"requestId":"{request}",'
            f'"type":"assistant","uuid":"{own}","timestamp":"{_time(moment)}",{tail}'
        )
        parent = f'"{own}"'
        moment += rng.random()
    totals.messages += 1
    totals.input += given
    totals.output += out
    totals.cache_read += read
    totals.cache_write += short + long
    totals.by_model[model] = totals.by_model.get(model, 0) + given + out + read + short + long
    return parent, moment


def _uuid(rng: random.Random) -> str:
    digits = f"{rng.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{digits[16:20]}-{digits[20:]}"


def _time(moment: float) -> str:
    days, rest = divmod(moment, _DAY)
    if days not in _dates:
        import datetime

        _dates[days] = (datetime.date(1970, 1, 1) + datetime.timedelta(days)).isoformat()
    hours, rest = divmod(rest, 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{_dates[days]}T{int(hours):02d}:{int(minutes):02d}:{int(seconds):02d}.{int(seconds % 1 * 1000):03d}Z"


def _words(rng: random.Random, text: str, size: int) -> str:
    # At the borders of cells: an escape is never cut.
    start = rng.randrange((len(text) - size) // _CELL) * _CELL
    return text[start : start + size // _CELL * _CELL]


_dates: dict[float, str] = {}
_CELL = 32
_WORDS = tuple(
    word.ljust(_CELL)[:_CELL]
    for word in (
        "the file has been updated",
        "def main(argv):\\n    return 0",
        '\\"usage\\":{\\"input_tokens\\":5}',
        "class Ledger(Table):",
        "0x1f 0x20 0x21 { } [ ] : ,",
        "/home/user/project/lib/a.py:12:",
        "PASSED tests/test_a.py::test_b",
        "\\t\\tif x is None:\\n",
    )
)
