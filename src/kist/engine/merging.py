"""Three-way merges of trees: what a rebase, a merge of branches and the state of a forked branch have in common (format 1, §8.2)."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from kist.engine.entries import Entry, same_entry, sort_key
from kist.engine.nodes import Root
from kist.engine.trees import Trees, range_start, range_stop
from kist.engine.updates import Change

__all__ = ["Merge", "Wins", "merge"]

Wins = Callable[[str, str], bool]
"""Says whether what their side changed at a path (the second) counts more than what ours changed at one (the first)."""


@dataclass(frozen=True, slots=True)
class Merge:
    """The changes that bring `theirs` into `ours`, sorted, and the paths that both changed, each differently."""

    changes: list[Change]
    conflicts: list[str]


def merge(trees: Trees, base: Root, ours: Root, theirs: Root, *, wins: Wins = lambda _mine, _their: True) -> Merge:
    """Return what must change in `ours` so that it has what `theirs` changed since `base`; where both changed something, `wins` decides.

    Another time alone is brought along where nothing else happened, and yields to every other change.

    Raises:
        IntegrityError: a node that must be read is damaged.
        StoreError: the store failed.
    """
    mine = {sort_key(path): new for path, new, real in _changed(trees, base, ours) if real}
    ancestors = _blocked(mine)
    changes: dict[bytes, Entry | None] = {}
    conflicts: list[str] = []
    for path, new, real in _changed(trees, base, theirs):
        key = sort_key(path)
        if key in mine and not real:
            continue
        in_the_way: list[str] = []
        if key in mine and not _alike(mine[key], new):
            conflicts.append(path)
            if not wins(path, path):
                continue
        if new is not None:
            in_the_way = [entry.path for one in _above(key) if ancestors.get(one) == "file" and one not in changes and (entry := mine[one])]
            conflicts += [path] if in_the_way else []
        if new is not None and new.kind != "folder" and key in ancestors:
            below = trees.entries(ours, start=range_start(path), stop=range_stop(path))
            names = [entry.path for entry in below if sort_key(entry.path) not in changes]
            conflicts += names
            in_the_way += names
        if all(wins(one, path) for one in in_the_way):
            changes |= {sort_key(one): None for one in in_the_way}
            changes[key] = new
    return Merge(sorted(changes.items(), key=lambda change: change[0]), sorted(set(conflicts)))


def _changed(trees: Trees, old: Root, new: Root) -> Iterator[tuple[str, Entry | None, bool]]:
    """Yield paths with what they became, and whether that is more than another time."""
    for before, after in trees.differences(old, new):
        yield (after or before).path, after, not _alike(before, after)  # type: ignore[union-attr]  # one of them is always there


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
