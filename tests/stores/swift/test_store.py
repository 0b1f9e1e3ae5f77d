"""OpenStack Swift by its own API and by its S3 side, and OVH's URLs."""

import contextlib
import hashlib
import http.client
import json
import pickle
import threading
import uuid
from collections.abc import Buffer, Callable, Iterator
from functools import partial
from http import HTTPStatus
from urllib.parse import urlsplit

import pytest
import swiftclient  # type: ignore[import-untyped]  # it has no types
from tests.servers.swift import SwiftServer
from tests.servers.web import Asked, raw_server, said

from kist.errors import Conflict, IntegrityError, InvalidInput, NotFound, StoreError, Unauthenticated, Unsupported
from kist.stores.cloud import CloudStore
from kist.stores.conditional import probe, probe_quickly
from kist.stores.protocols import ConditionalStore, CopyFrom, Create, GetPart, GetStream, PutStream, Sign, Store
from kist.stores.swift import open_swift
from kist.stores.swift.options import account_from
from kist.stores.swift.store import SwiftStore
from kist.testing.sign_suite import SignSuite
from kist.testing.store_suite import StoreSuite, keys
from kist.testing.transfer_suite import CopySuite, GetPartSuite, PutStreamSuite

VARIABLES = [
    *(
        "OS_AUTH_URL",
        "OS_USERNAME",
        "OS_PASSWORD",
        "OS_PROJECT_NAME",
        "OS_TENANT_NAME",
        "OS_PROJECT_ID",
        "OS_REGION_NAME",
        "OS_STORAGE_URL",
    ),
    *("OS_AUTH_TOKEN", "OS_IDENTITY_API_VERSION", "OS_AUTH_VERSION", "ST_AUTH", "ST_USER", "ST_KEY", "ST_AUTH_VERSION"),
]
SEGMENT_BYTES = 1000


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def container(swift: SwiftServer) -> str:
    return swift.make_bucket()


@pytest.fixture
def store(swift: SwiftServer, container: str) -> SwiftStore:
    return opened(swift, container, "pre fix")


@pytest.fixture
def signing(swift: SwiftServer) -> Store:
    return swift.swift(swift.make_signing_container(), "pre fix", temp_url_key=swift.secret_key)


def opened(swift: SwiftServer, container: str, prefix: str = "", **options: object) -> SwiftStore:
    store = swift.swift(container, prefix, **{"segment_bytes": SEGMENT_BYTES, "max_retries": 1, **options})
    assert isinstance(store, SwiftStore)
    return store


def admin(swift: SwiftServer) -> swiftclient.Connection:
    return swiftclient.Connection(swift.auth_url, swift.access_key, swift.secret_key, timeout=20, retries=1)


def segments(swift: SwiftServer, container: str) -> list[str]:
    """Return what is in the container of segments."""
    connection = admin(swift)
    try:
        return [entry["name"] for entry in connection.get_container(f"{container}_segments", full_listing=True)[1]]
    except swiftclient.ClientException:
        return []
    finally:
        connection.close()


@pytest.mark.peer("Swift")
class TestSwift(GetPartSuite, PutStreamSuite, CopySuite, SignSuite, StoreSuite):
    has_overlaps = True

    @pytest.fixture
    def store(self, signing: Store) -> Store:
        return signing

    @pytest.fixture
    def other(self, swift: SwiftServer) -> Store:
        return swift.swift(swift.make_bucket(), f"ö ther/{uuid.uuid4().hex}", temp_url_key="very-secret")


@pytest.mark.peer("Swift")
class TestSwiftBySegments(StoreSuite):
    """The suite again, in a container where big objects were stored."""

    has_overlaps = True
    many_keys = 30

    @pytest.fixture
    def store(self, swift: SwiftServer) -> Store:
        store = opened(swift, swift.make_bucket(), "pre")
        store.put_stream("other", [bytes(3 * SEGMENT_BYTES)])
        store.delete("other")
        return store


@pytest.mark.peer("Swift")
class TestSwiftByS3(StoreSuite):
    has_overlaps = True
    replaces_in_one_step = False
    many_keys = 300

    @pytest.fixture
    def store(self, swift: SwiftServer) -> ConditionalStore:
        return swift.store(swift.make_bucket(), f"pre fix/{uuid.uuid4().hex}")


@pytest.mark.peer("Swift")
class TestWhatItIs:
    def test_it_has_every_verb_that_holds_and_no_create(self, store: SwiftStore) -> None:
        assert all(isinstance(store, protocol) for protocol in (GetPart, GetStream, PutStream, CopyFrom, Sign))
        assert not isinstance(store, Create)

    def test_put_if_absent_does_not_hold_in_a_race(self, swift: SwiftServer, container: str) -> None:
        """The reason why there is no `create`: of 16 writers, several are told that they made the object, now and then."""
        assert any(winners(swift, container, f"race-{number}") > 1 for number in range(60))

    def test_by_s3_it_is_refused(self, swift: SwiftServer, container: str) -> None:
        store = swift.store(container, "p")
        for look in (probe, probe_quickly):
            found = look(store, "x/")
            assert (found.put_if_absent, "refuses" in found.reasons[0], keys(store)) == (False, True, [])

    def test_it_travels_only_without_secrets(self, store: SwiftStore, swift: SwiftServer, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(InvalidInput, match="secrets"):
            pickle.dumps(store)
        for name, value in zip(("ST_AUTH", "ST_USER", "ST_KEY"), (swift.auth_url, swift.access_key, swift.secret_key), strict=True):
            monkeypatch.setenv(name, value)
        store.put("a", b"1")
        there = pickle.loads(pickle.dumps(open_swift(store.url.replace(" ", "%20"))))
        assert there.get("a") == b"1"

    def test_many_threads_use_one_store(self, store: SwiftStore) -> None:
        got: list[bytes] = []

        def work(number: int) -> None:
            store.put(str(number), str(number).encode())
            got.append(store.get(str(number)))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert sorted(got) == sorted(str(number).encode() for number in range(12))


def winners(swift: SwiftServer, container: str, key: str) -> int:
    """Let 16 writers create one key by Swift's own condition; return how many were told that they did."""
    won: list[int] = []
    start = threading.Barrier(16)
    url, token = swiftclient.get_auth(swift.auth_url, swift.access_key, swift.secret_key, auth_version="1", timeout=20)
    path = f"{urlsplit(url).path}/{container}/{key}"

    def create(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", swift.port, timeout=20)
        with contextlib.closing(connection):
            connection.connect()
            start.wait(30)
            connection.request("PUT", path, str(number), {"X-Auth-Token": token, "If-None-Match": "*"})
            if connection.getresponse().status == HTTPStatus.CREATED:
                won.append(number)

    threads = [threading.Thread(target=create, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return len(won)


@pytest.mark.peer("Swift")
class TestReading:
    def test_the_etag_of_small_objects_is_their_md5(self, store: SwiftStore) -> None:
        store.put("a", b"content")
        expected = hashlib.md5(b"content").hexdigest()
        assert (store.head("a").etag, next(iter(store.list())).etag) == (expected, expected)

    def test_a_part_is_of_the_object_that_was_looked_at(self, store: SwiftStore) -> None:
        store.put("a", b"0123456789")
        meta = store.head("a")
        assert store.get_part(meta, start=2, end=99) == b"23456789"
        store.put("a", b"abcdefghij")
        with pytest.raises(Conflict):
            store.get_part(meta, start=2, end=5)

    def test_a_stream_is_the_whole_object(self, store: SwiftStore) -> None:
        content = bytes(range(256)) * (3 << 12)
        store.put("a", content)
        assert b"".join(store.get_stream("a")) == content

    def test_a_stream_may_be_left(self, store: SwiftStore) -> None:
        store.put("a", bytes(3 << 20))
        stream = store.get_stream("a")
        next(stream)
        stream.close()
        assert len(store.get("a")) == 3 << 20

    def test_names_that_are_no_keys_are_not_listed(self, swift: SwiftServer, container: str) -> None:
        connection = admin(swift)
        for name in ("a/", "a//b", "a/d"):
            connection.put_object(container, name, "x")
        connection.close()
        assert (keys(opened(swift, container)), opened(swift, container).list_folders("a/")) == (["a/d"], [])

    @pytest.mark.parametrize("verb", ["get", "head", "put", "list", "stream"])
    def test_a_missing_container_is_no_missing_object(self, swift: SwiftServer, verb: str) -> None:
        store = opened(swift, "no-such-container")
        calls: dict[str, Callable[[], object]] = {
            "get": lambda: store.get("a"),
            "head": lambda: store.head("a"),
            "put": lambda: store.put("a", b""),
            "list": lambda: keys(store),
            "stream": lambda: list(store.get_stream("a")),
        }
        with pytest.raises(StoreError, match="no such container"):
            calls[verb]()

    def test_a_missing_object_streams_not_found(self, store: SwiftStore) -> None:
        with pytest.raises(NotFound):
            next(store.get_stream("a"))


@pytest.mark.peer("Swift")
class TestBigObjects:
    @pytest.fixture
    def left(self, swift: SwiftServer, container: str) -> Callable[[], list[str]]:
        """Say what is in the container of segments."""
        return partial(segments, swift, container)

    def test_a_long_stream_is_stored_in_segments(self, store: SwiftStore, left: Callable[[], list[str]]) -> None:
        content = bytes(range(250)) * 10
        store.put_stream("a", (content[at : at + 77] for at in range(0, len(content), 77)), size_bytes=len(content))
        assert (len(left()), keys(store)) == (3, ["a"])
        assert (store.get("a"), b"".join(store.get_stream("a")), store.head("a").size_bytes) == (content, content, 2500)
        assert store.get_range("a", start=900, end=2100) == content[900:2100]

    def test_head_and_list_tell_the_same_of_it(self, store: SwiftStore) -> None:
        store.put_stream("a", [bytes(2500)])
        [listed], head = store.list(), store.head("a")
        assert (listed.size_bytes, listed.etag) == (head.size_bytes, head.etag)
        assert store.get_part(listed, start=999, end=1001) == bytes(2)

    def test_a_part_of_a_changed_one_is_a_conflict(self, store: SwiftStore) -> None:
        store.put_stream("a", [bytes(2500)])
        meta = store.head("a")
        store.put_stream("a", [b"x" * 2500])
        with pytest.raises(Conflict):
            store.get_part(meta, start=2, end=5)

    def test_a_short_stream_is_a_plain_object(self, store: SwiftStore, left: Callable[[], list[str]]) -> None:
        parts: list[Buffer] = [b"one", bytearray(b"two")]
        store.put_stream("a", iter(parts), size_bytes=6)
        store.put_stream("empty", [])
        assert (store.get("a"), store.get("empty"), left()) == (b"onetwo", b"", [])

    @pytest.mark.parametrize("replace", ["put", "put_stream", "delete", "copy"])
    def test_segments_end_with_the_object(self, store: SwiftStore, replace: str, left: Callable[[], list[str]]) -> None:
        store.put("small", b"small")
        store.put_stream("a", [bytes(2500)])
        calls: dict[str, Callable[[], object]] = {
            "put": lambda: store.put("a", b"other"),
            "put_stream": lambda: store.put_stream("a", [b"other"]),
            "delete": lambda: store.delete("a"),
            "copy": lambda: store.copy_from(store, "small", "a"),
        }
        calls[replace]()
        assert left() == []

    def test_a_big_one_replaces_a_big_one(self, store: SwiftStore, left: Callable[[], list[str]]) -> None:
        store.put_stream("a", [bytes(2500)])
        store.put_stream("a", [b"x" * 3500])
        assert (store.get("a"), len(left())) == (b"x" * 3500, 4)

    def test_what_the_source_raises_leaves_everything_as_it_was(self, store: SwiftStore, left: Callable[[], list[str]]) -> None:
        def parts() -> Iterator[bytes]:
            yield bytes(2500)
            raise KeyboardInterrupt

        store.put("a", b"old")
        with pytest.raises(KeyboardInterrupt):
            store.put_stream("a", parts())
        assert (store.get("a"), left()) == (b"old", [])

    @pytest.mark.parametrize("announced", [10, 2400, 2600])
    def test_another_length_than_announced_replaces_nothing(self, store: SwiftStore, announced: int, left: Callable[[], list[str]]) -> None:
        store.put("a", b"old")
        with pytest.raises(IntegrityError, match="announced"):
            store.put_stream("a", [bytes(2500)], size_bytes=announced)
        assert (store.get("a"), left()) == (b"old", [])

    def test_a_buffer_may_be_reused_for_the_next_part(self, store: SwiftStore) -> None:
        buffer = bytearray(700)

        def parts() -> Iterator[Buffer]:
            for number in range(4):
                buffer[:] = bytes([number]) * 700
                yield buffer

        store.put_stream("a", parts())
        assert store.get("a") == b"".join(bytes([number]) * 700 for number in range(4))

    def test_segments_of_others_stay(self, swift: SwiftServer, container: str, store: SwiftStore, left: Callable[[], list[str]]) -> None:
        connection = admin(swift)
        connection.put_container(f"{container}_segments")
        etag = connection.put_object(f"{container}_segments", "theirs/1", "x" * 10)
        manifest = json.dumps([{"path": f"/{container}_segments/theirs/1", "etag": etag, "size_bytes": 10}])
        connection.put_object(container, "pre fix/a", manifest, query_string="multipart-manifest=put")
        connection.close()
        store.delete("a")
        assert left() == ["theirs/1"]


@pytest.mark.peer("Swift")
class TestCopying:
    def test_within_an_account_no_byte_passes_here(self, swift: SwiftServer, store: SwiftStore) -> None:
        other = opened(swift, swift.make_bucket(), "ö ther")
        store.put("a b/ä", b"content")
        assert other.copy_from(store, "a b/ä", "c d/ü")
        assert other.get("c d/ü") == b"content"

    def test_a_big_object_is_copied_too(self, swift: SwiftServer, store: SwiftStore) -> None:
        other = opened(swift, swift.make_bucket())
        store.put_stream("a", [bytes(2500)])
        assert other.copy_from(store, "a", "b")
        store.delete("a")
        assert other.get("b") == bytes(2500)

    def test_a_missing_source_is_not_found(self, store: SwiftStore) -> None:
        with pytest.raises(NotFound):
            store.copy_from(store, "missing", "b")

    def test_other_stores_are_declined(self, swift: SwiftServer, store: SwiftStore) -> None:
        assert not store.copy_from(object(), "a", "b")
        assert not store.copy_from(opened(swift, swift.make_bucket(), username="test:other"), "a", "b")


@pytest.mark.peer("Swift")
class TestSigning:
    def test_without_the_key_it_is_unsupported(self, store: SwiftStore) -> None:
        with pytest.raises(Unsupported, match="temp_url_key"):
            store.signed_url("a", expires_in_seconds=60)


@pytest.mark.peer("Swift")
class TestLogin:
    def test_a_wrong_password_is_not_accepted_and_not_told(self, swift: SwiftServer, container: str) -> None:
        store = opened(swift, container, password="very-wrong-secret")
        with pytest.raises(Unauthenticated) as caught:
            store.get("a")
        assert "very-wrong-secret" not in f"{caught.value!r} {store!r}"

    def test_a_token_that_ended_is_renewed(self, swift: SwiftServer, container: str) -> None:
        url, _ = swiftclient.get_auth(swift.auth_url, swift.access_key, swift.secret_key, auth_version="1", timeout=20)
        store = opened(swift, container, storage_url=url, token="ended")
        store.put("a", b"1")
        assert store.get("a") == b"1"

    def test_by_keystone_3_with_a_region(self, swift: SwiftServer, container: str) -> None:
        asked: list[str] = []
        with keystone(swift, asked) as url:
            names = {"auth_url": url, "user": "me", "key": "very-secret", "auth_version": "3", "tenant_name": "lab", "region_name": "GRA"}
            store = open_swift(f"swift://{container}", create=False, **names)
            store.put("a", b"1")
            assert store.get("a") == b"1"
            with pytest.raises(InvalidInput, match="region"):
                open_swift(f"swift://{container}", create=False, **{**names, "region_name": "XXX"}).get("a")
        assert '"name": "lab"' in asked[0]

    def test_by_keystone_3_with_a_wrong_password(self, swift: SwiftServer, container: str) -> None:
        with keystone(swift, []) as url:
            store = open_swift(f"swift://{container}", create=False, auth_url=url, username="me", password="very-wrong", project_name="lab")
            with pytest.raises(Unauthenticated) as caught:
                store.get("a")
        assert "very-wrong" not in str(caught.value)

    def test_nobody_there_is_a_clear_error(self) -> None:
        store = open_swift("swift://c", auth_url="http://127.0.0.1:1/auth/v1.0", username="a", password="b", max_retries=0)
        with pytest.raises(StoreError, match="is the server running"):
            store.get("a")


@contextlib.contextmanager
def keystone(swift: SwiftServer, asked: list[str]) -> Iterator[str]:
    """Stand in for Keystone, which hands out tokens for the account of a Swift that has only its own login."""
    account, token = swiftclient.get_auth(swift.auth_url, swift.access_key, swift.secret_key, auth_version="1", timeout=20)
    place = {"interface": "public", "region": "GRA", "region_id": "GRA", "url": account, "id": "1"}
    catalog = [{"type": "object-store", "name": "swift", "id": "1", "endpoints": [place]}]
    times = {"issued_at": "2026-01-01T00:00:00.000000Z", "expires_at": "2999-01-01T00:00:00.000000Z"}
    body = json.dumps({"token": {"catalog": catalog, "methods": ["password"], "user": {"id": "1", "name": "me"}, **times}}).encode()

    def say(request: Asked) -> list[bytes]:
        asked.append(request.body.decode())
        if "very-wrong" in asked[-1]:
            return said("401 Unauthorized", "Content-Length: 0")
        return said("201 Created", f"X-Subject-Token: {token}", "Content-Type: application/json", f"Content-Length: {len(body)}", body=body)

    with raw_server(say) as server:
        yield f"{server.url}/v3"


OPTIONS = {"auth_url": "https://auth.example/v3", "username": "me", "password": "very-secret", "project_name": "lab"}


class TestUrls:
    @pytest.mark.parametrize(
        "url", ["swift://", "swift:///a", "swift://me:pw@c/a", "swift://c:80/a", "swift://c/a?b", "swift://c/a#b", "swift://c/a/../b"]
    )
    def test_what_is_no_container_is_refused(self, url: str) -> None:
        with pytest.raises(InvalidInput) as caught:
            open_swift(url, create=False, **OPTIONS)
        assert "pw" not in str(caught.value)

    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"auth_url": "https://auth.example/v3"},
            {**OPTIONS, "auth_version": "4"},
            {**OPTIONS, "colour": "red"},
            {**OPTIONS, "timeout_seconds": "soon"},
            {**OPTIONS, "auth_url": "http://auth.example/v3"},
            {**OPTIONS, "auth_url": "ftp://auth.example/v3"},
        ],
    )
    def test_what_makes_no_sense_is_refused(self, options: dict[str, object]) -> None:
        with pytest.raises(InvalidInput) as caught:
            open_swift("swift://c", create=False, **options)
        assert "very-secret" not in str(caught.value)

    def test_no_password_of_the_environment_goes_to_a_given_address(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OS_USERNAME", "me")
        monkeypatch.setenv("OS_PASSWORD", "very-secret")
        with pytest.raises(InvalidInput, match="who asks"):
            open_swift("swift://c", auth_url="https://elsewhere.example/v3")

    def test_ovh_is_reached_by_swift_at_its_own_address(self) -> None:
        store = open_swift("ovh://my_container/my_file", username="me", password="very-secret", project_id="1", region="GRA")
        assert isinstance(store, SwiftStore)
        account = account_from({"username": "me", "password": "very-secret"}, auth_url="https://auth.cloud.ovh.net/v3")
        assert (store.url, account.get("auth_url"), account.auth_version) == (
            "ovh://my_container/my_file",
            "https://auth.cloud.ovh.net/v3",
            "3",
        )
        assert "very-secret" not in f"{store!r}{account!r}"

    def test_ovh_is_reached_by_s3_with_s3_keys(self) -> None:
        store = open_swift("ovh://my-container/p", access_key_id="AKID", secret_access_key="very-secret", region="GRA")
        assert isinstance(store, CloudStore)
        assert store.url == "s3://my-container/p"
        with pytest.raises(InvalidInput, match="region"):
            open_swift("ovh://my-container", access_key_id="AKID", secret_access_key="very-secret")

    @pytest.mark.peer("Swift")
    def test_an_ovh_container_is_read_by_s3(self, swift: SwiftServer, container: str) -> None:
        opened(swift, container, "p").put("a", b"1")
        keys_of = {"access_key_id": swift.access_key, "secret_access_key": swift.secret_key}
        store = open_swift(f"ovh://{container}/p", create=False, endpoint=swift.endpoint, region="us-east-1", **keys_of)
        assert store.get("a") == b"1"
