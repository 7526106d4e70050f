"""Restoring: a parcel becomes a new worktree with the same files, the same index and the same stopped operation.

The manifest is checked whole before anything is written, and what was written is proved afterwards: `equal` is the
result of looking again, not of having finished. A worktree that could not be finished is taken away.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trinity.errors import BadRecord, TrinityError
from trinity.work.carry import checking, checkout, ground, objects, operation, paths, proof, ready, unpack
from trinity.work.carry.ground import Ground


@dataclass
class Restored:
    """The worktree at `target` and the folder `cwd` in it; `equal` unless `differences` says otherwise.

    `tracked` files are in its index. `ready`: "taken" when a ready worktree was, why not when it was not fit, else empty.
    """

    target: Path
    cwd: Path
    linked: bool
    equal: bool
    differences: list[str]
    left_out: list[dict[str, Any]]
    notes: list[str]
    operation: str | None = None
    commands: list[str] = field(default_factory=list)
    tracked: int = 0
    ready: str = ""


def restore(
    manifest: Mapping[str, Any],
    bundle: Path,
    target: Path,
    project_clone: Path | None = None,
    *,
    remote: str | None = None,
    nearby: Path | None = None,
    ready_folder: Path | None = None,
) -> Restored:
    """Restore a parcel at `target`, which is not there yet or empty.

    With `project_clone` as a linked worktree of it; without as a repository of its own, whose base comes from the parcel,
    from a clone `nearby`, or from `remote` (else the parcel's remotes). A worktree of the clone that lies ready below
    `ready_folder` is used up for it, when that gives the same. Raises BadRecord for a parcel that must not be
    trusted, TrinityError when it cannot be restored here.
    """
    checking.check(manifest, str(bundle))
    _check_bundle(manifest, bundle)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise TrinityError(f"'{target}' is in use", "name a folder that does not exist yet")
    _check_disk(manifest, target)
    try:
        made, said = None, ""
        if ready_folder is not None and project_clone is not None and manifest["head"]:
            with ready.Taker(ready_folder, project_clone, manifest, target) as take:
                made = _restored_ready(manifest, bundle, target, project_clone, remote, nearby, take)
                said = "taken" if take.taken else take.why
        made = made or _restore(manifest, bundle, target, project_clone, remote, nearby)
        made.ready = said
        return made
    except BaseException:
        ground.remove(target, project_clone)
        raise


def _restored_ready(
    manifest: Mapping[str, Any],
    bundle: Path,
    target: Path,
    clone: Path,
    remote: str | None,
    nearby: Path | None,
    take: ready.Taker,
) -> Restored | None:
    """Restore with what lies ready, or without when that is not fit; None when it has to be done anew without."""
    try:
        made = _restore(manifest, bundle, target, clone, remote, nearby, take)
        if made.equal or not take.taken:
            return made
        take.why = f"what it gave differed: {made.differences[0]}"
    except (TrinityError, OSError) as error:
        if not take.taken:
            raise
        take.why = f"it could not be used: {error}"
    take.taken = False
    ground.remove(target, clone)
    return None


def _check_bundle(manifest: Mapping[str, Any], bundle: Path) -> None:
    digest = hashlib.sha256()
    with open(bundle, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    if digest.hexdigest() != manifest["bundle"]["sha256"]:
        raise BadRecord(str(bundle), ["it is damaged: its content is not what the manifest says"])


def _check_disk(manifest: Mapping[str, Any], target: Path) -> None:
    """Refuse names that this disk would mix up."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if os.name == "nt" and manifest["not_on_windows"]:
        name = paths.shown(paths.decode(manifest["not_on_windows"][0]))
        raise TrinityError(f"Windows cannot hold the name '{name}'", "rename it on the other PC, then hand over again")
    # The other PC names them, with those of files that have not changed; its own entries are looked at here as well.
    own = [paths.decode(entry) for entry in manifest["entries"] if entry["kind"] != "absent"]
    groups = [[paths.decode(entry) for entry in group] for group in manifest["collisions"]]
    groups += paths.collisions(own, own)
    if groups and _is_blind(target.parent):
        names = " and ".join(map(paths.shown, groups[0]))
        raise TrinityError(f"this disk cannot hold {names} beside each other", "rename one on the other PC")


def _is_blind(folder: Path) -> bool:
    """Whether the disk takes both cases of a name for one."""
    with tempfile.NamedTemporaryFile(prefix="Case", dir=folder) as probe:
        return os.path.exists(os.path.join(folder, os.path.basename(probe.name).swapcase()))


def _restore(
    manifest: Mapping[str, Any],
    bundle: Path,
    target: Path,
    clone: Path | None,
    remote: str | None,
    nearby: Path | None,
    take: ready.Taker | None = None,
) -> Restored:
    made = ground.lay(manifest, bundle, target, clone, remote, nearby, take)
    checkout.configure(made, manifest)
    if manifest["head"] and not (take and take.whole):
        ground.check_out(made.git)
    entries = unpack.entries_of(manifest)
    unpack.write(made, entries, [paths.decode(folder) for folder in manifest["folders"]])
    # With flags and sparse patterns `git status` would note more in the index than it has found out about files.
    plain = manifest["settings"].get("core.sparsecheckout") != "true" and not any(e.get("flag") for _, e in entries)
    unpack.index(made.git, entries, manifest["object_format"], remember=not plain)
    rebased = checkout.attach(made, manifest)
    if manifest["operation"]:
        operation.place(manifest["operation"], made.git_dir, made.git, rebased)
    differences = _children(made, manifest, target, clone)
    found = proof.differences(made.git, manifest, entries, noting=plain)
    if found and unpack.stale(made, entries, proof.clean_by_now(made.git, entries)):
        found = proof.differences(made.git, manifest, entries)
    differences += found + checkout.lacking(made, manifest)
    cwd = target / os.fsdecode(paths.decode(manifest["folder"]))
    unpack.ensure_folder(target, paths.decode(manifest["folder"]))
    return Restored(
        target=target,
        cwd=cwd,
        linked=made.linked,
        equal=not differences,
        differences=differences,
        left_out=list(manifest["left_out"]),
        notes=[*manifest["notes"], *made.notes, *_doubts(manifest)],
        operation=manifest["operation"]["name"] if manifest["operation"] else None,
        commands=manifest["operation"]["commands"] if manifest["operation"] else [],
        tracked=ready.count(made.git_dir),
    )


def _there(clone: Path | None, path: bytes) -> Path | None:
    """The same submodule or repository in this PC's clone, which may have what its remote no longer gives."""
    there = clone / os.fsdecode(path) if clone else None
    return there if there and (there / ".git").exists() else None


def _doubts(manifest: Mapping[str, Any]) -> list[str]:
    if manifest["consistent"]:
        return []
    moving = ", ".join(manifest["moving"][:10]) or "the repository"
    return [f"somebody was still writing on the old PC; not from one moment: {moving}"]


def _children(made: Ground, manifest: Mapping[str, Any], target: Path, clone: Path | None) -> list[str]:
    """Submodules and repositories inside, each by its own parcel; what went wrong with one is a difference."""
    differences = []
    for child in manifest["children"]:
        path = paths.decode(child)
        name = paths.shown(path)
        with tempfile.TemporaryDirectory(prefix="trinity-") as folder:
            bundle = Path(folder) / "parcel.bundle"
            for _, data in objects.read_blobs(made.git, [(child["blob"], child["size"])]):
                bundle.write_bytes(data)
            unpack.ensure_folder(target, path)
            try:
                inner = restore(child["manifest"], bundle, target / os.fsdecode(path), nearby=_there(clone, path))
            except TrinityError as error:
                unpack.ensure_folder(target, path)
                differences.append(f"{name}: a repository inside could not be restored: {error.message}")
                continue
        differences += [f"{name}/{line}" for line in inner.differences]
        made.notes += [f"{name}: {note}" for note in inner.notes if note not in made.notes]
    return differences
