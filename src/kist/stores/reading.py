"""A file object over an object of a store: binary, seekable, lazy, and of one state of the object from beginning to end.

Reading along fetches ever larger blocks, the next one ahead of time; jumping about fetches little.
"""

import io
from collections.abc import Buffer, Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from typing import override

from kist.errors import Conflict
from kist.stores import budget
from kist.stores.protocols import GetPart, ObjectMeta, ReadableStore

__all__ = ["ObjectReader", "open_reader"]

FIRST_BYTES = 256 << 10
MOST_BYTES = 8 << 20
BUFFER_BYTES = 256 << 10

type Named = Callable[[], AbstractContextManager[None]]


def open_reader(store: ReadableStore, key: str, named: Named = nullcontext, *, buffer_bytes: int = BUFFER_BYTES) -> io.BufferedReader:
    """Open an object for reading; each request is made within `named`, which makes errors say where.

    Raises:
        NotFound: there is none.
        StoreError: the store failed.
    """
    with named():
        meta = store.head(key)
    return io.BufferedReader(ObjectReader(store, meta, named), buffer_bytes)


class ObjectReader(io.RawIOBase):
    """Reads the object that `meta` tells of.

    Raises:
        Conflict: from any read, once the object has changed and its old state can't be had.
    """

    def __init__(self, store: ReadableStore, meta: ObjectMeta, named: Named = nullcontext) -> None:
        self._store, self._meta, self._named = store, meta, named
        self._at = 0
        self._block = memoryview(b"")
        self._begin = 0
        self._count = FIRST_BYTES
        self._next: tuple[int, Future[bytes]] | None = None
        self.name = meta.key

    @property
    def meta(self) -> ObjectMeta:
        """What is read."""
        return self._meta

    @override
    def readable(self) -> bool:
        return True

    @override
    def seekable(self) -> bool:
        return True

    @override
    def tell(self) -> int:
        return self._at

    @override
    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._meta.size_bytes}.get(whence)
        if base is None:
            raise ValueError(f"whence is 0, 1 or 2; found {whence}")
        if base + offset < 0:
            raise ValueError(f"can't seek to {base + offset}: it is before the beginning")
        self._at = base + offset
        return self._at

    @override
    def readinto(self, buffer: Buffer, /) -> int:
        with memoryview(buffer).cast("B") as view:
            if not view or self._at >= self._meta.size_bytes:
                return 0
            if not self._begin <= self._at < self._begin + len(self._block):
                self._load(self._at, len(view))
            part = self._block[self._at - self._begin :][: len(view)]
            view[: len(part)] = part
            self._at += len(part)
            return len(part)

    @override
    def close(self) -> None:
        self._next, self._block = None, memoryview(b"")
        super().close()

    def _load(self, start: int, wanted: int) -> None:
        along = start == self._begin + len(self._block)
        self._count = min(self._count * 2, MOST_BYTES) if along else FIRST_BYTES
        ahead, self._next = self._next, None
        count = max(self._count, wanted)
        data = ahead[1].result() if ahead and ahead[0] == start else self._fetch(start, start + count)
        self._block, self._begin = memoryview(data), start
        follows = start + len(data)
        if along and follows < self._meta.size_bytes:
            self._next = follows, budget.submit(lambda: self._fetch(follows, follows + self._count))

    def _fetch(self, start: int, end: int) -> bytes:
        end = min(end, self._meta.size_bytes)
        with self._named():
            if isinstance(self._store, GetPart) and self._meta.etag:
                data = self._store.get_part(self._meta, start=start, end=end)
            else:
                data = self._store.get_range(self._meta.key, start=start, end=end)
        if len(data) != end - start:
            raise Conflict(f"{self._meta.key!r} has changed while it was read: open it again")
        return data
