"""The faulty store fails as it says."""

from functools import partial

import pytest

from kist.errors import AlreadyExists, KistError, NotFound, StoreError
from kist.stores.memory import MemoryStore
from kist.testing.faulty import ALL_FAULTS, Fault, FaultyStore
from kist.testing.store_suite import ConditionalStoreSuite, keys


class TestFaultlessStore(ConditionalStoreSuite):
    """Without faults it is as good as the store that it wraps."""

    has_overlaps = True

    @pytest.fixture
    def store(self) -> FaultyStore:
        return FaultyStore(MemoryStore())


@pytest.fixture
def store() -> FaultyStore:
    store = FaultyStore(MemoryStore())
    store.put("there", b"0123456789")
    return store


@pytest.mark.parametrize("verb", ["put", "create"])
def test_an_error_before_applies_nothing(store: FaultyStore, verb: str) -> None:
    store.fail_next(Fault.ERROR_BEFORE)
    with pytest.raises(StoreError):
        getattr(store, verb)("a", b"1")
    with pytest.raises(NotFound):
        store.get("a")


def test_a_lost_response_applies_all(store: FaultyStore) -> None:
    store.fail_next(Fault.LOST_RESPONSE)
    with pytest.raises(StoreError):
        store.put("a", b"1")
    assert store.get("a") == b"1"


@pytest.mark.parametrize("fault", [Fault.OWN_WRITE_412, Fault.DUPLICATE])
def test_a_create_may_meet_its_own_write(store: FaultyStore, fault: Fault) -> None:
    store.fail_next(fault)
    with pytest.raises(AlreadyExists):
        store.create("a", b"1")
    assert store.get("a") == b"1"


def test_a_conflict_may_be_spurious(store: FaultyStore) -> None:
    store.fail_next(Fault.SPURIOUS_409)
    with pytest.raises(AlreadyExists):
        store.create("a", b"1")
    store.create("a", b"2")


def test_a_late_request_is_applied_later(store: FaultyStore) -> None:
    store.fail_next(Fault.LATE)
    with pytest.raises(StoreError):
        store.put("a", b"1")
    store.flush()
    assert store.get("a") == b"1"


@pytest.mark.parametrize(("fault", "seen_then"), [(Fault.STALL, ["there"]), (Fault.STALL_AFTER, ["a", "there"])])
def test_a_stall_calls_the_hook(store: FaultyStore, fault: Fault, seen_then: list[str]) -> None:
    seen: list[list[str]] = []
    store.on_stall = lambda *_: seen.append(keys(store.store))
    store.fail_next(fault, verb="put")
    store.put("a", b"")
    assert seen == [seen_then]


def test_a_truncated_read(store: FaultyStore) -> None:
    store.fail_next(Fault.TRUNCATED_READ)
    content = store.get("there")
    assert len(content) < 10
    assert b"0123456789".startswith(content)


def test_a_flipped_bit(store: FaultyStore) -> None:
    store.fail_next(Fault.BIT_FLIP)
    wrong = int.from_bytes(store.get("there")) ^ int.from_bytes(b"0123456789")
    assert wrong.bit_count() == 1
    assert store.get("there") == b"0123456789"


def test_a_listing_may_break_off(store: FaultyStore) -> None:
    store.fail_next(Fault.LIST_ERROR)
    with pytest.raises(StoreError):
        list(store.list())


def test_a_plan_waits_for_a_call_that_it_fits(store: FaultyStore) -> None:
    store.fail_next(Fault.LOST_RESPONSE, verb="delete", key="b")
    store.put("a", b"")
    store.delete("a")
    with pytest.raises(StoreError):
        store.delete("b")
    assert [(fault.verb, fault.key, fault.fault) for fault in store.faults] == [("delete", "b", Fault.LOST_RESPONSE)]


def _run(store: FaultyStore) -> list[object]:
    """Make 900 calls and return what they told."""
    told: list[object] = []
    for number in range(150):
        key = str(number % 7)
        calls = (
            partial(store.create, key, b"x" * 9),
            partial(store.put, key, b"y" * 9),
            partial(store.delete, str(number % 5)),
            partial(store.get, key),
            partial(store.get_range, key, start=1, end=5),
            partial(keys, store),
        )
        for call in calls:
            try:
                told.append(call())
            except KistError as error:
                told.append(str(error))
    return told


def _random_store(seed: int) -> FaultyStore:
    return FaultyStore(MemoryStore(), seed=seed, rates=dict.fromkeys(ALL_FAULTS, 0.2))


def test_a_seed_fails_in_the_same_way_again() -> None:
    first, again, other = _random_store(7), _random_store(7), _random_store(8)
    assert _run(first) == _run(again)
    assert first.faults == again.faults
    assert _run(other) != _run(first)


def test_every_fault_happens() -> None:
    store = _random_store(1)
    _run(store)
    assert {fault.fault for fault in store.faults} == set(ALL_FAULTS)
