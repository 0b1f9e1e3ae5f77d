"""File objects whose content appears at close, whole, or not at all.

What is written goes to a spool, in memory and then on the disk, so that libraries may seek as they like. Leaving a ``with`` block by an
exception, or dropping a file that was never closed, publishes nothing.
"""

import contextlib
import io
import tempfile
import warnings
from collections.abc import Buffer, Callable, Iterator
from types import TracebackType
from typing import IO, cast, override

__all__ = ["ObjectWriter", "TextWriter", "spool", "spooled"]

MEMORY_BYTES = 32 << 20
PIECE_BYTES = 4 << 20

type Publish = Callable[[IO[bytes]], None]


def spool() -> IO[bytes]:
    """Return an empty file of nobody's, in memory while it is small."""
    return tempfile.SpooledTemporaryFile(MEMORY_BYTES)


def spooled(file: IO[bytes]) -> Iterator[bytes]:
    """Yield what a spool holds, from its beginning."""
    file.seek(0)
    while part := file.read(PIECE_BYTES):
        yield part


class ObjectWriter(io.BufferedIOBase):
    """A binary file over a spool, which `publish` is given when it is closed."""

    def __init__(self, file: IO[bytes], publish: Publish, *, name: str, readable: bool = False, appends: bool = False) -> None:
        """Write to `file` from where it stands; `appends` puts whatever is written at its end."""
        self._file, self._publish, self.name = file, publish, name
        self._readable, self._appends = readable, appends

    def __repr__(self) -> str:
        return f"<ObjectWriter {self.name!r}>"

    @override
    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is not None:
            self.discard()
        self.close()

    def __del__(self) -> None:
        """Publish nothing that was not closed."""
        if not getattr(self, "closed", True):
            self.discard()
            warnings.warn(f"{self.name!r} was never closed, so it was not written", ResourceWarning, stacklevel=2, source=self)

    @override
    def readable(self) -> bool:
        return self._readable

    @override
    def writable(self) -> bool:
        return True

    @override
    def seekable(self) -> bool:
        return True

    @override
    def read(self, size: int | None = -1, /) -> bytes:
        if not self._readable:
            raise io.UnsupportedOperation("read: this file was opened for writing; add '+' to the mode")
        return self._open().read(-1 if size is None else size)

    @override
    def read1(self, size: int = -1, /) -> bytes:
        return self.read(size)

    @override
    def write(self, data: Buffer, /) -> int:
        file = self._open()
        if self._appends:
            file.seek(0, io.SEEK_END)
        return file.write(data)

    @override
    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        self._open().seek(offset, whence)
        return self._file.tell()

    @override
    def tell(self) -> int:
        return self._open().tell()

    @override
    def truncate(self, size: int | None = None, /) -> int:
        file = self._open()
        size = file.tell() if size is None else size
        at, end = file.tell(), file.seek(0, io.SEEK_END)
        file.truncate(size)
        while end < size:  # a spool in memory does not grow by truncating
            end += file.write(bytes(min(size - end, PIECE_BYTES)))
        file.seek(at)
        return size

    @override
    def flush(self) -> None:
        if not self.closed:
            self._file.flush()

    def discard(self) -> None:
        """Close without publishing."""
        super().close()
        self._file.close()

    @override
    def close(self) -> None:
        """Publish what was written, once.

        Raises:
            KistError: it could not be published, and what was there stays.
        """
        if self.closed:
            return
        try:
            self._publish(self._file)
        finally:
            super().close()
            self._file.close()

    def _open(self) -> IO[bytes]:
        if self.closed:
            raise ValueError(f"{self.name!r} is closed")
        return self._file


class TextWriter(io.TextIOWrapper):
    """Text over an `ObjectWriter`."""

    @override
    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is not None:
            self._discard()
        else:
            self.close()

    def __del__(self) -> None:
        """Publish nothing that was not closed."""
        with contextlib.suppress(ValueError):  # detached
            if not self.closed:
                warnings.warn(f"{self.name!r} was never closed, so it was not written", ResourceWarning, stacklevel=2, source=self)
                self._discard()

    def _discard(self) -> None:
        cast("ObjectWriter", self.buffer).discard()
