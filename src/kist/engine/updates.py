"""New trees from old ones: rewrite the nodes that a change touches, level by level (format 1, §6).

A level gives the level above it the same kind of thing that it got itself, sorted changes to its items; so one function serves all levels,
and a first save of a million entries streams through them.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import cast

from kist.engine.entries import Entry, sort_key
from kist.engine.nodes import EMPTY, ITEM_WEIGHT, Child, Inner, Leaf, Node, Root, Totals, encode_inner, encode_leaf, ends_node
from kist.engine.objects import MetadataWriter
from kist.engine.packs import FrameKind
from kist.engine.trees import Trees

__all__ = ["Change", "Changed", "update_tree"]

Item = Entry | Child
Change = tuple[bytes, Entry | None]
ItemChange = tuple[bytes, Item | None]
Changed = Callable[[Entry | None, Entry | None], None]


def update_tree(trees: Trees, writer: MetadataWriter, root: Root, changes: Iterable[Change], *, changed: Changed) -> tuple[Root, Totals]:
    """Store the tree in which entries are replaced, added or (None) removed; return it and what it holds.

    Args:
        trees: reads the old tree.
        writer: takes the new nodes.
        root: the old tree.
        changes: sort keys with entries, sorted, each key once; taken lazily.
        changed: is told ``(old, new)`` of each change, whether or not they differ.

    Raises:
        IntegrityError: a node that must be read is damaged.
        StoreError: the store failed.
    """
    top = trees.as_child(root)
    height = top[1].level if top else 0
    above: Iterator[ItemChange] = iter(changes)
    only: dict[bytes, Child] = {}
    for level in range(height + 1):
        above = _Level(trees, writer, root=root, level=level, changed=changed, only=only).run(above)
    nodes = {sort_key(top[0].first): top[0]} if top else {}
    for key, item in above:
        if item is None:
            nodes.pop(key, None)
        else:
            nodes[key] = cast(Child, item)
    level, made = height, [nodes[key] for key in sorted(nodes)]
    while len(made) > 1:
        level += 1
        made = [
            cast(Child, item)
            for _, item in _Level(trees, writer, root=EMPTY, level=level, changed=changed, only=only).run(
                (sort_key(child.first), child) for child in made
            )
        ]
    return _lowest(trees, writer, only, made[0], level) if made else (EMPTY, Totals())


def _lowest(trees: Trees, writer: MetadataWriter, only: dict[bytes, Child], child: Child, level: int) -> tuple[Root, Totals]:
    """Step down from a root with a single child; new nodes can't be read yet, but `only` knows those with one child."""
    while level:
        below = only.get(child.id)
        if below is None and child.id not in writer.written:
            node = trees.child(child, level)
            below = node.children[0] if isinstance(node, Inner) and len(node.children) == 1 else None
        if below is None:
            break
        child, level = below, level - 1
    return Root(child.id, child.place), child.totals


class _Level:
    """One level of one update."""

    def __init__(self, trees: Trees, writer: MetadataWriter, *, root: Root, level: int, changed: Changed, only: dict[bytes, Child]) -> None:
        self._trees, self._writer, self._root, self._level, self._changed, self._only = trees, writer, root, level, changed, only
        self._items: list[Item] = []
        self._weight = 0
        self._made: deque[Child] = deque()
        self._gone: deque[Child] = deque()

    def run(self, changes: Iterator[ItemChange]) -> Iterator[ItemChange]:
        """Yield the changes that these changes mean for the level above."""
        change = next(changes, None)
        while change is not None:
            stop: bytes | None = None
            for child, node, stop in self._trees.nodes_from(self._root, self._level, change[0]):
                self._gone.append(child)
                for key, item in zip(node.keys, _items(node), strict=True):
                    while change is not None and change[0] < key:
                        self._take(change[0], None, change[1])
                        change = next(changes, None)
                        yield from self._settled()
                    if change is not None and change[0] == key:
                        self._take(key, item, change[1])
                        change = next(changes, None)
                    else:
                        self._feed(key, item)
                while change is not None and (stop is None or change[0] < stop):
                    self._take(change[0], None, change[1])
                    change = next(changes, None)
                    yield from self._settled()
                yield from self._settled()
                if not self._items:
                    break
            else:
                while change is not None and stop is None:
                    self._take(change[0], None, change[1])
                    change = next(changes, None)
                    yield from self._settled()
                self._end()
            yield from self._settled()
            yield from ((sort_key(child.first), None) for child in self._gone)
            self._gone.clear()

    def _take(self, key: bytes, old: Item | None, new: Item | None) -> None:
        if self._level == 0:
            self._changed(cast(Entry | None, old), cast(Entry | None, new))
        if new is not None:
            self._feed(key, new)

    def _feed(self, key: bytes, item: Item) -> None:
        self._items.append(item)
        self._weight += ITEM_WEIGHT + len(key)
        if ends_node(self._weight, key):
            self._end()

    def _end(self) -> None:
        if self._items:
            self._made.append(self._store(self._items))
            self._items, self._weight = [], 0

    def _store(self, items: Sequence[Item]) -> Child:
        """Write a node and return it as the level above knows it."""
        if self._level == 0:
            entries = cast(Sequence[Entry], items)
            frame_id, place = self._writer.add_metadata(FrameKind.TREE, encode_leaf(entries))
            files = [entry for entry in entries if entry.kind == "file"]
            return Child(entries[0].path, frame_id, place, len(entries), len(files), sum(entry.size for entry in files))
        children = cast(Sequence[Child], items)
        frame_id, place = self._writer.add_metadata(FrameKind.TREE, encode_inner(self._level, children))
        if len(children) == 1:
            self._only[frame_id] = children[0]
        sums = (sum(child.entries for child in children), sum(child.files for child in children), sum(child.size for child in children))
        return Child(children[0].first, frame_id, place, *sums)

    def _settled(self) -> Iterator[ItemChange]:
        """Yield what is certain by now: nodes that were made, and old ones that none of them replaces."""
        while self._made:
            made = self._made.popleft()
            key = sort_key(made.first)
            while self._gone and sort_key(self._gone[0].first) < key:
                yield sort_key(self._gone.popleft().first), None
            if self._gone and self._gone[0].first == made.first and self._gone.popleft().id == made.id:
                continue
            yield key, made


def _items(node: Node) -> Iterator[Item]:
    if isinstance(node, Leaf):
        return map(node.entry, range(len(node.keys)))
    return iter(node.children)
