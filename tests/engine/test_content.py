"""Content in and out: what was stored is what is read, from any position, and no more is fetched than is needed."""

import io
import random
from collections.abc import Buffer, Mapping

import pytest
from blake3 import blake3
from crc32c import crc32c
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.parts import CountingStore, damage, examples, keys

from kist.engine.chunker import MAX_SIZE, MIN_SIZE, Chunker, chunker
from kist.engine.content import BUFFER_BYTES, Content, ContentReader, Ingester, chunk_batches
from kist.engine.entries import Entry, Place
from kist.engine.objects import Objects, Writer
from kist.engine.packs import FrameKind, PackBuffer, pack_key
from kist.engine.recipes import RecipeBuilder
from kist.engine.records import digest
from kist.errors import IntegrityError, InvalidInput, StoreError
from kist.stores.memory import MemoryStore
from kist.stores.protocols import Store


class EveryBytes:
    """Cuts after a fixed number of bytes: so small content has many chunks."""

    def __init__(self, size: int) -> None:
        self.size = size

    def cuts(self, buffer: Buffer, *, final: bool) -> list[int]:
        length = len(memoryview(buffer))
        ends = list(range(self.size, length + 1, self.size))
        return [*ends, length] if final and length % self.size else ends


class Dribble(io.RawIOBase):
    """A source that gives a few bytes at a time."""

    def __init__(self, data: bytes, most: int) -> None:
        self.data, self.most, self.at = data, most, 0

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # as the engine calls it
        piece = self.data[self.at : self.at + min(self.most, len(buffer))]
        buffer[: len(piece)] = piece
        self.at += len(piece)
        return len(piece)


def noise(size: int, *, seed: int = 0) -> bytes:
    return blake3(b"%d" % seed).digest(length=size) if size else b""


def stored(
    data: bytes, *, store: Store | None = None, cutter: Chunker | None = None, known: Mapping[bytes, Place] | None = None
) -> tuple[Entry, Store, Writer]:
    """Store content and return its entry, the store, and the writer."""
    store = store if store is not None else MemoryStore()
    writer = Writer(store, None)
    content = Ingester(writer, cutter or chunker()).ingest(io.BytesIO(data), known=known or {}, again=None, progress=lambda _: None)
    writer.flush()
    return entry_of(content), store, writer


def entry_of(content: Content) -> Entry:
    return Entry(
        path="f", kind="file", size=content.size, hash=content.hash, crc32c=content.crc32c, recipe=content.recipe, place=content.place
    )


def read_back(entry: Entry, store: Store) -> bytes:
    return b"".join(chunk_batches(Objects(store), entry))


SIZES = [
    0,
    1,
    MIN_SIZE - 1,
    MIN_SIZE,
    MIN_SIZE + 1,
    65536,
    MAX_SIZE - 1,
    MAX_SIZE,
    MAX_SIZE + 1,
    3_000_000,
    BUFFER_BYTES - 1,
    BUFFER_BYTES,
    BUFFER_BYTES + 1,
]


@pytest.mark.parametrize("size", SIZES)
def test_content_comes_back_whatever_its_size(size: int) -> None:
    data = noise(size)
    entry, store, _ = stored(data)
    assert read_back(entry, store) == data
    assert io.BufferedReader(ContentReader(Objects(store), entry)).read() == data


@pytest.mark.parametrize("size", [0, 1, MIN_SIZE, 1_000_000, BUFFER_BYTES + 1])
def test_content_is_described_by_size_hash_and_checksum(size: int) -> None:
    data = noise(size)
    entry, _, _ = stored(data)
    assert (entry.size, entry.hash, entry.crc32c) == (size, digest(data), crc32c(data))


def test_content_of_one_chunk_has_no_recipe() -> None:
    entry, _, writer = stored(noise(MIN_SIZE))
    assert (entry.recipe, entry.place) == (b"", writer.written[entry.hash])


def test_empty_content_has_no_place_and_stores_nothing() -> None:
    entry, store, _ = stored(b"")
    assert entry.place is None
    assert keys(store) == []


@settings(max_examples=examples(20), deadline=None)
@given(st.integers(0, 400_000), st.integers(1, 100_000))
def test_it_does_not_matter_how_a_stream_arrives(size: int, most: int) -> None:
    data = noise(size)
    writer = Writer(MemoryStore(), None)
    content = Ingester(writer, chunker()).ingest(Dribble(data, max(most, size // 50)), known={}, again=None, progress=lambda _: None)
    kinds = writer.kinds
    chunks = [one for one in writer.written if one not in kinds]
    _, _, other = stored(data)
    assert chunks == [one for one in other.written if one not in other.kinds]
    assert content.hash == digest(data)


def test_progress_adds_up_to_the_size() -> None:
    told: list[int] = []
    Ingester(Writer(MemoryStore(), None), chunker()).ingest(Dribble(noise(100_000), 999), known={}, again=None, progress=told.append)
    assert sum(told) == 100_000


def test_the_same_chunk_is_stored_once() -> None:
    once, twice = stored(noise(8), cutter=EveryBytes(8)), stored(noise(8) * 100, cutter=EveryBytes(8))
    assert len(once[2].written) == 1
    assert list(twice[2].kinds.values()) == [FrameKind.RECIPE]
    assert len(twice[2].written) == 2
    assert twice[2].stats.new_bytes == 8
    assert twice[2].stats.reused_bytes == 792
    assert read_back(*twice[:2]) == noise(8) * 100


def test_chunks_that_are_known_are_not_stored_again() -> None:
    data = noise(100)
    _, store, first = stored(data, cutter=EveryBytes(10))
    entry, _, second = stored(data + b"more", store=store, cutter=EveryBytes(10), known=dict(first.written))
    assert second.stats.new_bytes == 4
    assert read_back(entry, store) == data + b"more"
    assert len(second.reused) == 10


def test_a_chunk_that_was_used_again_says_where_its_source_has_it() -> None:
    data = noise(100)
    _, store, first = stored(data, cutter=EveryBytes(10))
    writer = Writer(store, None)

    def again(offset: int, size: int) -> bytes:
        return data[offset : offset + size]

    Ingester(writer, EveryBytes(10)).ingest(io.BytesIO(data), known=dict(first.written), again=again, progress=lambda _: None)
    assert len(writer.reused) == 10
    for chunk, reuse in writer.reused.items():
        assert reuse.again is not None
        assert digest(reuse.again(reuse.offset, reuse.place.raw)) == chunk


def test_an_error_of_the_source_is_let_through() -> None:
    class Broken(io.RawIOBase):
        def readinto(self, _: object) -> int:
            raise OSError("unplugged")

    with pytest.raises(OSError, match="unplugged"):
        Ingester(Writer(MemoryStore(), None), chunker()).ingest(Broken(), known={}, again=None, progress=lambda _: None)


def test_a_source_that_has_nothing_yet_is_not_taken_for_one_that_ended() -> None:
    class NotYet(io.RawIOBase):
        def readinto(self, _: object) -> None:
            return None

    with pytest.raises(InvalidInput, match="block"):
        Ingester(Writer(MemoryStore(), None), chunker()).ingest(NotYet(), known={}, again=None, progress=lambda _: None)


DEEP = noise(40_000)
"""Ten thousand chunks of four bytes: the recipe has parts."""


@pytest.fixture(scope="module")
def deep() -> tuple[Entry, Store, Writer]:
    return stored(DEEP, cutter=EveryBytes(4))


def test_a_recipe_of_parts_gives_its_content(deep: tuple[Entry, Store, Writer]) -> None:
    assert sum(kind is FrameKind.RECIPE for kind in deep[2].kinds.values()) > 2
    assert read_back(*deep[:2]) == DEEP


@settings(max_examples=examples(30), deadline=None)
@given(st.lists(st.tuples(st.integers(0, 41_000), st.integers(0, 3000)), max_size=6))
def test_any_range_of_a_deep_recipe_is_what_the_content_has(deep: tuple[Entry, Store, Writer], ranges: list[tuple[int, int]]) -> None:
    reader = ContentReader(Objects(deep[1]), deep[0])
    for start, size in ranges:
        reader.seek(start)
        assert reader.read(size) == DEEP[start : start + size]


SHALLOW = noise(3000)


@settings(max_examples=examples(60), deadline=None)
@given(st.integers(1, 700), st.lists(st.tuples(st.sampled_from([0, 1, 2]), st.integers(-3500, 3500), st.integers(0, 800)), max_size=8))
def test_a_reader_behaves_as_a_file_in_memory(chunk_bytes: int, steps: list[tuple[int, int, int]]) -> None:
    entry, store, _ = stored(SHALLOW, cutter=EveryBytes(chunk_bytes))
    ours, theirs = io.BufferedReader(ContentReader(Objects(store), entry), buffer_size=64), io.BytesIO(SHALLOW)
    for whence, offset, size in steps:
        base = (0, theirs.tell(), len(SHALLOW))[whence]
        if base + offset >= 0:
            assert ours.seek(offset, whence) == theirs.seek(offset, whence)
        assert ours.read(size) == theirs.read(size)
        assert ours.tell() == theirs.tell()


def test_nobody_seeks_in_front_of_the_start() -> None:
    entry, store, _ = stored(b"abc")
    reader = ContentReader(Objects(store), entry)
    with pytest.raises(ValueError, match="negative"):
        reader.seek(-1)
    assert reader.tell() == 0


def test_behind_the_end_is_nothing() -> None:
    entry, store, _ = stored(b"abc")
    reader = ContentReader(Objects(store), entry)
    reader.seek(10)
    assert reader.read(5) == b""


def test_a_reader_is_a_readable_seekable_file_with_a_name() -> None:
    entry, store, _ = stored(b"abc")
    reader = ContentReader(Objects(store), entry)
    assert (reader.readable(), reader.seekable(), reader.writable(), reader.name) == (True, True, False, "f")


def test_a_closed_reader_reads_no_more() -> None:
    entry, store, _ = stored(b"abc")
    reader = ContentReader(Objects(store), entry)
    reader.close()
    with pytest.raises(ValueError, match="closed"):
        reader.read(1)


LARGE = noise(6_000_000)


@pytest.fixture(scope="module")
def large() -> tuple[Entry, CountingStore]:
    store = CountingStore(MemoryStore())
    return stored(LARGE, store=store)[0], store


def test_opening_reads_nothing(large: tuple[Entry, CountingStore]) -> None:
    entry, store = large
    store.reset()
    io.BufferedReader(ContentReader(Objects(store), entry))
    assert store.reads == 0


def test_a_small_range_fetches_little(large: tuple[Entry, CountingStore]) -> None:
    entry, store = large
    store.reset()
    reader = io.BufferedReader(ContentReader(Objects(store), entry), buffer_size=4096)
    reader.seek(3_000_000)
    assert reader.read(100) == LARGE[3_000_000:3_000_100]
    assert store.reads == 2  # the recipe, and what lies there
    assert store.bytes_read < 700_000


def test_reading_on_takes_few_requests(large: tuple[Entry, CountingStore]) -> None:
    entry, store = large
    store.reset()
    reader = io.BufferedReader(ContentReader(Objects(store), entry), buffer_size=64 << 10)
    pieces = iter(lambda: reader.read(10_000), b"")
    assert b"".join(pieces) == LARGE
    assert store.reads < 20
    assert store.bytes_read < 1.2 * len(LARGE)


def test_reading_a_whole_file_fetches_each_byte_once(large: tuple[Entry, CountingStore]) -> None:
    entry, store = large
    store.reset()
    assert b"".join(chunk_batches(Objects(store), entry)) == LARGE
    assert store.reads < 8
    assert store.bytes_read < 1.05 * len(LARGE)


def test_a_damaged_chunk_is_never_returned() -> None:
    entry, store, _ = stored(noise(1000), cutter=EveryBytes(100))
    assert isinstance(store, MemoryStore)
    damage(store, keys(store)[0], at=32 + 12 + 50)
    with pytest.raises(IntegrityError):
        read_back(entry, store)
    reader = ContentReader(Objects(store), entry)
    with pytest.raises(IntegrityError):
        reader.read(10)


def rebuilt(store: Store, parts: list[tuple[bytes, Place, int]], size: int) -> Entry:
    """Return the entry of a file with a recipe of these chunks."""
    writer = Writer(store, None)
    recipe = RecipeBuilder(writer)
    for part in parts:
        recipe.add(*part)
    recipe_id, place = recipe.finish()
    writer.flush()
    return Entry(path="f", kind="file", size=size, hash=bytes(32), recipe=recipe_id, place=place)


@pytest.mark.parametrize(("sizes", "total"), [((9, 10), 20), ((10, 10), 19), ((10, 10), 25), ((15, 5), 20), ((10, 0), 10)])
def test_a_recipe_that_lies_about_sizes_is_an_integrity_error(sizes: tuple[int, int], total: int) -> None:
    _, store, writer = stored(noise(20), cutter=EveryBytes(10))
    chunks = [noise(20)[:10], noise(20)[10:]]
    parts = [(digest(chunk), writer.written[digest(chunk)], size) for chunk, size in zip(chunks, sizes, strict=True)]
    entry = rebuilt(store, parts, total)
    with pytest.raises(IntegrityError):
        read_back(entry, store)


@pytest.mark.parametrize("sizes", [(9, 10), (15, 5), (0, 10)])
def test_a_reader_refuses_a_chunk_of_another_size_than_its_recipe_says(sizes: tuple[int, int]) -> None:
    _, store, writer = stored(noise(20), cutter=EveryBytes(10))
    chunks = [noise(20)[:10], noise(20)[10:]]
    parts = [(digest(chunk), writer.written[digest(chunk)], size) for chunk, size in zip(chunks, sizes, strict=True)]
    with pytest.raises(IntegrityError):
        io.BufferedReader(ContentReader(Objects(store), rebuilt(store, parts, 20))).read(20)


def test_a_reader_refuses_a_recipe_that_ends_too_early() -> None:
    _, store, writer = stored(noise(10), cutter=EveryBytes(10))
    chunk = digest(noise(10))
    entry = rebuilt(store, [(chunk, writer.written[chunk], 10)], 20)
    with pytest.raises(IntegrityError, match="ends before"):
        io.BufferedReader(ContentReader(Objects(store), entry)).read(20)


def test_a_file_with_a_size_and_no_content_is_an_integrity_error() -> None:
    entry, store = Entry(path="f", kind="file", size=5, hash=bytes(32)), MemoryStore()
    with pytest.raises(IntegrityError):
        read_back(entry, store)
    with pytest.raises(IntegrityError):
        ContentReader(Objects(store), entry).read(1)


def test_content_whose_pack_is_gone_is_an_integrity_error() -> None:
    entry, store, _ = stored(b"abc")
    assert entry.place is not None
    store.delete(pack_key(entry.place.pack))
    with pytest.raises(IntegrityError, match="gone"):
        read_back(entry, store)


def test_content_that_moved_to_another_pack_is_found() -> None:
    data = noise(500)
    entry, store, writer = stored(data, cutter=EveryBytes(10))
    old = keys(store)[0]
    buffer, objects = PackBuffer(), Objects(store)
    buffer.start(b"n" * 16)
    shuffled = list(writer.written.items())
    random.Random(1).shuffle(shuffled)
    for frame_id, raw in objects.read_all(shuffled):
        buffer.add(writer.kinds.get(frame_id, FrameKind.DATA), frame_id, raw)
    store.put(pack_key(b"n" * 16), buffer.finish())
    store.delete(old)
    assert read_back(entry, store) == data


def test_a_failing_store_is_a_store_error() -> None:
    class Failing(MemoryStore):
        def get_range(self, key: str, *, start: int, end: int) -> bytes:
            raise StoreError(f"no {key} {start} {end}")

    entry, store, _ = stored(b"abc", store=Failing())
    with pytest.raises(StoreError):
        read_back(entry, store)
