"""See Trinity at its main job, with no account and nothing installed: ./install.sh --demo

Three PCs, each a temporary home that gets Trinity by its own installer, share a git repository; a scripted API on loopback
stands for the provider. The real Claude Code works on PC1 until a usage limit stops it. The same conversation goes on, on
the same uncommitted files, on PC2 and, when the limit stops it there too, on PC3; the result comes home to PC1. Nobody types
anything but what is shown. `--one-pc` tells the story of a single PC: parked at the limit, resumed after its reset.

Every line carries the seconds since the start, every step is asked of the programs that users call. Afterwards only `.venv`
and package caches are left.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(CHECKOUT), str(CHECKOUT / "lib")]

from tests import demo_one_pc
from tests.demo_stage import DemoFailed, Pc, Stage
from tests.fake_api import Request, ScriptedApi
from trinity import git
from trinity.errors import TrinityError

TITLE = "Trinity, three PCs: a limit ends a session, the same conversation goes on elsewhere, the result comes home"
TASK = "Write the release notes: notes.md with the features, fixes.md with the fixes, thanks.md with the names."
SAID = ("First the features.", "Now the fixes, as asked.", "And the names.")
FILES = ("notes.md", "fixes.md", "thanks.md")
STATUS = ("status", "--short")
RESET_IN = 20.0


def play(stage: Stage) -> None:
    """The whole story; raises DemoFailed at the first step that does not happen."""
    stage.tell(f"a scripted API stands for the provider: {stage.api.url}; no account, no request leaves this machine")
    one, two, three = _fleet(stage)
    session = _work_until_the_limit(stage, one)
    before = one.git(*STATUS, shown=True)
    _see_it_go_on(stage, two, session, SAID[:1])
    _typing_is_refused(stage, one, session)
    _see_it_go_on(stage, three, session, SAID[:2])
    record = stage.wait("PC1 knew that it is done", lambda: one.handoff(session, state="done"), 120)
    stage.tell("PC3 has finished; the handoff is done, and PC1 knows it")
    one.program("handoffs", "list", "--all")
    one.program("handoffs", "show", str(record["id"]))
    _take_it_home(stage, one, three, str(record["id"]), before)


def _fleet(stage: Stage) -> tuple[Pc, Pc, Pc]:
    fleet = git.init_bare(stage.folder / "fleet.git", server=True).path
    origin = git.init_bare(stage.folder / "project.git").path
    one, two, three = (stage.pc(name) for name in ("PC1", "PC2", "PC3"))
    stage.tell("three PCs join one fleet, a git repository; each has a login of its own, and its daemon watches")
    for pc in (one, two, three):
        kind = ("--account", f"login-of-{pc.name}", "--account-kind", "api")
        pc.install("--fleet", str(fleet), *kind, poll_seconds=1, roots=[str(pc.client.home / "projects")])
    project = one.client.project
    (project / "README.md").write_text("The program\n", encoding="utf-8", newline="\n")
    for command in (("init", "-q", "-b", "main"), ("add", "."), ("commit", "-q", "-m", "start")):
        one.git(*command)
    one.git("remote", "add", "origin", str(origin))
    one.git("push", "-q", "origin", "main")
    (two.client.home / "projects").mkdir()
    two.git("clone", "-q", "-b", "main", str(origin), "program", folder=two.client.home / "projects")
    with open(project / "README.md", "a", encoding="utf-8", newline="\n") as stream:
        stream.write("Version 2\n")
    (project / "CHANGES").write_text("staged, not committed\n", encoding="utf-8", newline="\n")
    one.git("add", "CHANGES")
    for pc in (one, two, three):
        pc.watch()
    beats = [fleet / "refs" / "trinity-hb" / pc.name for pc in (one, two, three)]
    # Of those that fit, the first in the rotation gets the work; one that was not heard of yet would come last.
    stage.wait("the PCs have heard of each other", lambda: all(beat.exists() for beat in beats))
    return one, two, three


def _work_until_the_limit(stage: Stage, one: Pc) -> str:
    steps: list[Any] = []
    for text, name in zip(SAID, FILES, strict=True):
        tool = {"name": "Write", "input": {"file_path": name, "content": f"# {name}\n"}}
        steps.append({"text": text, "tools": [tool]})
    stage.api.set_plan({"steps": steps, "default": {"text": "All three files are written."}})
    for pc in stage.pcs[:2]:
        # each serves one turn, then it is used up
        stage.api.limit_until(float("inf"), after=1, lasts=3600, account=pc.client.token)
    stopped = one.claude(TASK, "--permission-mode", "acceptEdits")
    if stopped.returncode != 1 or not any(request.limited for request in stage.api.requests):
        raise DemoFailed(f"the client was to stop at a limit, but: {stopped.stdout[-500:]} {stopped.stderr[-500:]}")
    stage.tell(f"Claude Code stops on PC1: “{stopped.text}” (exit {stopped.returncode}); session {stopped.session}")
    return stopped.session


def _see_it_go_on(stage: Stage, pc: Pc, session: str, said: tuple[str, ...]) -> None:
    first = stage.wait(f"the session went on on {pc.name}", lambda: stage.served(session, pc))
    limits = [request.time for request in stage.api.main_requests(session) if request.limited]
    after = first.time - max(moment for moment in limits if moment < first.time)
    stage.tell(f"{pc.name} goes on {after:.1f} s after the limit, in the same conversation; its first request:")
    stage.show_conversation(first, lines=1)
    if TASK not in first.text or not all(text in first.text for text in said):
        raise DemoFailed(f"the first request of {pc.name} does not hold the earlier turns")
    name = FILES[len(said)]
    place = stage.wait(f"{name} was written on {pc.name}", lambda: _written(pc, name))
    stage.tell(f"and on the same uncommitted files, with {name} added:")
    pc.git(*STATUS, folder=place, shown=True)


def _written(pc: Pc, name: str) -> Path | None:
    return next((place for place in (pc.home / "work").glob("project-*") if (place / name).exists()), None)


def _typing_is_refused(stage: Stage, one: Pc, session: str) -> None:
    asked = len(_turns(stage, one))
    refused = one.claude("and tell me a joke", "--resume", session)
    said = next((line for line in (refused.stdout + refused.stderr).splitlines() if "went to" in line), "")
    kept = sorted((one.home / "held").glob(f"{session}-*.txt"))
    if not said or not kept or len(_turns(stage, one)) != asked:
        raise DemoFailed(f"PC1 was to refuse the prompt, but: {refused.stdout[-500:]} {refused.stderr[-500:]}")
    stage.tell("refused on PC1 meanwhile; nothing was sent, and the prompt is kept in held/")


def _turns(stage: Stage, pc: Pc) -> list[Request]:
    return [request for request in stage.api.main_requests() if request.account == pc.client.token]


def _take_it_home(stage: Stage, one: Pc, three: Pc, handoff_id: str, before: str) -> None:
    there = _written(three, FILES[-1])
    one.program("accept_handoff", handoff_id, "--take-back")
    home = _written(one, FILES[-1])
    if there is None or home is None:
        raise DemoFailed("the result did not come home")
    taken = one.git(*STATUS, folder=home, shown=True)
    same = all((home / name).read_bytes() == (there / name).read_bytes() for name in (*FILES, "README.md", "CHANGES"))
    if not same or taken != three.git(*STATUS, folder=there):
        raise DemoFailed(f"'{home}' is not what PC3 made at '{there}'")
    if one.git(*STATUS) != before:
        raise DemoFailed("PC1's own worktree has changed")
    if str(home) not in one.git("worktree", "list"):
        raise DemoFailed(f"'{home}' is no worktree of PC1's repository")
    stage.tell("home again in a new worktree, equal to PC3's; PC1's own worktree is as it was")


def _compiled() -> set[Path]:
    """The byte code folders of the checkout: the ones a demo makes are taken away again."""
    return {found for part in ("lib", "hooks", "scripts", "tests") for found in (CHECKOUT / part).rglob("__pycache__")}


def _removed(folder: Path) -> bool:
    for _ in range(20):  # what is just ending may still write
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return True
        time.sleep(0.25)
    return False


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--one-pc", action="store_true", help="the story of a single PC")
    parser.add_argument(
        "--reset-in", type=float, default=RESET_IN, metavar="SECONDS", help="when its limit resets, default 20"
    )
    parser.add_argument("--keep", action="store_true", help="leave the temporary folder for a look")
    arguments = parser.parse_args(argv)
    before = _compiled()
    folder = Path(tempfile.mkdtemp(prefix="trinity-demo-")).resolve()
    print(f"{demo_one_pc.TITLE if arguments.one_pc else TITLE}\n  in {folder}\n")
    failed = ""
    try:
        with ScriptedApi() as api, Stage(api, folder) as stage:
            if arguments.one_pc:
                demo_one_pc.play(stage, arguments.reset_in)
            else:
                play(stage)
    except (DemoFailed, TrinityError, TimeoutError, subprocess.SubprocessError, OSError) as error:
        failed = str(error)
    except KeyboardInterrupt:
        failed = "interrupted"
    if failed:
        print(f"demo: error: {failed}", file=sys.stderr)
        for log in [*sorted(folder.glob("*/.trinity/logs/*.log")), *sorted(folder.glob("daemon-*.log"))]:
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-8:]
            told = [f"  {log.relative_to(folder)}:", *(f"    {line}" for line in lines)]
            print("\n".join(told), file=sys.stderr)
    if arguments.keep:
        print(f"  kept: {folder}")
    else:
        print(f"  removed: {folder}" if _removed(folder) else f"  could not be removed: {folder}")
    for made in _compiled() - before:
        shutil.rmtree(made, ignore_errors=True)
    return 130 if failed == "interrupted" else int(bool(failed))


if __name__ == "__main__":
    raise SystemExit(main())
