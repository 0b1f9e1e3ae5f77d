"""The store in memory."""

from datetime import timedelta

import pytest

from kist.stores.memory import MemoryStore, open_memory
from kist.testing.blocks_suite import GetBlocksSuite
from kist.testing.clock import VirtualClock
from kist.testing.store_suite import ConditionalStoreSuite
from kist.testing.transfer_suite import CopySuite, GetPartSuite, PutStreamSuite


class TestMemoryStore(GetPartSuite, GetBlocksSuite, PutStreamSuite, CopySuite, ConditionalStoreSuite):
    has_overlaps = True

    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()

    @pytest.fixture
    def other(self) -> MemoryStore:
        return MemoryStore()


def test_one_name_is_one_store() -> None:
    open_memory("memory://test-one").put("a", b"1")
    assert open_memory("memory://test-one/").get("a") == b"1"
    assert list(open_memory("memory://test-other").list()) == []


def test_time_comes_from_the_clock() -> None:
    clock = VirtualClock()
    store = MemoryStore(clock=clock.now)
    store.put("a", b"")
    clock.advance(hours=2)
    store.put("b", b"")
    assert store.head("b").modified - store.head("a").modified == timedelta(hours=2)


def test_a_listing_sees_what_is_written_meanwhile() -> None:
    store = MemoryStore()
    for key in ("a", "c"):
        store.put(key, b"")
    listing = store.list()
    assert next(listing).key == "a"
    store.put("b", b"")
    store.delete("c")
    assert [meta.key for meta in listing] == ["b"]
