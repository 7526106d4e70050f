"""Files: whole or not at all, strict to read, private, and never deleted by us."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from trinity import files, home
from trinity.errors import BadRecord, TrinityError

LIB = Path(__file__).resolve().parents[2] / "lib"


def test_a_writer_killed_at_any_moment_leaves_the_old_or_the_new_content(tmp_path: Path) -> None:
    target = tmp_path / "state.json"
    files.write_json(target, {"n": -1, "fill": "x" * 20000})
    loop = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\nfrom trinity import files\n"
        "n = 0\nwhile True:\n    files.write_json(Path(sys.argv[2]), {'n': n, 'fill': 'y' * 20000}); n += 1\n"
        "    if n == 1: print('go', flush=True)\n"
    )
    seen = set()
    for k in range(20):
        writer = subprocess.Popen([sys.executable, "-c", loop, str(LIB), str(target)], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(0.003 * k)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        document = json.loads(target.read_bytes())
        assert len(document["fill"]) == 20000
        seen.add(document["n"])
    assert len(seen) > 3  # the kills came at different moments, and work was done in between


def test_a_full_disk_leaves_the_old_content(tmp_path: Path) -> None:
    target = tmp_path / "state.json"
    files.write_json(target, {"old": True})
    program = (
        "import resource, signal, sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\nfrom trinity import files\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nresource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "files.write_json(Path(sys.argv[2]), {'new': 'x' * 1000})\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(LIB), str(target)], capture_output=True, text=True)
    assert done.returncode == 1 and "File too large" in done.stderr
    assert json.loads(target.read_bytes()) == {"old": True}
    assert [entry.name for entry in tmp_path.iterdir()] == ["state.json"]


def test_small_diffs_sorted_keys_and_one_final_newline() -> None:
    assert files.dump_json({"b": 1, "a": "ü"}) == '{\n  "a": "ü",\n  "b": 1\n}\n'.encode()


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "not JSON"),
        (b'{"a": 1, "a": 2}', "twice"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": -Infinity}', "Infinity"),
        (b'{"a": "\\ud800"}', "surrogate"),
        (b"\xff\xfe", "UTF-8"),
        (b"[" * 100_000, "nested"),
        (b'{"a": "' + b"x" * 1_000_001 + b'"}', "more than"),
        (b"{} {}", "not JSON"),
    ],
)
def test_what_two_readers_could_read_differently_is_refused(data: bytes, word: str) -> None:
    with pytest.raises(BadRecord, match=word):
        files.load_json(data, "some/file.json")


def test_brackets_inside_strings_are_no_depth() -> None:
    assert files.load_json(json.dumps({"a": "[" * 200 + '\\"'}).encode(), "s") == {"a": "[" * 200 + '\\"'}


def test_a_damaged_file_goes_to_quarantine_with_its_reason_and_its_bytes(tmp_path: Path) -> None:
    state = home.open_home(tmp_path / "t", create=True)
    bad = state.root / "config.json"
    bad.write_bytes(b"{torn")
    moved = files.quarantine(state, bad, "not JSON")
    assert not bad.exists() and moved.read_bytes() == b"{torn"
    assert "not JSON" in moved.with_name(moved.name + ".why").read_text(encoding="utf-8")


def test_the_state_folder_is_private_and_a_looser_one_is_refused(tmp_path: Path) -> None:
    state = home.open_home(tmp_path / "t", create=True)
    assert state.root.stat().st_mode & 0o777 == 0o700
    assert "belongs to Trinity" in (state.root / "README").read_text(encoding="utf-8")
    state.root.chmod(0o750)
    with pytest.raises(TrinityError) as refused:
        home.open_home(state.root)
    assert "0750" in refused.value.message and refused.value.hint.startswith("chmod 700")


def test_a_missing_state_folder_says_how_to_install(tmp_path: Path) -> None:
    with pytest.raises(TrinityError) as refused:
        home.open_home(tmp_path / "nothing")
    assert "install" in refused.value.hint


def test_in_tests_the_default_state_folder_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRINITY_HOME", raising=False)
    monkeypatch.setenv("TRINITY_FORBID_DEFAULT_HOME", "1")
    with pytest.raises(TrinityError, match="forbidden"):
        home.resolve()
    monkeypatch.delenv("TRINITY_FORBID_DEFAULT_HOME")
    assert home.resolve() == Path(os.path.expanduser("~/.trinity"))
