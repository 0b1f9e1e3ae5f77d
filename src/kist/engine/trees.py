"""Trees: one sorted list of entries, cut into nodes by its content (format 1, §6).

Cost follows the change: looking up reads one node for each level, an update rewrites the nodes it touches, and a comparison skips what two
trees share. A tree depends on its entries alone, not on how it came to be.
"""

from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple, Protocol

import msgspec

from kist.engine.entries import Entry, same_entry, sort_key
from kist.engine.nodes import Child, Inner, Leaf, Node, Root, Totals, decode_node
from kist.engine.objects import Objects
from kist.errors import IntegrityError

__all__ = ["Listed", "Trees"]

CACHED_NODES = 256
FIRST_BATCH, LARGEST_BATCH = 8, 512
SUMMARY_SHARE = 8


class Listed(NamedTuple):
    """One line of a folder's listing; an implied folder has no entry. `totals` counts what a folder holds, at any depth."""

    path: str
    entry: Entry | None
    totals: Totals


SUMMARY = msgspec.msgpack.Decoder(list[tuple[str, Entry | None, tuple[int, int, int]]])


class SummaryCache(Protocol):
    """Remembers which lines a leaf gives to a folder's listing, for a leaf never changes; forgetting is allowed."""

    def summaries(self, nodes: Sequence[bytes], folder: str) -> dict[bytes, bytes]:
        """Return what is remembered of these leaves."""
        ...

    def remember_summaries(self, folder: str, summaries: Iterable[tuple[bytes, bytes]]) -> None:
        """Remember lines, by leaf."""
        ...


class Trees:
    """Looks up, lists and compares the trees of one repository. Threads may share one."""

    def __init__(self, objects: Objects, cache: SummaryCache | None = None) -> None:
        """Read nothing yet."""
        self.objects = objects
        self._cache = cache
        self._nodes: OrderedDict[bytes, Node] = OrderedDict()

    def root(self, root: Root) -> Node | None:
        """Return the root node of a tree, None if the tree is empty.

        Raises:
            IntegrityError: it is damaged.
        """
        if root.place is None:
            return None
        if (node := self._nodes.get(root.id)) is None:
            raw = self.objects.metadata(root.id, root.place)
            node = self._keep(root.id, decode_node(raw, what=f"tree {root.id.hex()}"))
        return node

    def child(self, child: Child, level: int) -> Node:
        """Return a node of this level that another one lists.

        Raises:
            IntegrityError: it is damaged, or not what its parent says.
        """
        if (node := self._nodes.get(child.id)) is None:
            raw = self.objects.metadata(child.id, child.place)
            node = self._keep(child.id, decode_node(raw, level=level, what=f"tree node {child.id.hex()}"))
        if node.level != level or node.keys[0] != sort_key(child.first):
            raise IntegrityError(f"tree node {child.id.hex()} is not where its first path says")
        return node

    def as_child(self, root: Root) -> tuple[Child, Node] | None:
        """Return the root node as if another node listed it, None for an empty tree."""
        node = self.root(root)
        if node is None or root.place is None:
            return None
        first = node.wire.path[0] if isinstance(node, Leaf) else node.children[0].first
        return Child(first, root.id, root.place, *self._totals(node, b"", None)), node

    def get(self, root: Root, path: str) -> Entry | None:
        """Return the entry of a path, None if there is none (a folder may be implied all the same)."""
        key = sort_key(path)
        for leaf, row, _ in self.rows(root, start=key):
            return leaf.entry(row) if leaf.keys[row] == key else None
        return None

    def entries(self, root: Root, *, start: bytes = b"", stop: bytes | None = None) -> Iterator[Entry]:
        """Yield the entries with ``start <= sort key < stop``, in order."""
        for leaf, low, high in self.rows(root, start=start, stop=stop):
            for row in range(low, high):
                yield leaf.entry(row)

    def below(self, root: Root, path: str) -> Iterator[Entry]:
        """Yield the entry of a path, then all below it; for the empty path the whole tree."""
        return (entry for _, entry in self.keyed_below(root, path))

    def keyed_below(self, root: Root, path: str) -> Iterator[tuple[bytes, Entry]]:
        """Yield what `below` does, each with its sort key."""
        if path and (entry := self.get(root, path)) is not None:
            yield sort_key(path), entry
        for leaf, low, high in self.rows(root, start=range_start(path), stop=range_stop(path)):
            for row in range(low, high):
                yield leaf.keys[row], leaf.entry(row)

    def rows(self, root: Root, *, start: bytes = b"", stop: bytes | None = None) -> Iterator[tuple[Leaf, int, int]]:
        """Yield leaves with the range of their rows that lies in ``start <= sort key < stop``."""
        for _, leaf, end in self.nodes_from(root, 0, start):
            if not isinstance(leaf, Leaf):
                raise IntegrityError("a tree has a node of a higher level where its leaves are")
            low = bisect_left(leaf.keys, start) if start else 0
            high = len(leaf.keys) if stop is None else bisect_left(leaf.keys, stop)
            if low < high:
                yield leaf, low, high
            if stop is not None and (high < len(leaf.keys) or end is None or end >= stop):
                return

    def nodes_from(self, root: Root, level: int, key: bytes) -> Iterator[tuple[Child, Node, bytes | None]]:
        """Yield the nodes of a level from the one that would hold `key`, each with the first key behind it (None after the last)."""
        if (top := self.as_child(root)) is not None and top[1].level >= level:
            yield from self._nodes_from(*top, level, key, None)

    def _nodes_from(
        self, child: Child, node: Node, level: int, key: bytes, stop: bytes | None
    ) -> Iterator[tuple[Child, Node, bytes | None]]:
        if node.level == level or isinstance(node, Leaf):
            yield child, node, stop
            return
        keys = node.keys
        for row in range(max(0, bisect_right(keys, key) - 1), len(keys)):
            below = node.children[row]
            yield from self._nodes_from(
                below, self.child(below, node.level - 1), level, key, keys[row + 1] if row + 1 < len(keys) else stop
            )

    def totals(self, root: Root, path: str) -> Totals:
        """Return what lies below a path, its own entry not counted; of nodes wholly inside, only their parent is read."""
        node = self.root(root)
        return self._totals(node, range_start(path), range_stop(path)) if node else Totals()

    def _totals(self, node: Node, start: bytes, stop: bytes | None) -> Totals:
        keys = node.keys
        if isinstance(node, Leaf):
            return node.totals(bisect_left(keys, start), len(keys) if stop is None else bisect_left(keys, stop))
        total = Totals()
        low = max(0, bisect_right(keys, start) - 1)
        high = len(keys) if stop is None else bisect_left(keys, stop)
        for row in range(low, high):
            child = node.children[row]
            whole = keys[row] >= start and (stop is None or (row + 1 < len(keys) and keys[row + 1] <= stop))
            part = child.totals if whole else self._totals(self.child(child, node.level - 1), start, stop)
            total = Totals(total.entries + part.entries, total.files + part.files, total.size + part.size)
        return total

    def listing(self, root: Root, folder: str, *, after: str = "") -> Iterator[Listed]:
        """Yield what lies right in a folder, in order, from behind the name `after`.

        Lazy. A leaf that lies wholly in one subfolder is not read; of one read before, the cache knows the few lines that it gives.
        """
        prefix = f"{folder}/" if folder else ""
        start = sort_key(prefix + after) + b"\1" if after else range_start(folder)
        last: Listed | None = None
        for lines in self._lines(root, folder, start, range_stop(folder)):
            for line in lines:
                if last is not None and last.path == line.path:
                    last = Listed(last.path, last.entry, last.totals.plus(line.totals))
                    continue
                if last is not None:
                    yield last
                last = line
        if last is not None:
            yield last

    def _lines(self, root: Root, folder: str, start: bytes, stop: bytes | None) -> Iterator[list[Listed]]:
        """Yield the lines that each leaf gives to a folder's listing, leaves in order; a subfolder may have lines from several."""
        size = FIRST_BATCH
        leaves = self._leaves(root, start, stop)
        while batch := list(islice(leaves, size)):
            known = self._cache.summaries([child.id for child, _ in batch], folder) if self._cache and size > FIRST_BATCH else {}
            fresh: list[tuple[bytes, bytes]] = []
            for child, end in batch:
                inside = sort_key(child.first) >= start and (stop is None or (end is not None and end <= stop))
                if (whole := _wholly_in(child, end, folder, start)) is not None:
                    yield [Listed(whole, None, child.totals)]
                elif inside and (data := known.get(child.id)) is not None:
                    yield [Listed(path, entry, Totals(*totals)) for path, entry, totals in SUMMARY.decode(data)]
                else:
                    leaf = self.child(child, 0)
                    lines = list(_lines_of(leaf, folder, start, stop)) if isinstance(leaf, Leaf) else []
                    if inside and len(lines) * SUMMARY_SHARE < len(leaf.keys):
                        fresh.append((child.id, msgspec.msgpack.encode(lines)))
                    yield lines
            if self._cache and len(fresh) > FIRST_BATCH:
                self._cache.remember_summaries(folder, fresh)
            size = min(size * 4, LARGEST_BATCH)

    def _leaves(self, root: Root, start: bytes, stop: bytes | None) -> Iterator[tuple[Child, bytes | None]]:
        """Yield the leaves that may hold sort keys in a range, unread, each with the first key behind it."""
        top = self.as_child(root)
        if top is not None and isinstance(top[1], Leaf):
            yield top[0], None
            return
        for _, node, end in self.nodes_from(root, 1, start):
            if not isinstance(node, Inner):
                raise IntegrityError("a tree has a leaf where its inner nodes are")
            for row in range(max(0, bisect_right(node.keys, start) - 1), len(node.keys)):
                if stop is not None and node.keys[row] >= stop:
                    return
                yield node.children[row], node.keys[row + 1] if row + 1 < len(node.keys) else end

    def nodes(self, root: Root, seen: set[bytes]) -> Iterator[tuple[Child, Node]]:
        """Yield each node of a tree whose id is not in `seen` yet, parents first, and add it to `seen`."""
        top = self.as_child(root)
        stack = [] if top is None else [top]
        while stack:
            child, node = stack.pop()
            if child.id in seen:
                continue
            seen.add(child.id)
            yield child, node
            if isinstance(node, Inner):
                stack += [(below, self.child(below, node.level - 1)) for below in reversed(node.children) if below.id not in seen]

    def differences(self, old: Root, new: Root) -> Iterator[tuple[Entry | None, Entry | None]]:
        """Yield ``(old, new)`` for each path whose entries differ, in order, None where there is none; what both share is not read."""
        old_leaves, new_leaves = self._unshared(old, new)
        left, right = self._entries_of(old_leaves), self._entries_of(new_leaves)
        one, two = next(left, None), next(right, None)
        while one is not None or two is not None:
            one_key = sort_key(one.path) if one else None
            two_key = sort_key(two.path) if two else None
            if two_key is None or (one_key is not None and one_key < two_key):
                yield one, None
                one = next(left, None)
            elif one_key is None or two_key < one_key:
                yield None, two
                two = next(right, None)
            else:
                if one and two and not same_entry(one, two):
                    yield one, two
                one, two = next(left, None), next(right, None)

    def _unshared(self, old: Root, new: Root) -> tuple[list[Child], list[Child]]:
        """Return the leaves that only one of two trees has, reading no node that both have."""
        sides = [[(top[1].level, top[0])] if (top := self.as_child(root)) else [] for root in (old, new)]
        while True:
            shared = {child.id for _, child in sides[0]} & {child.id for _, child in sides[1]}
            sides = [[one for one in side if one[1].id not in shared] for side in sides]
            level = max((one[0] for side in sides for one in side), default=0)
            if level == 0:
                left, right = ([child for _, child in side] for side in sides)
                return left, right
            sides = [[below for one in side for below in (self._expand(one) if one[0] == level else [one])] for side in sides]

    def _expand(self, one: tuple[int, Child]) -> list[tuple[int, Child]]:
        node = self.child(one[1], one[0])
        return [(one[0] - 1, child) for child in node.children] if isinstance(node, Inner) else []

    def _entries_of(self, leaves: list[Child]) -> Iterator[Entry]:
        for child in leaves:
            leaf = self.child(child, 0)
            if isinstance(leaf, Leaf):
                yield from map(leaf.entry, range(len(leaf.keys)))

    def _keep(self, node_id: bytes, node: Node) -> Node:
        self._nodes[node_id] = node
        while len(self._nodes) > CACHED_NODES:
            self._nodes.popitem(last=False)
        return node


def _wholly_in(child: Child, end: bytes | None, folder: str, start: bytes) -> str | None:
    """Return the subfolder of a folder that a leaf lies in wholly, by its first path and the key behind it; None if unclear."""
    prefix = f"{folder}/" if folder else ""
    name, deeper, _ = child.first[len(prefix) :].partition("/")
    if not deeper or end is None or not child.first.startswith(prefix) or sort_key(child.first) < start:
        return None
    return prefix + name if end.startswith(sort_key(prefix + name) + b"\0") else None


def _lines_of(leaf: Leaf, folder: str, start: bytes, stop: bytes | None) -> Iterator[Listed]:
    """Yield the lines that a leaf gives to a folder's listing, past what subfolders hold."""
    prefix = f"{folder}/" if folder else ""
    keys = leaf.keys
    row, high = bisect_left(keys, start), len(keys) if stop is None else bisect_left(keys, stop)
    while row < high:
        name, deeper, _ = leaf.wire.path[row][len(prefix) :].partition("/")
        entry = None if deeper else leaf.entry(row)
        if entry is not None and entry.kind != "folder":
            yield Listed(entry.path, entry, Totals(1, 1, entry.size))
            row += 1
            continue
        first = row if entry is None else row + 1
        row = bisect_left(keys, sort_key(prefix + name) + b"\1", lo=row)
        yield Listed(prefix + name, entry, leaf.totals(first, row))


def range_start(path: str) -> bytes:
    """Return the first sort key that may lie below a path."""
    return sort_key(path) + b"\0" if path else b""


def range_stop(path: str) -> bytes | None:
    """Return the first sort key behind all that lies below a path, None for the whole tree."""
    return sort_key(path) + b"\1" if path else None
