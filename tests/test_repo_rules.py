"""The rules of this repository, executable. What a rule is for stands in its test's name or in a comment beside it.

Two rules have tests of their own: what hooks import and how long they are (tests/hooks/test_lean_imports.py), and that every
record kind has valid and invalid examples (tests/lib/test_schema.py).
"""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Program

CHECKOUT = Path(__file__).resolve().parent.parent
LIB = CHECKOUT / "lib" / "trinity"
LONGEST = 300
PROGRAMS = sorted(path.stem for path in (CHECKOUT / "scripts").glob("*.py"))
COMMON = {"--help", "--home", "--json", "--dry-run"}
DRAWERS = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "shared", "stuff"}
POSIX_ONLY = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
WINDOWS_ONLY = {"msvcrt", "nt", "winreg", "_winapi"}
# Each layer may import the ones before it. `work` and `fleet` do not know each other: the fleet carries records without
# looking inside.
BELOW = {
    "ground": {"ground"},
    "hooks": {"ground", "hooks"},
    "credit": {"ground", "hooks", "credit"},
    "usage": {"ground", "hooks", "credit", "usage"},
    "work": {"ground", "hooks", "credit", "work"},
    "fleet": {"ground", "hooks", "credit", "fleet"},
    "relay": {"ground", "hooks", "credit", "usage", "work", "fleet", "relay"},
    "face": {"ground", "hooks", "credit", "usage", "work", "fleet", "relay", "face"},
    "setup": {"ground", "hooks", "credit", "usage", "work", "fleet", "relay", "setup"},
}


@functools.cache
def _files() -> list[Path]:
    """All files of the repository: those under version control, and new ones that are not ignored."""
    command = ["git", "-C", str(CHECKOUT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, check=True).stdout.decode("utf-8").split("\0")
    return [CHECKOUT / name for name in sorted(filter(None, listed)) if (CHECKOUT / name).is_file()]


def _python(*folders: str) -> list[Path]:
    return [path for path in _files() if path.suffix == ".py" and _name(path).startswith(folders)]


def _name(path: Path) -> str:
    return path.relative_to(CHECKOUT).as_posix()


@functools.cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def _imported(path: Path) -> Iterator[tuple[str, ast.stmt]]:
    """Every module that a file imports, wherever it does so: `from a import b` counts as `a` and `a.b`."""
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{_name(path)}:{node.lineno} imports relatively"
            yield str(node.module), node
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node


def _layer(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in BELOW else "ground"


def _calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Call):
            yield (node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")), node


# programs


@functools.cache
def _help(name: str) -> str:
    """What the program's --help says; PYTHONPATH does not help it."""
    command = [sys.executable, "-I", str(CHECKOUT / "scripts" / f"{name}.py"), "--help"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _options(text: str) -> set[str]:
    """The options in the list of a --help, not those its examples mention."""
    return set(re.findall(r"(?m)^ {2}(?:-\w, )?(--[a-z][a-z-]*)", text))


def _section(name: str) -> str:
    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    found = re.search(rf"(?ms)^### {name}\n(.*?)(?=^##)", readme)
    assert found, f"README.md has no section '### {name}'"
    return found.group(1)


def test_there_are_programs() -> None:
    assert {"record_event", "evaluate_status", "save_handoff", "handoffs", "credit_monitor", "doctor"} <= set(PROGRAMS)


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_first_line_of_its_help_is_that_of_its_docstring(name: str) -> None:
    docstring = ast.get_docstring(_tree(CHECKOUT / "scripts" / f"{name}.py"))
    assert docstring
    assert docstring.splitlines()[0] in _help(name).splitlines()


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_has_one_main_that_takes_arguments_and_returns_a_code(name: str) -> None:
    mains = [node for node in _tree(CHECKOUT / "scripts" / f"{name}.py").body if getattr(node, "name", "") == "main"]
    assert len(mains) == 1 and isinstance(mains[0], ast.FunctionDef)
    assert ast.unparse(mains[0].args) == "argv: list[str] | None=None"
    assert mains[0].returns is not None and ast.unparse(mains[0].returns) == "int"


@pytest.mark.parametrize("name", PROGRAMS)
def test_an_unknown_option_is_a_usage_error_with_the_command_to_type_next(program: Program, name: str) -> None:
    done = program(name, "--no-such-option")
    assert done.returncode == 2
    assert done.stderr.startswith(f"{name}: error: ") and f"{name} --help" in done.stderr


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_readme_names_every_option_of_a_program_and_no_other(name: str) -> None:
    section = _section(name)
    real = _options(_help(name))
    told = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", "\n".join(re.findall(r"(?m)^\|.*", section))))
    told |= set(
        re.findall(r"(?<![\w-])--[a-z][a-z-]*", "\n".join(re.findall(r"(?m)^\$ (?:trinity|\./install).*", section)))
    )
    assert real - COMMON <= told, f"not in README.md: {sorted(real - COMMON - told)}"
    assert told <= real, f"in README.md, but not in --help: {sorted(told - real)}"


def test_the_readme_names_no_program_that_does_not_exist() -> None:
    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    programs = readme.partition("\n## Programs\n")[2].partition("\n## ")[0]
    assert re.findall(r"(?m)^### (\w+)$", programs) and set(re.findall(r"(?m)^### (\w+)$", programs)) == set(PROGRAMS)
    assert set(re.findall(r"`(?:trinity|python scripts/|scripts/)\s?(\w+)(?:\.py)?\b", readme)) <= {
        *PROGRAMS,
        "status",
        "NAME",
    }


def test_no_program_imports_another_and_no_hook_a_hook() -> None:
    for folder in ("scripts", "hooks"):
        siblings = {path.stem for path in (CHECKOUT / folder).glob("*.py")}
        for path in _python(f"{folder}/"):
            for module, node in _imported(path):
                assert module.split(".")[0] not in siblings | {"scripts", "hooks"}, f"{_name(path)}:{node.lineno}"


# library


def test_imports_in_the_library_point_down_only() -> None:
    wrong = []
    for path in _python("lib/trinity/"):
        own = _layer(".".join(path.relative_to(CHECKOUT / "lib").with_suffix("").parts))
        if path == LIB / "__init__.py":
            continue  # it names the face for `from trinity import …`, and looks it up when asked
        for module, node in _imported(path):
            if module.split(".")[0] == "trinity" and module != "trinity" and _layer(module) not in BELOW[own]:
                wrong.append(f"{_name(path)}:{node.lineno} ({own}) imports {module}")
    assert not wrong, "\n".join(wrong)


def test_the_layers_are_those_that_there_are() -> None:
    wings = {path.name for path in LIB.iterdir() if (path / "__init__.py").exists()}
    assert wings == set(BELOW) - {"ground"}


def test_the_library_neither_prints_nor_ends_the_process_nor_asserts() -> None:
    wrong = []
    # What a user reads comes from `program`; dispatch is the `trinity` command itself.
    speakers = {"lib/trinity/program.py", "lib/trinity/setup/dispatch.py"}
    for path in _python("lib/trinity/"):
        if _name(path) not in speakers:
            wrong += [
                f"{_name(path)}:{call.lineno} {name}" for name, call in _calls(path) if name in ("print", "SystemExit")
            ]
        for node in ast.walk(_tree(path)):
            # the one assert that says which system a module is for is mypy's way to know
            if isinstance(node, ast.Assert) and "sys.platform" not in ast.unparse(node.test):
                wrong.append(f"{_name(path)}:{node.lineno} assert")
    assert not wrong, "\n".join(wrong)


def test_no_module_is_longer_than_a_subject() -> None:
    long = {
        _name(path): lines
        for path in _python("lib/", "scripts/")
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > LONGEST
    }
    assert not long


def test_names_are_subjects() -> None:
    assert not [_name(path) for path in _files() if path.stem.lower() in DRAWERS or path.parent.name.lower() in DRAWERS]


def test_every_module_and_program_says_what_it_promises() -> None:
    assert not [_name(path) for path in _python("lib/", "scripts/", "hooks/") if not ast.get_docstring(_tree(path))]


# systems


def _guarded(path: Path) -> set[int]:
    """The lines below an `if sys.platform …` or after an `assert sys.platform …`, where a system was chosen."""
    lines: set[int] = set()
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.If) and (
            "sys.platform" in ast.unparse(node.test) or "os.name" in ast.unparse(node.test)
        ):
            lines |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
        if isinstance(node, ast.Assert) and "sys.platform" in ast.unparse(node.test):
            lines |= set(range(node.lineno, 10_000))
    return lines


def test_what_one_system_has_is_imported_only_where_that_system_was_chosen() -> None:
    wrong = []
    for path in _python("lib/", "scripts/", "hooks/"):
        for module, node in _imported(path):
            name = module.split(".")[0]
            own = ("_posix" if name in POSIX_ONLY else "_windows") in path.stem
            if name in POSIX_ONLY | WINDOWS_ONLY and not own and node.lineno not in _guarded(path):
                wrong.append(f"{_name(path)}:{node.lineno} {name}")
    assert not wrong, "\n".join(wrong)


def _mode(name: str, call: ast.Call) -> str:
    """The mode of a call that opens a file; a `Path.open` has it first."""
    place = 1 if isinstance(call.func, ast.Name) else 0
    given = [keyword.value for keyword in call.keywords if keyword.arg == "mode"] + call.args[place : place + 1]
    return str(given[0].value) if given and isinstance(given[0], ast.Constant) else "r"


def test_a_text_file_is_opened_with_its_encoding() -> None:
    wrong = []
    for path in _python("lib/", "scripts/", "hooks/"):
        for name, call in _calls(path):
            owner = ast.unparse(call.func.value) if isinstance(call.func, ast.Attribute) else ""
            if name not in ("open", "read_text", "write_text") or owner in ("os", "posix", "webbrowser"):
                continue
            if name == "open" and "b" in _mode(name, call):
                continue
            # read_text takes the encoding as its first argument too, write_text as its second
            named = any(keyword.arg == "encoding" for keyword in call.keywords)
            if not named and len(call.args) <= (name == "write_text"):
                wrong.append(f"{_name(path)}:{call.lineno} {ast.unparse(call)[:80]}")
    assert not wrong, "\n".join(wrong)


def test_no_command_goes_through_a_shell_string() -> None:
    # A status line that was configured before is the user's own command, and the client defines it as a shell string.
    users = {"lib/trinity/hooks/process_windows.py"}
    wrong = []
    for path in _python("lib/", "scripts/", "hooks/", "tests/"):
        for name, call in _calls(path):
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
            if given.get("shell", "False") != "False" or (name == "system" and ast.unparse(call.func) == "os.system"):
                wrong += [] if _name(path) in users else [f"{_name(path)}:{call.lineno}"]
    assert not wrong, "\n".join(wrong)


# the tree


def _texts() -> Iterator[tuple[Path, bytes]]:
    for path in _files():
        if "payloads" not in path.parts and path.suffix not in (".png", ".gif"):
            yield path, path.read_bytes()


def test_text_is_utf_8_with_the_line_ends_of_gitattributes_and_a_final_newline() -> None:
    wrong = []
    for path, data in _texts():
        data.decode("utf-8")
        # in the working tree of a PowerShell file both are met: git converts it when it is checked out
        if b"\r" in data and path.suffix != ".ps1":
            wrong.append(f"{_name(path)}: a carriage return")
        # a record that is broken on purpose may end anywhere
        if data and not data.endswith(b"\n") and "invalid" not in path.parts:
            wrong.append(f"{_name(path)}: no final newline")
    assert not wrong, "\n".join(wrong)


def test_powershell_files_are_checked_out_with_the_line_ends_of_windows() -> None:
    scripts = [_name(path) for path in _files() if path.suffix == ".ps1"]
    command = ["git", "-C", str(CHECKOUT), "check-attr", "eol", "--", *scripts]
    said = subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout
    assert scripts and said.splitlines() == [f"{name}: eol: crlf" for name in scripts]


# Written in parts, so that this file does not hold what it looks for.
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|X" r"XX|HA" r"CK)\b")
MACHINE = re.compile(
    r"(?<![\w.])/(wo" r"rk/|ro" r"ot/|tmp/cli" r"ents|tmp/v/|home/(?!user\b|you\b)\w+/|Us" r"ers/(?!user\b|you\b)\w+/)"
)
REGISTRY = re.compile(
    r"pypi\.(org|io)|registry\.npm" r"js|artifact" r"ory|index" r"-url|python" r"hosted", re.IGNORECASE
)
# The papers from which the first version was built are not in the repository.
PAPERS = re.compile(
    r"\b(DES" r"IGN|FLEET_PROT" r"OCOL|CAR" r"RY|SEED_FOR" r"MATS|STY" r"LE)(\.md|\b)|CLAUDE_CODE_2" r"\.1"
)


@pytest.mark.parametrize(
    "sought",
    [UNFINISHED, MACHINE, REGISTRY, PAPERS],
    ids=["unfinished", "a path of a machine", "a registry", "papers"],
)
def test_nothing_unfinished_or_of_one_machine_is_in_the_tree(sought: re.Pattern[str]) -> None:
    wrong = []
    for path, data in _texts():
        for number, line in enumerate(data.decode("utf-8").splitlines(), 1):
            if found := sought.search(line):
                wrong.append(f"{_name(path)}:{number}: {found.group()}")
    assert not wrong, "\n".join(wrong)


def test_no_test_is_left_out() -> None:
    wrong = []
    for path in _python("tests/"):
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.Attribute) and node.attr in ("skip", "skipif", "xfail", "importorskip", "skipTest"):
                wrong.append(f"{_name(path)}:{node.lineno} {ast.unparse(node)}")
    assert not wrong, "\n".join(wrong)


def test_tests_of_one_name_do_not_collide() -> None:
    """Two files of one basename need pytest's importlib mode; without it the second is another's module."""
    tests = [path.stem for path in _files() if path.name.startswith("test_") and path.suffix == ".py"]
    settings = (CHECKOUT / "pyproject.toml").read_text(encoding="utf-8")
    assert len(tests) == len(set(tests)) or "--import-mode=importlib" in settings
