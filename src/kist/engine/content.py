"""Content of files: streams to chunks, and chunks to streams.

`Ingester` stores a stream in bounded memory, whatever its size. `ContentReader` is a seekable file that fetches nothing before it is read
and then only what is read, with some read-ahead while reading goes forward; every chunk is checked.
"""

import io
import mmap
from bisect import bisect_right
from collections import OrderedDict, deque
from collections.abc import Buffer, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from itertools import accumulate
from typing import NamedTuple, Protocol

from blake3 import blake3

from kist.engine.chunker import Chunker
from kist.engine.entries import Entry, Place
from kist.engine.objects import Again, Objects, Writer
from kist.engine.packs import FrameKind
from kist.engine.recipes import Part, RecipeBuilder, load_recipe, walk_chunks
from kist.engine.records import digest
from kist.errors import IntegrityError, InvalidInput

__all__ = ["Content", "ContentReader", "Ingester", "ReadInto", "chunk_batches", "crc32c"]

BUFFER_BYTES = 8 << 20
AHEAD_BYTES = 8 << 20
BATCH_BYTES = 4 << 20
CACHED_CHUNKS = 128
BATCHES_AHEAD = 2
CHUNK_BYTES = 64 << 10
PRIVATE = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
MAX_RECIPES = 16


class ReadInto(Protocol):
    """What can be read: a raw or buffered binary file."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Fill a buffer from the start, return how many bytes, 0 at the end."""
        ...


class Content(NamedTuple):
    """What ingesting gives: bytes, BLAKE3-256, CRC-32C; `recipe` is empty if one chunk holds all, `place` is that of either."""

    size: int
    hash: bytes
    crc32c: int
    recipe: bytes
    place: Place | None


class Ingester:
    """Stores streams through one writer; its memory is one buffer, used again."""

    def __init__(self, writer: Writer, chunker: Chunker) -> None:
        """Take a writer and a chunker that nobody else uses now."""
        self._writer = writer
        self._chunker = chunker
        self._memory = memoryview(mmap.mmap(-1, BUFFER_BYTES, flags=PRIVATE))  # pages that nothing is read into cost nothing

    def ingest(self, source: ReadInto, *, known: Mapping[bytes, Place], again: Again | None, progress: Callable[[int], None]) -> Content:
        """Store the content of a stream and say what it is.

        Args:
            source: read to its end.
            known: places of chunks that may well come again.
            again: reads part of the same content once more, should that be needed later.
            progress: is told how many bytes were read.

        Raises:
            OSError: the source, or the store (`StoreError`), failed.
        """
        filled, final = self._fill(source, 0, progress)
        cuts = self._chunker.cuts(self._memory[:filled], final=final) if filled else []
        if final and len(cuts) <= 1:
            return self._one(filled, known, again)
        recipe = RecipeBuilder(self._writer)
        hasher, crc, size = blake3(), 0, 0
        while True:
            used = cuts[-1] if cuts else 0
            view = self._memory[:used]
            hasher.update(view)
            crc = crc32c()(view, crc)
            self._store(cuts, size, known, again, recipe.add)
            size += used
            if final:
                return Content(size, hasher.digest(), crc, *recipe.finish())
            rest = filled - used
            self._memory[:rest] = self._memory[used:filled]
            filled, final = self._fill(source, rest, progress)
            cuts = self._chunker.cuts(self._memory[:filled], final=final) if filled else []

    def _fill(self, source: ReadInto, filled: int, progress: Callable[[int], None]) -> tuple[int, bool]:
        """Read behind what is there until the buffer is full or the source ends; return how much is there, and whether it ended."""
        while filled < BUFFER_BYTES:
            count = source.readinto(self._memory[filled:])
            if count is None:
                raise InvalidInput("the source has nothing to read yet, which is not its end: open it so that reading blocks")
            if not count:
                return filled, True
            progress(count)
            filled += count
        return filled, False

    def _one(self, size: int, known: Mapping[bytes, Place], again: Again | None) -> Content:
        if not size:
            return Content(0, digest(b""), 0, b"", None)
        view = self._memory[:size]
        placed: list[Part] = []
        self._store([size], 0, known, again, lambda *part: placed.append(part))
        return Content(size, placed[0][0], crc32c()(view), b"", placed[0][1])

    def _store(
        self, cuts: list[int], base: int, known: Mapping[bytes, Place], again: Again | None, add: Callable[[bytes, Place, int], None]
    ) -> None:
        """Store the chunks of the buffer that are not stored yet, and pass each on in order."""
        chunks = []
        start = 0
        for end in cuts:
            view = self._memory[start:end]
            chunks.append((digest(view), start, view))
            start = end
        writer, stats = self._writer, self._writer.stats
        found = writer.find([chunk for chunk, _, _ in chunks if chunk not in known])
        for chunk, start, view in chunks:
            size = len(view)
            place = known.get(chunk) or found.get(chunk) or writer.written.get(chunk)
            if place and place.raw == size:
                writer.reuse(FrameKind.DATA, chunk, place, again=again, offset=base + start)
                stats.reused_bytes += size
            else:
                place = writer.add(FrameKind.DATA, chunk, view)
                stats.new_bytes += size
            add(chunk, place, size)


def chunk_batches(objects: Objects, entry: Entry, *, batch_bytes: int = BATCH_BYTES) -> Iterator[bytes]:
    """Yield the content of a file chunk by chunk, in order, reading a few MiB at once.

    Raises:
        IntegrityError: no intact copy of some chunk is left, or it has another size than the entry says.
        StoreError: the store failed.
    """
    total = 0
    for chunks in _read_ahead(partial(_read_batch, objects), _batches(_chunks(objects, entry), batch_bytes)):
        for raw in chunks:
            total += len(raw)
            yield raw
    if total != entry.size:
        raise IntegrityError(f"{entry.path!r} has {total} bytes of content where its entry says {entry.size}")


def _read_ahead[T](read: Callable[[T], list[bytes]], batches: Iterator[T]) -> Iterator[list[bytes]]:
    """Yield what is read of each batch, in order, a few of them ahead.

    By a few threads of its own: each of the pool's many would keep memory of its own for what is read in it.
    """
    first = next(batches, None)
    second = next(batches, None)
    if first is None or second is None:
        yield from (read(one) for one in (first,) if one is not None)
        return
    with ThreadPoolExecutor(BATCHES_AHEAD) as threads:
        waiting = deque(threads.submit(read, one) for one in (first, second))
        for batch in batches:
            if len(waiting) > BATCHES_AHEAD:
                yield waiting.popleft().result()
            waiting.append(threads.submit(read, batch))
        while waiting:
            yield waiting.popleft().result()


def _batches(chunks: Iterator[Part], batch_bytes: int) -> Iterator[list[Part]]:
    """Group chunks by a few MiB of content."""
    batch: list[Part] = []
    waiting = 0
    for part in chunks:
        batch.append(part)
        waiting += part[2]
        if waiting >= batch_bytes:
            yield batch
            batch, waiting = [], 0
    if batch:
        yield batch


def _chunks(objects: Objects, entry: Entry) -> Iterator[Part]:
    if entry.place is None:
        return
    if not entry.recipe:
        yield entry.hash, entry.place, entry.place.raw
        return
    yield from walk_chunks(objects, load_recipe(objects, entry.recipe, entry.place))


def _read_batch(objects: Objects, batch: list[Part]) -> list[bytes]:
    """Return the content of some chunks, in order."""
    frames = dict(objects.read_all(list({chunk: (chunk, place) for chunk, place, _ in batch}.values())))
    for chunk, _, size in batch:
        if len(frames[chunk]) != size:
            raise IntegrityError(f"chunk {chunk.hex()} has {len(frames[chunk])} bytes where its recipe says {size}")
    return [frames[chunk] for chunk, _, _ in batch]


class ContentReader(io.RawIOBase):
    """A file of some version: seekable, lazy, every byte checked before it is returned."""

    def __init__(self, objects: Objects, entry: Entry) -> None:
        """Read nothing yet."""
        self._objects, self._entry = objects, entry
        self._position = 0
        self._sequential, self._reach = 0, CHUNK_BYTES
        self._current = b"", 0
        self._recipes: dict[bytes, tuple[int, list[Part], list[int]]] = {}
        self._chunks: OrderedDict[bytes, bytes] = OrderedDict()
        self.name = entry.path

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def seekable(self) -> bool:
        """Return that it can be sought."""
        return True

    def tell(self) -> int:
        """Return the position in bytes."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move to a position in bytes, also behind the end, where nothing is."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._entry.size}[whence]
        if base + offset < 0:
            raise ValueError(f"negative seek position {base + offset}")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: Buffer, /) -> int:
        """Fill a buffer with what follows; return how many bytes, 0 at the end.

        Raises:
            IntegrityError: no intact copy is left of what is there.
            StoreError: the store failed.
        """
        if self.closed:
            raise ValueError("this file is closed")
        view = memoryview(buffer).cast("B")
        filled, ahead = 0, self._ahead()
        while filled < len(view) and self._position < self._entry.size:
            raw, start = self._chunk_at(self._position, max(len(view) - filled, ahead))
            piece = raw[self._position - start :][: len(view) - filled]
            view[filled : filled + len(piece)] = piece
            filled += len(piece)
            self._position += len(piece)
        self._sequential = self._position
        return filled

    def _ahead(self) -> int:
        """Return how far to read ahead: twice as far with each read that goes on where the last one ended."""
        going_on = self._position == self._sequential
        self._reach = min(2 * self._reach, AHEAD_BYTES) if going_on else CHUNK_BYTES
        return self._reach

    def _chunk_at(self, position: int, wanted: int) -> tuple[bytes, int]:
        """Return the chunk that holds a position and where it starts, fetched with those behind it that `wanted` bytes need."""
        raw, start = self._current
        if start <= position < start + len(raw):
            return raw, start
        entry = self._entry
        if entry.place is None:
            raise IntegrityError(f"{entry.path!r} has a size and no content")
        parts, start = self._parts_from(position, wanted) if entry.recipe else ([(entry.hash, entry.place, entry.size)], 0)
        self._current = self._fetch(parts), start
        return self._current

    def _parts_from(self, position: int, wanted: int) -> tuple[list[Part], int]:
        """Return the chunks from the one that holds a position on, as many as `wanted` bytes need, and where the first one starts."""
        recipe_id, place = self._entry.recipe, self._entry.place
        level: int | None = None
        base = 0
        while place is not None:
            found, children, ends = self._recipe(recipe_id, place, level)
            row = bisect_right(ends, position - base)
            if row == len(ends):
                break
            start = base + (ends[row - 1] if row else 0)
            if found == 0:
                last = bisect_right(ends, position - base + wanted - 1)
                return children[row : max(row, min(last, row + CACHED_CHUNKS - 1)) + 1], start
            recipe_id, place, _ = children[row]
            base, level = start, found - 1
        raise IntegrityError(f"the recipe of {self._entry.path!r} ends before byte {position}")

    def _recipe(self, recipe_id: bytes, place: Place, level: int | None) -> tuple[int, list[Part], list[int]]:
        """Return level, children and the ends of their content."""
        if recipe_id not in self._recipes:
            recipe = load_recipe(self._objects, recipe_id, place, level=level)
            if len(self._recipes) >= MAX_RECIPES:
                self._recipes.clear()
            self._recipes[recipe_id] = recipe.level, list(recipe.children()), list(accumulate(recipe.size))
        return self._recipes[recipe_id]

    def _fetch(self, parts: list[Part]) -> bytes:
        """Return the first chunk; fetch it with the others if it is not here."""
        first = parts[0][0]
        if first not in self._chunks:
            missing = {chunk: place for chunk, place, _ in parts if chunk not in self._chunks}
            for chunk, raw in self._objects.read_all(list(missing.items())):
                self._chunks[chunk] = raw
            while len(self._chunks) > 2 * CACHED_CHUNKS:
                self._chunks.popitem(last=False)
        raw = self._chunks[first]
        if len(raw) != parts[0][2]:
            raise IntegrityError(f"chunk {first.hex()} of {self._entry.path!r} has {len(raw)} bytes instead of {parts[0][2]}")
        return raw


@cache
def crc32c() -> Callable[..., int]:
    """Return what computes the CRC-32C of some bytes, after others if theirs is given; loaded when first needed, for that takes a while."""
    from crc32c import crc32c as compute  # noqa: PLC0415 - 30 ms, and only writers need it

    return compute
