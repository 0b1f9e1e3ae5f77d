"""What only S3 stores do: parts, and copies between buckets; and what other clouds can't."""

import contextlib
import hashlib
import pickle
from collections.abc import Callable, Iterator
from urllib.parse import unquote

import pytest
from tests.servers.s3 import S3Server
from tests.servers.scripted import Answer, Request, Script, scripted_store

from kist.errors import Conflict, IntegrityError, InvalidInput, NotFound, StoreError, Unsupported
from kist.stores import budget
from kist.stores.cloud import CloudStore, S3Store, open_cloud
from kist.stores.protocols import PutParts
from kist.testing.transfer_suite import pattern

WRITTEN = {"Last-Modified": "Fri, 20 Nov 2026 09:00:00 GMT"}
BEGUN = Answer(body=b"<InitiateMultipartUploadResult><UploadId>up</UploadId></InitiateMultipartUploadResult>")
MD5 = hashlib.md5(b"abc").hexdigest()
BIG = 35 << 20


def s3_store(server: S3Server, bucket: str, prefix: str = "", **options: object) -> S3Store:
    store = server.store(bucket, prefix, **options)
    assert isinstance(store, S3Store)
    return store


@contextlib.contextmanager
def scripted(script: Script, **options: object) -> Iterator[S3Store]:
    with scripted_store(script, **options) as store:
        assert isinstance(store, S3Store)
        yield store


def failure(status: int, code: str) -> Answer:
    return Answer(status=status, body=f"<Error><Code>{code}</Code><Message>the reason</Message></Error>".encode())


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.peer(name)) for name in ("MiniStack", "Ceph")])
def server(request: pytest.FixtureRequest) -> S3Server:
    found = request.getfixturevalue(request.param.lower())
    assert isinstance(found, S3Server)
    return found


def test_a_stream_that_fails_leaves_no_parts(server: S3Server) -> None:
    bucket = server.make_bucket()

    def parts() -> Iterator[bytes]:
        yield pattern(BIG)
        raise ZeroDivisionError

    store = s3_store(server, bucket)
    with pytest.raises(ZeroDivisionError):
        store.put_stream("a", parts())
    assert b"<Upload>" not in server.request("GET", f"/{bucket}", query="uploads=")


def test_an_upload_that_is_given_up_leaves_no_parts(server: S3Server) -> None:
    bucket = server.make_bucket()
    upload = s3_store(server, bucket).begin_parts("a", size_bytes=3)
    upload.put_part(0, b"abc")
    assert b"<Upload>" in server.request("GET", f"/{bucket}", query="uploads=")
    upload.abort()
    upload.abort()
    assert b"<Upload>" not in server.request("GET", f"/{bucket}", query="uploads=")


def test_a_copy_between_buckets(server: S3Server) -> None:
    source, target = s3_store(server, server.make_bucket(), "from here"), s3_store(server, server.make_bucket(), "to/there")
    source.put("a b/c+d%20é", b"content")
    assert target.copy_from(source, "a b/c+d%20é", "e f/+%20é")
    assert target.get("e f/+%20é") == b"content"


class CopiesInParts(S3Store):
    copy_bytes = 1 << 20


def test_a_big_object_is_copied_in_parts(server: S3Server) -> None:
    source, content = s3_store(server, server.make_bucket(), "p q"), pattern(BIG)
    source.put("a é", content)
    target = CopiesInParts(s3_store(server, server.make_bucket(), "r s").connection)
    assert target.copy_from(source, "a é", "b+c")
    assert target.get("b+c") == content


@pytest.mark.parametrize(
    "other", [{"access_key_id": "another"}, {"endpoint": "http://127.0.0.1:1"}, {"secret_access_key": "another"}], ids=str
)
def test_a_store_of_another_service_or_user_is_no_source(other: dict[str, object]) -> None:
    options: dict[str, object] = {"endpoint": "http://127.0.0.1:2", "access_key_id": "one", "secret_access_key": "one-secret"}
    source, target = open_s3(**{**options, **other}), open_s3(**options)  # type: ignore[arg-type]  # none is called where
    assert target.copy_from(source, "a", "b") is False


def open_s3(where: str = "s3://bucket/p", **options: object) -> S3Store:
    store = open_cloud(where, **options)  # type: ignore[arg-type]  # none is called create
    assert isinstance(store, S3Store)
    return store


def test_a_stream_may_read_from_its_own_store_with_a_budget_of_one(server: S3Server) -> None:
    store = s3_store(server, server.make_bucket())
    content = pattern(BIG)
    store.put("a", content)
    meta = store.head("a")
    budget.configure(requests=1)
    try:
        store.put_stream("b", (store.get_part(meta, start=start, end=start + (8 << 20)) for start in range(0, BIG, 8 << 20)))
    finally:
        budget.configure(requests=budget.REQUESTS)
    assert store.get("b") == content


@pytest.mark.parametrize("versioned", [False, True])
def test_whether_a_bucket_keeps_versions(server: S3Server, versioned: bool) -> None:  # noqa: FBT001  pytest passes it
    assert s3_store(server, server.make_bucket(versioned=versioned)).versioned() is versioned


@pytest.mark.peer("Garage")
def test_garage_keeps_no_versions(garage: S3Server) -> None:
    assert s3_store(garage, garage.make_bucket()).versioned() is False


@pytest.mark.peer("rclone")
def test_rclone_keeps_no_versions(rclone_s3: S3Server) -> None:
    assert s3_store(rclone_s3, rclone_s3.make_bucket()).versioned() is False


def test_only_s3_takes_parts() -> None:
    assert isinstance(open_cloud("s3://bucket", access_key_id="a", secret_access_key="b"), PutParts)
    assert not isinstance(open_cloud("az://container", account_name="a"), PutParts)


@pytest.mark.parametrize("code", ["BadDigest", "XAmzContentSHA256Mismatch"])
def test_other_bytes_are_an_integrity_error(code: str) -> None:
    with scripted(lambda request: BEGUN if request.method == "POST" else failure(400, code)) as store:
        with pytest.raises(IntegrityError, match="other bytes"):
            store.put("a", b"abc")
        with pytest.raises(IntegrityError, match="other bytes"):
            store.begin_parts("a", size_bytes=3).put_part(0, b"abc")


def test_a_part_is_signed_with_its_sha256() -> None:
    asked: list[Request] = []

    def script(request: Request) -> Answer:
        asked.append(request)
        return BEGUN if request.method == "POST" else Answer()

    with scripted(script) as store:
        store.begin_parts("a", size_bytes=3).put_part(0, b"abc")
    assert {name.lower(): value for name, value in asked[-1].headers.items()}["x-amz-content-sha256"] == hashlib.sha256(b"abc").hexdigest()


class Forgetful:
    """A server that makes the object, loses its answer, and then knows the upload no more; `etag` is the object's."""

    def __init__(self, etag: str) -> None:
        self.etag = etag
        self.finished = 0

    def __call__(self, request: Request) -> Answer:
        if request.method == "HEAD":
            return Answer(body=b"abc", headers={**WRITTEN, "ETag": f'"{self.etag}"', "Content-Length": "3"})
        if request.method == "PUT":
            return Answer(headers={"ETag": f'"{MD5}"'})
        if "uploads" in request.path:
            return BEGUN
        self.finished += 1
        return Answer(lost=True) if self.finished == 1 else failure(404, "NoSuchUpload")


def test_a_finish_whose_answer_was_lost_is_done() -> None:
    with scripted(Forgetful(f"{hashlib.md5(bytes.fromhex(MD5)).hexdigest()}-1")) as store:
        upload = store.begin_parts("a", size_bytes=3)
        upload.finish([upload.put_part(0, b"abc")])


def test_an_upload_that_somebody_ended_is_not_done() -> None:
    with scripted(Forgetful("another")) as store:
        upload = store.begin_parts("a", size_bytes=3)
        with pytest.raises(StoreError, match="upload is gone"):
            upload.finish([upload.put_part(0, b"abc")])


def test_parts_are_listed_page_by_page() -> None:
    def script(request: Request) -> Answer:
        numbers, more = ((2,), "false") if "part-number-marker=1" in request.path else ((1,), "true")
        parts = "".join(
            f"<Part><PartNumber>{n}</PartNumber><ETag>e{n}</ETag><Size>{(16 << 20) if n == 1 else 5}</Size></Part>" for n in numbers
        )
        return Answer(body=f"<ListPartsResult><IsTruncated>{more}</IsTruncated>{parts}</ListPartsResult>".encode())

    with scripted(script) as store:
        assert store.take_up("a", f"{(16 << 20) + 5}:{16 << 20}:up")[1] == {0: "e1", 1: "e2"}


def test_a_part_of_another_length_is_not_taken_up() -> None:
    part = "<Part><PartNumber>1</PartNumber><ETag>e</ETag><Size>2</Size></Part>"
    with scripted(lambda _: Answer(body=f"<ListPartsResult>{part}</ListPartsResult>".encode())) as store:
        assert store.take_up("a", f"3:{16 << 20}:up")[1] == {}


def test_parts_are_at_most_ten_thousand() -> None:
    with scripted(lambda _: BEGUN) as store:
        for size in (0, 1 << 20, 160 << 30, 5 << 40):
            part = store.begin_parts("a", size_bytes=size).part_bytes
            assert part >= 8 << 20
            assert size <= part * 10_000


@pytest.mark.parametrize("token", ["", "up", "3:up", "3:0:up", "x:5:up", "3:5:"])
def test_what_is_no_token(token: str) -> None:
    with pytest.raises(InvalidInput):
        open_s3(access_key_id="a", secret_access_key="b").take_up("a", token)


@pytest.mark.parametrize(("number", "data"), [(0, b"ab"), (1, b"abc"), (-1, b"abc")])
def test_what_is_no_part(number: int, data: bytes) -> None:
    with scripted(lambda _: BEGUN) as store, pytest.raises(InvalidInput):
        store.begin_parts("a", size_bytes=3).put_part(number, data)


def test_an_upload_to_a_missing_bucket() -> None:
    with scripted(lambda _: failure(404, "NoSuchBucket")) as store, pytest.raises(StoreError, match="no such bucket") as caught:
        store.begin_parts("a", size_bytes=3)
    assert not isinstance(caught.value, NotFound)


def test_a_source_that_changes_is_no_source() -> None:
    etags = iter(["1", "1", "2"])

    def script(request: Request) -> Answer:
        if request.method == "HEAD":
            return Answer(headers={**WRITTEN, "ETag": f'"{next(etags)}"', "Content-Length": str(2 << 20)}, body=bytes(2 << 20))
        if request.method == "PUT":
            return Answer(body=b"<CopyPartResult><ETag>e</ETag></CopyPartResult>")
        return Answer(status=204) if request.method == "DELETE" else BEGUN

    with scripted(script) as store, pytest.raises(Conflict, match="changed while it was copied"):
        CopiesInParts(store.connection).copy_from(store, "a", "b")


def test_plain_http_must_be_asked_for_by_parts_too() -> None:
    with pytest.raises(InvalidInput, match="allow_http"):
        open_s3(endpoint="http://192.0.2.1:1", access_key_id="a", secret_access_key="b").begin_parts("a", size_bytes=1)


def test_nobody_there_for_parts() -> None:
    store = open_s3(endpoint="http://127.0.0.1:1", access_key_id="a", secret_access_key="b", max_retries=0)
    with pytest.raises(StoreError, match="nobody answers"):
        store.begin_parts("a", size_bytes=1)


def test_secrets_do_not_show_in_errors_of_parts() -> None:
    with scripted(lambda _: failure(403, "very-secret-key")) as store, pytest.raises(PermissionError) as caught:
        store.begin_parts("a", size_bytes=1)
    assert "very-secret-key" not in f"{caught.value!r}{caught.value.__cause__!r}"
    assert "***" in str(caught.value)


def test_who_is_anonymous_can_not_sign() -> None:
    with pytest.raises(Unsupported, match="without credentials"):
        open_s3(anonymous=True).signed_url("a", expires_in_seconds=60)


def test_a_pickled_store_keeps_its_options() -> None:
    store = pickle.loads(pickle.dumps(open_s3(endpoint="https://s3.example.org", region="there", anonymous=True)))
    assert isinstance(store, CloudStore)
    assert (dict(store.connection.clients.requests.config)["endpoint"], store.connection.clients.anonymous) == (
        "https://s3.example.org",
        True,
    )


CLOUDS: dict[str, Callable[[], CloudStore]] = {
    "shared access signature": lambda: open_cloud("az://container/p", account_name="a", sas_token="sig=abc&se=1"),
    "no key, odd name": lambda: open_cloud("az://container/p q", account_name="a", client_id="c", client_secret="d", tenant_id="e"),
}


@pytest.mark.parametrize("cloud", CLOUDS)
def test_what_can_not_sign_says_so(cloud: str) -> None:
    with pytest.raises(Unsupported, match="sign"):
        CLOUDS[cloud]().signed_url("a", expires_in_seconds=60)


def test_a_wrong_account_key_does_not_show() -> None:
    with pytest.raises(InvalidInput) as caught:
        open_cloud("az://container/p", account_name="a", account_key="no base64!").signed_url("a", expires_in_seconds=60)
    assert "no base64!" not in f"{caught.value!r}{caught.value.__cause__!r}"


def test_azure_can_not_have_a_backslash() -> None:
    with pytest.raises(InvalidInput, match="backslash"):
        open_cloud("az://container/p", account_name="a").put("a\\b", b"")


def test_google_removes_the_pieces_of_a_stream_that_fails() -> None:
    asked: list[tuple[str, str]] = []

    def script(request: Request) -> Answer:
        asked.append((request.method, unquote(request.path.partition("?")[0])))
        return BEGUN if request.method == "POST" else Answer()

    def parts() -> Iterator[bytes]:
        yield pattern(BIG)
        raise ZeroDivisionError

    with scripted(script) as ours:
        endpoint = dict(ours.connection.clients.requests.config)["endpoint"]
        store = open_cloud("gs://bucket/p", endpoint=endpoint, bearer_token="a-bearer-token")
        with pytest.raises(ZeroDivisionError):
            store.put_stream("a b", parts())
    assert {path for _, path in asked} == {"/bucket/p/a b"}
    assert [[method for method, _ in asked].count(method) for method in ("POST", "DELETE")] == [1, 1]
