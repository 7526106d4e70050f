"""What a pass found becomes a parcel: two commits, a bundle, and the manifest that describes them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from trinity import clock, schema
from trinity.errors import TrinityError
from trinity.git import together
from trinity.redaction import redact
from trinity.work.carry import committed, filters, history, manifest, objects, operation, paths, staying, unseen
from trinity.work.carry.history import Plan, Tree
from trinity.work.carry.private import Private
from trinity.work.carry.shapes import MEGABYTE, Parcel, Pass, Rules


def parcel(aside: Private, worktree: Path, into: Path, made: Pass, rules: Rules, notes: list[str]) -> Parcel:
    """Write the bundle below `into`; raises TrinityError, CommittedSecret."""
    facts, seen, taken = aside.facts, made.look, made.taken
    _withhold_staged(aside, made, rules)
    staged, state = Tree(b"i"), Tree(b"w")
    entries = manifest.entries(seen, taken, staged, state)
    children = _children(aside, made, state)
    index_commit = history.commit(aside, staged.write(aside), seen.head, "index as it was")
    state_commit = history.commit(aside, state.write(aside), index_commit, "worktree as it was")
    (planned, bundle), (empty, special) = together(
        lambda: _bundled(aside, made, rules, into / "parcel.bundle", state_commit), lambda: unseen.walk(aside, seen)
    )
    for path in special:
        kind = unseen.special_kind(Path(os.fsdecode(os.fsencode(facts.top) + b"/" + path)))
        taken.leave(path, 0, f"a {kind}, which git does not carry")
    left_out = manifest.left_out(taken, made.children)
    moving = [redact(paths.shown(path)) for path in made.moving]
    branch = operation.name_of_branch(seen.branch)
    if seen.branch and branch is None and seen.head:
        notes = [*notes, "the branch has a name that not every PC can have: HEAD is detached on the other one"]
    document = {
        "kind": "parcel",
        "version": schema.VERSION,
        "made_at": clock.iso(milliseconds=True),
        "object_format": facts.object_format,
        "root": redact(paths.shown(os.fsencode(facts.top))),
        "folder": manifest.folder(worktree, facts.top),
        "head": seen.head,
        "branch": branch,
        "bundle": manifest.digest(bundle),
        "commits": {"state": state_commit, "index": index_commit},
        "history": planned.history,
        "bases": planned.bases,
        "shallow": planned.shallow,
        "remotes": manifest.remotes(facts.remotes, facts.top),
        "settings": manifest.settings(facts.settings),
        "rules": manifest.rules(aside),
        "filters": filters.configured(aside, made.filters),
        "entries": entries,
        "folders": [manifest.public(path) for path in empty],
        "index_proof": seen.listing.proof({*taken.left_out, *manifest.outside(left_out)}),
        "operation": made.operation.document() if made.operation else None,
        "children": children,
        "left_out": left_out,
        "ignored": [manifest.public(path) for path in manifest.ignored(seen, taken)],
        **manifest.warnings(seen),
        "consistent": made.consistent,
        "moving": moving,
        "weight": taken.weight + sum(child.manifest["weight"] for child in made.children.values()),
        "notes": notes + staying.notes(aside, seen, made.operation, made.filters),
    }
    schema.validate("parcel", document, str(worktree))
    return Parcel(document, bundle, left_out, made.consistent, moving)


def _bundled(aside: Private, made: Pass, rules: Rules, target: Path, state_commit: str) -> tuple[Plan, Path]:
    """The bundle; whole histories that do not fit are cut at HEAD."""
    head = made.look.head
    tips = made.operation.tips if made.operation else []
    published = aside.facts.remote_tips if rules.published is None else rules.published
    wanted = [rules.history, *(["shallow"] if rules.history == "auto" and not published and head else [])]
    for how in wanted:
        planned = history.plan(aside, state_commit, head, tips, published, how)
        if rules.withheld and not rules.committed_secrets:
            files = made.operation.files if made.operation else {}
            committed.check(aside, planned.objects, files, rules.withheld)
        history.bundle(aside, planned, target, packed=made.taken.weight > 16 * MEGABYTE)
        size = target.stat().st_size
        if size <= rules.caps.total + MEGABYTE:
            return planned, target
    raise TrinityError(
        f"what no remote has weighs {size // MEGABYTE} MB, and {rules.caps.total // MEGABYTE} MB can be carried",
        "push the commits to the project's remote, then save_handoff.py again",
    )


def _withhold_staged(aside: Private, made: Pass, rules: Rules) -> None:
    """What is staged and no longer in the worktree is a content of its own, and may hold a secret too."""
    withheld = rules.withheld
    if withheld is None:
        return
    entries, look = made.taken.entries, made.look
    wanted: dict[str, list[bytes]] = {}
    for path, entry in entries.items():
        for mode, oid, _ in look.listing.lines(path):
            if mode != "160000" and oid != entry.get("blob") and not _as_in_head(look.states.get(path, b""), oid):
                wanted.setdefault(oid, []).append(path)
    if not wanted:
        return
    known = objects.sizes(aside.git, wanted, rules.caps.total)
    for oid, data in objects.read_blobs(aside.git, [(oid, size) for oid, (size, _) in known.items()]):
        for path in wanted[oid]:
            reason = withheld(paths.shown(path), data)
            if reason:
                made.taken.leave(path, len(data), f"withheld: {reason}")


def _as_in_head(state: bytes, oid: str) -> bool:
    """Whether the index has what HEAD has, by the status record: that is a question of the commits."""
    words = state.split(b" ")
    return words[0] == b"1" and len(words) == 8 and words[6] == words[7] == oid.encode("ascii")


def _children(aside: Private, made: Pass, state: Tree) -> list[dict[str, Any]]:
    described = []
    for path, child in made.children.items():
        data = child.bundle.read_bytes()
        oid = aside.write("blob", data)
        state.put(path.rstrip(b"/") + b".bundle", oid, aside=True)
        described.append(
            {
                **paths.encode(path.rstrip(b"/")),
                "submodule": path in made.look.listing,
                "blob": oid,
                "size": len(data),
                "manifest": child.manifest,
            }
        )
        shutil.rmtree(child.bundle.parent, ignore_errors=True)
    return described
