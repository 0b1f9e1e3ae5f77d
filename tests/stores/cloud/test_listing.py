"""Listings of a bucket when answers break off, or are none."""

from collections.abc import Callable
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.servers.proxy import Fault, Kind, proxying
from tests.servers.s3 import S3Server
from tests.servers.scripted import Answer, Request, scripted_store

from kist.errors import StoreError
from kist.stores.cloud import CloudStore
from kist.stores.protocols import Store
from kist.testing.store_suite import keys

NAMES = [f"k{number:04}" for number in range(2500)]
PAGES = [f"<html><head><title>Console</title></head><body>{text}</body></html>".encode() for text in ("", "<div id='root'></div>")]
LISTINGS: dict[str, Callable[[CloudStore], object]] = {
    "list": keys,
    "list_folders": lambda store: store.list_folders(""),
    "list_folder": lambda store: store.list_folder(""),
}


def page_of(names: list[str], *, more: bool = False) -> bytes:
    entry = "<Contents><Key>{}</Key><LastModified>2026-11-20T09:00:00.000Z</LastModified><ETag>0</ETag><Size>1</Size></Contents>"
    token = f"<NextContinuationToken>{names[-1]}</NextContinuationToken>" if more else ""
    head = f"<IsTruncated>{str(more).lower()}</IsTruncated>{token}"
    return f"<ListBucketResult>{head}{''.join(map(entry.format, names))}</ListBucketResult>".encode()


class Bucket:
    """An honest server of one listing, which breaks off the answers whose numbers it is told."""

    def __init__(self, names: list[str], *broken: int, ordered: bool = True) -> None:
        self.names, self.broken, self.ordered = names, broken, ordered
        self.asked: list[str] = []

    def __call__(self, request: Request) -> Answer:
        query = parse_qs(urlsplit(request.path).query)
        if "list-type" not in query:
            return Answer(status=404, body=b"<Error><Code>NoSuchKey</Code></Error>")
        behind = query.get("continuation-token", query.get("start-after", [""]))[0]
        self.asked.append(behind)
        names = [name for name in self.names if name > behind] if self.ordered else self.names
        body = page_of(names[:1000], more=len(names) > 1000)
        if len(self.asked) - 1 not in self.broken:
            return Answer(body=body)
        return Answer(body=body[: len(body) // 2], headers={"Content-Length": str(len(body)), "Connection": "close"})


@pytest.mark.parametrize("broken", [(0,), (1,), (2,), (0, 1, 2), (0, 1, 3, 4, 6, 7)], ids=str)
def test_a_page_that_breaks_off_is_asked_for_again(broken: tuple[int, ...]) -> None:
    bucket = Bucket(NAMES, *broken)
    with scripted_store(bucket) as store:
        assert keys(store) == NAMES
    assert len(bucket.asked) == 3 + len(broken)


def test_a_listing_goes_on_behind_the_last_key_that_was_told() -> None:
    bucket = Bucket(NAMES, 1)
    with scripted_store(bucket) as store:
        assert keys(store) == NAMES
    assert bucket.asked == ["", "k0999", "k0999", "k1999"]


def test_a_page_without_order_that_breaks_off_is_asked_for_again() -> None:
    with scripted_store(Bucket(["c", "a", "b"], 0, ordered=False)) as store:
        assert keys(store) == ["a", "b", "c"]


@pytest.mark.parametrize("how", LISTINGS)
def test_a_listing_that_always_breaks_off_is_an_error(how: str) -> None:
    bucket = Bucket(NAMES, *range(9))
    with scripted_store(bucket) as store, pytest.raises(StoreError, match="can't list"):
        LISTINGS[how](store)  # type: ignore[arg-type]  # it is one
    assert len(bucket.asked) == 4


@pytest.mark.peer("MiniStack")
@pytest.mark.parametrize("kind", [Kind.CUT_ANSWER, Kind.RESET_ANSWER])
def test_a_network_that_breaks_off(ministack: S3Server, kind: Kind) -> None:
    bucket = ministack.make_bucket()
    for name in ("a/1", "b", "c"):
        ministack.store(bucket).put(name, b"")
    with proxying(ministack.port) as proxy:
        store = replace(ministack, port=proxy.port).store(bucket)
        assert isinstance(store, CloudStore)
        found = []
        for how in LISTINGS.values():
            proxy.arm(Fault(kind=kind, after_bytes=200))
            found.append(how(store))
            assert [seen.fault is None for seen in proxy.seen] == [False, True]
    direct = ministack.store(bucket)
    assert isinstance(direct, CloudStore)
    assert found == [["a/1", "b", "c"], ["a"], direct.list_folder("")]


@pytest.mark.parametrize("how", LISTINGS)
@pytest.mark.parametrize(
    "page", [*PAGES, b"<?xml version='1.0'?><Error><Code>InternalError</Code></Error>"], ids=["empty", "console", "error"]
)
def test_a_website_is_no_empty_store(how: str, page: bytes) -> None:
    with scripted_store(lambda _: Answer(body=page, headers={"Content-Type": "text/html"})) as store:
        for _ in range(2):
            with pytest.raises(StoreError, match=r"answers whatever is asked.*check the endpoint"):
                LISTINGS[how](store)  # type: ignore[arg-type]  # it is one


@pytest.mark.parametrize("how", LISTINGS)
@pytest.mark.parametrize("status", [401, 403, 404])
def test_an_empty_store_is_doubted_once(how: str, status: int) -> None:
    asked: list[str] = []

    def script(request: Request) -> Answer:
        asked.append(urlsplit(request.path).path)
        return Answer(body=page_of([])) if "list-type" in request.path else Answer(status=status)

    with scripted_store(script) as store:
        for _ in range(2):
            assert not any(LISTINGS[how](store) or ())  # type: ignore[arg-type]  # it is one
    assert len(asked) == 3
    assert asked[1].startswith("/bucket/kist-asks-for-nothing-")


def test_whoever_can_not_say_is_asked_again() -> None:
    statuses = [503, 404]

    def script(request: Request) -> Answer:
        return Answer(body=page_of([])) if "list-type" in request.path else Answer(status=statuses.pop(0))

    with scripted_store(script, max_retries=0) as store:
        with pytest.raises(StoreError, match="overloaded"):
            keys(store)
        assert keys(store) == []


def test_a_store_that_was_seen_with_objects_is_not_doubted() -> None:
    bucket = Bucket(["a"])
    with scripted_store(bucket) as store:
        assert (keys(store), keys(store, start_after="b")) == (["a"], [])


@pytest.mark.peer("MiniStack")
def test_what_was_deleted_may_be_listed_as_nothing(ministack: S3Server) -> None:
    store: Store = ministack.store(ministack.make_bucket(), "p q")
    assert (keys(store), store.list_folders("a/")) == ([], [])


@pytest.mark.peer("MiniStack")
@pytest.mark.parametrize("times", [1, 3])
def test_a_deletion_whose_answer_is_lost_is_repeated(ministack: S3Server, times: int) -> None:
    bucket = ministack.make_bucket()
    with proxying(ministack.port) as proxy:
        store = replace(ministack, port=proxy.port).store(bucket)
        store.put("a", b"")
        proxy.arm(Fault(kind=Kind.RESET_AFTER, times=times))
        store.delete("a")
        assert len(proxy.hit()) == times
    assert keys(ministack.store(bucket)) == []


@pytest.mark.peer("MiniStack")
def test_a_deletion_that_always_fails_is_an_error(ministack: S3Server) -> None:
    with proxying(ministack.port) as proxy:
        store = replace(ministack, port=proxy.port).store(ministack.make_bucket())
        proxy.arm(Fault(kind=Kind.RESET_AFTER, times=1000))
        with pytest.raises(StoreError, match="can't delete"):
            store.delete("a")
        assert len(proxy.hit()) == 4
