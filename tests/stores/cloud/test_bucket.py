"""The store in a bucket, against a server that answers as each test says."""

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import traceback
import warnings
from collections.abc import Callable, Mapping
from urllib.parse import unquote

import pytest
from tests.servers.s3 import S3Server
from tests.servers.scripted import Answer, Request, Script, scripted_store

from kist.errors import AlreadyExists, Denied, InvalidInput, KistError, NotFound, StoreError, Unauthenticated, Unsupported
from kist.stores.cloud import open_cloud
from kist.stores.conditional import create_once, probe_quickly
from kist.stores.protocols import ConditionalStore
from kist.testing.store_suite import keys

WRITTEN = {"Last-Modified": "Fri, 20 Nov 2026 09:00:00 GMT"}
CALLS: Mapping[str, Callable[[ConditionalStore], object]] = {
    "get": lambda store: store.get("a"),
    "get_range": lambda store: store.get_range("a", start=2, end=5),
    "head": lambda store: store.head("a"),
    "list": keys,
    "list_folders": lambda store: store.list_folders("a/"),
    "put": lambda store: store.put("a", b"ours"),
    "create": lambda store: store.create("a", b"ours"),
    "delete": lambda store: store.delete("a"),
}
READS, WRITES = ("get", "get_range", "head", "list", "list_folders"), ("put", "create", "delete")


def failure(status: int, code: str = "Foo", message: str = "the reason") -> Answer:
    return Answer(status=status, body=f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode())


def listing(*names: str) -> Answer:
    entry = "<Contents><Key>{}</Key><LastModified>2026-11-20T09:00:00.000Z</LastModified><ETag>0</ETag><Size>1</Size></Contents>"
    body = f"<ListBucketResult><IsTruncated>false</IsTruncated>{''.join(map(entry.format, names))}</ListBucketResult>"
    return Answer(body=body.encode())


class Sequence:
    """Gives one answer after another, the last for ever, and notes what was asked."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[Request] = []

    def __call__(self, request: Request) -> Answer:
        self.asked.append(request)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class Bucket:
    """An honest server of one bucket, whose answer to a PUT is lost as often as told."""

    def __init__(self, *, lost: int, status: int = 0) -> None:
        self.objects: dict[str, bytes] = {}
        self.lost, self.status = lost, status

    def __call__(self, request: Request) -> Answer:
        if request.method == "GET":
            body = self.objects.get(request.path)
            return failure(404, "NoSuchKey") if body is None else Answer(body=body, headers=WRITTEN)
        if request.path in self.objects and "if-none-match" in {name.lower() for name in request.headers}:
            return failure(412)
        self.objects[request.path] = request.body
        self.lost -= 1
        return (failure(self.status) if self.status else Answer(lost=True)) if self.lost >= 0 else Answer()


@pytest.mark.parametrize("verb", CALLS)
@pytest.mark.parametrize(
    ("status", "kind", "advice"),
    [
        (400, StoreError, "the store failed"),
        (401, Unauthenticated, "not accepted"),
        (403, Denied, "don't allow"),
        (405, Unsupported, "can't do it"),
        (429, StoreError, "overloaded"),
        (500, StoreError, "the store failed"),
        (501, Unsupported, "can't do it"),
        (503, StoreError, "overloaded"),
        (507, StoreError, "no room"),
    ],
)
def test_every_status_has_a_meaning(verb: str, status: int, kind: type[KistError], advice: str) -> None:
    with scripted_store(lambda _: failure(status), max_retries=0) as store, pytest.raises(KistError) as caught:
        CALLS[verb](store)
    assert type(caught.value) is kind
    assert advice in str(caught.value)
    assert f"(HTTP {status}" in str(caught.value)


def test_a_message_says_what_the_server_said() -> None:
    script = Sequence(failure(403, "AccessDenied", "not on a Friday"))
    words = r"can't read 'a' from s3://bucket/: .*\(HTTP 403 AccessDenied not on a Friday\)"
    with scripted_store(script) as store, pytest.raises(Denied, match=words):
        store.get("a")


@pytest.mark.parametrize("verb", ["get", "get_range", "head"])
def test_a_missing_object_is_not_found(verb: str) -> None:
    with scripted_store(lambda _: failure(404, "NoSuchKey")) as store, pytest.raises(NotFound):
        CALLS[verb](store)


@pytest.mark.parametrize("verb", ["get", "get_range", "list", "list_folders", "put", "create", "delete"])
def test_a_missing_bucket_is_a_failure(verb: str) -> None:
    with scripted_store(lambda _: failure(404, "NoSuchBucket")) as store, pytest.raises(StoreError, match="no such bucket"):
        CALLS[verb](store)


def test_delete_of_what_is_missing_is_no_error() -> None:
    with scripted_store(lambda _: failure(404, "NoSuchKey")) as store:
        store.delete("a")


@pytest.mark.parametrize("status", [409, 412])
def test_create_of_what_exists(status: int) -> None:
    with scripted_store(lambda _: failure(status)) as store, pytest.raises(AlreadyExists):
        store.create("a", b"1")


def test_put_never_says_that_a_key_exists() -> None:
    with scripted_store(lambda _: failure(409)) as store, pytest.raises(StoreError, match="others keep writing it"):
        store.put("a", b"1")


def test_put_tries_again_when_others_write() -> None:
    script = Sequence(failure(409), failure(409), Answer())
    with scripted_store(script) as store:
        store.put("a", b"1")
    assert len(script.asked) == 3


def test_nobody_there() -> None:
    store = open_cloud("s3://bucket", endpoint="http://127.0.0.1:1", access_key_id="a", secret_access_key="b", max_retries=0)
    with pytest.raises(StoreError, match="nobody answers"):
        store.get("a")


def test_plain_http_must_be_asked_for() -> None:
    store = open_cloud("s3://bucket", endpoint="http://192.0.2.1:1", access_key_id="a", secret_access_key="b")
    with pytest.raises(InvalidInput, match="allow_http"):
        store.get("a")


def test_a_wrong_region_is_told() -> None:
    with scripted_store(lambda _: Answer(status=301)) as store, pytest.raises(InvalidInput, match="another region"):
        store.get("a")


def test_silence_ends() -> None:
    def sleep(_: Request) -> Answer:
        signal.sigtimedwait([], 3)
        return Answer()

    with scripted_store(sleep, timeout_seconds=0.2, max_retries=0) as store, pytest.raises(StoreError):
        store.get("a")


@pytest.mark.parametrize("status", [0, 503], ids=["connection closed", "503 after it was applied"])
def test_an_overwrite_survives_a_lost_answer(status: int) -> None:
    bucket = Bucket(lost=1, status=status)
    with scripted_store(bucket) as store:
        store.put("a", b"ours")
    assert bucket.objects == {"/bucket/a": b"ours"}


@pytest.mark.parametrize("status", [0, 503], ids=["connection closed", "503 after it was applied"])
def test_a_create_whose_answer_is_lost_meets_its_own_write(status: int) -> None:
    with scripted_store(Bucket(lost=1, status=status)) as store:
        with pytest.raises(AlreadyExists):
            store.create("a", b"ours")
        assert store.get("a") == b"ours"


@pytest.mark.parametrize("status", [0, 503], ids=["connection closed", "503 after it was applied"])
def test_create_once_knows_its_own_write(status: int) -> None:
    with scripted_store(Bucket(lost=1, status=status)) as store:
        assert create_once(store, "a", b"ours", is_ours=b"ours".__eq__) is True


def test_a_probe_of_a_server_that_refuses_conditions() -> None:
    def swift(request: Request) -> Answer:
        conditional = "if-none-match" in {name.lower() for name in request.headers}
        if request.method == "GET":
            return failure(404, "NoSuchKey")
        return failure(501, "NotImplemented", "Conditional object PUTs are not supported.") if conditional else Answer()

    with scripted_store(swift, max_retries=0) as store:
        assert "Conditional object PUTs are not supported" in probe_quickly(store, "p/").reasons[0]


def part(body: bytes, said: str) -> Answer:
    return Answer(status=206, body=body, headers={**WRITTEN, "Content-Range": said})


def test_a_range() -> None:
    script = Sequence(part(b"234", "bytes 2-4/10"))
    with scripted_store(script) as store:
        assert store.get_range("a", start=2, end=5) == b"234"
    assert {name.lower(): value for name, value in script.asked[0].headers.items()}["range"] == "bytes=2-4"


@pytest.mark.parametrize(
    "answer",
    [
        part(b"345", "bytes 3-5/10"),
        part(b"23", "bytes 2-3/10"),
        part(b"23", "bytes 2-4/10"),
        part(b"23456", "bytes 2-4/10"),
        Answer(status=206, body=b"234", headers=WRITTEN),
    ],
    ids=["another", "shorter", "truncated", "longer", "unnamed"],
)
def test_another_range_is_an_error(answer: Answer) -> None:
    with scripted_store(lambda _: answer, max_retries=0) as store, pytest.raises(StoreError):
        store.get_range("a", start=2, end=5)


def test_a_server_without_ranges_is_read_whole() -> None:
    script = Sequence(Answer(body=b"0123456789", headers=WRITTEN))
    with scripted_store(script) as store:
        assert [store.get_range("a", start=n, end=n + 3) for n in (2, 8, 20)] == [b"234", b"89", b""]
    assert len(script.asked) == 4  # the first was asked for twice


def test_a_truncated_object_is_an_error() -> None:
    answer = Answer(body=b"0123", headers={**WRITTEN, "Content-Length": "10"})
    with scripted_store(lambda _: answer, timeout_seconds=0.3, max_retries=0) as store, pytest.raises(StoreError):
        store.get("a")


def test_an_object_without_a_time_is_an_error() -> None:
    with scripted_store(lambda _: Answer(body=b"1")) as store, pytest.raises(StoreError, match="does not say when"):
        store.head("a")


def test_a_page_out_of_order_is_sorted() -> None:
    with scripted_store(lambda _: listing("b", "a/1", "a-1", "c")) as store:
        assert keys(store) == ["a-1", "a/1", "b", "c"]


def test_a_server_that_ignores_where_to_start_is_corrected() -> None:
    with scripted_store(lambda _: listing("a", "b", "c")) as store:
        assert keys(store, start_after="a") == ["b", "c"]


def test_a_listing_ends_behind_its_prefix() -> None:
    script = Sequence(listing("p/a", "p/b", "p/c"))
    with scripted_store(script) as store:
        assert keys(store, "p/b") == ["p/b"]
    assert "start-after=p/a~~~~" in unquote(script.asked[0].path)


def test_garbage_instead_of_a_listing_is_an_error() -> None:
    with scripted_store(lambda _: Answer(body=b"<html>")) as store, pytest.raises(StoreError):
        keys(store)


def test_a_listing_asks_for_one_page_only() -> None:
    page = listing(*[f"k{number:04}" for number in range(1000)]).body.replace(
        b"<IsTruncated>false</IsTruncated>", b"<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>"
    )
    script = Sequence(Answer(body=page))
    with scripted_store(script) as store:
        assert next(store.list()).key == "k0000"
    assert len(script.asked) == 1


def test_secrets_never_show() -> None:
    leaky: Script = lambda _: failure(403, "Foo", "your key is very-secret-key")  # noqa: E731  a script
    with scripted_store(leaky) as store:
        with pytest.raises(Denied) as caught:
            store.get("a")
        shown = "".join(traceback.format_exception(caught.value)) + repr(store) + str(store)
    assert "very-secret-key" not in shown
    assert "your key is ***" in shown


def test_a_secret_of_the_environment_does_not_show() -> None:
    code = """
import traceback
from kist.stores.cloud import open_cloud
from tests.servers.scripted import Answer, scripted_store
with scripted_store(lambda _: Answer(status=403, body=b"<Message>env-secret-value</Message>"), secret_access_key=None) as store:
    try:
        store.get("a")
    except PermissionError:
        print(traceback.format_exc(), repr(store))
"""
    env = {**os.environ, "AWS_SECRET_ACCESS_KEY": "env-secret-value", "PYTHONPATH": os.pathsep.join(["src", "."])}
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env).stdout
    assert "***" in shown
    assert "env-secret-value" not in shown


def test_secrets_are_not_pickled() -> None:
    with pytest.raises(InvalidInput, match="not pickled"):
        pickle.dumps(open_cloud("s3://bucket/p", access_key_id="a", secret_access_key="very-secret-key"))


def test_a_store_with_secrets_of_the_environment_travels_as_its_url() -> None:
    store = pickle.loads(pickle.dumps(open_cloud("s3://bucket/p q")))
    assert repr(store) == "<S3Store s3://bucket/p q>"


@pytest.mark.parametrize(
    "url",
    [
        "s3://",
        "s3:///x",
        "s3://key:secret1@bucket/x",
        "s3://bucket:9000/x",
        "s3://bucket/a?region=x",
        "s3://bucket/a#b",
        "s3://bucket/a/../b",
    ],
)
def test_what_is_no_url_of_a_bucket(url: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        open_cloud(url)
    assert "secret1" not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {"nonsense": "x"},
        {"region": 5},
        {"skip_signature": "maybe"},
        {"timeout_seconds": "soon"},
        {"timeout_seconds": 0},
        {"max_retries": -1},
    ],
    ids=str,
)
def test_what_is_no_option(options: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        open_cloud("s3://bucket", **options)  # type: ignore[arg-type]  # none is called create


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("gs://bucket/p", {"skip_signature": True}),
        ("az://container/p", {"account_name": "account"}),
        ("abfss://container@account.dfs.core.windows.net/p", {}),
    ],
)
def test_other_clouds_open(url: str, options: dict[str, object]) -> None:
    assert "/p" in open_cloud(url, **options).url  # type: ignore[arg-type]  # none is called create


def _use_in_child(store: ConditionalStore) -> None:
    signal.alarm(10)
    try:
        store.get("a")
    except StoreError as error:
        os._exit(0 if "forked" in str(error) else 1)


def test_a_forked_child_gets_an_error_instead_of_hanging() -> None:
    with scripted_store(lambda _: Answer(headers=WRITTEN)) as store, warnings.catch_warnings():
        store.get("a")
        warnings.simplefilter("ignore", DeprecationWarning)  # Python warns of what is tested here
        child = multiprocessing.get_context("fork").Process(target=_use_in_child, args=(store,))
        child.start()
        child.join(20)
    assert child.exitcode == 0


@pytest.mark.peer("MiniStack")
def test_the_environment_suffices(ministack: S3Server) -> None:
    bucket = ministack.make_bucket()
    code = f"from kist.stores.urls import open_store; s = open_store('s3://{bucket}/p'); s.create('a', b'1'); print(s.get('a'))"
    env = {**os.environ, **ministack.environment(), "PYTHONPATH": "src"}
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env).stdout == "b'1'\n"
    assert ministack.store(bucket).get("p/a") == b"1"
