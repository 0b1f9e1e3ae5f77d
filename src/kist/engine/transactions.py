"""Several changes that become one version, or none."""

import io
import os
from collections.abc import Iterable, Iterator
from typing import BinaryIO, cast

import msgspec

from kist.engine.content import ReadInto
from kist.engine.entries import Entry, check_path, sort_key
from kist.engine.nodes import Root
from kist.engine.packs import FrameKind
from kist.engine.rooms import Rooms
from kist.engine.saving import Meta, Saver
from kist.engine.updates import Change
from kist.errors import AlreadyExists, Conflict, InvalidInput, NotFound
from kist.models import Version

__all__ = ["Source", "Transaction"]

Source = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO
"""Text and `os.PathLike` are a path on this machine; bytes and binary files are content."""


class Transaction:
    """Changes of a tree that nobody sees before they are all there. `version` is what they became, once they did."""

    version: Version

    def __init__(self, rooms: Rooms, saver: Saver, root: Root) -> None:
        """Use `Repository.transaction`."""
        self._rooms, self._saver, self._root = rooms, saver, root
        self._changes: dict[bytes, Entry | None] = {}
        self._above: set[bytes] = set()

    def put(self, path: str, source: Source, *, meta: Meta = Meta()) -> None:  # noqa: B008 - a frozen value
        """Make `path` equal to a source: a file or folder of this machine, or content.

        Raises:
            NotFound: the source does not exist.
            InvalidInput: the path is not one.
            Conflict: a file is where a folder must be.
            StoreError: the store failed.
        """
        is_local = isinstance(source, str | os.PathLike)
        check_path(path, root=is_local)
        self.check_above(path)
        if isinstance(source, str | os.PathLike):
            keyed = ((sort_key(entry.path), entry) for entry in self._below(path))
            for key, entry in list(self._saver.folder(path, source, keyed, meta=meta, ignore=())):
                self._set(key, entry)
            return
        old = self._get(path)
        for entry in list(self._below(path)):
            self._set(sort_key(entry.path), None)
        self._set(sort_key(path), meta.apply(self._ingest(path, source, old)))

    def below(self, path: str) -> Iterator[str]:
        """Yield a path, if it was saved by itself, and all below it, as they are after the changes so far.

        Raises:
            InvalidInput: the path is not one.
        """
        return (entry.path for entry in self._below(check_path(path)))

    def delete(self, path: str) -> None:
        """Remove a path and all below it.

        Raises:
            NotFound: there is nothing.
        """
        check_path(path)
        gone = [sort_key(entry.path) for entry in self._below(path)]
        if not gone:
            raise NotFound(f"there is nothing at {path!r}")
        for key in gone:
            self._set(key, None)

    def move(self, source: str, destination: str) -> None:
        """Give a path and all below it another name.

        Raises:
            NotFound: there is nothing at the source.
            AlreadyExists: there is something at the destination.
            InvalidInput: the destination lies in the source.
            Conflict: a file is where a folder must be.
        """
        if f"{destination}/".startswith(f"{source}/"):
            raise InvalidInput(f"{source!r} can't be moved into itself, to {destination!r}")
        self.copy(self._below(check_path(source)), source, destination)
        self.delete(source)

    def duplicate(self, source: str, destination: str) -> None:
        """Have what is at a path, after the changes so far, at another one too: no content is read or written.

        Raises:
            NotFound: there is nothing at the source.
            AlreadyExists: there is something at the destination.
            Conflict: a file is where a folder must be.
        """
        self.copy(list(self._below(check_path(source))), source, destination)

    def copy(self, entries: Iterable[Entry], source: str, destination: str) -> None:
        """Put entries of some version, those at and below `source`, to `destination`: no content is read or written.

        Raises:
            NotFound: there are none.
            AlreadyExists: there is something at the destination.
            Conflict: a file is where a folder must be.
        """
        check_path(destination)
        if next(iter(self._below(destination)), None) is not None:
            raise AlreadyExists(f"there is something at {destination!r}: delete it first, or choose another name")
        self.check_above(destination)
        copied = [self.use(msgspec.structs.replace(entry, path=destination + entry.path[len(source) :])) for entry in entries]
        if not copied:
            raise NotFound(f"there is nothing at {source!r}")
        for entry in copied:
            self._set(sort_key(check_path(entry.path)), entry)

    def use(self, entry: Entry) -> Entry:
        """Note that the change uses content of a version that is not its parent."""
        if entry.place is not None:
            kind, frame_id = (FrameKind.RECIPE, entry.recipe) if entry.recipe else (FrameKind.DATA, entry.hash)
            self._saver.writer.reuse(kind, frame_id, entry.place)
        return entry

    def check_above(self, path: str) -> None:
        """Refuse a path below a file or a link.

        Raises:
            Conflict: it is.
        """
        above = path.rpartition("/")[0]
        while above:
            entry = self._get(above)
            if entry is not None and entry.kind != "folder":
                raise Conflict(f"{path!r} can't be: {above!r} is a {entry.kind}; delete it first, or choose another name")
            above = above.rpartition("/")[0]

    def changes(self) -> Iterator[Change]:
        """Yield what changes, sorted."""
        return iter(sorted(self._changes.items(), key=lambda change: change[0]))

    def _set(self, key: bytes, entry: Entry | None) -> None:
        self._changes[key] = entry
        above = key.rpartition(b"\0")[0]
        while above and above not in self._above:
            self._above.add(above)
            above = above.rpartition(b"\0")[0]

    def _get(self, path: str) -> Entry | None:
        key = sort_key(path)
        return self._changes[key] if key in self._changes else self._rooms.trees.get(self._root, path)

    def _below(self, path: str) -> Iterator[Entry]:
        """Yield the entries at and below a path as they are after the changes so far."""
        key = sort_key(path)
        start, stop = (key + b"\0", key + b"\1") if path else (b"", None)
        mine = [key] if path and key in self._changes else []
        if not path or key in self._above:
            mine += sorted(one for one in self._changes if one >= start and (stop is None or one < stop))
        stored = (entry for entry in self._rooms.trees.below(self._root, path) if sort_key(entry.path) not in self._changes)
        waiting = next(stored, None)
        for one in mine:
            while waiting is not None and sort_key(waiting.path) < one:
                yield waiting
                waiting = next(stored, None)
            if (entry := self._changes[one]) is not None:
                yield entry
        while waiting is not None:
            yield waiting
            waiting = next(stored, None)

    def _ingest(self, path: str, source: bytes | bytearray | memoryview | BinaryIO, old: Entry | None) -> Entry:
        mtime_ns = self._rooms.clock.now() * 1000
        if isinstance(source, bytes | bytearray | memoryview):
            data = bytes(source)
            return self._saver.stream(
                path, cast(ReadInto, io.BytesIO(data)), old, again=lambda at, size: data[at : at + size], mtime_ns=mtime_ns
            )
        if not hasattr(source, "readinto"):
            source = io.BufferedReader(cast(io.RawIOBase, _Raw(source)))
        return self._saver.stream(path, cast(ReadInto, source), old, again=None, mtime_ns=mtime_ns)


class _Raw(io.RawIOBase):
    """Gives `readinto` to a file that only has `read`."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]  # the only kind of buffer that BufferedReader gives
        data = self._source.read(len(buffer))
        if not isinstance(data, bytes):
            raise InvalidInput("a source must give bytes: open the file in binary mode")
        buffer[: len(data)] = data
        return len(data)
