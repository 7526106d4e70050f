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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trinity import clock, schema
from trinity.errors import TrinityError
from trinity.work.carry import (
    committed,
    content,
    conversion,
    history,
    manifest,
    objects,
    operation,
    paths,
    private,
    scan,
)
from trinity.work.carry.content import Caps, Taken, Withheld
from trinity.work.carry.history import Tree
from trinity.work.carry.private import Facts, Private
from trinity.work.carry.scan import Look

MEGABYTE = 1_000_000
_DEEPEST = 8
_BETWEEN_PASSES = 0.1


@dataclass(frozen=True)
class Parcel:
    """`manifest` and `bundle` travel together. `moving` are the paths that did not hold still."""

    manifest: dict[str, Any]
    bundle: Path
    left_out: list[dict[str, Any]]
    consistent: bool
    moving: list[str]


@dataclass(frozen=True)
class _Rules:
    caps: Caps
    withheld: Withheld | None
    history: str
    wait: float
    passes: int
    committed_secrets: bool
    published: list[str] | None = None
    depth: int = 0


@dataclass
class _Pass:
    """What one pass found."""

    look: Look
    taken: Taken
    operation: operation.Operation | None
    children: dict[bytes, Parcel] = field(default_factory=dict)
    moving: list[bytes] = field(default_factory=list)
    consistent: bool = False


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
    published: list[str] | None = None,
) -> Parcel:
    """Pack the worktree that the folder `worktree` lies in into `into`/parcel.bundle.

    `withheld(path, content)` gives a reason to leave a file out, or None. `bases`: how much history travels along: `thin`
    (what no remote has), `shallow` (and the base itself, cut there), `full`; `auto` is thin when there is a remote's commit.
    `published`: commits that the other side can get; without, those the remotes had when last fetched (`bases.py` asks).
    `wait`: seconds for somebody's `index.lock` to go. Raises TrinityError; CommittedSecret, unless
    `committed_secrets`, when a commit that no remote has holds what is withheld.
    """
    into.mkdir(mode=0o700, parents=True, exist_ok=True)
    return _pack(
        worktree, into, _Rules(Caps(cap_file, cap_total), withheld, bases, wait, passes, committed_secrets, published)
    )


def _pack(worktree: Path, into: Path, rules: _Rules) -> Parcel:
    facts = private.look(worktree)
    notes = _wait_for_locks(facts, rules.wait)
    folder = into / f"private-{os.getpid()}-{time.monotonic_ns()}"
    try:
        aside = Private(folder, facts)
        made = _passes(aside, into, rules)
        return _parcel(aside, worktree, into, made, rules, notes)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for_locks(facts: Facts, wait: float) -> list[str]:
    locks = [facts.git_dir / "index.lock", facts.git_dir / "HEAD.lock"]
    end = time.monotonic() + wait
    while held := [lock.name for lock in locks if lock.exists()]:
        if time.monotonic() >= end:
            return [f"{' and '.join(held)} did not go within {wait:g} s: another git may have been at work"]
        time.sleep(0.05)
    return []


def _passes(aside: Private, into: Path, rules: _Rules) -> _Pass:
    made = _one_pass(aside, into, rules)
    for _ in range(rules.passes - 1):
        if made.consistent:
            break
        time.sleep(_BETWEEN_PASSES)
        made = _one_pass(aside, into, rules)
    return made


def _one_pass(aside: Private, into: Path, rules: _Rules) -> _Pass:
    facts = aside.facts
    seen = scan.look(aside)
    work = {path: path in seen.listing.lines for path in seen.changed - seen.repositories}
    work |= dict.fromkeys(conversion.differing(aside, seen) - set(work), True)
    blobs = aside.folder / "objects"
    taken = content.take(facts.top, work.items(), blobs, facts.object_format, rules.caps, rules.withheld)
    made = _Pass(seen, taken, operation.read(facts, aside))
    weight = taken.weight
    for path in sorted(seen.repositories):
        child = _child(aside, path, into, rules, weight, taken)
        if child is not None:
            made.children[path] = child
            weight += child.manifest["weight"]
    again = scan.again(aside, seen)
    made.moving = content.moving(facts.top, taken, facts.object_format)
    made.moving += [path for path, child in made.children.items() if not child.consistent]
    made.consistent = again and not made.moving
    return made


def _child(aside: Private, path: bytes, into: Path, rules: _Rules, weight: int, taken: Taken) -> Parcel | None:
    """The parcel of a submodule or a repository inside; None (and a line of what is left out) when there can be none."""
    if rules.depth >= _DEEPEST:
        taken.leave(path, 0, "repositories inside each other too deeply")
        return None
    caps = Caps(rules.caps.file, max(0, rules.caps.total - weight))
    below = _Rules(caps, _inside(path, rules.withheld), "auto", 0.0, 1, rules.committed_secrets, None, rules.depth + 1)
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


def _parcel(aside: Private, worktree: Path, into: Path, made: _Pass, rules: _Rules, notes: list[str]) -> Parcel:
    facts, seen, taken = aside.facts, made.look, made.taken
    tips = made.operation.tips if made.operation else []
    published = facts.remote_tips if rules.published is None else rules.published
    if rules.withheld and not rules.committed_secrets:
        heads = [seen.head] if seen.head else []
        files = made.operation.files if made.operation else {}
        committed.check(aside, [*heads, *tips], published, files, rules.withheld)
    _withhold_staged(aside, made, rules)
    staged, state = Tree(b"i"), Tree(b"w")
    entries = manifest.entries(seen, taken, staged, state)
    children = _children(aside, made, state, into)
    index_commit = history.commit(aside, staged.write(aside), seen.head, "index as it was")
    state_commit = history.commit(aside, state.write(aside), index_commit, "worktree as it was")
    bundle = history.bundle(
        aside,
        into / "parcel.bundle",
        state=state_commit,
        index=index_commit,
        head=seen.head,
        tips=tips,
        published=published,
        history=rules.history,
        packed=taken.weight > 16 * MEGABYTE,
    )
    empty, special = scan.walk(aside, seen)
    for path in special:
        kind = scan.special_kind(Path(os.fsdecode(os.fsencode(facts.top) + b"/" + path)))
        taken.leave(path, 0, f"a {kind}, which git does not carry")
    left_out = manifest.left_out(taken, made.children)
    moving = [paths.shown(path) for path in made.moving]
    document = {
        "kind": "parcel",
        "version": schema.VERSION,
        "made_at": clock.iso(milliseconds=True),
        "object_format": facts.object_format,
        "root": paths.shown(os.fsencode(facts.top)),
        "folder": manifest.folder(worktree, facts.top),
        "head": seen.head,
        "branch": seen.branch,
        "bundle": manifest.digest(bundle.bundle),
        "commits": {"state": bundle.state, "index": bundle.index},
        "history": bundle.history,
        "bases": bundle.bases,
        "shallow": bundle.shallow,
        "remotes": manifest.remotes(facts.remotes, facts.top),
        "settings": manifest.settings(facts.settings),
        "rules": manifest.rules(aside),
        "filters": conversion.filters(aside, seen),
        "entries": entries,
        "folders": [paths.encode(path) for path in empty],
        "index_proof": manifest.index_proof(seen.listing, manifest.outside(left_out)),
        "operation": made.operation.document() if made.operation else None,
        "children": children,
        "left_out": left_out,
        "ignored": [paths.encode(path) for path in manifest.ignored(seen, taken)],
        **manifest.warnings(seen),
        "consistent": made.consistent,
        "moving": moving,
        "weight": taken.weight + sum(child.manifest["weight"] for child in made.children.values()),
        "notes": notes + manifest.notes(aside, seen, made.operation),
    }
    schema.validate("parcel", document, str(worktree))
    return Parcel(document, bundle.bundle, left_out, made.consistent, moving)


def _withhold_staged(aside: Private, made: _Pass, rules: _Rules) -> None:
    """What is staged and no longer in the worktree is a content of its own, and may hold a secret too."""
    withheld = rules.withheld
    if withheld is None:
        return
    entries = made.taken.entries
    wanted: dict[str, list[bytes]] = {}
    for path, entry in entries.items():
        for mode, oid, _ in made.look.listing.lines.get(path, []):
            if mode != "160000" and oid != entry.get("blob"):
                wanted.setdefault(oid, []).append(path)
    if not wanted:
        return
    for oid, data in objects.read_blobs(aside.git, objects.sizes(aside.git, wanted, rules.caps.total)):
        for path in wanted[oid]:
            reason = withheld(paths.shown(path), data)
            if reason:
                made.taken.leave(path, len(data), f"withheld: {reason}")


def _children(aside: Private, made: _Pass, state: Tree, into: Path) -> list[dict[str, Any]]:
    described = []
    for path, child in made.children.items():
        data = child.bundle.read_bytes()
        oid = objects.write_blob(aside.folder / "objects", data, aside.facts.object_format)
        state.put(path.rstrip(b"/") + b".bundle", oid, aside=True)
        lines = made.look.listing.lines.get(path)
        described.append(
            {
                **paths.encode(path.rstrip(b"/")),
                "submodule": lines is not None,
                "blob": oid,
                "size": len(data),
                "manifest": child.manifest,
            }
        )
        shutil.rmtree(child.bundle.parent, ignore_errors=True)
    return described
