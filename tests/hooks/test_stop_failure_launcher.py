"""StopFailure's launcher: what the client does to it must not cost the event."""

import os
import signal
import subprocess
from pathlib import Path

import pytest
import tree_sitter
import tree_sitter_powershell

from tests.hooks.hook_runner import CHECKOUT, PYTHON, HookRunner, compact, payload, wait_until


def start(runner: HookRunner) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        runner.command("stop_failure.sh"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=runner.environ(),
        start_new_session=True,
    )


@pytest.mark.posix
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_while_it_reads_costs_nothing(runner: HookRunner, number: signal.Signals) -> None:
    """The client signals the hook and its children; here even while half of stdin is still to come."""
    launcher = start(runner)
    assert launcher.stdin
    given = compact(payload("2.1.328/StopFailure"))
    launcher.stdin.write(given[:100])
    launcher.stdin.flush()
    wait_until(lambda: any(file.stat().st_size for file in runner.home.glob("held/*")))
    os.killpg(launcher.pid, number)
    out, err = launcher.communicate(given[100:], timeout=20)
    assert (launcher.returncode, out, err) == (0, b"", b"")
    wait_until(lambda: len(runner.events()) == 1)
    assert runner.log() == []


@pytest.mark.posix
def test_what_it_started_survives_the_end_of_its_process_group(runner: HookRunner) -> None:
    for _ in range(10):
        launcher = start(runner)
        launcher.communicate(compact(payload("2.1.328/StopFailure")), timeout=20)
        try:
            os.killpg(launcher.pid, signal.SIGTERM)
        except ProcessLookupError:
            pass  # everything has ended already
    wait_until(lambda: len(runner.events()) == 10)


@pytest.mark.posix
def test_it_waits_for_nothing_it_started(acting_runner: HookRunner) -> None:
    program = acting_runner.hooks / "stop_failure.py"
    told = acting_runner.home / "told"
    slow = (
        f"import time, pathlib, sys\ntime.sleep(1.5)\npathlib.Path({str(told)!r}).write_text(' '.join(sys.argv[1:]))\n"
    )
    program.write_text(slow, encoding="utf-8")
    acting_runner.run("stop_failure.sh", payload("2.1.328/StopFailure"))
    assert not told.exists()
    wait_until(told.exists)
    home, saved, client = told.read_text(encoding="utf-8").split(" ")
    assert (home, client) == (str(acting_runner.home), str(os.getpid()))
    assert Path(saved).read_bytes() == compact(payload("2.1.328/StopFailure"))
    assert Path(saved).stat().st_mode & 0o777 == 0o600


@pytest.mark.posix
def test_names_with_blanks_and_quotes_are_taken_as_they_are(runner: HookRunner, tmp_path: Path) -> None:
    odd = tmp_path / "my 'own' $HOME \"place\""
    odd.mkdir(mode=0o700)
    (odd / "python 3").symlink_to(PYTHON)
    runner.home = odd
    command = ["/bin/sh", str(runner.hooks / "stop_failure.sh"), str(odd / "python 3"), str(odd)]
    subprocess.run(command, input=compact(payload("2.1.328/StopFailure")), env=runner.environ(), check=True)
    wait_until(lambda: len(runner.events()) == 1)
    assert list((odd / "held").iterdir()) == []


@pytest.mark.posix
def test_a_vanished_interpreter_fails_no_session(runner: HookRunner) -> None:
    command = ["/bin/sh", str(runner.hooks / "stop_failure.sh"), "/no/such/python", str(runner.home)]
    done = subprocess.run(command, input=b"{}", capture_output=True, env=runner.environ(), check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_the_launcher_for_windows_is_valid_powershell() -> None:
    """It runs only there; here its syntax is read by a parser of PowerShell's grammar."""
    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))
    source = (CHECKOUT / "hooks" / "stop_failure.ps1").read_bytes()
    tree = parser.parse(source)
    assert not tree.root_node.has_error
    assert b"exit 0" in source
