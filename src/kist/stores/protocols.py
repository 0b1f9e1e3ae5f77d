"""What the engine needs of a store: one Protocol per verb.

A store keeps bytes under keys. A key is segments of printable characters joined by ``/``: never empty, never ``.`` or ``..``.
A guarantee that a store lacks is a Protocol it does not have, never a weaker default: a store without put-if-absent has no `create`.
All calls block, may come from any thread, and translate foreign errors to `kist.errors`.
"""

import builtins
from collections.abc import Buffer, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

__all__ = ["ConditionalStore", "Create", "Delete", "Get", "GetRange", "Head", "List", "ObjectMeta", "Put", "ReadableStore", "Store"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectMeta:
    """What a store knows of an object without reading it; `modified` is by the store's own clock, in UTC."""

    key: str
    size_bytes: int
    modified: datetime


class Get(Protocol):
    """Read an object whole."""

    def get(self, key: str) -> bytes:
        """Return all bytes of the newest state that was acknowledged.

        Raises:
            NotFound: no such key.
            StoreError: the store failed.
        """
        ...


class GetRange(Protocol):
    """Read part of an object."""

    def get_range(self, key: str, *, start: int, end: int) -> bytes:
        """Return bytes ``start <= i < end``, never more; fewer only where the object ends before `end`.

        Raises:
            NotFound: no such key.
            StoreError: the store failed, or answered another range.
        """
        ...


class Head(Protocol):
    """Look at an object."""

    def head(self, key: str) -> ObjectMeta:
        """Return size and time of an object.

        Raises:
            NotFound: no such key.
            StoreError: the store failed.
        """
        ...


class List(Protocol):
    """List keys."""

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectMeta]:
        """Yield all objects whose key starts with `prefix`, sorted by the key's UTF-8 bytes, those after `start_after` only.

        Lazy: taking the first few costs one request. `prefix` is a string prefix; it need not end at a ``/``.

        Raises:
            StoreError: the store failed.
        """
        ...

    def list_folders(self, prefix: str) -> builtins.list[str]:
        """Return the sorted names of the segments right below `prefix` (empty, or ending in ``/``) that have keys below them.

        Raises:
            StoreError: the store failed.
        """
        ...


class Put(Protocol):
    """Write an object."""

    def put(self, key: str, data: Buffer) -> None:
        """Store an object whole, replacing what was there. Once this returns, the bytes survive a crash.

        Readers see old or new, never a mix.

        Raises:
            StoreError: the store failed; the object may be stored all the same.
        """
        ...


class Create(Protocol):
    """Write an object that must not exist."""

    def create(self, key: str, data: Buffer) -> None:
        """Store an object only if the key is free; of many at once exactly one wins. Durable as `Put.put`.

        An error is **not** a verdict: after a lost answer and a retry the store may say `AlreadyExists` of our own bytes.
        Callers read the key back and compare a unique id inside (`kist.stores.conditional.create_once`).

        Raises:
            AlreadyExists: something is under this key, perhaps our own bytes.
            StoreError: the outcome is unknown.
        """
        ...


class Delete(Protocol):
    """Remove an object."""

    def delete(self, key: str) -> None:
        """Remove the key; one that does not exist is no error.

        Raises:
            StoreError: the store failed; the object may be gone all the same.
        """
        ...


class ReadableStore(Get, GetRange, Head, List, Protocol):
    """A store that can be read."""


class Store(ReadableStore, Put, Delete, Protocol):
    """A store that can be read and written."""


@runtime_checkable
class ConditionalStore(Store, Create, Protocol):
    """A store that also offers put-if-absent. That it *honours* it is for `kist.stores.conditional.probe` to find out."""
