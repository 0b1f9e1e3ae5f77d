"""Copying what a repository is made of from one store to another, and removing it; both can be done again at any time.

Its objects never change, so what is there with its length is there. What else lies beside them is not the repository's, and is left alone.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Final

from kist.engine.opening import FORMAT
from kist.errors import NotFound, StoreError
from kist.stores.budget import map_ordered
from kist.stores.protocols import CopyFrom, ObjectMeta, Store

__all__ = ["FOLDERS", "copy_missing", "missing", "objects_of", "remove_all"]

FOLDERS: Final = ("packs/", "index/", "sessions/", "gc/", "refs/")
"""What a repository has beside its `format`; refs last, so that what they name comes first."""

_WINDOW: Final = 4
_ATTEMPTS: Final = 3


def objects_of(store: Store, folders: Iterable[str] = FOLDERS) -> Iterator[ObjectMeta]:
    """Yield the objects of a repository, all but its `format`."""
    for folder in folders:
        yield from store.list(folder)


def missing(source: Store, target: Store, folders: Iterable[str] = FOLDERS) -> list[ObjectMeta]:
    """Return the objects that one store has and another has not, or of another length."""
    found: list[ObjectMeta] = []
    for folder in folders:
        there = {meta.key: meta.size_bytes for meta in target.list(folder)}
        found += [meta for meta in source.list(folder) if there.get(meta.key) != meta.size_bytes]
    return found


def copy_missing(source: Store, target: Store, objects: Iterable[ObjectMeta], *, done: Callable[[int], None]) -> None:
    """Copy objects, some at a time; one that is gone by now was not needed. `done` is told the length of each.

    Raises:
        StoreError: a store failed again and again.
    """

    def copy(meta: ObjectMeta) -> int:
        with suppress(NotFound):
            _copy(source, target, meta)
        return meta.size_bytes

    for size_bytes in map_ordered(copy, objects, window=_WINDOW):
        done(size_bytes)


def _copy(source: Store, target: Store, meta: ObjectMeta) -> None:
    for attempt in range(_ATTEMPTS):
        try:
            if not (isinstance(target, CopyFrom) and target.copy_from(source, meta.key, meta.key, meta=meta)):
                target.put(meta.key, source.get(meta.key))
        except StoreError:
            if attempt + 1 == _ATTEMPTS:
                raise
        else:
            return


def remove_all(store: Store, *, done: Callable[[int], None] = lambda _size: None) -> None:
    """Remove all objects of a repository, its `format` first, so that nobody takes what is left for a whole one.

    Raises:
        StoreError: the store failed.
    """
    store.delete(FORMAT)
    for folder in reversed(FOLDERS):

        def remove(meta: ObjectMeta) -> int:
            store.delete(meta.key)
            return meta.size_bytes

        for size_bytes in map_ordered(remove, list(store.list(folder)), window=_WINDOW):
            done(size_bytes)
