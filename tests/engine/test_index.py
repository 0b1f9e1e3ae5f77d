"""Where frames lie: segments, footers, and the index that asks both; what is damaged or out of date is as good as absent."""

from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.parts import CountingStore, a_store, damage, examples, keys

from kist.engine.cache import Cache
from kist.engine.entries import Place
from kist.engine.index import Index, KnownFrames, decode_segment, encode_segment, list_packs, load_footer, locate_all, write_segments
from kist.engine.objects import Writer
from kist.engine.packs import FrameKind, pack_key
from kist.engine.records import digest, seal, unseal
from kist.errors import IntegrityError, NotFound
from kist.stores.memory import MemoryStore

ids = st.binary(min_size=2, max_size=2).map(lambda one: blake3(one).digest())
packs = st.binary(min_size=16, max_size=16)
numbers = st.integers(0, 2**32 - 1)
frames = st.dictionaries(packs, st.lists(st.tuples(ids, numbers, numbers, numbers), max_size=20), max_size=5)


def store_pack(store: MemoryStore, *raws: bytes) -> bytes:
    """Store a pack with these frames and return its id."""
    writer = Writer(store, None)
    for raw in raws:
        writer.add(FrameKind.DATA, digest(raw), raw)
    writer.flush()
    return writer.written[digest(raws[0])].pack


@settings(max_examples=examples(50))
@given(frames)
def test_a_segment_finds_every_frame_that_it_lists(listed: dict[bytes, list[tuple[bytes, int, int, int]]]) -> None:
    placed = {pack: [(one, Place(pack, *rest)) for one, *rest in rows] for pack, rows in listed.items()}
    segment = decode_segment(encode_segment(placed), what="it")
    wanted = sorted((one, place) for rows in placed.values() for one, place in rows)
    assert sorted(segment.all()) == wanted
    assert sorted((one, place) for one in {one for one, _ in wanted} for place in segment.find(one)) == wanted


@given(ids)
def test_a_segment_does_not_find_what_it_does_not_list(one: bytes) -> None:
    segment = decode_segment(
        encode_segment({b"p" * 16: [(bytes(32), Place(b"p" * 16, 1, 2, 3)), (b"\xff" * 32, Place(b"p" * 16, 4, 5, 6))]}), what="it"
    )
    assert list(segment.find(one)) == []


@given(st.binary(max_size=1200))
def test_a_sealed_segment_of_garbage_is_an_integrity_error(garbage: bytes) -> None:
    with pytest.raises(IntegrityError):
        decode_segment(seal(garbage), what="it")


@settings(max_examples=examples(100))
@given(st.data())
def test_a_sealed_segment_with_changed_bytes_is_a_segment_or_an_integrity_error(data: st.DataObject) -> None:
    pack = b"p" * 16
    body = bytearray(unseal(encode_segment({pack: [(digest(b"%d" % n), Place(pack, n, n, n)) for n in range(5)]}), what="it"))
    body[data.draw(st.integers(0, len(body) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        segment = decode_segment(seal(bytes(body)), what="it")
    except IntegrityError:
        return
    assert len(list(segment.all())) == 5
    for n in range(5):
        list(segment.find(digest(b"%d" % n)))


def test_a_footer_is_read_with_one_request() -> None:
    store = CountingStore(a_store())
    pack = store_pack(store.store, b"one", b"two")  # type: ignore[arg-type]  # it is a memory store
    size = store.head(pack_key(pack)).size_bytes
    store.reset()
    assert [frame.id for frame in load_footer(store, pack, size)] == [digest(b"one"), digest(b"two")]
    assert store.reads == 1


def test_a_long_footer_is_read_with_two_requests() -> None:
    inner = a_store()
    pack = store_pack(inner, *(b"%d" % number for number in range(3000)))
    store = CountingStore(inner)
    assert len(load_footer(store, pack, inner.head(pack_key(pack)).size_bytes)) == 3000
    assert store.reads == 2


def test_a_pack_that_is_shorter_than_listed_is_damaged() -> None:
    store = a_store()
    pack = store_pack(store, b"one")
    with pytest.raises(IntegrityError):
        load_footer(store, pack, 10_000)


def test_a_pack_that_is_gone_has_no_footer() -> None:
    with pytest.raises(NotFound):
        load_footer(a_store(), b"p" * 16, 1000)


def test_what_is_no_pack_is_not_listed_as_one() -> None:
    store = a_store()
    pack = store_pack(store, b"one")
    store.put("packs/xx/readme", b"?")
    assert set(list_packs(store)) == {pack}


def test_frames_are_found_by_footers_alone() -> None:
    store = a_store()
    pack = store_pack(store, b"one", b"two")
    assert [place.pack for place in Index(store).find(digest(b"two"))] == [pack]


def test_frames_are_found_by_a_segment_without_reading_footers() -> None:
    inner = a_store()
    store_pack(inner, b"one")
    write_segments(inner, locate_all(inner).frames)
    store = CountingStore(inner)
    assert len(Index(store).find(digest(b"one"))) == 1
    assert store.requests["get_range"] == 0


def test_nothing_is_read_before_somebody_asks() -> None:
    store = CountingStore(a_store())
    Index(store)
    assert not store.requests


def test_what_no_pack_holds_is_not_found() -> None:
    store = a_store()
    store_pack(store, b"one")
    assert Index(store).find(digest(b"two")) == []


def test_a_pack_that_came_later_is_found_by_a_fresh_look() -> None:
    store = a_store()
    index = Index(store)
    assert index.find(digest(b"one")) == []
    store_pack(store, b"one")
    assert index.find(digest(b"one")) == []
    assert len(index.find(digest(b"one"), fresh=True)) == 1


def test_a_frame_in_two_packs_is_found_in_both() -> None:
    store = a_store()
    two = {store_pack(store, b"one"), store_pack(store, b"one", b"two")}
    assert {place.pack for place in Index(store).find(digest(b"one"))} == two


def test_a_damaged_segment_is_as_good_as_none() -> None:
    store = a_store()
    store_pack(store, b"one")
    [key] = write_segments(store, locate_all(store).frames)
    damage(store, key)
    assert len(Index(store).find(digest(b"one"))) == 1
    assert locate_all(store).uncovered == 1


def test_a_segment_that_names_packs_which_are_gone_is_not_believed() -> None:
    store = a_store()
    pack = store_pack(store, b"one")
    write_segments(store, locate_all(store).frames)
    store.delete(pack_key(pack))
    assert Index(store).find(digest(b"one")) == []
    assert locate_all(store).packs == {}


def test_a_damaged_footer_hides_its_pack_and_no_other() -> None:
    store = a_store()
    pack, other = store_pack(store, b"one"), store_pack(store, b"two")
    damage(store, pack_key(pack), at=len(store.get(pack_key(pack))) - 100)
    located = locate_all(store)
    assert set(located.damaged) == {pack}
    assert set(located.frames) == {other}
    assert Index(store).find(digest(b"one")) == []
    assert len(Index(store).find(digest(b"two"))) == 1


def test_packs_that_a_segment_covers_are_not_read_unless_it_is_mistrusted() -> None:
    inner = a_store()
    for raw in (b"one", b"two", b"three"):
        store_pack(inner, raw)
    by_footers = locate_all(inner).frames
    write_segments(inner, by_footers)
    store = CountingStore(inner)
    assert locate_all(store).frames == by_footers
    assert store.requests["get_range"] == 0
    assert locate_all(store, trust_segments=False).frames == by_footers
    assert store.requests["get_range"] == 3


def test_segments_cover_all_packs_that_they_are_given() -> None:
    store = a_store()
    for raw in (b"one", b"two"):
        store_pack(store, raw)
    made = write_segments(store, locate_all(store).frames)
    assert keys(store, "index/") == sorted(made)
    assert locate_all(store).uncovered == 0


def test_no_packs_make_no_segment() -> None:
    store = a_store()
    assert write_segments(store, {}) == keys(store, "index/") == []


def test_an_empty_cache_is_filled_from_the_packs_that_are_there(tmp_path: Path) -> None:
    store = MemoryStore()
    writer = Writer(store, None)
    frame_id, place = writer.add_metadata(FrameKind.TREE, b"node")
    writer.flush()
    known = KnownFrames(Cache(str(tmp_path / "cache.sqlite")), store)
    assert known.knows_frames
    assert known.places([frame_id]) == {frame_id: place}


def test_of_an_empty_repository_no_frame_is_known(tmp_path: Path) -> None:
    assert not KnownFrames(Cache(str(tmp_path / "cache.sqlite")), MemoryStore()).knows_frames
