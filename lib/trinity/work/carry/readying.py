"""Making ready worktrees, and giving them up: what the process does that runs behind everything else.

One such process at a time for a work folder (`tend` raises Busy for a second one). It makes what is wanted and not there,
and gives up what is half made, whose clone is gone, that was not asked for in `UNUSED_SECONDS`, for which the disk has less
than `ROOM` times its size left, or all when they are switched off. Killed at any moment it leaves what the next one takes
away: a worktree counts only once its record is written, last of all.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from trinity import clock, files, locks
from trinity.errors import Busy, TrinityError
from trinity.git import Repository
from trinity.work import projects, unfinished
from trinity.work.carry import facts, ground, ready, ready_place
from trinity.work.carry.ready_place import Made, Place

_LOCK = "maker.lock"
UNUSED_SECONDS = 30 * 86400.0
ROOM = 2
_NO_ROOM = f"the disk has less than {ROOM} times its size left"
# Why none can be made seldom changes by itself; work that comes meanwhile is a new reason to try.
_AGAIN_SECONDS = 86400.0
_BLOCK = 4096
# The clock of files may be so far behind the one on the wall.
_TICK = 0.05


def due(folder: Path, beforehand: Sequence[Path], on: bool) -> bool:
    """Whether `tend` has something to do. Looks at a few files only, because each round asks."""
    there = ready_place.listed(folder)
    if not on:
        return bool(there)
    known = {place.name for place in there}
    if any(projects.is_clone(clone) and ready_place.of(folder, clone).name not in known for clone in beforehand):
        return True
    return any(_idle(place, beforehand) or _lacking(place) or _too_big(place) for place in there)


def busy(folder: Path) -> bool:
    """Whether a process is at it already."""
    if not folder.is_dir():
        return False
    try:
        with locks.hold_inherited(folder / _LOCK, timeout=0):
            return False
    except Busy:
        return True


def tend(folder: Path, beforehand: Sequence[Path], on: bool, say: Callable[[str], None]) -> None:
    """Make and give up what is due below `folder`; `beforehand`: clones for which one is wanted before any work came.

    `say` is told what was done, in one line each. Raises Busy when another process is at it.
    """
    if not folder.is_dir():
        if not (on and beforehand):
            return
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locks.hold_inherited(folder / _LOCK, timeout=0):
        if on:
            _want(folder, beforehand, say)
        for place in ready_place.listed(folder):
            try:
                with locks.hold_inherited(place.lock, timeout=0) as held:
                    _tend(place, beforehand, on, say, held)
            except Busy:
                continue  # it is just being taken, or a killed maker's git still writes
            except (TrinityError, OSError) as error:
                place.refuse(str(error))
                say(f"no worktree is kept ready as '{place.name}': {error}")


def _want(folder: Path, beforehand: Sequence[Path], say: Callable[[str], None]) -> None:
    for clone in beforehand:
        if not projects.is_clone(clone):
            say(f"'{clone}' of ready_worktrees is no clone: name the folder with its .git in config.json")
            continue
        place = ready_place.of(folder, clone)
        if place.wish() is not None:
            continue
        try:
            head = facts.user(clone).run("rev-parse", "--verify", "HEAD^{commit}")
        except TrinityError as error:
            place.refuse(error.message)
            say(f"no worktree is kept ready of '{clone}': {error.message}")
        else:
            place.want(clone, head.decode("ascii").strip())


def _tend(place: Place, beforehand: Sequence[Path], on: bool, say: Callable[[str], None], held: int) -> None:
    if not on or _idle(place, beforehand):
        give_up(place, say)
        return
    if _too_big(place):
        _clear(place)
        place.refuse(_NO_ROOM)
        say(f"'{place.tree}' is given up: {_NO_ROOM}")
        return
    wish = place.wish()
    if wish is not None and _lacking(place):
        _clear(place)
        began = time.monotonic()
        made = make(place, Path(wish["clone"]), wish["commit"], (held,))
        seconds = time.monotonic() - began
        say(f"'{place.tree}' of '{made.clone}' is ready: {made.files} files, made in {seconds:.1f} s")


def _idle(place: Place, beforehand: Sequence[Path]) -> bool:
    """Whether nobody will miss it: not wanted, not used for long, or of a clone that is gone."""
    named = (clone for clone in beforehand if projects.is_clone(clone))
    if any(ready_place.of(place.folder, clone).name == place.name for clone in named):
        return False
    wish = place.wish()
    if wish is None or not projects.is_clone(Path(wish["clone"])):
        return True
    return clock.parse(wish["at"]) < clock.now() - UNUSED_SECONDS


def _lacking(place: Place) -> bool:
    """Whether one is to be made; one that could not be made is tried again for new work, or a day later."""
    refused = place.refused()
    if refused is None:
        return place.made() is None
    wish = place.wish()
    return clock.now() > refused[1] + _AGAIN_SECONDS or (wish is not None and clock.parse(wish["at"]) > refused[1])


def _too_big(place: Place) -> bool:
    made = place.made()
    return made is not None and shutil.disk_usage(place.folder).free < ROOM * made.size


def make(place: Place, clone: Path, commit: str, holding: tuple[int, ...] = ()) -> Made:
    """Check out `commit` of the clone as its ready worktree; the caller holds its lock. Raises TrinityError, OSError."""
    listed, size = _files(clone, commit)
    if shutil.disk_usage(place.folder).free < ROOM * size:
        raise TrinityError(_NO_ROOM)
    with unfinished.marked(place.tree, clone):
        repository = ground.repository(clone)
        ground.add(repository, place.tree, commit, holding)
        own = ground.repository(place.tree)
        found = facts.look(place.tree)
        if found.settings.get("core.sparsecheckout") == "true":
            raise TrinityError("its checkout would be sparse")
        _check_filters(own, found.git_dir, listed)
        ground.check_out(own, holding)
        # git remembers times in seconds, and does not trust its memory of files from the second of its index.
        time.sleep(1 - clock.now() % 1 + _TICK)
        own.run("update-index", "-q", "--force-write-index", "--refresh", pass_fds=holding)
        folders = ready.folders_of(listed)
        files.write_atomic(place.folders, b"".join(path + b"\0" for path in folders))
        made = Made(
            clone=str(clone),
            commit=commit,
            terms=ready.terms(repository, found),
            index=ready.index_state(found.git_dir),
            folders=ready.folders(place.tree, folders),
            files=len(listed),
            size=size,
            at=clock.iso(),
        )
    place.note(made)
    return made


def _files(clone: Path, commit: str) -> tuple[list[bytes], int]:
    """The commit's files, and their bytes on a disk."""
    # Nothing is fetched for it: in a partial clone each of these sizes could be asked of the network.
    listed, size = [], 0
    for record in facts.user(clone, 600).run("ls-tree", "-r", "-l", "-z", "--full-tree", commit).split(b"\0")[:-1]:
        described, path = record.split(b"\t", 1)
        mode, _, _, length = described.split()
        if mode == ready.LINK:
            raise TrinityError("it has submodules")
        listed.append(path)
        size += -(-int(length) // _BLOCK) * _BLOCK
    return listed, size


def _check_filters(own: Repository, git_dir: Path, listed: list[bytes]) -> None:
    """Refuse files that a program turns into something else: what it gives may change while the file does not."""
    index = git_dir / "attributes.index"
    try:
        own.run("read-tree", "HEAD", index=index)
        asked = b"".join(path + b"\0" for path in listed)
        words = own.run("check-attr", "--cached", "-z", "--stdin", "filter", stdin=asked, index=index).split(b"\0")
    finally:
        index.unlink(missing_ok=True)
    if any(value not in (b"unspecified", b"unset", b"false", b"") for value in words[2::3]):
        raise TrinityError("files of it go through a filter")


def give_up(place: Place, say: Callable[[str], None]) -> None:
    """Take away what lies at the place; its lock stays."""
    _clear(place)
    for path in (place.record, place.wanted):
        path.unlink(missing_ok=True)
    say(f"'{place.tree}' is given up")


def _clear(place: Place) -> None:
    """Take away a worktree that is whole, half made or half removed, and its entry in the clone."""
    place.record.unlink(missing_ok=True)
    if os.path.lexists(place.tree):
        wish = place.wish()
        common = projects.common_folder(place.tree)
        named = [common, *([projects.common_folder(Path(wish["clone"]))] if wish else [])]
        ground.remove(place.tree, next((one for one in named if (one / "HEAD").is_file()), None))
    unfinished.sweep(place.folder, place.name)
    place.folders.unlink(missing_ok=True)
