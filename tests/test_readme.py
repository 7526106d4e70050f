"""What README.md and docs/ show is true: their console samples are run, their Python is executed, their links exist.

A ```console block is a story told to the programs in one state folder, from the first block of a document to its last. What
is printed must be what the document shows, but for times, ids and places. Blocks that need an installed PC, or a minute, are
```text: tests/scripts/test_install.py, test_doctor.py and tests/test_demo.py look at these.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from tests.conftest import Program
from trinity import config, files, schema
from trinity.config import Account, Config
from trinity.home import Home
from trinity.setup import membership

CHECKOUT = Path(__file__).resolve().parent.parent
README = CHECKOUT / "README.md"
PROTOCOL = CHECKOUT / "docs" / "HANDOFF_PROTOCOL.md"
DOCUMENTS = [README, CHECKOUT / "CHANGELOG.md", *sorted((CHECKOUT / "docs").glob("*.md"))]
ID = re.compile(r"\b[0-9a-f]{16}\b")
# In this order: a long form holds the shorter ones.
VARYING = (
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "UUID"),
    (ID, "ID"),
    (re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z"), "TIME"),
    (re.compile(r"\bseen \d+ s ago"), "seen N s ago"),
    (re.compile(r"\+\d+\.\d s\b"), "+N s"),
    (re.compile(r"\b(?:[A-Z][a-z]{2} \d{2} )?\d{2}:\d{2}\b"), "CLOCK"),
    (re.compile(r"'?(?<!\w)(?:[A-Z]:)?[/\\][\w.:/\\-]+'?"), "PLACE"),
)


def _blocks(document: Path, language: str) -> list[str]:
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```$", document.read_text(encoding="utf-8"))


def _calls(document: Path) -> list[tuple[str, str]]:
    """Every command of the console blocks with the output shown for it."""
    calls: list[tuple[str, str]] = []
    for block in _blocks(document, "console"):
        assert block.startswith("$ "), block
        for call in block.split("\n$ "):
            command, _, output = call.removeprefix("$ ").partition("\n")
            calls.append((command, output.strip("\n")))
    return calls


def _alike(text: str) -> str:
    for form, name in VARYING:
        text = form.sub(name, text)
    return text


def _program(command: str) -> tuple[str, list[str]]:
    first, second, *rest = shlex.split(command)
    if first == "python":
        assert second.startswith("scripts/")
        return Path(second).stem, rest
    assert first == "trinity"
    return {"status": "evaluate_status"}.get(second, second), rest


def _tell(document: Path, program: Program, cwd: Path) -> None:
    """Run the document's story; its ids become those that were given here."""
    given: dict[str, str] = {}
    for command, shown in _calls(document):
        name, arguments = _program(command)
        done = program(name, *[given.get(argument, argument) for argument in arguments], cwd=cwd)
        assert done.returncode == 0, f"$ {command}\n{done.stdout}{done.stderr}"
        said = (done.stdout + done.stderr).strip("\n")
        assert _alike(said) == _alike(shown), f"$ {command}"
        given |= dict(zip(ID.findall(shown), ID.findall(said), strict=True))


@pytest.fixture
def pc1(home: Home, tmp_path: Path) -> Home:
    """A PC as the installer leaves it, with a client that is never started."""
    client = tmp_path / "claude"
    client.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    client.chmod(0o700)
    account = Account(label="work", kind="subscription")
    settings = Config(profiles=(str(tmp_path / ".claude"),), client=str(client), account=account)
    (home.root / "setup").mkdir()
    membership.declare(home, settings, None)
    return home


def test_the_samples_of_the_readme_are_what_the_programs_print(pc1: Home, program: Program, tmp_path: Path) -> None:
    assert len(_calls(README)) > 10
    _tell(README, program, tmp_path)


def test_the_tests_of_the_protocol_do_what_the_document_says(pc1: Home, program: Program, tmp_path: Path) -> None:
    membership.declare(pc1, config.load(pc1), ["PC1", "PC2", "PC3"])
    told = _calls(PROTOCOL)
    third = next(at for at, (command, _) in enumerate(told) if "--record-rate-limit" in command)
    first = [command for command, _ in told[:third]]
    assert first[0].endswith("--force-handoff") and len(told) - third == 3
    # After the first test acting rests; the document says to end that before the second.
    ran = _Between(program, third)
    _tell(PROTOCOL, ran, tmp_path)
    assert [path.name for path in pc1.wake.iterdir()] == ["PC2.json"]
    assert schema.read("wake", (pc1.wake / "PC2.json").read_bytes(), "wake")["task"] == "credit_handoff"
    names = sorted(path.name.rpartition("_")[0][:18] for path in pc1.handoff.glob("*.json"))
    assert names == ["handoff_PC1_to_PC1", "handoff_PC1_to_PC2"]
    beat = schema.read("heartbeat", (pc1.heartbeat / "PC1.json").read_bytes(), "heartbeat")
    assert beat["status"] == "handoff_initiated"


class _Between:
    """Calls `pause off` before the call of a number; else it is `program`."""

    def __init__(self, program: Program, before: int) -> None:
        self.program = program
        self.left = before

    def __call__(self, name: str, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
        if self.left == 0:
            assert self.program("pause", "off").stdout == "acting\n"
        self.left -= 1
        return self.program(name, *arguments, **options)


def test_the_python_of_the_readme_works(pc1: Home, tmp_path: Path) -> None:
    for code in _blocks(README, "python"):
        environment = {**os.environ, "PYTHONPATH": str(CHECKOUT / "lib")}
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert (done.returncode, done.stdout) == (0, "HEALTHY False\n"), done.stderr


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_of_a_document_leads_somewhere(document: Path) -> None:
    text = re.sub(r"(?ms)^```.*?^```$", "", document.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+://", target):
            continue
        place, _, anchor = target.partition("#")
        file = (document.parent / place).resolve() if place else document
        assert file.exists(), target
        if anchor:
            titles = re.findall(r"(?m)^#+ (.*)$", file.read_text(encoding="utf-8"))
            anchors = [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles]
            assert anchor in anchors, target


def test_the_records_of_the_protocol_are_valid() -> None:
    found = [files.load_json(block.encode(), "a sample") for block in _blocks(PROTOCOL, "json")]
    assert {record["kind"] for record in found} == {"handoff", "event"}
    for record in found:
        schema.validate(record["kind"], record, "a sample")


def _keys(properties: dict[str, dict[str, object]], before: str = "") -> set[str]:
    keys = set()
    for name, member in properties.items():
        inner = member.get("properties")
        keys |= _keys(inner, f"{name}.") if isinstance(inner, dict) else {before + name}
    return keys


def test_the_readme_names_every_key_of_the_configuration_and_no_other() -> None:
    document = files.read_json(schema.FOLDER / "config.schema.json")
    Draft202012Validator.check_schema(document)
    table = README.read_text(encoding="utf-8").partition("\n## Configuration\n")[2].partition("\n## ")[0]
    first = re.findall(r"(?m)^\| ([^|]*) \|", table)
    told = {key for cell in first for key in re.findall(r"`([\w.]+)`", cell)}
    assert told == _keys(document["properties"]) - {"kind", "version"}
