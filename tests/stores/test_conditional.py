"""Put-if-absent with a certain outcome, and the probe."""

import time
import uuid
from collections.abc import Buffer
from typing import override

import pytest

from kist.errors import AlreadyExists, Denied, NotFound, StoreError, Unsupported
from kist.stores.conditional import create_once, probe, probe_quickly
from kist.stores.memory import MemoryStore
from kist.testing.faulty import Fault, FaultyStore
from kist.testing.store_suite import keys


class Pauses(list[float]):
    """Notes how long somebody would have slept."""

    def sleep(self, seconds: float) -> None:
        self.append(seconds)


def attempt(store: FaultyStore, body: bytes = b"ours") -> bool:
    return create_once(store, "key", body, is_ours=body.__eq__, sleep=Pauses().sleep)


@pytest.fixture
def store() -> FaultyStore:
    return FaultyStore(MemoryStore())


def test_a_free_key_is_ours(store: FaultyStore) -> None:
    assert (attempt(store), store.get("key")) == (True, b"ours")


def test_a_taken_key_is_another_s(store: FaultyStore) -> None:
    store.put("key", b"theirs")
    assert (attempt(store), store.get("key")) == (False, b"theirs")


@pytest.mark.parametrize(
    "fault", [Fault.LOST_RESPONSE, Fault.OWN_WRITE_412, Fault.DUPLICATE, Fault.ERROR_BEFORE, Fault.SPURIOUS_409, Fault.LATE]
)
def test_after_an_error_a_free_key_is_ours(store: FaultyStore, fault: Fault) -> None:
    store.fail_next(fault, verb="create")
    assert (attempt(store), store.get("key")) == (True, b"ours")


@pytest.mark.parametrize("fault", [Fault.ERROR_BEFORE, Fault.SPURIOUS_409, Fault.LATE])
def test_after_an_error_a_taken_key_is_another_s(store: FaultyStore, fault: Fault) -> None:
    store.put("key", b"theirs")
    store.fail_next(fault, verb="create")
    assert attempt(store) is False
    store.flush()
    assert store.get("key") == b"theirs"


def test_who_is_overtaken_by_another_has_lost() -> None:
    inner = MemoryStore()
    store = FaultyStore(inner, on_stall=lambda _, key: inner.put(key, b"theirs"))
    store.fail_next(Fault.STALL, verb="create")
    assert (attempt(store), inner.get("key")) == (False, b"theirs")


def test_reading_back_is_tried_again(store: FaultyStore) -> None:
    store.fail_next(Fault.LOST_RESPONSE, verb="create")
    for _ in range(3):
        store.fail_next(Fault.ERROR_BEFORE, verb="get")
    assert attempt(store) is True


def test_an_outcome_that_nobody_knows_is_called_so(store: FaultyStore) -> None:
    store.rates = {Fault.ERROR_BEFORE: 1}
    with pytest.raises(StoreError, match="nobody knows whether 'key' is stored"):
        attempt(store)


def test_attempts_are_bounded_and_pauses_grow(store: FaultyStore) -> None:
    store.rates = {Fault.ERROR_BEFORE: 1}
    pauses = Pauses()
    with pytest.raises(StoreError):
        create_once(store, "key", b"1", is_ours=b"1".__eq__, attempts=5, sleep=pauses.sleep)
    assert (len(pauses), store.calls, pauses[-1] > pauses[0]) == (4, 10, True)


class DenyingStore(MemoryStore):
    """May be read, and not written."""

    @override
    def create(self, key: str, data: Buffer) -> None:
        raise Denied("these credentials are for reading")


def test_a_refusal_is_told_at_once() -> None:
    with pytest.raises(Denied, match="for reading"):
        create_once(DenyingStore(), "key", b"1", is_ours=b"1".__eq__, attempts=1)


def test_many_seeds_of_faults_never_lie() -> None:
    rates = dict.fromkeys(
        (Fault.LOST_RESPONSE, Fault.OWN_WRITE_412, Fault.ERROR_BEFORE, Fault.SPURIOUS_409, Fault.LATE, Fault.DUPLICATE), 0.15
    )
    committed = 0
    for seed in range(500):
        inner = MemoryStore()
        stores = [FaultyStore(inner, seed=seed * 2 + me, rates=rates) for me in range(2)]
        bodies = [uuid.uuid4().bytes for _ in stores]
        told = [attempt(store, body) for store, body in zip(stores, bodies, strict=True)]
        for store in stores:
            store.flush()
        assert [body == inner.get("key") for body in bodies] == told, f"seed {seed}: {stores[0].faults}, {stores[1].faults}"
        committed += sum(len(store.faults) for store in stores)
    assert committed > 200


class IgnoringStore(MemoryStore):
    """Takes the condition and ignores it, as Garage."""

    @override
    def create(self, key: str, data: Buffer) -> None:
        self.put(key, data)


class RefusingStore(MemoryStore):
    """Refuses the condition, as Swift."""

    @override
    def create(self, key: str, data: Buffer) -> None:
        raise Unsupported("HTTP 501: Conditional object PUTs are not supported.")


class MutteringStore(MemoryStore):
    """Refuses the condition in words that nobody knows."""

    @override
    def create(self, key: str, data: Buffer) -> None:
        raise StoreError("HTTP 400")


class RacyStore(MemoryStore):
    """Looks first and writes then: right for one writer."""

    @override
    def create(self, key: str, data: Buffer) -> None:
        try:
            self.get(key)
        except NotFound:
            time.sleep(0.01)  # where a server waits for its disk, others run
            return self.put(key, data)
        raise AlreadyExists(key)


class DeadStore(MutteringStore):
    """Writes nothing at all."""

    @override
    def put(self, key: str, data: Buffer) -> None:
        raise StoreError("nobody answers")


@pytest.mark.parametrize("look", [probe, probe_quickly])
def test_a_probe_is_content_with_a_good_store(look: type) -> None:
    store = MemoryStore()
    assert (look(store, "a/").put_if_absent, look(store, "a/").reasons, keys(store)) == (True, (), [])


@pytest.mark.parametrize("look", [probe, probe_quickly])
@pytest.mark.parametrize(("kind", "words"), [(IgnoringStore, "ignores"), (RefusingStore, "refuses"), (MutteringStore, "refuses")])
def test_a_probe_finds_out(look: type, kind: type[MemoryStore], words: str) -> None:
    store = kind()
    found = look(store, "a/")
    assert (found.put_if_absent, words in found.reasons[0], keys(store)) == (False, True, [])


def test_a_probe_finds_a_store_that_fails_only_in_a_race() -> None:
    store = RacyStore()
    assert probe_quickly(store, "a/").put_if_absent
    assert "race" in probe(store, "a/").reasons[0]


def test_a_store_without_create_has_no_put_if_absent() -> None:
    class Plain:
        """Has the other verbs only."""

        def __init__(self, store: MemoryStore) -> None:
            for verb in ("get", "get_range", "head", "list", "list_folders", "put", "delete"):
                setattr(self, verb, getattr(store, verb))

    assert probe(Plain(MemoryStore()), "a/").reasons == ("this store has no put-if-absent",)  # type: ignore[arg-type]  # its verbs are set late


def test_a_probe_of_a_store_that_does_not_work_is_an_error() -> None:
    with pytest.raises(StoreError, match="nobody answers"):
        probe(DeadStore(), "a/")


def test_a_probe_of_a_store_that_may_not_be_written_is_an_error() -> None:
    with pytest.raises(Denied):
        probe_quickly(DenyingStore(), "a/")
