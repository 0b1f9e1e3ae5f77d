"""Collecting: which packs are marked, packed anew or deleted, decided without a store; and that no version ever loses anything."""

from datetime import UTC, datetime, timedelta

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.parts import HOUR, Ticking, a_store, damage, examples, keys, repository, rooms_on

from kist.engine.collect import Mark, judge
from kist.engine.entries import Place
from kist.engine.history import History
from kist.engine.index import Located
from kist.engine.packs import FRAME_HEADER, FrameKind, pack_key
from kist.engine.repository import Repository
from kist.engine.tombstones import TOMBS
from kist.errors import IntegrityError, StoreError
from kist.stores.protocols import ObjectMeta

NOW = datetime(2026, 11, 20, tzinfo=UTC)
GRACE = timedelta(hours=24)
OLD, YOUNG = NOW - timedelta(hours=25), NOW - timedelta(hours=23)


def meta(key: str, modified: datetime, size: int = 1000) -> ObjectMeta:
    return ObjectMeta(key=key, size_bytes=size, modified=modified)


def a_mark(
    packs: dict[str, dict[str, int]], *, needed: str = "", young: str = "", tombs: dict[str, datetime] | None = None, sizes: int = 1000
) -> Mark:
    """Return a look at packs (letters) of frames (letters, with how many bytes each takes)."""
    frames = {
        pack.encode() * 16: [(one.encode() * 32, Place(pack.encode() * 16, 0, size, size)) for one, size in held.items()]
        for pack, held in packs.items()
    }
    metas = {pack.encode() * 16: meta(pack, YOUNG if pack in young else OLD, sizes) for pack in packs}
    marks = {pack.encode() * 16: meta(pack, modified) for pack, modified in (tombs or {}).items()}
    return Mark(NOW, {one.encode() * 32: FrameKind.DATA for one in needed}, marks, Located(metas, frames, {}, 0))


def judged(marked: Mark) -> tuple[str, str, str]:
    """Return which packs get a tombstone, are deleted and are packed anew, as letters."""
    verdict = judge(marked, grace=GRACE)
    return (
        "".join(chr(pack[0]) for pack in verdict.tomb),
        "".join(chr(pack[0]) for pack in verdict.delete),
        "".join(chr(pack[0]) for pack in verdict.repack),
    )


@pytest.mark.parametrize(
    ("marked", "verdict"),
    [
        (a_mark({"p": {"a": 900}}, needed="a"), ("", "", "")),
        (a_mark({"p": {"a": 900}}), ("p", "", "")),
        (a_mark({"p": {"a": 900}}, young="p"), ("", "", "")),
        (a_mark({"p": {"a": 900}}, tombs={"p": OLD}), ("", "p", "")),
        (a_mark({"p": {"a": 900}}, tombs={"p": YOUNG}), ("", "", "")),
        (a_mark({"p": {"a": 900}}, needed="a", tombs={"p": OLD}), ("", "", "p")),
        (a_mark({"p": {"a": 900}}, needed="a", tombs={"p": YOUNG}), ("", "", "p")),
        (a_mark({"p": {"a": 900}, "q": {"a": 900}}, needed="a", tombs={"p": OLD}), ("", "p", "")),
        (a_mark({"p": {"a": 900}, "q": {"a": 900}}, needed="a"), ("q", "", "")),
        (a_mark({"p": {"a": 900}, "q": {"a": 900}}, needed="a", tombs={"p": OLD, "q": OLD}), ("", "", "pq")),
        (a_mark({"p": {"a": 100, "b": 800}}, needed="a"), ("", "", "p")),
        (a_mark({"p": {"a": 100, "b": 800}}, needed="a", young="p"), ("", "", "")),
        (a_mark({"p": {"a": 800, "b": 100}}, needed="a"), ("", "", "")),
        (a_mark({"p": {"a": 10}}, needed="a"), ("", "", "")),
    ],
    ids=[
        "needed", "not needed", "too young", "marked long ago", "marked lately", "marked and needed", "marked lately and needed",
        "held by another", "held twice", "held twice and both marked",
        "mostly dead", "mostly dead and young", "mostly alive", "small and alive",
    ],
)  # fmt: skip
def test_what_becomes_of_a_pack(marked: Mark, verdict: tuple[str, str, str]) -> None:
    assert judged(marked) == verdict


def test_live_and_dead_bytes_are_counted_once() -> None:
    verdict = judge(a_mark({"p": {"a": 100, "b": 50}, "q": {"a": 100}}, needed="a"), grace=GRACE)
    assert (verdict.live_bytes, verdict.dead_bytes) == (100, 150)


letters = st.sampled_from("abcdef")
times = st.sampled_from([OLD, YOUNG])


@settings(max_examples=examples(300))
@given(
    st.dictionaries(st.sampled_from("pqrst"), st.dictionaries(letters, st.integers(1, 900), min_size=1, max_size=4), min_size=1),
    st.sets(letters),
    st.sets(st.sampled_from("pqrst")),
    st.dictionaries(st.sampled_from("pqrst"), times),
)
def test_every_needed_frame_stays_in_a_pack_without_a_tombstone(
    packs: dict[str, dict[str, int]], needed: set[str], young: set[str], tombs: dict[str, datetime]
) -> None:
    tombs = {pack: when for pack, when in tombs.items() if pack in packs}
    held = {one for frames in packs.values() for one in frames}
    marked = a_mark(packs, needed="".join(needed & held), young="".join(young), tombs=tombs)
    tomb, delete, repack = judged(marked)
    moved = {chr(one[0]) for frames in judge(marked, grace=GRACE).repack.values() for one, _ in frames}
    left = {pack for pack in packs if pack not in tombs and pack not in tomb and pack not in repack}
    assert needed & held <= {one for pack in left for one in packs[pack]} | moved
    assert all(tombs[pack] == OLD for pack in delete)
    assert not set(tomb) & young
    assert set(delete) <= set(tombs)


class Lab:
    """A repository with a clock that is also its store's."""

    def __init__(self) -> None:
        self.clock = Ticking()
        self.store = a_store(self.clock)
        self.repo = repository(self.store, clock=self.clock)

    def wait(self, hours: float = 25) -> None:
        self.clock.sleep(hours * HOUR)

    def runs(self, count: int) -> None:
        for _ in range(count):
            self.wait()
            self.repo.collect()

    def packs(self) -> list[str]:
        return keys(self.store, "packs/")

    def fresh(self) -> Repository:
        return repository(self.store, clock=self.clock)


@pytest.fixture
def place() -> Lab:
    return Lab()


def test_what_is_needed_stays(place: Lab) -> None:
    place.repo.save("a", b"1")
    place.repo.save("a", b"2")
    before = place.packs()
    place.runs(4)
    assert place.packs() == before
    assert place.fresh().read("a", ref="v1") == b"1"


def test_what_was_forgotten_is_marked_first_and_deleted_a_grace_later(place: Lab) -> None:
    place.repo.save("a", b"1" * 50)
    place.repo.save("b", b"2" * 50)
    place.repo.delete("a")
    place.repo.forget(["v1", "v2"], imsure=True)
    place.wait()
    first = place.repo.collect()
    assert (first.marked > 0, first.deleted) == (True, 0)
    soon = place.repo.collect()
    assert (soon.deleted, soon.waiting > 0) == (0, True)
    before = len(place.packs())
    place.wait()
    later = place.repo.collect()
    assert later.deleted > 0
    assert later.freed_bytes > 0
    assert len(place.packs()) < before
    assert place.fresh().read("b") == b"2" * 50
    assert place.fresh().verify("data").ok


def test_what_nobody_committed_goes(place: Lab) -> None:
    def give_up() -> None:
        with place.repo.transaction() as change:
            change.put("b", blake3(b"b").digest(length=36 << 20))
            raise ZeroDivisionError

    place.repo.save("a", b"1")
    with pytest.raises(ZeroDivisionError):
        give_up()
    assert len(place.packs()) > 1
    place.runs(2)
    assert len(place.packs()) == 1


def test_young_packs_are_never_touched(place: Lab) -> None:
    place.repo.save("a", b"1")
    place.repo.save("a", b"2")
    place.repo.forget(["v1"], imsure=True)
    place.wait(23)
    assert place.repo.collect().marked == 0


def test_a_dry_run_changes_nothing(place: Lab) -> None:
    place.repo.save("a", b"1")
    place.repo.save("a", b"2")
    place.repo.forget(["v1"], imsure=True)
    place.wait()
    before = {key: place.store.get(key) for key in keys(place.store)}
    assert place.repo.collect(dry_run=True).marked > 0
    assert {key: place.store.get(key) for key in keys(place.store)} == before


def test_tags_and_branches_keep_what_they_name(place: Lab) -> None:
    place.repo.save("a", b"1")
    place.repo.tag("good")
    place.repo.branch("dev")
    place.repo.save("a", b"2", branch="dev")
    place.repo.save("a", b"3")
    place.runs(3)
    assert [place.fresh().read("a", ref=ref) for ref in ("good", "dev", "main")] == [b"1", b"2", b"3"]


def test_tombstones_go_long_after_their_packs(place: Lab) -> None:
    place.repo.save("a", b"1")
    place.repo.save("a", b"2")
    place.repo.forget(["v1"], imsure=True)
    place.runs(2)
    assert keys(place.store, TOMBS) != []
    place.runs(4)
    assert keys(place.store, TOMBS) != []
    place.runs(6)
    assert keys(place.store, TOMBS) == []


def test_a_pack_that_is_mostly_dead_is_packed_anew(place: Lab) -> None:
    with place.repo.transaction() as change:
        change.put("large", bytes(reversed(range(256))) * 100 + b"".join(b"%d" % n for n in range(5000)))
        change.put("small", b"stays")
    place.repo.delete("large")
    place.repo.forget(["v1"], imsure=True)
    place.runs(3)
    assert sum(meta.size_bytes for meta in place.store.list("packs/")) < 5000
    assert place.fresh().read("small") == b"stays"


def test_damage_stops_collecting_before_anything_is_lost(place: Lab) -> None:
    place.repo.save("a", b"1")
    place.repo.save("b", b"2")
    place.wait()
    before = keys(place.store)
    root = History(rooms_on(place.store)).root(None).place
    assert root is not None
    damage(place.store, pack_key(root.pack), at=root.offset + FRAME_HEADER.size + 9)
    with pytest.raises(IntegrityError):
        place.fresh().collect()
    assert [key for key in keys(place.store) if not key.startswith("gc/run/")] == before


def test_a_clock_that_goes_backwards_stops_collecting(place: Lab) -> None:
    place.repo.save("a", b"1")
    place.wait()
    place.repo.collect()
    place.clock.seconds -= 100 * HOUR
    with pytest.raises(StoreError, match="backwards"):
        place.repo.collect()


def test_many_packs_are_indexed_in_passing(place: Lab) -> None:
    for number in range(70):
        place.repo.save("a", b"%d" % number)
    place.repo.collect()
    assert len(keys(place.store, "index/")) == 1
    assert place.fresh().read("a", ref="v7") == b"6"


def test_an_empty_repository_can_be_collected() -> None:
    found = repository(a_store()).collect()
    assert (found.marked, found.deleted, found.live_bytes) == (0, 0, 0)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("save"), st.sampled_from("abc"), st.integers(0, 5)),
        st.tuples(st.just("delete"), st.sampled_from("abc"), st.just(0)),
        st.tuples(st.just("forget"), st.just(""), st.integers(0, 9)),
        st.tuples(st.just("collect"), st.just(""), st.integers(1, 30)),
    ),
    max_size=14,
)


@settings(max_examples=examples(30), deadline=None)
@given(STEPS)
def test_whatever_is_collected_every_kept_version_stays_whole(steps: list[tuple[str, str, int]]) -> None:
    place = Lab()
    held: dict[str, bytes] = {}
    versions: dict[int, dict[str, bytes]] = {}
    for verb, path, number in steps:
        if verb == "save":
            held[path] = b"%d" % number * 50
        elif verb == "delete" and path in held and len(held) > 1:
            del held[path]
        elif verb == "forget" and number + 1 in versions and number + 1 < max(versions):
            place.repo.forget([f"v{number + 1}"], imsure=True)
            del versions[number + 1]
            continue
        elif verb == "collect":
            place.wait(number)
            place.repo.collect()
            continue
        else:
            continue
        change = place.repo.save(path, held[path]) if verb == "save" else place.repo.delete(path)
        versions[change.number] = dict(held)
    fresh = place.fresh()
    for number, files in versions.items():
        assert {one.path: fresh.read(one.path, ref=f"v{number}") for one in fresh.walk(ref=f"v{number}")} == files
    assert fresh.verify("data").problems == ()
