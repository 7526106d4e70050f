"""Packing: a dirty worktree becomes a bundle and a manifest, and nothing of the repository or worktree is changed.

A pass looks, reads every listed file, packs the repositories inside, and looks again. When both looks and all files agree
the parcel is a cut of one moment; after `passes` tries it is shipped as it is, with `consistent: false` and the paths that
moved. Every path that is not carried is listed with its size and the reason.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

from trinity.errors import TrinityError
from trinity.work.carry import content, conversion, facts, filters, operation, parceling, paths, scan
from trinity.work.carry.consent import NONE, Consent
from trinity.work.carry.content import Caps, Taken, Withheld
from trinity.work.carry.facts import Facts
from trinity.work.carry.private import Private
from trinity.work.carry.shapes import MEGABYTE, Parcel, Pass, Rules

_DEEPEST = 8
_BETWEEN_PASSES = 0.1


def pack(
    worktree: Path,
    into: Path,
    *,
    cap_file: int = 50 * MEGABYTE,
    cap_total: int = 200 * MEGABYTE,
    withheld: Withheld | None = None,
    bases: str = "auto",
    wait: float = 5.0,
    passes: int = 4,
    committed_secrets: bool = False,
    consent: Consent = NONE,
    published: list[str] | None = None,
) -> Parcel:
    """Pack the worktree that the folder `worktree` lies in into `into`/parcel.bundle.

    `withheld(path, content)` gives a reason to leave a file out, or None. `bases`: how much history travels along: `thin`
    (what no remote has), `shallow` (and the base itself, cut there), `full`; `auto` is thin when there is a remote's commit,
    and cut when the whole does not fit. `consent`: what ignored files and permissions may travel.
    `published`: commits that the other side can get; without, those the remotes had when last fetched (`bases.py` asks).
    `wait`: seconds for somebody's `index.lock` to go. Raises TrinityError; CommittedSecret, unless
    `committed_secrets`, when a commit that no remote has holds what is withheld.
    """
    into.mkdir(mode=0o700, parents=True, exist_ok=True)
    rule = consent.withheld(withheld)
    caps = Caps(cap_file, cap_total)
    return _pack(worktree, into, Rules(caps, rule, bases, wait, passes, committed_secrets, consent, published))


def _pack(worktree: Path, into: Path, rules: Rules) -> Parcel:
    found = facts.look(worktree)
    notes = _wait_for_locks(found, rules.wait)
    folder = into / f"private-{os.getpid()}-{time.monotonic_ns()}"
    try:
        aside = Private(folder, found)
        made = _passes(aside, into, rules)
        return parceling.parcel(aside, worktree, into, made, rules, notes)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for_locks(found: Facts, wait: float) -> list[str]:
    locks = [found.git_dir / "index.lock", found.git_dir / "HEAD.lock"]
    end = time.monotonic() + wait
    while held := [lock.name for lock in locks if lock.exists()]:
        if time.monotonic() >= end:
            return [f"{' and '.join(held)} did not go within {wait:g} s: another git may have been at work"]
        time.sleep(0.05)
    return []


def _passes(aside: Private, into: Path, rules: Rules) -> Pass:
    made = _one_pass(aside, into, rules)
    for _ in range(rules.passes - 1):
        if made.consistent:
            break
        time.sleep(_BETWEEN_PASSES)
        made = _one_pass(aside, into, rules)
    return made


def _one_pass(aside: Private, into: Path, rules: Rules) -> Pass:
    top, object_format = aside.facts.top, aside.facts.object_format
    seen = scan.look(aside)
    work = {path: path in seen.listing for path in seen.changed - seen.repositories}
    work |= dict.fromkeys(conversion.differing(aside, seen) - set(work), True)
    work |= dict.fromkeys(rules.consent.ignored(os.fsencode(top), seen.ignored) - set(work), False)
    used = filters.in_use(aside, seen)
    kept = _kept(work, used, rules)
    wanted = [(path, tracked) for path, tracked in work.items() if path not in kept]
    taken = content.take(top, wanted, aside.folder / "objects", object_format, rules.caps, rules.withheld)
    for path, reason in kept.items():
        taken.leave(path, _size(top, path), reason)
    aside.written |= {entry["blob"] for entry in taken.entries.values() if "blob" in entry}
    made = Pass(seen, taken, operation.read(aside.facts, aside), used)
    weight = taken.weight
    for path in sorted(seen.repositories):
        child = _child(aside, path, into, rules, weight, taken)
        if child is not None:
            made.children[path] = child
            weight += int(child.manifest["weight"])
    quiet = not seen.repositories and content.quiet(top, taken, aside.began)
    again = scan.again(aside, seen, quiet)
    made.moving = content.moving(top, taken, object_format)
    made.moving += [path for path, child in made.children.items() if not child.consistent]
    made.consistent = again and not made.moving
    return made


def _kept(work: dict[bytes, bool], used: dict[str, set[bytes]], rules: Rules) -> dict[bytes, str]:
    """Paths that stay whatever is in them, with the reason."""
    kept = {path: reason for path in work if (reason := rules.consent.keeps(path))}
    if rules.withheld:
        hidden = filters.hidden(used)
        kept |= {
            path: f"withheld: the repository keeps it encrypted (filter {hidden[path]})"
            for path in work
            if path in hidden
        }
    return kept


def _size(top: Path, path: bytes) -> int:
    status = paths.Below(os.fsencode(top)).lstat(path)
    return status.st_size if status else 0


def _child(aside: Private, path: bytes, into: Path, rules: Rules, weight: int, taken: Taken) -> Parcel | None:
    """The parcel of a submodule or a repository inside; None (and a line of what is left out) when there can be none."""
    if rules.depth >= _DEEPEST:
        taken.leave(path, 0, "repositories inside each other too deeply")
        return None
    below = replace(
        rules,
        caps=Caps(rules.caps.file, max(0, rules.caps.total - weight)),
        withheld=_inside(path, rules.withheld),
        history="auto",
        wait=0.0,
        passes=1,
        consent=rules.consent.inside(path),
        published=None,
        depth=rules.depth + 1,
    )
    folder = into / f"child-{rules.depth}-{hashlib.sha256(path).hexdigest()[:16]}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        return _pack(Path(os.fsdecode(os.fsencode(aside.facts.top) + b"/" + path.rstrip(b"/"))), folder, below)
    except TrinityError as error:
        taken.leave(path, 0, f"a repository that cannot be packed: {error.message}")
        return None


def _inside(path: bytes, withheld: Withheld | None) -> Withheld | None:
    if withheld is None:
        return None
    return lambda name, data: withheld(f"{paths.shown(path).rstrip('/')}/{name}", data)
