"""Copies and blocks of a bucket, against servers and networks that fail."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from tests.servers.proxy import Fault, Kind, proxying
from tests.servers.s3 import S3Server
from tests.servers.scripted import Answer, Request, scripted_store

from kist.errors import Conflict, NotFound, StoreError
from kist.stores.cloud import S3Store, open_cloud
from kist.stores.protocols import ObjectMeta
from kist.testing.transfer_suite import pattern

WRITTEN = {"Last-Modified": "Fri, 20 Nov 2026 09:00:00 GMT"}
META = ObjectMeta(key="a", size_bytes=10, modified=datetime(2026, 11, 20, 9, tzinfo=UTC), etag="0")
PLAIN = replace(META, etag=32 * "a")
COPIED = Answer(body=b"<CopyObjectResult><ETag>&quot;e&quot;</ETag></CopyObjectResult>")


def failure(code: str, status: int = 200) -> Answer:
    return Answer(status=status, body=f"<?xml version='1.0'?>\n \n<Error><Code>{code}</Code><Message>x</Message></Error>".encode())


class Copying:
    """A server that gives one answer to copies, and says how long what it holds is."""

    def __init__(self, answer: Answer, *, size_bytes: int = 10, etag: str = "0") -> None:
        self.answer, self.size_bytes, self.etag = answer, size_bytes, etag
        self.asked: list[str] = []

    def __call__(self, request: Request) -> Answer:
        self.asked.append(request.method)
        if request.method == "PUT":
            return self.answer
        return Answer(headers={**WRITTEN, "Content-Length": str(self.size_bytes), "ETag": f'"{self.etag}"'}, body=bytes(self.size_bytes))


def sibling(store: object, bucket: str) -> S3Store:
    """Open another bucket of the same service."""
    assert isinstance(store, S3Store)
    found = open_cloud(f"s3://{bucket}", **store.connection.clients.options)  # type: ignore[arg-type]  # none is called create
    assert isinstance(found, S3Store)
    return found


@pytest.mark.parametrize("bucket", ["bucket", "other"])
@pytest.mark.parametrize(("meta", "asked"), [(META, ["PUT"]), (None, ["HEAD", "PUT"])], ids=["known", "unknown"])
def test_a_copy_of_what_is_known_is_one_request(bucket: str, meta: ObjectMeta | None, asked: list[str]) -> None:
    server = Copying(COPIED)
    with scripted_store(server) as store:
        assert sibling(store, bucket).copy_from(store, "a", "b", meta=meta)
    assert server.asked == asked


def test_a_copy_is_proved_by_its_etag() -> None:
    server = Copying(COPIED, etag=PLAIN.etag)
    with scripted_store(server) as store:
        assert sibling(store, "bucket").copy_from(store, "a", "b", meta=PLAIN)
    assert server.asked == ["PUT", "HEAD"]


def test_what_is_there_and_as_long_as_the_source_is_no_copy() -> None:
    with scripted_store(Copying(failure("AccessDenied"), etag=32 * "b")) as store, pytest.raises(StoreError, match="can't copy"):
        sibling(store, "bucket").copy_from(store, "a", "b", meta=PLAIN)


def test_a_server_whose_copies_have_other_etags_is_known_after_the_first() -> None:
    server = Copying(COPIED, etag="e")
    with scripted_store(server) as store:
        copy = sibling(store, "bucket")
        for key in ("b", "c"):
            assert copy.copy_from(store, "a", key, meta=PLAIN)
    assert server.asked == ["PUT", "HEAD", "PUT", "PUT"]


def test_what_is_known_of_another_object_does_not_count() -> None:
    server = Copying(COPIED)
    with scripted_store(server) as store:
        assert sibling(store, "other").copy_from(store, "c", "b", meta=META)
    assert server.asked == ["HEAD", "PUT"]


@pytest.mark.parametrize("bucket", ["bucket", "other"])
@pytest.mark.parametrize("code", ["InternalError", "SlowDown", "AccessDenied", "NoSuchKey"])
def test_an_error_in_an_answer_that_began_well_is_an_error(bucket: str, code: str) -> None:
    with scripted_store(Copying(failure(code))) as store, pytest.raises(StoreError, match="can't copy"):
        sibling(store, bucket).copy_from(store, "a", "b", meta=META)


@pytest.mark.parametrize("body", [b"", b"<html></html>", b"<CopyObjectResult></CopyObjectResult>"])
def test_a_copy_of_which_nothing_is_told_is_looked_at(body: bytes) -> None:
    server = Copying(Answer(body=body))
    with scripted_store(server) as store:
        copy = sibling(store, "other")
        assert copy.copy_from(store, "a", "b", meta=META)
        server.size_bytes = 9
        with pytest.raises(StoreError, match="has 9 bytes where 10 were written"):
            copy.copy_from(store, "a", "b", meta=META)
    assert server.asked == ["PUT", "HEAD"] * 2


def test_a_copy_of_what_is_gone() -> None:
    with scripted_store(Copying(failure("NoSuchKey", 404))) as store, pytest.raises(NotFound):
        sibling(store, "other").copy_from(store, "a", "b", meta=META)


@pytest.fixture
def big(ministack: S3Server) -> tuple[str, bytes]:
    """A bucket with an object."""
    bucket, content = ministack.make_bucket(), pattern(3 << 20)
    ministack.store(bucket).put("a", content)
    return bucket, content


def blocks_of(server: S3Server, bucket: str, start: int, end: int) -> Iterator[bytes]:
    store = server.store(bucket)
    assert isinstance(store, S3Store)
    return map(bytes, store.get_blocks(store.head("a"), start=start, end=end))


@pytest.mark.peer("MiniStack")
@pytest.mark.parametrize("kind", [Kind.CUT_ANSWER, Kind.RESET_ANSWER])
def test_blocks_go_on_where_a_connection_broke(ministack: S3Server, big: tuple[str, bytes], kind: Kind) -> None:
    bucket, content = big
    with proxying(ministack.port) as proxy:
        proxy.arm(Fault(kind=kind, method="GET", after_bytes=1_000_000))
        assert b"".join(blocks_of(replace(ministack, port=proxy.port), bucket, 100, 3_000_000)) == content[100:3_000_000]
        assert len(proxy.hit()) == 1


@pytest.mark.peer("MiniStack")
def test_blocks_that_always_break_off_end_in_an_error(ministack: S3Server, big: tuple[str, bytes]) -> None:
    bucket, content = big
    with proxying(ministack.port) as proxy:
        proxy.arm(
            Fault(kind=Kind.RESET_AFTER, method="GET", at=1, times=1000), Fault(kind=Kind.CUT_ANSWER, method="GET", after_bytes=1_000_000)
        )
        got, blocks = bytearray(), blocks_of(replace(ministack, port=proxy.port), bucket, 0, len(content))
        with pytest.raises(StoreError, match="can't read bytes 0 to 3145728 of 'a'"):
            any(got.extend(block) for block in blocks)  # type: ignore[func-returns-value]  # that is: none stops it
    assert content.startswith(got)
    assert len(got) < len(content)


def test_blocks_of_a_server_without_ranges() -> None:
    with scripted_store(lambda _: Answer(body=b"0123456789", headers=WRITTEN)) as store:
        assert isinstance(store, S3Store)
        for start, expected in ((0, b"012"), (2, b"234"), (8, b"89")):
            assert store.get_part(META, start=start, end=start + 3) == expected
            assert b"".join(map(bytes, store.get_blocks(META, start=start, end=start + 3))) == expected


@pytest.mark.parametrize("said", ["bytes 3-5/10", "bytes 2-3/10", ""])
def test_blocks_of_another_range_are_an_error(said: str) -> None:
    answer = Answer(status=206, body=b"234", headers={**WRITTEN, **({"Content-Range": said} if said else {})})
    with scripted_store(lambda _: answer, max_retries=0) as store:
        assert isinstance(store, S3Store)
        with pytest.raises(StoreError):
            list(store.get_blocks(META, start=2, end=5))


def test_blocks_of_what_changes_on_the_way() -> None:
    headers = {**WRITTEN, "Content-Range": "bytes 0-9/10", "Content-Length": "10", "Connection": "close"}
    answers = [Answer(status=206, body=b"01234", headers=headers), Answer(status=412)]
    with scripted_store(lambda _: answers.pop(0) if len(answers) > 1 else answers[0]) as store:
        assert isinstance(store, S3Store)
        with pytest.raises(Conflict):
            list(store.get_blocks(META, start=0, end=10))
