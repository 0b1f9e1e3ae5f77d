"""What real servers honour: the suite on each, and the facts that ``docs/explanation/stores.md`` tells."""

import uuid
from collections.abc import Callable
from functools import partial
from typing import override

import pytest
from tests.servers.s3 import S3Server

from kist.errors import Denied, StoreError
from kist.stores.conditional import probe, probe_quickly
from kist.stores.protocols import ConditionalStore, Store
from kist.testing.store_suite import ConditionalStoreSuite, StoreSuite, keys


def new_store(server: S3Server) -> ConditionalStore:
    return server.store(server.make_bucket(), f"pre fix/{uuid.uuid4().hex}")


@pytest.mark.peer("MiniStack")
class TestMiniStack(ConditionalStoreSuite):
    has_overlaps = True

    @pytest.fixture
    def store(self, ministack: S3Server) -> ConditionalStore:
        return new_store(ministack)


@pytest.mark.peer("Ceph")
class TestCeph(ConditionalStoreSuite):
    has_overlaps = True

    @pytest.fixture
    def store(self, ceph: S3Server) -> ConditionalStore:
        return new_store(ceph)


@pytest.mark.peer("Garage")
class TestGarage(StoreSuite):
    has_overlaps = True

    @pytest.fixture
    def store(self, garage: S3Server) -> ConditionalStore:
        return new_store(garage)


@pytest.mark.peer("rclone")
class TestRclone(StoreSuite):
    @pytest.fixture
    def store(self, rclone_s3: S3Server) -> ConditionalStore:
        return new_store(rclone_s3)

    @pytest.mark.xfail(reason="rclone serve s3 deletes the object itself; the engine never has keys below an object")
    @override
    def test_to_delete_below_an_object_is_no_error(self, store: Store) -> None:
        super().test_to_delete_below_an_object_is_no_error(store)


@pytest.mark.peer("Ceph")
def test_ceph_ignores_put_if_absent_in_a_versioned_bucket(ceph: S3Server) -> None:
    store = ceph.store(ceph.make_bucket(versioned=True), "a")
    for look in (probe, probe_quickly):
        found = look(store, "p/")
        assert (found.put_if_absent, "ignores" in found.reasons[0]) == (False, True)


@pytest.mark.peer("MiniStack")
def test_ministack_honours_put_if_absent_in_a_versioned_bucket(ministack: S3Server) -> None:
    assert probe(ministack.store(ministack.make_bucket(versioned=True)), "p/").put_if_absent


@pytest.mark.peer("Garage")
def test_garage_ignores_put_if_absent(garage: S3Server) -> None:
    store = new_store(garage)
    for look in (probe, probe_quickly):
        found = look(store, "p/")
        assert (found.put_if_absent, "ignores" in found.reasons[0], keys(store)) == (False, True, [])


@pytest.mark.peer("rclone")
def test_rclone_ignores_put_if_absent(rclone_s3: S3Server) -> None:
    store = new_store(rclone_s3)
    found = probe_quickly(store, "p/")
    assert (found.put_if_absent, "ignores" in found.reasons[0], keys(store)) == (False, True, [])


@pytest.mark.peer("Ceph")
def test_ceph_refuses_a_wrong_secret(ceph: S3Server) -> None:
    store = ceph.store(ceph.make_bucket(), secret_access_key="not-the-secret-key")
    with pytest.raises(Denied, match="SignatureDoesNotMatch") as caught:
        store.get("a")
    assert "not-the-secret-key" not in f"{caught.value!r} {caught.value.__cause__!r} {store!r}"


@pytest.mark.peer("Ceph")
@pytest.mark.parametrize("verb", ["get", "put", "create", "list"])
def test_a_missing_bucket_is_no_missing_object(ceph: S3Server, verb: str) -> None:
    store = ceph.store("no-such-bucket")
    calls: dict[str, Callable[[], object]] = {
        "get": partial(store.get, "a"),
        "put": partial(store.put, "a", b""),
        "create": partial(store.create, "a", b""),
        "list": partial(keys, store),
    }
    with pytest.raises(StoreError, match="no such bucket"):
        calls[verb]()
