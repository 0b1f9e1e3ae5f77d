"""What an `AsyncRepository` lends: files and changes whose work is done in threads, so that the event loop goes on meanwhile."""

import asyncio
import io
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager
from itertools import islice
from typing import Final, Self

from kist.engine.transactions import Source, Transaction
from kist.models import Version

__all__ = ["AsyncFile", "AsyncTransaction", "in_batches", "lending"]

BATCH: Final = 1000


class AsyncFile:
    """A file of a version, to be read. It may be used in an ``async with`` block, which closes it at the end."""

    def __init__(self, file: io.BufferedReader) -> None:
        """Use `AsyncRepository.open`."""
        self._file = file

    async def __aenter__(self) -> Self:
        """Begin."""
        return self

    async def __aexit__(self, *_raised: object) -> None:
        """Close it."""
        await self.aclose()

    async def read(self, size: int = -1) -> bytes:
        """Return the next bytes, at most `size` if that is not negative; none at the end.

        Raises:
            IntegrityError: what is stored is not what was saved.
        """
        return await asyncio.to_thread(self._file.read, size)

    async def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to another place, and return it."""
        return await asyncio.to_thread(self._file.seek, offset, whence)

    def tell(self) -> int:
        """Return the place where the next bytes are."""
        return self._file.tell()

    async def aclose(self) -> None:
        """Close it; more than once is no error."""
        await asyncio.to_thread(self._file.close)


class AsyncTransaction:
    """Changes of a tree that nobody sees before they are all there; see `Transaction`."""

    def __init__(self, change: Transaction) -> None:
        """Use `AsyncRepository.transaction`."""
        self._change = change

    @property
    def version(self) -> Version:
        """What the changes became, once they did."""
        return self._change.version

    async def put(self, path: str, source: Source) -> None:
        """Make `path` equal to a source: a file or folder of this machine, or content.

        Raises:
            NotFound: the source does not exist.
            InvalidInput: the path is not one.
            Conflict: a file is where a folder must be.
            StoreError: the store failed.
        """
        await asyncio.to_thread(self._change.put, path, source)

    async def delete(self, path: str) -> None:
        """Remove a path and all below it.

        Raises:
            NotFound: there is nothing.
        """
        await asyncio.to_thread(self._change.delete, path)

    async def move(self, source: str, destination: str) -> None:
        """Give a path and all below it another name.

        Raises:
            NotFound: there is nothing at the source.
            AlreadyExists: there is something at the destination.
            InvalidInput: the destination lies in the source.
            Conflict: a file is where a folder must be.
        """
        await asyncio.to_thread(self._change.move, source, destination)

    async def duplicate(self, source: str, destination: str) -> None:
        """Have what is at a path, after the changes so far, at another one too.

        Raises:
            NotFound: there is nothing at the source.
            AlreadyExists: there is something at the destination.
            Conflict: a file is where a folder must be.
        """
        await asyncio.to_thread(self._change.duplicate, source, destination)


async def in_batches[Item](items: Iterator[Item]) -> AsyncIterator[Item]:
    """Yield what a blocking iterator yields; a thread gets many at once, for going there and back costs more than one of them."""
    while batch := await asyncio.to_thread(lambda: list(islice(items, BATCH))):
        for item in batch:
            yield item


@asynccontextmanager
async def lending[Lent](blocking: AbstractContextManager[Lent]) -> AsyncIterator[Lent]:
    """Enter and leave a blocking context manager in threads."""
    lent = await asyncio.to_thread(blocking.__enter__)
    try:
        yield lent
    except BaseException as error:
        if not await asyncio.to_thread(blocking.__exit__, type(error), error, error.__traceback__):
            raise
    else:
        await asyncio.to_thread(blocking.__exit__, None, None, None)
