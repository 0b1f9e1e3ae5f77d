"""Frames in and out: found once stored, read together where they lie together, looked for elsewhere if they moved."""

import threading
from collections.abc import Iterable, Sequence

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.parts import CountingStore, damage, examples, keys

from kist.engine.entries import Place
from kist.engine.index import locate_all, write_segments
from kist.engine.objects import GAP_BYTES, RUN_BYTES, MemoryWriter, Objects, Wanted, Writer, join_runs
from kist.engine.packs import FRAME_HEADER, TARGET_BYTES, FrameKind, check_pack, pack_key, pack_name
from kist.engine.records import digest
from kist.errors import IntegrityError, StoreError
from kist.stores.memory import MemoryStore
from kist.stores.protocols import ConditionalStore
from kist.testing.faulty import Fault, FaultyStore

RAWS = [b"frame %d" % number for number in range(20)]


class Remembering:
    """Places of frames, as a cache remembers them."""

    def __init__(self, **known: Place) -> None:
        self.known: dict[bytes, Place] = {}
        self.knows_frames = True
        assert not known

    def places(self, frame_ids: Sequence[bytes]) -> dict[bytes, Place]:
        return {one: self.known[one] for one in frame_ids if one in self.known}

    def remember(self, placed: Iterable[Wanted]) -> None:
        self.known |= dict(placed)


def written(*raws: bytes, store: ConditionalStore | None = None, kind: FrameKind = FrameKind.DATA) -> tuple[ConditionalStore, list[Wanted]]:
    """Store frames in one pack."""
    store = store if store is not None else MemoryStore()
    writer = Writer(store, None)
    placed = [(digest(raw), writer.add(kind, digest(raw), raw)) for raw in raws]
    writer.flush()
    return store, placed


def noise(size: int, seed: int = 0) -> bytes:
    return blake3(b"%d" % seed).digest(length=size)


def test_frames_are_read_back() -> None:
    store, placed = written(*RAWS)
    assert dict(Objects(store).read_all(placed)) == {digest(raw): raw for raw in RAWS}


def test_frames_that_lie_together_cost_one_request() -> None:
    inner, placed = written(*RAWS)
    store = CountingStore(inner)
    assert len(list(Objects(store).read_all(placed))) == 20
    assert store.reads == 1


def test_frames_that_lie_far_apart_are_read_alone() -> None:
    inner, placed = written(RAWS[0], noise(GAP_BYTES + 1), RAWS[1])
    store = CountingStore(inner)
    assert dict(Objects(store).read_all([placed[0], placed[2]])) == {digest(RAWS[0]): RAWS[0], digest(RAWS[1]): RAWS[1]}
    assert store.reads == 2
    assert store.bytes_read < 100


def test_nothing_is_read_for_nothing() -> None:
    store = CountingStore(MemoryStore())
    assert list(Objects(store).read_all([])) == []
    assert store.reads == 0


places = st.builds(
    Place, st.sampled_from([b"p" * 16, b"q" * 16]), st.integers(32, 30_000_000), st.integers(1, 300_000), st.integers(1, 300_000)
)


@settings(max_examples=examples(100))
@given(st.lists(st.tuples(st.binary(min_size=32, max_size=32), places), max_size=20))
def test_every_wanted_frame_is_in_one_run_of_bounded_length(wanted: list[Wanted]) -> None:
    runs = list(join_runs(wanted))
    assert sorted(one for run in runs for one in run) == sorted(wanted)
    for run in runs:
        assert len({place.pack for _, place in run}) == 1
        start = min(place.offset for _, place in run)
        assert max(place.offset for _, place in run) - start <= RUN_BYTES + GAP_BYTES + 300_000


def test_metadata_is_read_once() -> None:
    inner, [one] = written(b"node", kind=FrameKind.TREE)
    store = CountingStore(inner)
    objects = Objects(store)
    assert [objects.metadata(*one) for _ in range(3)] == [b"node"] * 3
    assert store.reads == 1


def test_metadata_that_was_not_used_for_long_is_forgotten() -> None:
    inner, placed = written(*RAWS, kind=FrameKind.TREE)
    store = CountingStore(inner)
    objects = Objects(store, cached_bytes=20)
    for one in (*placed, placed[0]):
        objects.metadata(*one)
    assert store.reads == 21


def test_a_frame_that_moved_is_found_by_the_index() -> None:
    store, [(frame_id, place)] = written(b"moved")
    written(b"moved", b"other", store=store)
    store.delete(pack_key(place.pack))
    assert Objects(store).read(frame_id, place) == b"moved"


def test_a_frame_that_moved_is_found_by_a_segment() -> None:
    store, [(frame_id, place)] = written(b"moved")
    written(b"moved", b"other", store=store)
    store.delete(pack_key(place.pack))
    write_segments(store, locate_all(store).frames)
    assert Objects(store).read(frame_id, place) == b"moved"


def test_a_frame_that_moves_while_a_repository_is_open_is_found() -> None:
    store, [(frame_id, place), _] = written(b"moved", b"seen")
    objects = Objects(store)
    assert objects.index.find(frame_id) == [place]
    written(b"moved", store=store)
    store.delete(pack_key(place.pack))
    assert objects.read(frame_id, place) == b"moved"


def test_another_copy_serves_for_a_damaged_one() -> None:
    store, [(frame_id, place)] = written(b"twice" * 10)
    written(b"twice" * 10, store=store)
    assert isinstance(store, MemoryStore)
    damage(store, pack_key(place.pack), at=place.offset + FRAME_HEADER.size)
    objects = Objects(store)
    assert not objects.is_intact(frame_id, place)
    assert objects.read(frame_id, place) == b"twice" * 10


def test_a_damaged_frame_without_another_copy_is_an_integrity_error() -> None:
    store, placed = written(b"only copy", b"other")
    assert isinstance(store, MemoryStore)
    damage(store, pack_key(placed[0][1].pack), at=placed[0][1].offset + FRAME_HEADER.size)
    with pytest.raises(IntegrityError, match="damaged"):
        Objects(store).read(*placed[0])
    assert Objects(store).read(*placed[1]) == b"other"


def test_a_frame_of_a_pack_that_is_gone_is_an_integrity_error() -> None:
    store, [one] = written(b"gone")
    store.delete(pack_key(one[1].pack))
    with pytest.raises(IntegrityError, match="gone"):
        Objects(store).read(*one)


@pytest.mark.parametrize("place", [Place(b"p" * 16, 0, 0, 0), Place(b"p" * 16, 2**32 - 1, 2**32 - 1, 2**32 - 1)])
def test_a_place_that_is_wrong_costs_a_look_into_the_index_and_no_more(place: Place) -> None:
    store, [(frame_id, _)] = written(b"here")
    assert Objects(store).read(frame_id, place) == b"here"


def test_a_truncated_answer_is_not_believed() -> None:
    inner, [one] = written(b"x" * 1000)
    store = FaultyStore(inner)
    store.fail_next(Fault.TRUNCATED_READ, verb="get_range")
    with pytest.raises(IntegrityError):
        Objects(store).read(*one)
    assert Objects(store).read(*one) == b"x" * 1000


def test_an_intact_frame_is_told_from_none() -> None:
    store, [(frame_id, place)] = written(b"here")
    objects = Objects(store)
    assert objects.is_intact(frame_id, place)
    assert not objects.is_intact(b"i" * 32, place)
    assert not objects.is_intact(frame_id, Place(b"p" * 16, 32, 4, 4))


def test_many_threads_read_through_one() -> None:
    store, placed = written(*RAWS, kind=FrameKind.TREE)
    objects = Objects(store, cached_bytes=50)
    wrong: list[Wanted] = []

    def read() -> None:
        wrong.extend(one for one in placed * 20 if digest(objects.metadata(*one)) != one[0])

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_memory_writer_stores_nothing_and_its_frames_can_be_read() -> None:
    store = MemoryStore()
    objects = Objects(store)
    frame_id, place = MemoryWriter(objects).add_metadata(FrameKind.TREE, b"node")
    assert objects.metadata(frame_id, place) == b"node"
    assert keys(store) == []


def test_what_is_flushed_is_durable_and_whole() -> None:
    store, placed = written(*RAWS)
    for key in keys(store):
        check_pack(pack_name(key) or b"", store.get(key))
    assert {place.pack for _, place in placed} == {pack_name(key) for key in keys(store)}


def test_nothing_is_stored_for_nothing() -> None:
    store = MemoryStore()
    Writer(store, None).flush()
    assert keys(store) == []


def test_metadata_is_stored_once() -> None:
    writer = Writer(MemoryStore(), None)
    assert writer.add_metadata(FrameKind.TREE, b"node") == writer.add_metadata(FrameKind.TREE, b"node")


def test_frames_of_earlier_sessions_are_found_and_their_use_is_noted() -> None:
    store, memory = MemoryStore(), Remembering()
    first = Writer(store, memory)
    one = first.add_metadata(FrameKind.TREE, b"node")
    first.flush()
    second = Writer(store, memory)
    assert second.add_metadata(FrameKind.TREE, b"node") == one
    assert second.written == {}
    reuse = second.reused[one[0]]
    assert (reuse.place, reuse.kind, reuse.again and reuse.again(0, 4)) == (one[1], FrameKind.TREE, b"node")


def test_a_session_that_was_given_up_remembers_what_it_stored() -> None:
    store, memory = MemoryStore(), Remembering()
    writer = Writer(store, memory)
    one = writer.add_metadata(FrameKind.TREE, b"node")
    writer.flush()
    writer.close()
    assert memory.known == dict([one])


def test_a_session_that_was_given_up_does_not_remember_what_it_did_not_store() -> None:
    memory = Remembering()
    writer = Writer(MemoryStore(), memory)
    writer.add_metadata(FrameKind.TREE, b"node")
    writer.close()
    assert memory.known == {}


def test_a_session_whose_upload_failed_says_so_and_remembers_nothing() -> None:
    store, memory = FaultyStore(MemoryStore()), Remembering()
    store.fail_next(Fault.ERROR_BEFORE, verb="put")
    writer = Writer(store, memory)
    writer.add_metadata(FrameKind.TREE, b"node")
    with pytest.raises(StoreError):
        writer.flush()
    writer.close()
    assert memory.known == {}


def test_much_data_goes_to_packs_of_its_own() -> None:
    store = MemoryStore()
    writer = Writer(store, None)
    for number in range(40):
        writer.add(FrameKind.DATA, b"%032d" % number, noise(64 << 10, number))
        writer.add_metadata(FrameKind.TREE, b"node %d" % number)
    writer.flush()
    trees = {place.pack for one, place in writer.written.items() if one in writer.kinds}
    assert len(keys(store)) == 2
    assert len(trees) == 1


def test_very_much_data_goes_to_several_packs_of_the_target_size() -> None:
    store = MemoryStore()
    writer = Writer(store, None)
    data = noise(256 << 10)
    for number in range(200):
        writer.add(FrameKind.DATA, b"%032d" % number, data)
    writer.flush()
    sizes = sorted(meta.size_bytes for meta in store.list("packs/"))
    assert sum(sizes) > 50 << 20
    assert TARGET_BYTES <= sizes[-1] < TARGET_BYTES + (1 << 20)
