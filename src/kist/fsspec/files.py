"""Open files as fsspec's users know them: with a `size`, a `path` and an `fs`, and readers can be sent to other processes.

They are no buffers of fsspec: of its caches, ``simplecache`` and ``filecache`` go with them, ``blockcache`` does not.
"""

import io
import sys
from collections.abc import Buffer, Callable
from types import FrameType, TracebackType
from typing import IO, Protocol, SupportsIndex, cast, override

from kist.errors import Conflict
from kist.stores.protocols import ObjectMeta
from kist.stores.writing import ObjectWriter

__all__ = ["CompressedWriter", "Opener", "StorageReader", "StorageWriter"]

_DEEPEST = 8


class Opener(Protocol):
    """What opens files."""

    def open(self, path: str, mode: str) -> object:
        """Open one."""
        ...


class StorageReader(io.BufferedReader):
    """A file that is read."""

    def __init__(self, raw: io.RawIOBase, buffer_bytes: int, *, fs: Opener, path: str, meta: ObjectMeta) -> None:
        super().__init__(raw, buffer_bytes)
        self.fs, self.path, self.meta = fs, path, meta
        self.size = meta.size_bytes if meta.size_bytes >= 0 else None

    @property
    @override
    def mode(self) -> str:
        """As it was opened."""
        return "rb"

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> tuple[Callable[..., "StorageReader"], tuple[Opener, str, str, int]]:
        """Open it anew, at the same place, and never another state of it."""
        del protocol
        return _reopened, (self.fs, self.path, self.meta.etag, self.tell())


def _reopened(fs: Opener, path: str, etag: str, at: int) -> StorageReader:
    file = cast("StorageReader", fs.open(path, "rb"))
    if file.meta.etag != etag:
        file.close()
        raise Conflict(f"{path} has changed since it was opened elsewhere: open it again")
    file.seek(at)
    return file


class StorageWriter(ObjectWriter):
    """A file that is written: published at close, or with its transaction. A ``with`` block that raises publishes nothing.

    Libraries wrap files into blocks of their own, which close them without a word about the exception that ended the block. So `close`
    looks whether it is called on the way out of one.
    """

    def __init__(self, file: IO[bytes], publish: Callable[[IO[bytes]], None], *, name: str, readable: bool, appends: bool) -> None:
        super().__init__(file, publish, name=name, readable=readable, appends=appends)
        self.waits = False
        """Whether it is published by `commit` alone."""
        self._since = sys.exception()
        self._discarded = False

    @override
    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is not None:
            self.discard()
        self._end()

    @override
    def close(self) -> None:
        if not self.closed and _left_by_exception(self._since):
            self.discard()
        self._end()

    def commit(self) -> None:
        """Publish what waits; close what is open.

        Raises:
            KistError: it could not be published.
        """
        if not self.waits:
            self._end()
        elif not self._discarded:
            io.BufferedIOBase.close(self)
            try:
                self._publish(self._file)
            finally:
                self._file.close()

    @override
    def discard(self) -> None:
        self._discarded = True
        super().discard()

    def _end(self) -> None:
        if self.waits:
            io.BufferedIOBase.close(self)
        else:
            super().close()


class CompressedWriter(io.BufferedIOBase):
    """A file that compresses into a `StorageWriter`, and closes it too: compressors do not."""

    def __init__(self, outer: IO[bytes], inner: StorageWriter) -> None:
        self._outer, self._inner, self.name = outer, inner, inner.name

    @override
    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is not None:
            self.discard()
        self.close()

    @override
    def writable(self) -> bool:
        return True

    @override
    def write(self, data: Buffer, /) -> int:
        return self._outer.write(bytes(data))

    @override
    def flush(self) -> None:
        """Do nothing: a compressor that is flushed often compresses badly, and there is nothing to see before the end."""

    def discard(self) -> None:
        """Close without publishing."""
        if not self.closed:
            super().close()
            self._outer.close()
            self._inner.discard()

    @override
    def close(self) -> None:
        if not self.closed:
            super().close()
            try:
                self._outer.close()
            except BaseException:
                self._inner.discard()
                raise
            self._inner.close()


def _left_by_exception(before: BaseException | None) -> bool:
    """Say whether this is called by some `__exit__`, because of an exception that was not there before."""
    error = sys.exception()
    if error is None or error is before:
        return False
    frame: FrameType | None = sys._getframe(2)  # noqa: SLF001 - the documented way to see who calls
    for _ in range(_DEEPEST):
        if frame is None:
            break
        if frame.f_code.co_name == "__exit__":
            return True
        frame = frame.f_back
    return False
