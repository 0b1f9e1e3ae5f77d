"""A writer beside a collector: nothing is acknowledged that refers to a pack which may go away."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.engine.parts import HOUR, Ticking, a_store, repository, rooms_on

from kist.engine.cache import Cache
from kist.engine.commits import Session
from kist.engine.objects import Objects, Writer
from kist.engine.packs import FrameKind, pack_key
from kist.engine.records import Tombstone, digest, encode, seal
from kist.engine.repository import Repository
from kist.engine.tombstones import GRACE_SECONDS, TOMBS, Guard, tombstones
from kist.errors import Conflict
from kist.stores.memory import MemoryStore
from kist.testing.faulty import Fault, FaultyStore

DATA = os.urandom(200_000)


class Place:
    """A store, a clock, a writer's repository with a cache, and another machine's, which collects."""

    def __init__(self, folder: Path) -> None:
        self.clock = Ticking()
        self.store = a_store(self.clock)
        self.cache = str(folder / "cache.sqlite")
        self.writer = self.open()
        self.other = repository(self.store, clock=self.clock)

    def open(self, store: FaultyStore | None = None) -> Repository:
        return repository(store or self.store, clock=self.clock, cache=Cache(self.cache))

    def forget_and(self, *, runs: int) -> None:
        """Make the first versions of all paths unneeded, and collect some times, a grace apart."""
        self.other.forget([version.id for version in self.other.log()[1:]], imsure=True)
        self.collect(runs=runs)

    def bytes_stored(self) -> int:
        return sum(meta.size_bytes for meta in self.store.list("packs/"))

    def collect(self, *, runs: int) -> None:
        for _ in range(runs):
            self.clock.sleep(25 * HOUR)
            self.other.collect()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    file = tmp_path / "source"
    file.write_bytes(DATA)
    time.sleep(0.08)
    return file


def gone(place: Place, source: Path, *, runs: int) -> None:
    """Save a file and delete it, and let another machine collect it: after one run it has a tombstone, after two it is gone."""
    place.writer.save("other", b"stays")
    place.writer.save("big", source)
    place.writer.delete("big")
    before = place.bytes_stored()
    place.forget_and(runs=runs)
    assert len(tombstones(place.store)) > 0
    assert (place.bytes_stored() < before) == (runs > 1)


def check(place: Place, path: str, content: bytes) -> None:
    """Look with nothing remembered, also after all that has a tombstone is gone."""
    place.collect(runs=3)
    fresh = repository(place.store)
    assert fresh.read(path) == content
    assert fresh.verify("data").ok


@pytest.mark.parametrize("runs", [1, 2])
def test_a_file_that_was_collected_on_another_machine_is_stored_again(place: Place, source: Path, runs: int) -> None:
    gone(place, source, runs=runs)
    place.open().save("again", source)
    check(place, "again", DATA)


@pytest.mark.parametrize("runs", [1, 2])
def test_content_that_was_collected_on_another_machine_is_stored_again(place: Place, source: Path, runs: int) -> None:
    gone(place, source, runs=runs)
    place.open().save("again", DATA)
    check(place, "again", DATA)


@pytest.mark.parametrize("runs", [1, 2])
def test_a_small_file_that_was_collected_on_another_machine_is_stored_again(place: Place, tmp_path: Path, runs: int) -> None:
    small = tmp_path / "small"
    small.write_bytes(b"small")
    time.sleep(0.08)
    gone(place, small, runs=runs)
    place.open().save("again", small)
    check(place, "again", b"small")


@pytest.mark.parametrize("runs", [1, 2])
def test_chunks_that_were_collected_are_stored_again_for_a_file_that_holds_them_too(
    place: Place, source: Path, tmp_path: Path, runs: int
) -> None:
    gone(place, source, runs=runs)
    (tmp_path / "more").write_bytes(DATA + b"and more")
    place.open().save("again", tmp_path / "more")
    check(place, "again", DATA + b"and more")


def while_committing(place: Place, fault: Fault, act: Callable[[], object]) -> Repository:
    """Return the writer's repository; something happens right before or after its next ref entry is written."""

    def stalled(*_: object) -> None:
        act()

    store = FaultyStore(place.store, on_stall=stalled)
    store.fail_next(fault, verb="create", key="refs/heads/")
    return place.open(store)


@pytest.mark.parametrize("fault", [Fault.STALL, Fault.STALL_AFTER])
def test_a_tombstone_that_appears_during_the_commit_is_seen(place: Place, source: Path, fault: Fault) -> None:
    place.writer.save("other", b"stays")
    place.writer.save("big", source)
    place.writer.delete("big")
    while_committing(place, fault, lambda: place.forget_and(runs=1)).save("again", source)
    check(place, "again", DATA)


def test_packs_that_vanish_during_a_very_slow_commit_are_noticed(place: Place, source: Path) -> None:
    place.writer.save("other", b"stays")
    place.writer.save("big", source)
    place.writer.delete("big")
    while_committing(place, Fault.STALL_AFTER, lambda: place.forget_and(runs=2)).save("again", source)
    check(place, "again", DATA)


def test_a_writer_whose_own_pack_got_a_tombstone_stores_it_again(place: Place, tmp_path: Path) -> None:
    place.writer.save("other", b"stays")
    (tmp_path / "new").write_bytes(b"new")
    while_committing(place, Fault.STALL, lambda: place.collect(runs=1)).save("new", tmp_path / "new")
    check(place, "new", b"new")


def test_a_move_of_something_that_a_tombstone_names_keeps_it(place: Place) -> None:
    place.writer.save("a", b"content")
    while_committing(place, Fault.STALL_AFTER, lambda: place.collect(runs=1)).move("a", "b")
    check(place, "b", b"content")


def test_a_merge_uses_nothing_that_may_go_away(place: Place) -> None:
    place.writer.save("other", b"1")
    place.writer.branch("dev")
    place.writer.save("a", DATA, branch="dev")
    place.writer.merge("dev")
    check(place, "a", DATA)


def tomb(store: MemoryStore, pack: bytes, repo: str) -> None:
    store.put(TOMBS + pack.hex(), seal(encode(Tombstone(repo=repo, pack=pack, run="r"))))


class Guarded:
    """A guard of a writer that uses one frame of an earlier one."""

    def __init__(self, *, again: Callable[[int, int], bytes] | None = None) -> None:
        self.clock = Ticking()
        self.store = a_store(self.clock)
        first = Writer(self.store, None)
        self.id = digest(b"frame")
        self.old = first.add(FrameKind.DATA, self.id, b"frame")
        first.flush()
        self.writer = Writer(self.store, None)
        self.writer.reuse(FrameKind.DATA, self.id, self.old, again=again)
        self.guard = Guard(Objects(self.store), self.store, self.writer, self.clock, grace=GRACE_SECONDS)


def test_what_no_tombstone_names_is_not_stored_again() -> None:
    guarded = Guarded()
    guarded.guard.before()
    guarded.guard.after()
    assert guarded.writer.written == {}


def test_what_a_tombstone_names_is_stored_again_from_where_it_lies() -> None:
    guarded = Guarded()
    tomb(guarded.store, guarded.old.pack, "")
    guarded.guard.before()
    assert guarded.writer.written[guarded.id].pack != guarded.old.pack
    assert guarded.store.head(pack_key(guarded.writer.written[guarded.id].pack)).size_bytes > 0


def test_what_is_gone_is_stored_again_from_its_source() -> None:
    guarded = Guarded(again=lambda offset, size: b"a frame"[2 + offset : 2 + offset + size])
    guarded.store.delete(pack_key(guarded.old.pack))
    guarded.guard.before()
    assert Objects(guarded.store).read(guarded.id, guarded.writer.written[guarded.id]) == b"frame"


@pytest.mark.parametrize("again", [None, lambda *_: b"changed"])
def test_what_is_gone_and_can_not_be_read_again_is_a_conflict(again: Callable[[int, int], bytes] | None) -> None:
    guarded = Guarded(again=again)
    guarded.store.delete(pack_key(guarded.old.pack))
    with pytest.raises(Conflict, match="save again"):
        guarded.guard.before()


def test_a_guard_does_not_look_twice_in_a_short_time() -> None:
    guarded = Guarded()
    guarded.guard.before()
    tomb(guarded.store, guarded.old.pack, "")
    guarded.clock.sleep(GRACE_SECONDS / 2 - 1)
    guarded.guard.before()
    assert guarded.writer.written == {}


def test_a_guard_looks_again_before_half_a_grace_is_over() -> None:
    guarded = Guarded()
    guarded.guard.before()
    tomb(guarded.store, guarded.old.pack, "")
    guarded.clock.sleep(GRACE_SECONDS / 2 + 1)
    guarded.guard.before()
    assert guarded.writer.written != {}


def test_a_guard_always_looks_afterwards() -> None:
    guarded = Guarded()
    guarded.guard.before()
    tomb(guarded.store, guarded.old.pack, "")
    guarded.guard.after()
    assert guarded.writer.written != {}


def test_keys_that_are_no_tombstones_are_passed_over() -> None:
    guarded = Guarded()
    guarded.store.put(TOMBS + "readme", b"?")
    assert tombstones(guarded.store) == set()


def test_a_session_that_fails_leaves_no_ref() -> None:
    rooms = rooms_on(a_store())
    with pytest.raises(ZeroDivisionError), Session(rooms, "main"):
        raise ZeroDivisionError
    assert rooms.authority.line("heads/main") is None
