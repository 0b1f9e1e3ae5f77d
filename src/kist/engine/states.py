"""What a branch holds now: its one head, or the merge of its heads (format 1, §8.2)."""

from functools import partial
from typing import NamedTuple

from kist.engine.changed import filter_has
from kist.engine.entries import Place
from kist.engine.merging import merge
from kist.engine.nodes import EMPTY, Root
from kist.engine.objects import MemoryWriter, Objects
from kist.engine.records import RefEntry, VersionRecord, decode
from kist.engine.refs import Line, entry_seal
from kist.engine.trees import Trees
from kist.engine.updates import update_tree

__all__ = ["NOTHING", "Parent", "State", "States", "record_of"]

Parent = tuple[bytes, Place]


class State(NamedTuple):
    """A branch as a writer sees it: its heads, their merged tree, the highest number that is taken, and the latest time (microseconds)."""

    heads: tuple[RefEntry, ...]
    root: Root
    highest: int
    time: int

    @property
    def parents(self) -> tuple[Parent, ...]:
        """What a new version has as parents."""
        return tuple((head.version, head.place) for head in self.heads)

    @property
    def previous(self) -> tuple[bytes, ...]:
        """How a new entry names the heads."""
        return tuple(entry_seal(head) for head in self.heads)


NOTHING = State((), EMPTY, 0, 0)


def record_of(entry: RefEntry) -> VersionRecord:
    """Return the version that an entry holds."""
    return decode(entry.record, VersionRecord, what=f"version {entry.version.hex()}")


class States:
    """Merges heads. Reads versions by id, from their frames."""

    def __init__(self, objects: Objects, trees: Trees) -> None:
        """Read nothing yet."""
        self._objects, self._trees = objects, trees
        self._records: dict[bytes, VersionRecord] = {}
        self._merges: dict[tuple[bytes, ...], Root] = {}

    def record(self, version: bytes, place: Place) -> VersionRecord:
        """Return the version with an id.

        Raises:
            IntegrityError: it is damaged or missing.
            StoreError: the store failed.
        """
        if version not in self._records:
            raw = self._objects.metadata(version, place)
            self._records[version] = decode(raw, VersionRecord, what=f"version {version.hex()}")
        return self._records[version]

    def of_line(self, line: Line | None) -> State:
        """Return the state of a listing; several heads are merged in memory, so that who may only read can do it too.

        Raises:
            IntegrityError: what must be read is damaged.
            StoreError: the store failed.
        """
        if line is None:
            return NOTHING
        records = [record_of(head) for head in line.heads]
        self._records |= {head.version: record for head, record in zip(line.heads, records, strict=True)}
        root = Root(records[0].tree, records[0].place)
        if len(records) > 1:
            root = self._merged([(head.version, head.place) for head in line.heads])
        return State(line.heads, root, line.highest, max(record.time for record in records))

    def common_base_of(self, heads: list[Parent], other: Parent) -> Root:
        """Return the tree on which a version is to be merged into some heads."""
        return self._merged(self._common(heads, [other]))

    def _merged(self, versions: list[Parent]) -> Root:
        """Fold versions, in order, into one tree: each on the best common ancestors of it and those before it."""
        key = tuple(version for version, _ in versions)
        if not versions:
            return EMPTY
        if key not in self._merges:
            last = self.record(*versions[-1])
            root = Root(last.tree, last.place)
            if before := versions[:-1]:
                ours, base = self._merged(before), self._merged(self._common(before, versions[-1:]))
                changes = merge(self._trees, base, ours, root, wins=partial(self._is_later, before, versions[-1:])).changes
                root, _ = update_tree(self._trees, MemoryWriter(self._objects), ours, changes, changed=lambda _old, _new: None)
            self._merges[key] = root
        return self._merges[key]

    def _is_later(self, left: list[Parent], right: list[Parent], mine: str, their: str) -> bool:
        """Say whether `their` changed later in the history of `right` than `mine` in that of `left`.

        What counts is who changed the path, not where the heads are: else a head with another change could bring back what was replaced.
        """
        return self._latest(left, mine) < self._latest(right, their)

    def _latest(self, versions: list[Parent], path: str) -> tuple[int, bytes]:
        """Return time and id of the last version, of these and their ancestors, that changed a path."""
        todo = dict(versions)
        while todo:
            newest = max(todo, key=lambda one: (self.record(one, todo[one]).time, one))
            record = self.record(newest, todo.pop(newest))
            if self._has_changed(record, path):
                return record.time, newest
            todo |= dict(record.parents)
        return 0, b""

    def _has_changed(self, record: VersionRecord, path: str) -> bool:
        """Say whether a version changed a path of the state that its writer saw."""
        if record.changed is not None:
            return path in record.changed
        if not filter_has(record.filter, path):
            return False
        before, after = self._merged(list(record.parents)), Root(record.tree, record.place)
        return self._trees.get(before, path) != self._trees.get(after, path)

    def _common(self, left: list[Parent], right: list[Parent]) -> list[Parent]:
        """Return the best common ancestors, by number and id: those that are no ancestor of another one.

        Walks from the newest down, no further than needed: times grow along every line of descent, numbers only along a branch.
        """
        flags: dict[bytes, int] = {}
        todo: dict[bytes, Parent] = {}
        for side, versions in ((1, left), (2, right)):
            for version in versions:
                flags[version[0]] = flags.get(version[0], 0) | side
                todo[version[0]] = version
        found: list[Parent] = []
        while any(flags[version] & 4 == 0 for version in todo):
            newest = max(todo, key=lambda one: (self.record(*todo[one]).time, one))
            parent = todo.pop(newest)
            flag = flags[newest]
            if flag & 3 == 3 and not flag & 4:  # noqa: PLR2004 - reached from both sides
                found.append(parent)
                flag |= 4
            for above in self.record(*parent).parents:
                flags[above[0]] = flags.get(above[0], 0) | flag
                todo[above[0]] = above
        return sorted((one for one in found), key=lambda one: (self.record(*one).number, one[0]))
