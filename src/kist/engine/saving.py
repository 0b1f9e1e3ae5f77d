"""From a folder of this machine to changes of a tree: what is new, what is gone, what need not be read again.

Streams: scan, old entries and what the cache knows come in one order and are compared side by side, so that memory does not grow with the folder.
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

import msgspec

from kist.engine.cache import Cache, KnownFile, signature
from kist.engine.chunker import chunker
from kist.engine.content import Content, Ingester, ReadInto
from kist.engine.entries import Entry, Place, check_path, sort_key
from kist.engine.folders import Item, scan
from kist.engine.objects import Again, Objects, Writer
from kist.engine.packs import FrameKind
from kist.engine.recipes import load_recipe, walk_chunks
from kist.engine.updates import Change
from kist.errors import NotFound

__all__ = ["Meta", "Progress", "Saver", "Skipped"]

Skipped = Callable[[str, str], None]
FRESH_NS, COARSE_NS = 50_000_000, 2_000_000_000
REREADS = 2


class Progress(Protocol):
    """Is told of what has been done since the last call: items seen, bytes of content read or found unchanged."""

    def __call__(self, items: int, size_bytes: int, /) -> None:
        """Note progress."""
        ...


class Meta(NamedTuple):
    """What a caller says of the saved path itself; None keeps what was said before."""

    labels: tuple[str, ...] | None = None
    tags: dict[str, object] | None = None
    id: str | None = None
    timestamp: str | None = None

    def apply(self, entry: Entry) -> Entry:
        """Return the entry with what was said."""
        said: dict[str, Any] = {name: value for name, value in self._asdict().items() if value is not None}
        return msgspec.structs.replace(entry, **said) if said else entry


class Saver:
    """Turns sources into entries, through one writer."""

    def __init__(self, objects: Objects, writer: Writer, cache: Cache | None, *, progress: Progress, skipped: Skipped) -> None:
        """Read nothing yet."""
        self._objects, self.writer, self._cache = objects, writer, cache
        self._progress, self._skipped = progress, skipped
        self._ingester = Ingester(writer, chunker())
        self._remembered: list[KnownFile] = []

    def folder(self, path: str, source: str | os.PathLike[str], old: Iterator[Entry], *, meta: Meta, ignore: tuple[str, ...]) -> Iterator[Change]:
        """Yield the changes that make `path` equal to a file or folder of this machine.

        Args:
            path: where in the tree; empty for the whole tree.
            source: a path on this machine.
            old: the entries at and below `path`, in order.
            meta: what to say of `path` itself.
            ignore: gitignore patterns.

        Raises:
            NotFound: the source does not exist.
            Denied: something may not be read.
            StoreError: the store or the disk failed.
        """
        root = os.path.realpath(source)
        known = self._cache.files(root) if self._cache else iter(())
        known_one, gone = next(known, None), []
        old_one = next(old, None)
        base = f"{path}/" if path else ""
        for item in scan(source, ignore=ignore, skipped=self._skipped):
            if not item.path and not path:
                if item.kind == "folder":
                    continue
                check_path(path)
            where = base + item.path if item.path else path
            key, local_key = sort_key(where), sort_key(item.path)
            while old_one is not None and (old_key := sort_key(old_one.path)) < key:
                yield old_key, None
                old_one = next(old, None)
            while known_one is not None and known_one.key < local_key:
                gone.append(known_one.key)
                known_one = next(known, None)
            same_path = old_one if old_one is not None and old_one.path == where else None
            remembered = known_one if known_one is not None and known_one.key == local_key else None
            entry = self._entry(item, where, same_path, remembered)
            if not item.path:
                entry = meta.apply(entry)
            if entry != same_path:
                yield key, entry
            if same_path is not None:
                old_one = next(old, None)
            self._progress(1, 0)
        while old_one is not None:
            yield sort_key(old_one.path), None
            old_one = next(old, None)
        gone += [one.key for one in ([known_one] if known_one else [])] + [one.key for one in known]
        self._done = root, gone

    def remember(self) -> None:
        """Tell later saves what the files were, once the change is committed."""
        if self._cache and self._done:
            root, gone = self._done
            self._cache.remember_files(root, self._remembered, gone)

    _done: tuple[str, list[bytes]] | None = None

    def stream(self, path: str, source: ReadInto, old: Entry | None, *, again: Again | None, mtime_ns: int) -> Entry:
        """Store the content of a stream and return the entry of `path`."""
        content = self._ingester.ingest(source, known=self._known_chunks(old), again=again, progress=self._read)
        mode = old.mode if old is not None and old.kind == "file" else 0o644
        return _file(path, content, mtime_ns=mtime_ns, mode=mode, old=old)

    def _entry(self, item: Item, path: str, old: Entry | None, known: KnownFile | None) -> Entry:
        if item.kind != "file":
            entry = Entry(path=path, kind=item.kind, mtime_ns=item.mtime_ns, mode=item.mode, target=item.target)
            return _with_meta(entry, old)
        sign = signature(item.size, item.mtime_ns, item.ctime_ns, item.inode, item.device)
        if known is not None and known.signature == sign:
            same = old is not None and old.kind == "file" and old.hash == known.hash
            if same and old is not None:
                self._unchanged(item)
                if old.mtime_ns == item.mtime_ns and old.mode == item.mode:
                    return old
                return msgspec.structs.replace(old, mtime_ns=item.mtime_ns, mode=item.mode)
            if self._still_there(known, item):
                self._unchanged(item)
                self.writer.stats.reused_bytes += item.size
                content = Content(item.size, known.hash, known.crc32c, known.recipe, known.place)
                return _file(path, content, mtime_ns=item.mtime_ns, mode=item.mode, old=old)
        content = self._read_file(item, sign, old)
        return _file(path, content, mtime_ns=item.mtime_ns, mode=item.mode, old=old)

    def _unchanged(self, item: Item) -> None:
        self._progress(0, item.size)

    def _still_there(self, known: KnownFile, item: Item) -> bool:
        """Say whether content that an earlier save stored elsewhere can be used here; note the use."""
        if not item.size:
            return True
        if known.place is None:
            return False
        kind, frame_id = (FrameKind.RECIPE, known.recipe) if known.recipe else (FrameKind.DATA, known.hash)
        self.writer.reuse(kind, frame_id, known.place, again=None if known.recipe else _reader(item.local))
        return True

    def _read_file(self, item: Item, sign: bytes, old: Entry | None) -> Content:
        """Store a file's content; one that changes while it is read is read again, and reported if it does not stop."""
        known = self._known_chunks(old) if item.size > 0 else {}
        for attempt in range(REREADS + 1):
            started = time.time_ns()
            descriptor = item.descriptor()
            try:
                content = self._ingester.ingest(_Descriptor(descriptor), known=known, again=_reader(item.local), progress=self._read)
                found = os.fstat(descriptor)
            finally:
                os.close(descriptor)
            now = signature(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev)
            if now == sign and content.size == found.st_size:
                coarse = item.ctime_ns % 1_000_000_000 == 0
                if item.ctime_ns < started - (COARSE_NS if coarse else FRESH_NS) and self._cache:
                    self._remembered.append(KnownFile(sort_key(item.path), sign, content.hash, content.crc32c, content.recipe, content.place))
                break
            sign = now
            if attempt == REREADS:
                self._skipped(item.path or item.local, "changed while it was read: what was saved may mix old and new")
        return content

    def _read(self, size_bytes: int) -> None:
        self._progress(0, size_bytes)

    def _known_chunks(self, old: Entry | None) -> Mapping[bytes, Place]:
        """Return where the chunks of the content that this path had until now are."""
        if old is None or old.kind != "file" or old.place is None:
            return {}
        if not old.recipe:
            return {old.hash: old.place}
        return {chunk: place for chunk, place, _ in walk_chunks(self._objects, load_recipe(self._objects, old.recipe, old.place))}


def _file(path: str, content: Content, *, mtime_ns: int, mode: int, old: Entry | None) -> Entry:
    if old is not None and old.kind == "file" and old.hash == content.hash:
        return msgspec.structs.replace(old, mtime_ns=mtime_ns, mode=mode)
    entry = Entry(
        path=path, kind="file", size=content.size, mtime_ns=mtime_ns, mode=mode, hash=content.hash, crc32c=content.crc32c, recipe=content.recipe, place=content.place
    )
    return _with_meta(entry, old)


def _with_meta(entry: Entry, old: Entry | None) -> Entry:
    """Return the entry with what people said of the path before."""
    if old is None or not (old.labels or old.tags or old.id or old.timestamp):
        return entry
    return msgspec.structs.replace(entry, labels=old.labels, tags=old.tags, id=old.id, timestamp=old.timestamp)


class _Descriptor:
    """A file descriptor to read from: a `FileIO` costs twice as much, which counts for small files."""

    __slots__ = ("_descriptor",)

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def readinto(self, buffer: memoryview, /) -> int:
        return os.readv(self._descriptor, [buffer])


def _reader(local: str) -> Again:
    """Return what reads part of a file again."""

    def again(offset: int, size: int) -> bytes:
        with contextlib.suppress(OSError), open(local, "rb") as file:
            file.seek(offset)
            return file.read(size)
        raise NotFound(f"{local} is gone")

    return again
