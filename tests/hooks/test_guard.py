"""A carried session is kept out of the place that its project had on the PC it came from."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.hooks.hook_runner import HookRunner, payload_of
from trinity.errors import TrinityError
from trinity.home import Home
from trinity.hooks.guard import reaches
from trinity.work import guard

OLD, NEW = "/srv/team/app", "/srv/team/app-carried"
DENIED = [
    ("Edit", {"file_path": f"{OLD}/a.txt"}),
    ("Write", {"file_path": f"{OLD}/new/deep.txt", "content": "x"}),
    ("Read", {"file_path": OLD}),
    ("NotebookEdit", {"notebook_path": f"{OLD}/n.ipynb"}),
    ("Edit", {"file_path": f"{NEW}/../app/a.txt"}),
    ("Edit", {"file_path": "../app/a.txt"}),
    ("Edit", {"file_path": "//srv//team/./app/a.txt"}),
    ("Glob", {"pattern": f"{OLD}/**/*.py"}),
    ("Grep", {"pattern": "x", "path": OLD}),
    ("mcp__files__put", {"target": f"{OLD}/a.txt"}),
    *(("Bash", {"command": command}) for command in (
        f"echo x > {OLD}/a.txt",
        f"echo x >{OLD}/a.txt",
        f"cd {OLD} && echo x > a.txt",
        f"cd {OLD}",
        f"(cd '{OLD}'; rm a.txt)",
        f'cat "{OLD}/a.txt"',
        f"ls {OLD}/",
        f"rm -rf {OLD}*",
        f"rm -rf {OLD}{{,-carried}}",
        f"make -C{OLD} all",
        f"tar --directory={OLD} -xf t.tar",
        f"PYTHONPATH={OLD}:/usr/lib python -c pass",
        f"echo `ls {OLD}`",
        f"cat <<E > x\n$(cat {OLD}/a)\nE",
        "cat /srv//team/./app/a.txt",
        "cat ../app/a.txt",
        "cd .. && rm app/a.txt",
        "cd ..; cd app; rm a.txt",
        "git -C ../app status",
        "cat /srv/team/app-carried/../app/a.txt",
        f"cd {OLD}/../app && rm a",
        f"echo {OLD}\\\n/a",
    )),
]  # fmt: skip
ALLOWED = [
    ("Edit", {"file_path": f"{NEW}/a.txt", "old_string": f"{OLD}/a", "new_string": f"{NEW}/a"}),
    ("Write", {"file_path": f"{NEW}/notes", "content": f"{OLD}/a.txt"}),
    ("Read", {"file_path": "/srv/team/apple"}),
    ("Read", {"file_path": f"{OLD}/../app-carried/a.txt"}),
    ("Read", {"file_path": "app/a.txt"}),
    ("Grep", {"pattern": f"{OLD}/x", "path": NEW}),
    ("Agent", {"prompt": f"replace {OLD} by {NEW}", "description": OLD}),
    ("TodoWrite", {"todos": [{"content": OLD}]}),
    *(("Bash", {"command": command}) for command in (
        f"cd {NEW} && make",
        f"cat {NEW}/a.txt > {NEW}/b.txt",
        "ls /srv/team/app.bak /srv/team/app2 /srv/team/app_old /srv/team/app~",
        f"ls /backup{OLD}/a.txt",
        f"ls ./{OLD}",
        f"cat {OLD}/../app-carried/a.txt",
        "ls app/a.txt; pwd",
        "git status",
        "",
    )),
]  # fmt: skip


@pytest.mark.posix
@pytest.mark.parametrize(("tool", "given"), DENIED)
def test_what_reaches_the_old_root_is_seen(tool: str, given: dict[str, Any]) -> None:
    assert reaches(OLD, NEW, NEW, tool, given)


@pytest.mark.posix
@pytest.mark.parametrize(("tool", "given"), ALLOWED)
def test_what_only_looks_like_it_is_left_alone(tool: str, given: dict[str, Any]) -> None:
    assert not reaches(OLD, NEW, NEW, tool, given)


@pytest.mark.posix
def test_links_are_followed(tmp_path: Path) -> None:
    old, new = tmp_path / "real old", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    (tmp_path / "name").symlink_to(old)
    (new / "inside").symlink_to(old)
    for root in (str(old), str(tmp_path / "name")):
        assert reaches(root, str(new), str(new), "Edit", {"file_path": str(old / "a")})
        assert reaches(root, str(new), str(new), "Edit", {"file_path": str(tmp_path / "name" / "a")})
        assert reaches(root, str(new), str(new), "Edit", {"file_path": "inside/a"})
        assert reaches(root, str(new), str(new), "Bash", {"command": "rm inside/a"})
        assert reaches(root, str(new), str(new), "Bash", {"command": f"rm {str(old).replace(' ', chr(92) + ' ')}/a"})
        assert not reaches(root, str(new), str(new), "Bash", {"command": "rm real old2"})


@pytest.mark.posix
def test_an_old_name_that_leads_to_the_new_place_is_no_danger(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "old").symlink_to(tmp_path / "new")
    old, new = str(tmp_path / "old"), str(tmp_path / "new")
    assert not reaches(old, new, new, "Edit", {"file_path": f"{old}/a"})
    assert not reaches(old, new, new, "Bash", {"command": f"cd {old} && rm a"})
    assert guard.deny_rules(old, new) == []


@pytest.mark.posix
def test_of_two_roots_in_each_other_the_inner_one_owns_a_path(tmp_path: Path) -> None:
    outer, inner = str(tmp_path), str(tmp_path / "in" / "side")
    for old, new, theirs, ours in (
        (outer, inner, f"{outer}/a", f"{inner}/a"),
        (inner, outer, f"{inner}/a", f"{outer}/a"),
    ):
        for tool, member, form in (("Edit", "file_path", "{}"), ("Bash", "command", "rm {}")):
            assert reaches(old, new, new, tool, {member: form.format(theirs)}), (old, tool)
            assert not reaches(old, new, new, tool, {member: form.format(ours)}), (old, tool)
    assert guard.deny_rules(outer, inner) == []


@pytest.mark.posix
def test_the_users_folder_has_many_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/srv/team")
    for name in ("~/app", "$HOME/app", "${HOME}/app", '"$HOME"/app'):
        assert reaches(OLD, NEW, NEW, "Bash", {"command": f"rm {name}/a"}), name
    assert reaches(OLD, NEW, NEW, "Bash", {"command": "cd && rm app/a"})
    assert reaches(OLD, NEW, NEW, "Read", {"file_path": "~/app/a"})
    assert not reaches(OLD, NEW, NEW, "Bash", {"command": "rm ~/app-carried/a"})


@pytest.mark.posix
def test_a_command_run_in_the_old_root_is_denied(tmp_path: Path) -> None:
    assert reaches(OLD, NEW, f"{OLD}/src", "Bash", {"command": "rm a.txt"})


GIVEN = payload_of("PreToolUse")
SESSION = str(GIVEN["session_id"])


def denied(runner: HookRunner, **more: Any) -> str:
    done = runner.run("pre_tool_use.py", {**GIVEN, "cwd": NEW, **more})
    assert (done.returncode, done.stderr, runner.log()) == (0, b"", [])
    return json.loads(done.stdout)["hookSpecificOutput"]["permissionDecisionReason"] if done.stdout else ""


def raised(runner: HookRunner) -> Path:
    path = guard.raise_guard(Home(runner.home), SESSION, [OLD], NEW)
    assert path is not None
    return path


@pytest.mark.posix
def test_the_model_hears_where_its_project_is_and_the_turn_goes_on(runner: HookRunner) -> None:
    home = Home(runner.home)
    guard.raise_guard(home, SESSION, [OLD], NEW)
    assert denied(runner) == ""
    said = denied(runner, tool_input={"command": f"cd {OLD} && make"})
    assert f"'{OLD}'" in said and f"'{NEW}'" in said and "read a file again before editing" in said
    assert denied(runner, session_id="another", tool_input={"command": f"cd {OLD}"}) == ""
    assert [guard.lower_guard(home, SESSION) for _ in "12"] == [True, False]
    assert denied(runner, tool_input={"command": f"cd {OLD}"}) == ""


@pytest.mark.posix
@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"old_root":"x","new_root":"/y"}', b'{"old_root":1}', b"\xff"]
)
def test_a_damaged_guard_lets_no_tool_of_its_session_run(runner: HookRunner, content: bytes) -> None:
    path = raised(runner)
    path.write_bytes(content)
    assert str(path) in denied(runner)
    assert denied(runner, session_id="another") == ""


@pytest.mark.posix
def test_a_tool_input_too_big_to_be_read_is_denied(runner: HookRunner) -> None:
    path = raised(runner)
    given = {**GIVEN, "cwd": NEW, "tool_input": {"file_path": f"{OLD}/a", "content": "x" * (17 << 20)}}
    done = runner.run("pre_tool_use.py", given)
    assert str(path) in done.stdout.decode()


@pytest.mark.posix
def test_a_long_command_is_judged_quickly(runner: HookRunner) -> None:
    guard.raise_guard(Home(runner.home), SESSION, [OLD], NEW)
    text = "word and/path ../other\n" * 20_000
    done = runner.run("pre_tool_use.py", {**GIVEN, "cwd": NEW, "tool_input": {"command": f"cat <<E\n{text}E"}})
    assert (done.returncode, done.stdout) == (0, b"")


@pytest.mark.posix
def test_a_guard_stands_on_two_absolute_folders(home: Home) -> None:
    for new in ("app", "/"):
        with pytest.raises(TrinityError):
            guard.raise_guard(home, SESSION, [OLD], new)
    # what no path of this PC can mean is no danger, and no reason not to go on with the work
    assert guard.raise_guard(home, SESSION, ["app", "/", "C:\\work\\app", NEW], NEW) is None
    assert guard.client_arguments(["C:\\work\\app"], NEW) == [] and not home.guard.exists()


@pytest.mark.posix
def test_the_deny_rules_name_the_root_and_all_below_it_with_its_links_resolved(tmp_path: Path) -> None:
    real, named = tmp_path / "real [x]", tmp_path / "named"
    real.mkdir()
    named.symlink_to(real)
    rules = guard.deny_rules(str(named), "/srv/new")
    assert f"Edit(/{named}/**)" in rules and f"Read(/{named}/**)" in rules
    assert f"Edit(/{tmp_path}/real \\[x\\]/**)" in rules
    option, settings = guard.client_arguments([str(named)], "/srv/new")
    assert (option, json.loads(settings)) == ("--settings", {"permissions": {"deny": rules}})
    assert os.path.realpath(named) == str(real)


@pytest.mark.posix
def test_a_session_prompted_in_the_carried_folder_gets_its_guard(runner: HookRunner, tmp_path: Path) -> None:
    new = tmp_path / "carried"
    (new / "src").mkdir(parents=True)
    home = Home(runner.home)
    broken = guard.raise_guard(home, "broken", [OLD], str(new))
    assert broken is not None
    broken.write_bytes(b"{")
    prompted = payload_of("UserPromptSubmit")
    for cwd, guarded in ((tmp_path, False), (new / "src", False)):
        runner.run("user_prompt_submit.py", {**prompted, "session_id": "fork", "cwd": str(cwd)})
        assert (home.guard / "fork.json").exists() is guarded
    guard.raise_guard(home, SESSION, [OLD], str(new))
    for cwd, guarded in ((tmp_path, False), (new / "src", True)):
        runner.run("user_prompt_submit.py", {**prompted, "session_id": "fork", "cwd": str(cwd)})
        assert (home.guard / "fork.json").exists() is guarded
    assert OLD in denied(runner, session_id="fork", tool_input={"command": f"cd {OLD}"})
    assert runner.log() == []
