"""The environment in the checkout: made once, found whole, mended when its interpreter is gone."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from trinity.errors import TrinityError
from trinity.setup import environment

PROJECT = """[project]
name = "x"
dependencies = ["b>=1", "a"]
[project.optional-dependencies]
usage = ["c"]
test = ["d"]
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A project that needs nothing, so that no registry is asked."""
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\ndependencies = []\n', encoding="utf-8")
    return tmp_path


@pytest.fixture
def no_pip(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """pip with an empty list of requirements is a usage error; the call is kept, the environment is real."""
    ran: list[list[str]] = []
    real = environment._run

    def run(command: list[str], what: str, hint: str) -> None:
        ran.append(command)
        if "pip" not in command:
            real([*command[:3], "--without-pip", *command[3:]], what, hint)

    monkeypatch.setattr(environment, "_run", run)
    return ran


def test_the_optional_parts_come_too_unless_minimal_and_the_tests_only_when_asked(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(PROJECT, encoding="utf-8")
    assert environment.requirements(tmp_path) == ["a", "b>=1", "c"]
    assert environment.requirements(tmp_path, minimal=True) == ["a", "b>=1"]
    assert environment.requirements(tmp_path, minimal=True, extras=("test",)) == ["a", "b>=1", "d"]


def test_the_base_interpreter_is_no_link_no_shim_and_no_environment() -> None:
    base = environment.base_interpreter()
    assert base == base.resolve() and ".venv" not in base.parts and "shims" not in base.parts
    said = subprocess.run([base, "-c", "import sys; print(sys.prefix == sys.base_prefix)"], capture_output=True)
    assert said.stdout.strip() == b"True"
    assert environment.alive(base) == sys.version_info[:2]


def test_it_is_made_once(checkout: Path, no_pip: list[list[str]]) -> None:
    assert environment.trouble(checkout)
    assert environment.ensure(checkout)
    assert environment.alive(environment.python(checkout)) == sys.version_info[:2]
    calls = len(no_pip)
    assert not environment.ensure(checkout)
    assert len(no_pip) == calls and not environment.trouble(checkout)


@pytest.mark.posix
def test_a_vanished_interpreter_is_found_and_mended(checkout: Path, no_pip: list[list[str]]) -> None:
    environment.ensure(checkout)
    for link in (checkout / ".venv" / "bin").glob("python*"):
        link.unlink()
        link.symlink_to("/nowhere/python3")
    assert environment.trouble(checkout) == "the interpreter of .venv is gone"
    assert environment.ensure(checkout)
    assert not environment.trouble(checkout)


def test_new_dependencies_are_installed_and_a_broken_installation_is_repeated(
    checkout: Path, no_pip: list[list[str]]
) -> None:
    environment.ensure(checkout)
    (checkout / "pyproject.toml").write_text(PROJECT, encoding="utf-8")
    assert environment.ensure(checkout)
    assert no_pip[-1][-3:] == ["a", "b>=1", "c"]
    (checkout / ".venv" / "trinity-dependencies.json").write_text("{", encoding="utf-8")
    assert environment.ensure(checkout)


def test_a_folder_of_that_name_that_is_somebody_elses_is_refused(checkout: Path) -> None:
    (checkout / ".venv").mkdir()
    (checkout / ".venv" / "letters").write_text("mine", encoding="utf-8")
    with pytest.raises(TrinityError, match="no Python environment"):
        environment.ensure(checkout)
    assert (checkout / ".venv" / "letters").exists()


def test_pip_s_own_reason_is_told(checkout: Path) -> None:
    with pytest.raises(TrinityError, match="cannot install the dependencies: the reason") as raised:
        environment._run(
            [sys.executable, "-c", "import sys; sys.exit('x\\nthe reason')"], "cannot install the dependencies", "h"
        )
    assert raised.value.hint == "h"


def test_of_two_calls_at_once_one_works_and_the_other_waits_for_it(tmp_path: Path) -> None:
    """Real processes and the real pip, with a package of this folder in the registry's place."""
    wheel = tmp_path / "tiny-1-py3-none-any.whl"
    about = {"METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 1\n", "RECORD": ""}
    about["WHEEL"] = "Wheel-Version: 1.0\nGenerator: none\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny.py", "")
        for name, text in about.items():
            archive.writestr(f"tiny-1.dist-info/{name}", text)
    project = f"[project]\ndependencies = ['tiny @ {wheel.as_uri()}']\n"
    (tmp_path / "pyproject.toml").write_text(project, encoding="utf-8")
    code = "import sys; from pathlib import Path; from trinity.setup import environment"
    code += "; print(environment.ensure(Path(sys.argv[1]), say=print))"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    said = [process.communicate(timeout=120) for process in started]
    assert [process.returncode for process in started] == [0, 0], said
    assert sorted(out.splitlines()[-1] for out, _ in said) == ["False", "True"], said
    assert sum(out.count("making '") for out, _ in said) == 1
    subprocess.run([environment.python(tmp_path), "-c", "import tiny"], check=True)
