"""Checking and mending: whatever is damaged is named with the paths that it hits, what is intact is kept, and a new save heals the rest."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.engine.parts import HOUR, CountingStore, Ticking, a_store, damage, keys, repository, rooms_on

from kist.engine.cache import Cache
from kist.engine.entries import Place
from kist.engine.history import History
from kist.engine.index import locate_all, write_segments
from kist.engine.packs import FRAME_HEADER, TRAILER_BYTES, pack_key
from kist.engine.records import slot
from kist.engine.repository import Repository
from kist.errors import IntegrityError
from kist.models import Report
from kist.stores.memory import MemoryStore

BIG = os.urandom(3_000_000)


class Lab:
    """A repository with three versions, small and large files, a branch and a tag."""

    def __init__(self, folder: Path) -> None:
        self.clock = Ticking()
        self.store: MemoryStore = a_store(self.clock)
        self.cache = str(folder / "cache.sqlite")
        self.repo = self.open()
        self.source = folder / "source"
        self.source.mkdir()
        (self.source / "big").write_bytes(BIG)
        (self.source / "small").write_bytes(b"small one")
        time.sleep(0.08)
        self.repo.save("data", self.source)
        self.repo.save("other", b"other content")
        self.repo.branch("dev")
        self.repo.tag("good")
        self.repo.save("late", b"late content")

    def open(self) -> Repository:
        return repository(self.store, clock=self.clock, cache=Cache(self.cache))

    def fresh(self) -> Repository:
        """Open it with nothing remembered."""
        return repository(self.store, clock=self.clock)

    def place(self, path: str) -> Place:
        """Return where the one chunk or the recipe of a path lies."""
        rooms = rooms_on(self.store)
        entry = rooms.trees.get(History(rooms).root(None), path)
        assert entry is not None
        assert entry.place is not None
        return entry.place

    def root(self) -> Place:
        found = History(rooms_on(self.store)).root(None).place
        assert found is not None
        return found

    def damage(self, place: Place) -> None:
        """Damage the content of a frame."""
        damage(self.store, pack_key(place.pack), at=place.offset + FRAME_HEADER.size + place.stored // 2)

    def data_pack(self) -> str:
        """Return the largest pack: that with most of the chunks of the large file."""
        return max(self.store.list("packs/"), key=lambda meta: meta.size_bytes).key

    def check(self) -> Report:
        return self.fresh().verify("data")


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


@pytest.mark.parametrize("level", ["metadata", "data"])
def test_a_whole_repository_is_whole(lab: Lab, level: str) -> None:
    report = lab.fresh().verify(level)  # type: ignore[arg-type]  # one of both
    assert (report.ok, report.problems, report.paths, report.versions) == (True, (), (), 3)
    assert report.packs == len(keys(lab.store, "packs/"))
    assert report.frames > 20


def test_an_empty_repository_is_whole() -> None:
    assert repository().verify("data").ok


def test_a_forked_repository_is_whole() -> None:
    store = a_store(authority="fork")
    one, two = repository(store, checkpoint_every=2), repository(store, checkpoint_every=2)
    one.save("start", b"0")
    for number in range(4):
        with one.transaction() as left, two.transaction() as right:
            left.put(f"left{number}", b"%d" % number)
            right.put(f"right{number}", b"%d" % number)
    assert repository(store).verify("data").problems == ()


def test_every_byte_is_read_at_the_deeper_level_only(lab: Lab) -> None:
    stored = sum(meta.size_bytes for meta in lab.store.list("packs/"))
    assert lab.fresh().verify("data").bytes_read == stored
    counting = CountingStore(lab.store)
    assert repository(counting).verify("metadata").bytes_read == 0
    assert counting.bytes_read < 500_000


def test_progress_counts_packs_and_their_bytes(lab: Lab) -> None:
    told = [0, 0]

    def tell(items: int, size_bytes: int) -> None:
        told[0] += items
        told[1] += size_bytes

    report = lab.fresh().verify("data", progress=tell)
    assert told == [report.packs, report.bytes_read]


def test_nothing_is_changed_by_looking(lab: Lab) -> None:
    before = {key: lab.store.get(key) for key in keys(lab.store)}
    lab.fresh().verify("data")
    assert {key: lab.store.get(key) for key in keys(lab.store)} == before


def test_no_changed_byte_of_any_object_is_overlooked() -> None:
    store = a_store()
    repo = repository(store)
    repo.save("a", b"content that compresses " * 20)
    repo.save("b", b"2")
    repo.tag("good", "v1")
    repo.forget(["v1"], imsure=True)
    write_segments(store, locate_all(store).frames)
    assert repository(store).verify("data").ok
    for key in keys(store):
        whole = store.get(key)
        for at in range(0, len(whole), 1 if key == "format" else 7):
            damage(store, key, at=at)
            try:
                found = repository(store).verify("data").problems
            except IntegrityError:
                assert key == "format"
            else:
                assert key in {problem.key for problem in found}, f"byte {at} of {key}"
            store.put(key, whole)


def test_a_damaged_small_file_is_named(lab: Lab) -> None:
    lab.damage(lab.place("data/small"))
    report = lab.check()
    assert not report.ok
    assert {path.partition("@")[0] for path in report.paths} == {"data/small"}


def test_damage_below_a_large_file_is_named_by_the_file(lab: Lab) -> None:
    damage(lab.store, lab.data_pack(), at=500_000)
    assert {path.partition("@")[0] for path in lab.check().paths} == {"data/big"}


def test_damage_of_content_is_not_seen_by_the_quick_look(lab: Lab) -> None:
    damage(lab.store, lab.data_pack(), at=500_000)
    assert lab.fresh().verify("metadata").ok


def test_a_lost_pack_is_seen_by_the_quick_look_too(lab: Lab) -> None:
    lab.store.delete(lab.data_pack())
    assert {path.partition("@")[0] for path in lab.fresh().verify("metadata").paths} == {"data/big"}


def test_a_damaged_recipe_is_named_by_its_file(lab: Lab) -> None:
    lab.damage(lab.place("data/big"))
    assert "data/big" in {path.partition("@")[0] for path in lab.check().paths}


def test_a_damaged_tree_is_named_by_its_version(lab: Lab) -> None:
    lab.damage(lab.root())
    assert any(path.endswith("@v3") for path in lab.check().paths)


def test_a_damaged_footer_is_a_problem_and_hits_nothing_that_can_be_read(lab: Lab) -> None:
    key = pack_key(lab.place("late").pack)
    damage(lab.store, key, at=len(lab.store.get(key)) - TRAILER_BYTES + 1)
    report = lab.check()
    assert key in {problem.key for problem in report.problems}
    assert lab.fresh().read("late") == b"late content"


@pytest.mark.parametrize("ref", ["heads/main", "tags/good"])
def test_a_damaged_ref_entry_is_a_problem(lab: Lab, ref: str) -> None:
    key = keys(lab.store, f"refs/{ref}/")[0]
    damage(lab.store, key)
    assert key in {problem.key for problem in lab.check().problems}


def test_a_ref_entry_that_is_gone_is_noticed(lab: Lab) -> None:
    lab.store.delete(f"refs/heads/main/{slot(2)}")
    assert any("before" in problem.what for problem in lab.check().problems)


def test_what_was_forgotten_is_not_missed(lab: Lab) -> None:
    lab.repo.delete("data")
    lab.repo.branch("fork", "main")
    lab.repo.save("dev", b"x", branch="dev")
    lab.repo.delete("data", branch="dev")
    lab.repo.forget(["v1", "v2", "v3", "dev:v3"], imsure=True)
    for _ in range(3):
        lab.clock.sleep(25 * HOUR)
        lab.repo.collect()
    assert sum(meta.size_bytes for meta in lab.store.list("packs/")) < 100_000
    assert lab.check().problems == ()


def test_a_probe_that_was_left_behind_is_no_problem(lab: Lab) -> None:
    lab.store.put("gc/probe-0123", b"0123456789abcdef")
    assert lab.check().ok


# Mending


def heal(lab: Lab) -> None:
    """Repair, save the same content again, and let what is damaged go."""
    lab.open().repair()
    lab.open().save("data", lab.source)
    lab.open().save("other", b"other content")
    lab.open().save("late", b"late content")
    for _ in range(3):
        lab.clock.sleep(25 * HOUR)
        lab.fresh().collect()


DAMAGES: dict[str, Callable[[Lab], None]] = {
    "small file": lambda lab: lab.damage(lab.place("data/small")),
    "chunk of a large file": lambda lab: damage(lab.store, lab.data_pack(), at=500_000),
    "content": lambda lab: lab.damage(lab.place("late")),
    "footer": lambda lab: damage(lab.store, lab.data_pack(), at=len(lab.store.get(lab.data_pack())) - TRAILER_BYTES + 1),
    "seal": lambda lab: damage(lab.store, lab.data_pack(), at=len(lab.store.get(lab.data_pack())) - 1),
    "header": lambda lab: damage(lab.store, lab.data_pack(), at=0),
    "frame header": lambda lab: damage(lab.store, lab.data_pack(), at=33),
    "end": lambda lab: lab.store.put(lab.data_pack(), lab.store.get(lab.data_pack())[:-1000]),
    "lost pack": lambda lab: lab.store.delete(lab.data_pack()),
}
each_damage = pytest.mark.parametrize("hurt", DAMAGES.values(), ids=DAMAGES.keys())


@each_damage
def test_repair_and_the_next_save_of_the_same_content_heal(lab: Lab, hurt: Callable[[Lab], None]) -> None:
    hurt(lab)
    assert not lab.check().ok
    heal(lab)
    assert lab.check().problems == ()
    fresh = lab.fresh()
    for ref in ("v1", "good", "main"):
        assert fresh.read("data/big", ref=ref) == BIG
        assert fresh.read("data/small", ref=ref) == b"small one"
    assert fresh.read("late") == b"late content"


def test_a_lost_recipe_heals_for_the_versions_that_are_saved_anew(lab: Lab) -> None:
    lab.damage(lab.place("data/big"))
    for branch in ("main", "dev"):
        lab.open().repair()
        assert lab.open().save("data", lab.source, branch=branch).stats.new_bytes < len(BIG) // 2
        assert lab.fresh().read("data/big", ref=branch) == BIG
    assert {path.partition("@")[0] for path in lab.check().paths} == {"data/big"}
    lab.open().forget(["v1", "v2", "v3"], imsure=True)
    for _ in range(3):
        lab.clock.sleep(25 * HOUR)
        lab.fresh().collect()
    assert lab.check().problems == ()


def test_a_path_with_a_lost_recipe_can_be_saved_without_any_repair(lab: Lab) -> None:
    lab.damage(lab.place("data/big"))
    lab.fresh().save("data/big", BIG + b"more")
    assert lab.fresh().read("data/big") == BIG + b"more"


@each_damage
def test_repair_alone_loses_nothing_that_could_be_read(lab: Lab, hurt: Callable[[Lab], None]) -> None:
    hurt(lab)

    def readable() -> dict[str, bytes]:
        fresh, found = lab.fresh(), {}
        for path in ("data/big", "data/small", "other", "late"):
            try:
                found[path] = fresh.read(path)
            except IntegrityError:
                continue
        return found

    before = readable()
    lab.open().repair()
    for _ in range(3):
        lab.clock.sleep(25 * HOUR)
        try:
            lab.fresh().collect()
        except IntegrityError:
            break
    assert before.items() <= readable().items()


def test_repair_rebuilds_the_index(lab: Lab) -> None:
    lab.store.put("index/0-" + "0" * 32, b"damaged")
    done = lab.open().repair()
    assert any("index" in line for line in done)
    assert len(keys(lab.store, "index/")) == 1
    assert locate_all(lab.store).uncovered == 0
    assert lab.check().ok


def test_repair_finds_frames_of_a_pack_without_a_footer(lab: Lab) -> None:
    key = pack_key(lab.place("late").pack)
    lab.store.put(key, lab.store.get(key)[:-TRAILER_BYTES])
    lab.open().repair()
    lab.store.delete(key)
    assert lab.fresh().read("late") == b"late content"


def test_repair_of_a_whole_repository_stores_nothing_again(lab: Lab) -> None:
    before = keys(lab.store, "packs/")
    assert len(lab.open().repair()) == 1
    assert keys(lab.store, "packs/") == before
    assert keys(lab.store, "gc/tomb/") == []
