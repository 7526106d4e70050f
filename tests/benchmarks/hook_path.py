"""What a hook costs, as a ratio to an interpreter that does nothing (`python -S -c pass`), in the same run.

    python tests/benchmarks/hook_path.py [ROUNDS | --quick]

The programs take turns, round by round, and the median of each is compared, so that a machine that is busy for a while
is busy for all of them. Absolute times drift from run to run and say nothing alone. Goals: a recording hook 1.15 with 1, 10
and 100 KB; 1.10 the status line and the hooks that ask whether the session was handed away. A benchmark, not a test: exit 0.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

CHECKOUT = Path(__file__).resolve().parents[2]
PYTHON = os.path.realpath(sys.executable)
PAYLOADS = CHECKOUT / "tests" / "hooks" / "payloads" / "2.1.328"
AT_ONCE = 8
FLOOR = "python -S -c pass"
GOALS = {"post_tool_use 1 KB": 1.15, "post_tool_use 10 KB": 1.15, "post_tool_use 100 KB": 1.15}
GOALS |= {"user_prompt_submit 1 KB": 1.10, "stop_failure.py (behind the shell)": 1.15}
GOALS |= {"pre_tool_use 1 KB": 1.10, "post_tool_batch 1 KB": 1.10, "status line": 1.10}


def main(argv: list[str] | None = None) -> int:
    given = (argv or ["200"])[0]
    rounds = 3 if given == "--quick" else int(given)
    with tempfile.TemporaryDirectory() as folder:
        programs = _programs(Path(folder))
        took: dict[str, list[float]] = {name: [] for name in programs}
        for round_ in range(rounds + 5):
            for name, (command, stdin) in programs.items():
                seconds = _time(command, stdin)
                if round_ >= 5:  # the first rounds warm the caches
                    took[name].append(seconds)
        floor = median(took[FLOOR])
        print(f"{'program':<40}{'ratio':>7}{'goal':>7}   median of {rounds}; {FLOOR} took {floor * 1000:.1f} ms")
        for name in programs:
            ratio = median(took[name]) / floor
            goal = GOALS.get(name)
            missed = "   missed" if goal and ratio > goal else ""
            print(f"{name:<40}{ratio:>7.3f}{goal or '':>7}{missed}")
        hooks = _rate(programs["post_tool_use 1 KB"], rounds)
        print(f"{f'{AT_ONCE} hooks at once':<40}{hooks:>7.0f} a second; {FLOOR}: {_rate(programs[FLOOR], rounds):.0f}")
    return 0


def _programs(folder: Path) -> dict[str, tuple[list[str], Path]]:
    """Name -> command and the file it gets as stdin."""
    home = folder / "home"
    (home / "status_line").mkdir(parents=True)
    home.chmod(0o700)
    (home / "status_line" / "text").write_text("PC1 HEALTHY\tnothing parked\n", encoding="utf-8")
    (home / "status_line" / "previous-withbefore").write_text("cat >/dev/null; echo mine", encoding="utf-8")
    nothing = folder / "nothing"
    nothing.touch()

    def hook(file: str, *more: str) -> list[str]:
        return [PYTHON, "-I", "-S", str(CHECKOUT / "hooks" / file), str(home), *more]

    def given(name: str, kilobytes: int = 1) -> Path:
        document = json.loads((PAYLOADS / f"{name}.json").read_text(encoding="utf-8"))
        member, line = "tool_response", "a line of output, with a “quote” and a tab\t\n"
        bare = len(json.dumps(document))
        document[member] = {"stdout": line * max(0, (kilobytes * 1000 - bare) // len(line.encode()))}
        file = folder / f"{name}{kilobytes}"
        file.write_text(json.dumps(document, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")
        return file

    line = json.loads((PAYLOADS / "statusline-80pct.json").read_text(encoding="utf-8"))
    for window in line["rate_limits"].values():
        window["resets_at"] = int(time.time()) + 3600
    status = folder / "status"
    status.write_text(json.dumps(line, separators=(",", ":")), encoding="utf-8")
    return {
        FLOOR: ([PYTHON, "-S", "-c", "pass"], nothing),
        "post_tool_use 1 KB": (hook("post_tool_use.py"), given("PostToolUse")),
        "post_tool_use 10 KB": (hook("post_tool_use.py"), given("PostToolUse", 10)),
        "post_tool_use 100 KB": (hook("post_tool_use.py"), given("PostToolUse", 100)),
        "user_prompt_submit 1 KB": (hook("user_prompt_submit.py"), given("UserPromptSubmit")),
        "pre_tool_use 1 KB": (hook("pre_tool_use.py"), given("PreToolUse")),
        "post_tool_batch 1 KB": (hook("post_tool_batch.py"), given("PostToolBatch")),
        "stop_failure.py (behind the shell)": (hook("stop_failure.py"), given("StopFailure")),
        "session_start": (hook("session_start.py"), given("SessionStart")),
        "session_end": (hook("session_end.py"), given("SessionEnd")),
        "status line": (hook("statusline.py"), status),
        "status line with the one before": (hook("statusline.py", "withbefore"), status),
    }


def _time(command: list[str], stdin: Path) -> float:
    with stdin.open("rb") as file:
        begin = time.perf_counter()
        subprocess.run(command, stdin=file, stdout=subprocess.DEVNULL, check=True)
        return time.perf_counter() - begin


def _rate(program: tuple[list[str], Path], rounds: int) -> float:
    """Whole processes a second, AT_ONCE at any time."""
    command, stdin = program
    left, running = rounds * 2, [_start(command, stdin) for _ in range(AT_ONCE)]
    begin = time.perf_counter()
    done = 0
    while running:
        running.pop(0).wait()
        done += 1
        if left > 0:
            left -= 1
            running.append(_start(command, stdin))
    return done / (time.perf_counter() - begin)


def _start(command: list[str], stdin: Path) -> "subprocess.Popen[bytes]":
    with stdin.open("rb") as file:
        return subprocess.Popen(command, stdin=file, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
