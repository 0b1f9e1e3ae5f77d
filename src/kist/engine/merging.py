"""Three-way merges of trees: what a rebase, a merge of branches and the state of a forked branch have in common (format 1, §8.2)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from kist.engine.entries import Entry, same_entry, sort_key
from kist.engine.nodes import Root
from kist.engine.trees import Trees, range_start, range_stop
from kist.engine.updates import Change

__all__ = ["Merge", "merge"]


@dataclass(frozen=True, slots=True)
class Merge:
    """The changes that bring `theirs` into `ours`, sorted, and the paths that both changed, each differently."""

    changes: list[Change]
    conflicts: list[str]


def merge(trees: Trees, base: Root, ours: Root, theirs: Root) -> Merge:
    """Return what must change in `ours` so that it has what `theirs` changed since `base`; where both changed something, `theirs` wins.

    Raises:
        IntegrityError: a node that must be read is damaged.
        StoreError: the store failed.
    """
    mine = {sort_key(path): new for path, new in _changed(trees, base, ours)}
    ancestors = _blocked(mine)
    changes: dict[bytes, Entry | None] = {}
    conflicts: list[str] = []
    for path, new in _changed(trees, base, theirs):
        key = sort_key(path)
        if key in mine and not _alike(mine[key], new):
            conflicts.append(path)
        changes[key] = new
        if new is None:
            continue
        for above in _above(key):
            if ancestors.get(above) == "file" and above not in changes:
                conflicts.append(path)
                changes[above] = None
        if new.kind != "folder" and key in ancestors:
            below = [
                entry
                for entry in trees.entries(ours, start=range_start(path), stop=range_stop(path))
                if sort_key(entry.path) not in changes
            ]
            conflicts += [entry.path for entry in below]
            changes |= {sort_key(entry.path): None for entry in below}
    return Merge(sorted(changes.items(), key=lambda change: change[0]), sorted(set(conflicts)))


def _changed(trees: Trees, old: Root, new: Root) -> Iterator[tuple[str, Entry | None]]:
    for before, after in trees.differences(old, new):
        yield (after or before).path, after  # type: ignore[union-attr]  # one of them is always there


def _blocked(mine: dict[bytes, Entry | None]) -> dict[bytes, str]:
    """Return which keys of one side's changes nothing may lie below ("file"), and which have something below ("folder")."""
    blocked: dict[bytes, str] = {}
    for key, entry in mine.items():
        if entry is None:
            continue
        for above in _above(key):
            blocked.setdefault(above, "folder")
        if entry.kind != "folder":
            blocked[key] = "file"
    return blocked


def _above(key: bytes) -> Iterable[bytes]:
    """Yield the keys of all folders above a key."""
    at = key.rfind(b"\0")
    while at > 0:
        yield key[:at]
        at = key.rfind(b"\0", 0, at)


def _alike(one: Entry | None, two: Entry | None) -> bool:
    return one is two if one is None or two is None else same_entry(one, two, times=False)
