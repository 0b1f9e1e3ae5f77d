"""From a folder of this machine to changes of a tree: what is new, what is gone, what need not be read again.

Streams: scan, old entries and what the cache knows come in one order and are compared side by side, so that memory does not grow with the
folder.
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple, Protocol

import msgspec
from blake3 import blake3

from kist.engine.cache import Cache, KnownFile, decode_known, encode_known, signature
from kist.engine.chunker import MIN_SIZE, chunker
from kist.engine.content import Content, Ingester, ReadInto, crc32c
from kist.engine.entries import Entry, Place, sort_key
from kist.engine.folders import Item, scan
from kist.engine.objects import Again, Objects, Writer
from kist.engine.packs import FrameKind
from kist.engine.recipes import load_recipe, walk_chunks
from kist.engine.updates import Change
from kist.errors import IntegrityError, InvalidInput, NotFound

__all__ = ["Meta", "Progress", "Saver", "Skipped", "silent", "unheard"]

Skipped = Callable[[str, str], None]
Keyed = tuple[bytes, Entry]
FRESH_NS, COARSE_NS = 50_000_000, 2_000_000_000
REREADS = 2
BATCH_FILES, BATCH_CHANGES = 128, 1000
READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Progress(Protocol):
    """Is told of what has been done since the last call: items seen, bytes of content read or found unchanged."""

    def __call__(self, items: int, size_bytes: int, /) -> None:
        """Note progress."""
        ...


def silent(_items: int, _size_bytes: int) -> None:
    """Tell nobody of progress."""


def unheard(_path: str, _reason: str) -> None:
    """Tell nobody of what was skipped."""


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


class Pending(NamedTuple):
    """A file that must be read: what was found, where it goes, what was there, and key and signature by which to know it again."""

    item: Item
    key: bytes
    path: str
    old: Entry | None
    signature: bytes


class Saver:
    """Turns sources into entries, through one writer."""

    def __init__(self, objects: Objects, writer: Writer, cache: Cache | None, *, progress: Progress, skipped: Skipped) -> None:
        """Read nothing yet."""
        self._objects, self.writer, self._cache = objects, writer, cache
        self._progress, self._skipped = progress, skipped
        self._ingester = Ingester(writer, chunker())
        self._remembered: list[tuple[bytes, bytes]] = []
        self._seen: tuple[str, list[bytes]] | None = None
        self.lost: set[bytes] = set()
        """Recipes of the parent version that can't be read any more: what they listed was stored anew, which is worth a version."""

    def folder(
        self, path: str, source: str | os.PathLike[str], old: Iterator[Keyed], *, meta: Meta, ignore: tuple[str, ...]
    ) -> Iterator[Change]:
        """Yield the changes that make `path` equal to a file or folder of this machine.

        Args:
            path: where in the tree; empty for the whole tree.
            source: a path on this machine.
            old: the entries at and below `path`, each with its sort key, in order.
            meta: what to say of `path` itself.
            ignore: gitignore patterns.

        Raises:
            NotFound: the source does not exist.
            Denied: something may not be read.
            StoreError: the store or the disk failed.
        """
        waiting: list[tuple[bytes, Entry | Pending | None]] = []
        files = 0
        for key, found, same in self._compared(path, source, old, ignore):
            change = meta.apply(found) if isinstance(found, Entry) and found.path == path else found
            if isinstance(change, Entry) and change == same:
                continue
            waiting.append((key, change))
            files += isinstance(change, Pending)
            if files >= BATCH_FILES or len(waiting) >= BATCH_CHANGES:
                yield from self._read_waiting(waiting, path, meta)
                waiting, files = [], 0
        yield from self._read_waiting(waiting, path, meta)

    def remember(self) -> None:
        """Tell later saves what the files were, once the change is committed."""
        if self._cache and self._seen:
            root, gone = self._seen
            self._cache.remember_files(root, self._remembered, gone)

    def stream(self, path: str, source: ReadInto, old: Entry | None, *, again: Again | None, mtime_ns: int) -> Entry:
        """Store the content of a stream and return the entry of `path`."""
        content = self._ingester.ingest(source, known=self._known_chunks(old), again=again, progress=self._read)
        mode = old.mode if old is not None and old.kind == "file" else 0o644
        return _file(path, content, mtime_ns=mtime_ns, mode=mode, old=old, lost=self.lost)

    def _compared(
        self, path: str, source: str | os.PathLike[str], old: Iterator[Keyed], ignore: tuple[str, ...]
    ) -> Iterator[tuple[bytes, Entry | Pending | None, Entry | None]]:
        """Yield sort key, what is there now (None: nothing) and what was there, side by side in order."""
        root = os.path.realpath(source)
        known = self._cache.files(root) if self._cache else iter(())
        gone: list[bytes] = []
        known_one, old_one = next(known, None), next(old, None)
        base, base_key = (f"{path}/", sort_key(path) + b"\0") if path else ("", b"")
        for item in scan(source, ignore=ignore, skipped=self._skipped):
            local_key = sort_key(item.path)
            where, key = (base + item.path, base_key + local_key) if item.path else (path, sort_key(path))
            if not where:
                if item.kind != "folder":
                    raise InvalidInput(f"the whole tree can't be the file {item.local}: give it a name")
                continue
            while old_one is not None and old_one[0] < key:
                yield old_one[0], None, old_one[1]
                old_one = next(old, None)
            while known_one is not None and known_one[0] < local_key:
                gone.append(known_one[0])
                known_one = next(known, None)
            remembered = known_one[1] if known_one is not None and known_one[0] == local_key else None
            same = old_one[1] if old_one is not None and old_one[0] == key else None
            found = self._judge(item, local_key, where, same, remembered)
            if found is not same or not item.path:
                yield key, found, same
            if same is not None:
                old_one = next(old, None)
            if remembered is not None:
                known_one = next(known, None)
        while old_one is not None:
            yield old_one[0], None, old_one[1]
            old_one = next(old, None)
        gone += [known_one[0]] if known_one else []
        self._seen = root, gone + [key for key, _ in known]

    def _judge(self, item: Item, key: bytes, path: str, old: Entry | None, value: bytes | None) -> Entry | Pending:
        """Return the entry of something that was found, if it need not be read."""
        if item.kind != "file":
            self._progress(1, 0)
            return _with_meta(Entry(path=path, kind=item.kind, mtime_ns=item.mtime_ns, mode=item.mode, target=item.target), old)
        sign = signature(item.size, item.mtime_ns, item.ctime_ns, item.inode, item.device)
        if value is not None and value.startswith(sign):
            if old is not None and old.kind == "file" and value.startswith(old.hash, len(sign)):
                self._progress(1, item.size)
                self.writer.stats.reused_bytes += item.size
                if old.mtime_ns == item.mtime_ns and old.mode == item.mode:
                    return old
                return msgspec.structs.replace(old, mtime_ns=item.mtime_ns, mode=item.mode)
            known = decode_known(value)
            if (known.place or not item.size) and self._is_still_stored(item, known):
                self._progress(1, item.size)
                content = Content(item.size, known.hash, known.crc32c, known.recipe, known.place)
                return _file(path, content, mtime_ns=item.mtime_ns, mode=item.mode, old=old)
        self._progress(1, 0)
        return Pending(item, key, path, old, sign)

    def _is_still_stored(self, item: Item, known: KnownFile) -> bool:
        """Say whether a file that an earlier save stored, at another path or on another branch, can be used; note all its frames."""
        again = _reader(item.local)
        try:
            if known.recipe and known.place:
                self._note_recipe(known.recipe, known.place, again)
            elif known.place:
                self.writer.reuse(FrameKind.DATA, known.hash, known.place, again=again)
        except IntegrityError:
            return False  # it was collected since
        self.writer.stats.reused_bytes += item.size
        return True

    def _note_recipe(self, recipe_id: bytes, place: Place, again: Again, *, offset: int = 0, level: int | None = None) -> None:
        recipe, raw = load_recipe(self._objects, recipe_id, place, level=level), self._objects.metadata(recipe_id, place)
        self.writer.reuse(FrameKind.RECIPE, recipe_id, place, again=lambda _offset, _size: raw)
        for child, where, size in recipe.children():
            if recipe.level:
                self._note_recipe(child, where, again, offset=offset, level=recipe.level - 1)
            else:
                self.writer.reuse(FrameKind.DATA, child, where, again=again, offset=offset)
            offset += size

    def _read_waiting(self, waiting: list[tuple[bytes, Entry | Pending | None]], top: str, meta: Meta) -> Iterator[Change]:
        """Yield changes, the files among them read: small ones together, for what is done once for many of them is done once."""
        small = [change for _, change in waiting if isinstance(change, Pending) and change.item.size <= MIN_SIZE]
        contents = dict(zip([one.path for one in small], self._read_small(small), strict=True))
        for key, change in waiting:
            if not isinstance(change, Pending):
                yield key, change
                continue
            item = change.item
            content = contents.get(change.path) or self._read_file(change)
            entry = _file(change.path, content, mtime_ns=item.mtime_ns, mode=item.mode, old=change.old, lost=self.lost)
            entry = meta.apply(entry) if change.path == top else entry
            if entry != change.old:
                yield key, entry

    def _read_small(self, files: list[Pending]) -> Iterator[Content | None]:
        """Yield the contents of files of one chunk each; None for one that is not what it was when it was found."""
        if not files:
            return
        datas = [_read_whole(one) for one in files]
        hashes = [blake3(data).digest() if data is not None else b"" for data in datas]
        writer, checksum, now = self.writer, crc32c(), time.time_ns()
        found = writer.find(hashes) if writer.may_know else {}
        for one, data, content in zip(files, datas, hashes, strict=True):
            if data is None:
                yield None
                continue
            size = len(data)
            self._progress(0, size)
            if not size:
                yield Content(0, content, 0, b"", None)
                continue
            old = one.old
            place = found.get(content) or writer.written.get(content)
            if old is not None and old.hash == content and old.place is not None and not old.recipe:
                place = old.place
            if place is None:
                place = writer.add(FrameKind.DATA, content, data)
                writer.stats.new_bytes += size
            else:
                writer.reuse(FrameKind.DATA, content, place, again=_reader(one.item.local))
                writer.stats.reused_bytes += size
            made = Content(size, content, checksum(data), b"", place)
            self._note(one, made, now)
            yield made

    def _read_file(self, file: Pending) -> Content:
        """Store a file's content; one that changes while it is read is read again, and reported if it does not stop."""
        item, sign = file.item, file.signature
        known = self._known_chunks(file.old)
        attempt = 0
        while True:
            descriptor = item.descriptor()
            try:
                content = self._ingester.ingest(_Descriptor(descriptor), known=known, again=_reader(item.local), progress=self._read)
                now = _signature_of(descriptor)
            finally:
                os.close(descriptor)
            if now == sign:
                self._note(file, content, time.time_ns())
                return content
            if attempt == REREADS:
                self._skipped(item.path or item.local, "changed while it was read: what was saved may mix old and new")
                return content
            attempt, sign = attempt + 1, now

    def _note(self, file: Pending, content: Content, now: int) -> None:
        """Remember a file, unless it is so young that a change could still leave its times as they are."""
        changed = file.item.ctime_ns
        if now - changed > (FRESH_NS if changed % 1_000_000_000 else COARSE_NS):
            known = KnownFile(content.hash, content.crc32c, content.recipe, content.place)
            self._remembered.append((file.key, encode_known(file.signature, known)))

    def _read(self, size_bytes: int) -> None:
        self._progress(0, size_bytes)

    def _known_chunks(self, old: Entry | None) -> Mapping[bytes, Place]:
        """Return where the chunks of the content that this path had until now are."""
        if old is None or old.kind != "file" or old.place is None:
            return {}
        if not old.recipe:
            return {old.hash: old.place}
        try:
            return {chunk: place for chunk, place, _ in walk_chunks(self._objects, load_recipe(self._objects, old.recipe, old.place))}
        except IntegrityError:
            self.lost.add(old.recipe)
            return {}


def _read_whole(file: Pending) -> bytes | None:
    """Return the content of a small file, None if it is not what it was when it was found."""
    try:
        descriptor = os.open(file.item.local, READ_FLAGS)
    except OSError:
        return None
    try:
        data = os.read(descriptor, MIN_SIZE + 1)
        return data if len(data) == file.item.size and _signature_of(descriptor) == file.signature else None
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _signature_of(descriptor: int) -> bytes:
    found = os.fstat(descriptor)
    return signature(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev)


def _file(path: str, content: Content, *, mtime_ns: int, mode: int, old: Entry | None, lost: AbstractSet[bytes] = frozenset()) -> Entry:
    if old is not None and old.kind == "file" and old.hash == content.hash:
        if old.recipe in lost:
            old = msgspec.structs.replace(old, recipe=content.recipe, place=content.place)
        return msgspec.structs.replace(old, mtime_ns=mtime_ns, mode=mode)
    entry = Entry(
        path=path,
        kind="file",
        size=content.size,
        mtime_ns=mtime_ns,
        mode=mode,
        hash=content.hash,
        crc32c=content.crc32c,
        recipe=content.recipe,
        place=content.place,
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
