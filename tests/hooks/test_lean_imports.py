"""What a hook imports decides what it costs: one name too many doubles it (`json` 2.1, `re` 1.9, `pathlib` 2.5 times)."""

import re
import subprocess

import pytest

from tests.hooks.hook_runner import FILES, PYTHON, HookRunner, compact, payload, payload_of

pytestmark = pytest.mark.posix  # Windows has no call leaner than `os`

# what the interpreter needs before the first line of a program, whatever the program
_BARE = subprocess.run(
    [PYTHON, "-I", "-S", "-X", "importtime", "-c", "pass"], capture_output=True, text=True, check=True
).stderr
CHEAP = {"posix", "time", "errno", "fcntl", "_json", "_io", "zlib", "sys", "select", "_signal"}
HOT = {"trinity", "trinity.hooks", "trinity.hooks.system_posix", "trinity.hooks.compact_json", "trinity.hooks.record"}
MORE = {
    "user_prompt_submit.py": {"trinity.hooks.gate"},
    "pre_tool_use.py": {"trinity.hooks.gate"},
    "post_tool_batch.py": {"trinity.hooks.gate"},
    "pre_compact.py": {"trinity.hooks.gate"},
    "stop.py": {"trinity.hooks.carried"},
    "session_start.py": {"trinity.hooks.acting", "trinity.hooks.process", "trinity.hooks.process_posix"},
    "session_end.py": {"trinity.hooks.acting", "trinity.hooks.process", "trinity.hooks.process_posix"},
    "stop_failure.py": {"trinity.hooks.acting", "trinity.hooks.process", "trinity.hooks.process_posix"},
    "statusline.py": {"trinity.hooks.statusline"},
}
PROGRAMS = {**{file: event for event, file in FILES.items() if file.endswith(".py")}, "stop_failure.py": "StopFailure"}


def _imported(said: str) -> set[str]:
    return {line.rpartition("|")[2].strip() for line in said.splitlines() if re.match(r"import time: +\d", line)}


@pytest.mark.parametrize("file", [*PROGRAMS, "statusline.py"])
def test_a_hook_imports_nothing_but_its_own_lean_modules(runner: HookRunner, file: str) -> None:
    given = payload("2.1.328/statusline-80pct") if file == "statusline.py" else payload_of(PROGRAMS[file])
    command = [PYTHON, "-I", "-S", "-X", "importtime", *runner.command(file)[3:]]
    done = subprocess.run(command, input=compact(given), capture_output=True, env=runner.environ(), check=True)
    imported = _imported(done.stderr.decode()) - _imported(_BARE)
    assert imported - CHEAP <= HOT | MORE.get(file, set()) | {"__future__"}
    assert len(runner.events()) == 1
    assert runner.log() == []


@pytest.mark.parametrize("file", [*PROGRAMS, "statusline.py", "stop_failure.sh", "stop_failure.ps1"])
def test_the_file_that_is_compiled_at_every_call_is_short(runner: HookRunner, file: str) -> None:
    assert len((runner.hooks / file).read_text(encoding="utf-8").splitlines()) <= 40
