"""What is asked of a store: one Protocol per verb. The engine needs `Store`; what else a store can do, `kist.storage` finds and uses.

A store keeps bytes under keys. A key is segments of printable characters joined by ``/``: never empty, never ``.`` or ``..``.
A guarantee that a store lacks is a Protocol it does not have, never a weaker default: a store without put-if-absent has no `create`.
All calls block, may come from any thread, and translate foreign errors to `kist.errors`.
"""

import builtins
from collections.abc import Buffer, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

__all__ = [
    "Batch",
    "ConditionalStore",
    "CopyFrom",
    "Create",
    "Delete",
    "Folders",
    "Get",
    "GetBlocks",
    "GetPart",
    "GetRange",
    "GetStream",
    "Head",
    "List",
    "ListFolder",
    "Move",
    "ObjectMeta",
    "PartUpload",
    "Put",
    "PutBlocks",
    "PutParts",
    "PutStream",
    "ReadableStore",
    "Sign",
    "Store",
    "Together",
    "Where",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectMeta:
    """What a store knows of an object without reading it.

    `modified` is by the store's own clock, in UTC. `etag` changes whenever the content does; empty where the store has no such thing.
    `size_bytes` is -1 only where a server of the web does not tell it; `GetStream` reads such an object all the same.
    """

    key: str
    size_bytes: int
    modified: datetime
    etag: str = ""


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


@runtime_checkable
class ListFolder(Protocol):
    """List one folder without what is below its folders."""

    def list_folder(self, prefix: str) -> tuple[builtins.list[ObjectMeta], builtins.list[str]]:
        """Return the objects right below `prefix` (empty, or ending in ``/``), and the names of the folders there; both sorted.

        Raises:
            StoreError: the store failed.
        """
        ...


@runtime_checkable
class Put(Protocol):
    """Write an object."""

    def put(self, key: str, data: Buffer) -> None:
        """Store an object whole, replacing what was there. Once this returns, the bytes survive a crash.

        Readers see old or new, never a mix.

        Raises:
            StoreError: the store failed; the object may be stored all the same.
        """
        ...


@runtime_checkable
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


@runtime_checkable
class Delete(Protocol):
    """Remove an object."""

    def delete(self, key: str) -> None:
        """Remove the key; one that does not exist is no error.

        Raises:
            StoreError: the store failed; the object may be gone all the same.
        """
        ...


@runtime_checkable
class GetPart(Protocol):
    """Read part of one state of an object."""

    def get_part(self, meta: ObjectMeta, *, start: int, end: int) -> bytes:
        """Return bytes ``start <= i < end`` of the very object that `meta` tells of, so that parts fit together.

        Raises:
            NotFound: it is gone.
            Conflict: it has changed since.
            StoreError: the store failed, or answered another range.
        """
        ...


@runtime_checkable
class GetStream(Protocol):
    """Read an object that need not fit into memory, nor tell how long it is."""

    def get_stream(self, key: str) -> Generator[bytes, None, None]:
        """Yield the bytes of one state of an object, from its first to its last; the end comes only after the whole object.

        Nothing is asked before the first step. Whoever stops early closes the generator.

        Raises:
            NotFound: no such key.
            StoreError: the store failed, or broke off in the middle.
        """
        ...


@runtime_checkable
class GetBlocks(Protocol):
    """Read part of one state of an object without holding all of it."""

    def get_blocks(self, meta: ObjectMeta, *, start: int, end: int) -> Iterator[Buffer]:
        """Yield what `GetPart.get_part` returns, in blocks as they arrive; a block may be reused as soon as the next one is asked for.

        Raises:
            NotFound: it is gone.
            Conflict: it has changed since.
            StoreError: the store failed, broke off in the middle, or answered another range.
        """
        ...


@runtime_checkable
class PutStream(Protocol):
    """Write an object that need not fit into memory."""

    def put_stream(self, key: str, parts: Iterable[Buffer], *, size_bytes: int | None = None) -> None:
        """Store an object from parts as they come, replacing what was there. Once this returns, the store holds exactly these bytes.

        Readers see old or new, never a mix. What `parts` raises passes through, and what was there stays. A part may be reused as soon
        as the next one is asked for. `size_bytes`, where it is known, is how long all of them are together.

        Raises:
            IntegrityError: other bytes arrived; nothing was replaced.
            StoreError: the store failed; the object may be stored all the same.
        """
        ...


class PartUpload(Protocol):
    """A big object on its way: nobody sees it before `finish`."""

    @property
    def token(self) -> str:
        """What `PutParts.take_up` needs to go on with it, in another process too."""
        ...

    @property
    def part_bytes(self) -> int:
        """How long each part is, but for the last one."""
        ...

    def put_part(self, number: int, data: Buffer) -> str:
        """Store part `number`, counted from 0, in any order and from any thread; return its receipt.

        Raises:
            IntegrityError: other bytes arrived.
            StoreError: the store failed.
        """
        ...

    def finish(self, receipts: Sequence[str]) -> None:
        """Make the object from all parts, replacing what was there; `receipts` are in the order of the parts.

        Raises:
            StoreError: the store failed; the object may be stored all the same.
        """
        ...

    def abort(self) -> None:
        """Remove the parts.

        Raises:
            StoreError: the store failed.
        """
        ...


@runtime_checkable
class PutBlocks(Protocol):
    """An upload that takes a part in blocks."""

    def put_blocks(self, number: int, blocks: Iterable[Buffer]) -> str:
        """Store part `number` from blocks as they come; return its receipt. What `blocks` raises passes through, and the part is not there.

        Raises:
            StoreError: the store failed.
        """
        ...


@runtime_checkable
class PutParts(Protocol):
    """Write a big object in parts, side by side, and go on after an interruption."""

    def begin_parts(self, key: str, *, size_bytes: int) -> PartUpload:
        """Begin.

        Raises:
            StoreError: the store failed.
        """
        ...

    def take_up(self, key: str, token: str) -> tuple[PartUpload, dict[int, str]]:
        """Go on with what was begun: return it, and the receipts of the parts that are there.

        Raises:
            NotFound: it is no more.
            StoreError: the store failed.
        """
        ...


@runtime_checkable
class CopyFrom(Protocol):
    """Copy within a service."""

    def copy_from(self, source: object, source_key: str, key: str, *, meta: ObjectMeta | None = None) -> bool:
        """Copy an object of the store `source` to `key`, replacing what was there, so that no byte passes through this machine.

        `meta` is what a listing or `head` has just told of the source, which then is not looked at again where that saves a request;
        what is copied is its state of the moment all the same.

        Returns:
            Whether it was done; False where these two stores can't, and nothing happened.

        Raises:
            NotFound: there is no such source.
            StoreError: the store failed; the object may be stored all the same.
        """
        ...


@runtime_checkable
class Move(Protocol):
    """Give another name in one step."""

    def move(self, key: str, new_key: str) -> None:
        """Rename an object, or a folder with all that is in it, to a name that is free, or an object's, which is then replaced.

        Raises:
            NotFound: there is nothing under this name.
            AlreadyExists: the new name is a folder's.
            Unsupported: not between these two; nothing happened.
            StoreError: the store failed.
        """
        ...


@runtime_checkable
class Sign(Protocol):
    """Give access to one object by a URL."""

    def signed_url(self, key: str, *, expires_in_seconds: int, method: str = "GET") -> str:
        """Return a URL that lets its bearer read (``GET``) or write (``PUT``) this object until then; nothing is sent.

        Raises:
            InvalidInput: no such method, or a time that the service does not take.
            Unsupported: these credentials can't sign.
        """
        ...


@runtime_checkable
class Where(Protocol):
    """Tell places apart, and the same place by other options."""

    def where(self, key: str) -> str:
        """Return where an object is: the same text for each store that it can be reached by, with other prefixes or credentials."""
        ...


@runtime_checkable
class Folders(Protocol):
    """Have folders that exist though nothing is in them."""

    def is_folder(self, key: str) -> bool:
        """Say whether there is a folder of this name; the empty key is the root."""
        ...

    def make_folder(self, key: str) -> None:
        """Make a folder and those above it; one that is there stays.

        Raises:
            AlreadyExists: something else has the name.
            StoreError: the store failed.
        """
        ...

    def remove_folder(self, key: str) -> None:
        """Remove an empty folder; one that is not there is no error.

        Raises:
            Conflict: it is not empty.
            StoreError: the store failed.
        """
        ...


class ReadableStore(Get, GetRange, Head, List, Protocol):
    """A store that can be read."""


class Store(ReadableStore, Put, Delete, Protocol):
    """A store that can be read and written."""


@runtime_checkable
class ConditionalStore(Store, Create, Protocol):
    """A store that also offers put-if-absent. That it *honours* it is for `kist.stores.conditional.probe` to find out."""


@runtime_checkable
class Batch(Protocol):
    """Make many changes one."""

    def batch(self, message: str = "") -> AbstractContextManager[Store]:
        """Lend a store whose writes and deletions all take effect at the end of the context, in one step; after an exception none does.

        Raises:
            Conflict: another writer was faster.
            StoreError: the store failed.
        """
        ...


@runtime_checkable
class Together(Protocol):
    """Write many objects for the price of less than each by itself."""

    def together(self) -> AbstractContextManager[Store]:
        """Lend a store whose new objects survive a crash from the end of the context on, not each at once."""
        ...
