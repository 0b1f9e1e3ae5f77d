"""Reading from the web: from servers with ranges and without, and from those that lie, break off, drip or redirect for ever."""

import gzip
import os
import pickle
import shutil
import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice, repeat
from pathlib import Path

import pytest
from tests.servers import rclone
from tests.servers.web import Asked, RawServer, Say, plain_server, raw_server, rclone_server, said, self_signed

from kist.errors import Busy, Conflict, Denied, InvalidInput, KistError, NotFound, StoreError, Unauthenticated, Unsupported
from kist.stores.protocols import Delete, GetPart, GetStream, Put
from kist.stores.web import WebStore, open_web, split

CONTENT = b"0123456789"
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed: apt-get install openssl")


def hasty(server: RawServer, **options: object) -> WebStore:
    """Open a store that is soon out of patience."""
    return open_web(server.url, create=False, **{"timeout_seconds": 0.5, "max_retries": 1, "retry_seconds": 5, **options})


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "ten").write_bytes(CONTENT)
    (folder / "empty").write_bytes(b"")
    (folder / "big").write_bytes(bytes(range(256)) * 8192)
    (folder / "a b ä").write_bytes(b"odd")
    return folder


@pytest.fixture(params=["http.server", pytest.param("rclone", marks=pytest.mark.peer("rclone"))])
def store(request: pytest.FixtureRequest, site: Path, tmp_path: Path) -> Iterator[WebStore]:
    if request.param == "rclone" and rclone.program() is None:
        pytest.skip(rclone.MISSING)
    with plain_server(site) if request.param == "http.server" else rclone_server(site, tmp_path / "rclone.log") as url:
        yield open_web(url)


class TestWithAndWithoutRanges:
    def test_a_file_is_read_whole(self, store: WebStore) -> None:
        assert (store.get("ten"), store.get("empty")) == (CONTENT, b"")

    @pytest.mark.parametrize(("start", "end"), [(0, 4), (3, 7), (9, 10), (0, 10), (8, 99), (10, 12), (50, 60), (4, 4)])
    def test_a_range_is_exact(self, store: WebStore, start: int, end: int) -> None:
        assert store.get_range("ten", start=start, end=end) == CONTENT[start:end]

    def test_a_range_of_an_empty_file_is_empty(self, store: WebStore) -> None:
        assert store.get_range("empty", start=0, end=10) == b""

    @pytest.mark.parametrize(("start", "end"), [(-1, 3), (5, 4)])
    def test_what_is_no_range_is_refused(self, store: WebStore, start: int, end: int) -> None:
        with pytest.raises(InvalidInput):
            store.get_range("ten", start=start, end=end)

    def test_a_range_in_the_middle_of_a_big_file(self, store: WebStore) -> None:
        assert store.get_range("big", start=1_000_000, end=1_000_300) == (bytes(range(256)) * 3)[64:364]

    def test_head_tells_size_and_time(self, store: WebStore, site: Path) -> None:
        meta = store.head("ten")
        assert (meta.size_bytes, int(meta.modified.timestamp())) == (10, int((site / "ten").stat().st_mtime))

    def test_a_stream_is_the_whole_file(self, store: WebStore) -> None:
        pieces = list(store.get_stream("big"))
        assert b"".join(pieces) == bytes(range(256)) * 8192
        assert 1 < len(pieces) < 20

    def test_a_stream_may_be_left(self, store: WebStore) -> None:
        stream = store.get_stream("big")
        assert next(stream)
        stream.close()
        assert store.get("ten") == CONTENT

    def test_a_part_is_of_the_file_that_was_looked_at(self, store: WebStore) -> None:
        assert store.get_part(store.head("ten"), start=2, end=5) == b"234"

    def test_a_part_of_a_changed_file_is_a_conflict(self, store: WebStore, site: Path) -> None:
        meta = store.head("ten")
        (site / "ten").write_bytes(b"something else")
        with pytest.raises(Conflict):
            store.get_part(meta, start=2, end=5)

    @pytest.mark.parametrize("verb", [WebStore.get, WebStore.head, lambda store, key: list(store.get_stream(key))])
    def test_what_is_missing_is_not_found_by_name(self, store: WebStore, verb: Callable[[WebStore, str], object]) -> None:
        with pytest.raises(NotFound, match=f"{store.url}/missing: "):
            verb(store, "missing")

    @pytest.mark.parametrize("key", ["a b ä", "a%20b%20%C3%A4", "a b %c3%a4?x=1"])
    def test_keys_are_sent_as_they_are_written(self, store: WebStore, key: str) -> None:
        assert store.get(key) == b"odd"


class TestWhatItIs:
    def test_it_reads_streams_and_parts_but_has_no_verb_to_write(self) -> None:
        store = open_web("http://127.0.0.1:1")
        assert isinstance(store, GetPart)
        assert isinstance(store, GetStream)
        assert not any(hasattr(store, verb) for protocol in (Put, Delete) for verb in vars(protocol) if not verb.startswith("_"))

    def test_it_can_not_be_listed(self) -> None:
        store = open_web("http://127.0.0.1:1")
        for call in (store.list, lambda: store.list_folders("")):
            with pytest.raises(Unsupported, match=r"no listings|no folders"):
                call()

    def test_opening_sends_nothing(self) -> None:
        assert repr(open_web("http://nowhere.invalid/data")) == "<WebStore http://nowhere.invalid/data>"

    def test_nobody_there_is_a_clear_error(self) -> None:
        store = open_web("http://127.0.0.1:1", max_retries=0)
        with pytest.raises(StoreError, match=r"127\.0\.0\.1:1/a: no connection"):
            store.get("a")

    def test_it_travels_to_another_process(self) -> None:
        assert pickle.loads(pickle.dumps(open_web("https://host/data", timeout_seconds=3))).url == "https://host/data"

    def test_with_secrets_it_does_not(self) -> None:
        with pytest.raises(InvalidInput, match="secrets"):
            pickle.dumps(open_web("https://host", token="very-secret"))


class TestSplit:
    @pytest.mark.parametrize(
        ("url", "root", "key"),
        [
            ("https://host/a/b%20c?x=1&y=%2F#part", "https://host", "a/b%20c?x=1&y=%2F"),
            ("HTTP://Host:8080/a//b/../c", "http://host:8080", "a//b/../c"),
            ("https://host:443", "https://host", ""),
            ("http://host?x=1", "http://host", "?x=1"),
            ("http://[::1]:81/a", "http://[::1]:81", "a"),
            ("https://bücher.example/ä", "https://xn--bcher-kva.example", "ä"),
            ("https://host/a@b:c", "https://host", "a@b:c"),
        ],
    )
    def test_the_root_is_the_server_and_the_key_is_the_rest_as_written(self, url: str, root: str, key: str) -> None:
        assert split(url) == (root, key)

    @pytest.mark.parametrize(
        "url", ["https://me:secret-word@host/a", "http://me@host/a", "http:///a", "http://", "ftp://host/a", "http://a:b:c/"]
    )
    def test_what_is_no_address_or_has_credentials_is_refused(self, url: str) -> None:
        with pytest.raises(InvalidInput) as caught:
            split(url)
        assert "secret-word" not in str(caught.value)

    @pytest.mark.parametrize("key", ["a\r\nX-Evil: 1", "a\0", "\ud800"])
    def test_what_no_request_can_hold_is_refused(self, key: str) -> None:
        with pytest.raises(InvalidInput):
            open_web("http://127.0.0.1:1").get(key)

    @pytest.mark.parametrize("key", ["../secret", "a/%2E%2e/../secret", "./a"])
    def test_a_key_does_not_leave_the_folder_that_was_opened(self, key: str) -> None:
        with pytest.raises(InvalidInput, match="leaves"):
            open_web("http://127.0.0.1:1/data").get(key)


class TestOptions:
    @pytest.mark.parametrize(
        "options",
        [
            {"user": "x"},
            {"timeout_seconds": "soon"},
            {"timeout_seconds": 0},
            {"max_retries": -1},
            {"token": "a", "username": "b"},
            {"password": "secret-word"},
            {"headers": 7},
            {"headers": {"Host": "evil"}},
            {"headers": {"X": "secret-word\r\nY: 1"}},
            {"token": "secret-word\n"},
        ],
    )
    def test_what_makes_no_sense_is_refused(self, options: dict[str, object]) -> None:
        with pytest.raises(InvalidInput) as caught:
            open_web("https://host", create=False, **options)
        assert "secret-word" not in str(caught.value)

    def test_credentials_do_not_go_out_in_the_clear(self) -> None:
        with pytest.raises(InvalidInput, match="allow_http"):
            open_web("http://host", token="very-secret")
        assert open_web("http://host", token="very-secret", allow_http=True).url == "http://host"

    @pytest.mark.parametrize(
        ("options", "header", "value"),
        [
            ({"username": "me", "password": "pass"}, "authorization", "Basic bWU6cGFzcw=="),
            ({"token": "abc"}, "authorization", "Bearer abc"),
            ({"headers": {"X-Api-Key": "abc"}}, "x-api-key", "abc"),
            ({"headers": "X-Api-Key: abc\nX-Other: d"}, "x-api-key", "abc"),
        ],
    )
    def test_credentials_are_sent(self, options: dict[str, object], header: str, value: str) -> None:
        with raw_server(lambda _: said("200 OK", "Content-Length: 0")) as server:
            open_web(server.url, create=False, **options).get("a")
        assert server.asked[0].headers[header] == value

    @pytest.mark.peer("rclone")
    def test_a_password_opens_a_server_that_asks_for_it(self, site: Path, tmp_path: Path) -> None:
        if rclone.program() is None:
            pytest.skip(rclone.MISSING)
        with rclone_server(site, tmp_path / "rclone.log", login=("me", "pass")) as url:
            assert open_web(url, username="me", password="pass").get("ten") == CONTENT
            with pytest.raises(Unauthenticated):
                open_web(url).get("ten")


def ranged(asked: Asked, content: bytes, *headers: str) -> list[bytes]:
    """Answer as a server with ranges does."""
    if "range" not in asked.headers:
        return said("200 OK", f"Content-Length: {len(content)}", *headers, body=content)
    start, _, last = asked.headers["range"].removeprefix("bytes=").partition("-")
    part = content[int(start) : int(last) + 1]
    told = f"Content-Range: bytes {start}-{int(start) + len(part) - 1}/{len(content)}"
    return said("206 Partial Content", told, f"Content-Length: {len(part)}", *headers, body=part)


READS: dict[str, Callable[[WebStore], object]] = {
    "get": lambda store: store.get("a"),
    "stream": lambda store: b"".join(store.get_stream("a")),
    "range": lambda store: store.get_range("a", start=2, end=6),
}


def every_read_fails(say: Say, kind: type[KistError] = StoreError, match: str | None = None, **options: object) -> None:
    """See that each way to read ends in an error that names the URL, and not the query."""
    for read in READS.values():
        with raw_server(say) as server, pytest.raises(kind, match=match) as caught:
            read(hasty(server, **options))
        assert f"{server.url}/a" in str(caught.value)


class TestHostileBodies:
    def test_a_body_that_ends_before_its_length_is_an_error(self) -> None:
        every_read_fails(lambda _: said("200 OK", "Content-Length: 99", body=b"0"), match="broke off")

    def test_a_part_that_ends_before_its_length_is_an_error(self) -> None:
        def say(_: Asked) -> list[bytes]:
            return said("206 Partial Content", "Content-Range: bytes 2-5/10", "Content-Length: 4", body=b"23")

        with raw_server(say) as server, pytest.raises(StoreError, match="broke off"):
            hasty(server).get_range("a", start=2, end=6)

    def test_a_chunked_body_that_ends_early_is_an_error(self) -> None:
        every_read_fails(lambda _: said("200 OK", "Transfer-Encoding: chunked", body=b"3\r\n012\r\n"), match="broke off")

    def test_a_body_longer_than_its_length_ends_there(self) -> None:
        with raw_server(lambda _: said("200 OK", "Content-Length: 6", body=CONTENT)) as server:
            assert [read(hasty(server)) for read in READS.values()] == [b"012345", b"012345", b"2345"]

    def test_two_lengths_are_an_error(self) -> None:
        every_read_fails(lambda _: said("200 OK", "Content-Length: 3", "Content-Length: 5", body=CONTENT), match="does not speak HTTP")

    def test_without_any_length_all_is_read(self) -> None:
        with raw_server(lambda _: said("200 OK", body=CONTENT)) as server:
            assert [read(hasty(server)) for read in READS.values()] == [CONTENT, CONTENT, b"2345"]
            assert hasty(server).head("a").size_bytes == 10

    def test_a_long_file_of_unknown_length_has_no_size(self) -> None:
        def say(asked: Asked) -> Iterable[bytes]:
            return chain(said("200 OK"), repeat(bytes(1 << 20)) if asked.method == "GET" else [])

        with raw_server(say) as server:
            assert hasty(server).head("a").size_bytes == -1

    def test_a_file_without_end_is_read_as_far_as_asked_for(self) -> None:
        with raw_server(lambda _: chain(said("200 OK"), repeat(bytes(1 << 16)))) as server:
            assert hasty(server).get_range("a", start=99, end=100_000) == bytes(99_901)
            assert sum(map(len, islice(hasty(server).get_stream("a"), 3))) > 500_000

    def test_an_announced_length_that_no_memory_holds_is_refused(self) -> None:
        with (
            raw_server(lambda _: said("200 OK", "Content-Length: 99999999999999")) as server,
            pytest.raises(Unsupported, match="as a stream"),
        ):
            hasty(server).get("a")

    @pytest.mark.parametrize(
        "header",
        [
            "",
            "Content-Range: bytes 0-3/10",
            "Content-Range: bytes 2-4/10",
            "Content-Range: bytes 2-9/10",
            "Content-Range: rabbits",
            "Content-Range: bytes */10",
        ],
    )
    def test_another_part_than_asked_for_is_an_error(self, header: str) -> None:
        answer = said("206 Partial Content", *([header] if header else []), "Content-Length: 4", body=b"2345")
        with raw_server(lambda _: answer) as server, pytest.raises(StoreError):
            hasty(server).get_range("a", start=2, end=6)
        assert len(server.asked) == 1

    def test_a_part_that_is_longer_than_it_says_is_an_error(self) -> None:
        answer = said("206 Partial Content", "Content-Range: bytes 2-5/10", "Content-Length: 5", body=b"23456")
        with raw_server(lambda _: answer) as server, pytest.raises(StoreError, match="more came"):
            hasty(server).get_range("a", start=2, end=6)

    def test_a_part_nobody_asked_for_is_an_error(self) -> None:
        answer = said("206 Partial Content", "Content-Range: bytes 0-3/10", "Content-Length: 4", body=b"0123")
        with raw_server(lambda _: answer) as server, pytest.raises(StoreError, match="206"):
            hasty(server).get("a")

    def test_a_server_without_ranges_is_read_once(self) -> None:
        with raw_server(lambda _: said("200 OK", "Content-Length: 10", body=CONTENT)) as server:
            assert hasty(server).get_range("a", start=2, end=6) == b"2345"
        assert len(server.asked) == 1


class TestCompression:
    def test_identity_is_asked_for(self) -> None:
        with raw_server(lambda asked: ranged(asked, CONTENT)) as server:
            hasty(server).get("a")
        assert server.asked[0].headers["accept-encoding"] == "identity"

    @pytest.mark.parametrize(("name", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
    def test_what_is_compressed_all_the_same_is_decoded(self, name: str, pack: Callable[[bytes], bytes]) -> None:
        with raw_server(lambda asked: ranged(asked, pack(CONTENT * 9), f"Content-Encoding: {name}")) as server:
            store = hasty(server)
            assert (store.get("a"), b"".join(store.get_stream("a")), store.head("a").size_bytes) == (CONTENT * 9, CONTENT * 9, 90)
            assert store.get_range("a", start=12, end=16) == b"2345"

    def test_members_one_after_another_are_one_file(self) -> None:
        packed = gzip.compress(b"one") + gzip.compress(b"two")
        with raw_server(lambda asked: ranged(asked, packed, "Content-Encoding: gzip")) as server:
            assert hasty(server).get("a") == b"onetwo"

    def test_what_is_compressed_by_name_stays_so(self) -> None:
        packed = gzip.compress(CONTENT)
        with raw_server(lambda asked: ranged(asked, packed, "Content-Encoding: gzip")) as server:
            store = hasty(server)
            assert (store.get("a.tar.gz"), store.head("a.tar.gz").size_bytes) == (packed, len(packed))
            assert store.get_range("a.tar.gz?x=1", start=2, end=6) == packed[2:6]

    @pytest.mark.parametrize("packed", [gzip.compress(CONTENT)[:6], b"no gzip at all"], ids=["cut", "none"])
    def test_what_does_not_decode_whole_is_an_error(self, packed: bytes) -> None:
        every_read_fails(lambda _: said("200 OK", "Content-Encoding: gzip", f"Content-Length: {len(packed)}", body=packed))

    def test_an_unknown_encoding_is_refused(self) -> None:
        every_read_fails(lambda _: said("200 OK", "Content-Encoding: br", "Content-Length: 1", body=b"x"), Unsupported, "'br'")

    def test_a_bomb_is_read_no_further_than_asked(self) -> None:
        packed = gzip.compress(bytes(64 << 20))
        with raw_server(lambda asked: ranged(asked, packed, "Content-Encoding: gzip")) as server:
            assert hasty(server).get_range("a", start=5, end=10) == bytes(5)


class TestSilence:
    """Servers here end on their own after half a minute with a right answer: only a bound gives the error."""

    def test_a_server_that_never_answers(self) -> None:
        every_read_fails(lambda _: [30.0, *said("200 OK", "Content-Length: 10", body=CONTENT)], match="silent or too slow", max_retries=0)

    def test_headers_that_drip(self) -> None:
        def say(_: Asked) -> Iterator[bytes | float]:
            for byte in said("200 OK", f"X-Long: {'x' * 300}", "Content-Length: 10")[0]:
                yield from (bytes([byte]), 0.1)
            yield CONTENT

        every_read_fails(say, match="silent or too slow", max_retries=0)

    def test_a_server_that_asks_for_patience_for_ever(self) -> None:
        def say(_: Asked) -> Iterator[bytes | float]:
            for _number in range(300):
                yield from (b"HTTP/1.1 102 Processing\r\n\r\n", 0.1)
            yield from said("200 OK", "Content-Length: 10", body=CONTENT)

        every_read_fails(say, match="silent or too slow", max_retries=0)

    def test_a_body_that_stalls(self) -> None:
        def say(_: Asked) -> Iterator[bytes | float]:
            yield from said("200 OK", "Content-Length: 10", body=b"01")
            yield 30.0
            yield CONTENT[2:]

        every_read_fails(say, match="silent or too slow", max_retries=0)

    def test_a_body_that_drips(self) -> None:
        def say(_: Asked) -> Iterator[bytes | float]:
            yield from said("200 OK", "Content-Length: 300")
            for _number in range(300):
                yield from (b"x", 0.1)

        with raw_server(say) as server, pytest.raises(StoreError, match="silent or too slow"):
            hasty(server, max_retries=0).get("a")

    def test_what_came_quickly_is_no_excuse_for_dripping(self) -> None:
        def say(_: Asked) -> Iterator[bytes | float]:
            yield from said("200 OK", f"Content-Length: {(1 << 20) + 300}", body=bytes(1 << 20))
            for _number in range(300):
                yield from (b"x", 0.1)

        with raw_server(say) as server, pytest.raises(StoreError, match="silent or too slow"):
            hasty(server, max_retries=0).get("a")

    def test_a_slow_server_is_fine_if_that_is_allowed(self) -> None:
        def say(_: Asked) -> Iterator[bytes | float]:
            yield from said("200 OK", "Content-Length: 20")
            for _number in range(20):
                yield from (b"x", 0.05)

        with raw_server(say) as server:
            assert hasty(server, min_bytes_per_second=1).get("a") == b"x" * 20

    def test_a_flood_of_headers(self) -> None:
        every_read_fails(lambda _: chain([b"HTTP/1.1 200 OK\r\n"], repeat(b"X-Bomb: " + b"x" * 60_000 + b"\r\n", 2000)), match="broke off")

    def test_what_is_no_http(self) -> None:
        every_read_fails(lambda _: [b"220 smtp.example ESMTP\r\n"], match="does not speak HTTP")

    def test_a_server_that_hangs_up(self) -> None:
        every_read_fails(lambda _: [])


class TestStatus:
    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            ("404 Not Found", NotFound),
            ("410 Gone", NotFound),
            ("401 Unauthorized", Unauthenticated),
            ("403 Forbidden", Denied),
            ("429 Too Many Requests", Busy),
            ("500 Internal Server Error", StoreError),
            ("503 Service Unavailable", StoreError),
            ("204 No Content", StoreError),
            ("300 Multiple Choices", StoreError),
            ("418 I'm a teapot", StoreError),
        ],
    )
    def test_each_status_is_the_error_of_its_kind(self, status: str, kind: type[KistError]) -> None:
        every_read_fails(lambda _: said(status, "Content-Length: 0"), kind, status[:3])

    def test_what_may_pass_is_tried_again(self) -> None:
        turns = iter(["503 Busy", "429 Slow down", "200 OK"])
        with raw_server(lambda _: said(next(turns), "Content-Length: 2", "Retry-After: 0", body=b"ok")) as server:
            assert hasty(server, max_retries=3).get("a") == b"ok"

    def test_a_body_that_broke_off_is_read_again(self) -> None:
        turns = iter([CONTENT[:3], CONTENT])
        with raw_server(lambda _: said("200 OK", "Content-Length: 10", body=next(turns))) as server:
            assert hasty(server).get("a") == CONTENT

    @pytest.mark.parametrize("wait", ["86400", "Fri, 31 Dec 2100 23:59:59 GMT", "9" * 400])
    def test_a_server_that_wants_a_long_pause_is_not_waited_for(self, wait: str) -> None:
        with raw_server(lambda _: said("503 Busy", "Content-Length: 0", f"Retry-After: {wait}")) as server, pytest.raises(StoreError):
            hasty(server, max_retries=5).get("a")
        assert len(server.asked) == 1

    def test_a_refusal_is_not_repeated(self) -> None:
        with raw_server(lambda _: said("404 Not Found", "Content-Length: 0")) as server, pytest.raises(NotFound):
            hasty(server, max_retries=5).get("a")
        assert len(server.asked) == 1

    def test_the_query_may_be_a_signature_and_is_not_told(self) -> None:
        with raw_server(lambda _: said("404 Not Found", "Content-Length: 0")) as server, pytest.raises(NotFound) as caught:
            hasty(server).get("a?sig=very-secret")
        assert "very-secret" not in f"{caught.value!r}"


class TestHead:
    @pytest.mark.parametrize("status", ["405 Method Not Allowed", "501 Not Implemented", "403 Forbidden", "400 Bad Request"])
    def test_a_server_without_head_is_asked_for_the_first_byte(self, status: str) -> None:
        def say(asked: Asked) -> list[bytes]:
            return said(status, "Content-Length: 0") if asked.method == "HEAD" else ranged(asked, CONTENT, 'ETag: "x"')

        with raw_server(say) as server:
            meta = hasty(server).head("a")
        assert (meta.size_bytes, meta.etag, server.asked[1].headers["range"]) == (10, '"x"', "bytes=0-0")

    def test_without_ranges_too_the_announced_length_is_enough(self) -> None:
        def say(asked: Asked) -> list[bytes]:
            return said("405 No", "Content-Length: 0") if asked.method == "HEAD" else said("200 OK", "Content-Length: 5000000000")

        with raw_server(say) as server:
            assert hasty(server).head("a").size_bytes == 5_000_000_000

    def test_an_empty_file_has_no_first_byte(self) -> None:
        def say(asked: Asked) -> list[bytes]:
            if asked.method == "HEAD":
                return said("405 No", "Content-Length: 0")
            return said("416 No", "Content-Range: bytes */0", "Content-Length: 0")

        with raw_server(say) as server:
            assert hasty(server).head("a").size_bytes == 0

    def test_a_part_of_unknown_whole_is_followed_by_the_whole(self) -> None:
        def say(asked: Asked) -> list[bytes]:
            if asked.method == "HEAD":
                return said("200 OK")
            if "range" in asked.headers:
                return said("206 Part", "Content-Range: bytes 0-0/*", "Content-Length: 1", body=b"0")
            return said("200 OK", "Content-Length: 10", body=CONTENT)

        with raw_server(say) as server:
            assert hasty(server).head("a").size_bytes == 10

    def test_a_refused_get_decides(self) -> None:
        with raw_server(lambda _: said("403 Forbidden", "Content-Length: 0")) as server, pytest.raises(Denied):
            hasty(server).head("a")

    @pytest.mark.parametrize(("etag", "expected"), [('"a"', '"a"'), ('W/"a"', ""), ("a", ""), (None, "")])
    def test_only_a_strong_etag_counts(self, etag: str | None, expected: str) -> None:
        headers = ["Accept-Ranges: bytes", *([f"ETag: {etag}"] if etag else [])]
        with raw_server(lambda _: said("200 OK", "Content-Length: 1", *headers)) as server:
            assert hasty(server).head("a").etag == expected

    def test_without_ranges_there_is_no_etag_to_have_parts_by(self) -> None:
        with raw_server(lambda _: said("200 OK", "Content-Length: 1", 'ETag: "a"')) as server:
            assert hasty(server).head("a").etag == ""

    @pytest.mark.parametrize("date", ["", "yesterday", "Fri, 99 Xyz 99999 99:99:99 GMT"])
    def test_an_odd_date_is_no_date(self, date: str) -> None:
        with raw_server(
            lambda _: said("200 OK", "Content-Length: 1", f"Last-Modified: {date}", "Date: Sun, 06 Nov 1994 08:49:37 GMT")
        ) as server:
            assert hasty(server).head("a").modified.year == 1994


class TestParts:
    def test_the_etag_is_asked_for(self) -> None:
        with raw_server(lambda asked: ranged(asked, CONTENT, 'ETag: "v1"', "Accept-Ranges: bytes")) as server:
            store = hasty(server)
            store.get_part(store.head("a"), start=2, end=6)
        assert server.asked[1].headers["if-match"] == '"v1"'

    @pytest.mark.parametrize(
        "second",
        [
            said("412 Precondition Failed", "Content-Length: 0"),
            said("206 Part", "Content-Range: bytes 2-5/10", "Content-Length: 4", 'ETag: "v2"', body=b"abcd"),
            said("200 OK", "Content-Length: 10", 'ETag: "v2"', body=b"abcdefghij"),
            said("206 Part", "Content-Range: bytes 2-5/11", "Content-Length: 4", body=b"abcd"),
            said("416 No", "Content-Range: bytes */1", "Content-Length: 0"),
        ],
    )
    def test_another_state_is_a_conflict(self, second: list[bytes]) -> None:
        def say(asked: Asked) -> list[bytes]:
            return ranged(asked, CONTENT, 'ETag: "v1"', "Accept-Ranges: bytes") if asked.method == "HEAD" else second

        with raw_server(say) as server:
            store = hasty(server)
            meta = store.head("a")
            with pytest.raises(Conflict):
                store.get_part(meta, start=2, end=6)


class TestRedirects:
    @pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
    def test_a_redirect_is_followed(self, status: str) -> None:
        def say(asked: Asked) -> list[bytes]:
            return ranged(asked, CONTENT) if asked.target == "/b/c?d=1" else said(status, "Location: b/c?d=1", "Content-Length: 0")

        with raw_server(say) as server:
            assert [read(hasty(server)) for read in READS.values()] == [CONTENT, CONTENT, b"2345"]

    def test_a_loop_ends(self) -> None:
        every_read_fails(lambda _: said("302 Found", "Location: /a", "Content-Length: 0"), match="more than 10 times")

    @pytest.mark.parametrize(
        "header",
        ["", "Location: ", "Location: file:///etc/passwd", "Location: http://", "Location: http://me:pw@host/a", "Location: http://a:b:c"],
    )
    def test_a_redirect_to_nowhere_is_an_error(self, header: str) -> None:
        every_read_fails(lambda _: said("302 Found", *([header] if header else []), "Content-Length: 0"), match="redirects")

    def test_credentials_do_not_follow_to_another_place(self) -> None:
        with (
            raw_server(lambda asked: ranged(asked, CONTENT)) as other,
            raw_server(lambda _: said("302 Found", f"Location: {other.url}/b", "Content-Length: 0")) as server,
        ):
            store = hasty(server, token="very-secret", headers={"X-Api-Key": "very-secret", "Cookie": "very-secret"})
            assert store.get_range("a", start=2, end=6) == b"2345"
        assert "very-secret" in server.asked[0].headers["authorization"]
        assert "very-secret" not in str(other.asked)

    def test_credentials_stay_on_the_same_server(self) -> None:
        def say(asked: Asked) -> list[bytes]:
            return ranged(asked, CONTENT) if asked.target == "/b" else said("302 Found", "Location: /b", "Content-Length: 0")

        with raw_server(say) as server:
            hasty(server, token="abc").get("a")
        assert [asked.headers["authorization"] for asked in server.asked] == ["Bearer abc"] * 2

    @needs_openssl
    def test_https_does_not_lead_to_http(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        context, certificate = self_signed(tmp_path)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        answer = said("302 Found", "Location: http://127.0.0.1:1/b", "Content-Length: 0")
        with raw_server(lambda _: answer, tls=context) as server, pytest.raises(StoreError, match="from https to http"):
            hasty(server, timeout_seconds=5).get("a")


class TestTls:
    @needs_openssl
    def test_a_server_with_a_known_certificate_is_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        context, certificate = self_signed(tmp_path)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        with raw_server(lambda asked: ranged(asked, CONTENT), tls=context) as server:
            assert [read(hasty(server, timeout_seconds=5)) for read in READS.values()] == [CONTENT, CONTENT, b"2345"]

    @needs_openssl
    def test_an_unknown_certificate_is_an_error(self, tmp_path: Path) -> None:
        context, _ = self_signed(tmp_path)
        with raw_server(lambda asked: ranged(asked, CONTENT), tls=context) as server, pytest.raises(StoreError, match="certificate"):
            hasty(server, timeout_seconds=5, max_retries=0).get("a")


class TestProxy:
    def test_the_proxy_of_the_environment_is_asked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with raw_server(lambda _: said("200 OK", "Content-Length: 5", body=b"proxy")) as proxy:
            monkeypatch.setenv("http_proxy", f"http://me:pass@127.0.0.1:{proxy.port}")
            monkeypatch.setenv("no_proxy", "other.invalid")
            assert open_web("http://nowhere.invalid").get("a") == b"proxy"
        assert (proxy.asked[0].target, proxy.asked[0].headers["proxy-authorization"]) == ("http://nowhere.invalid/a", "Basic bWU6cGFzcw==")

    def test_no_proxy_is_honoured(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        with raw_server(lambda _: said("200 OK", "Content-Length: 5", body=b"plain")) as server:
            assert hasty(server).get("a") == b"plain"


def test_a_store_works_in_a_forked_child(site: Path) -> None:
    with plain_server(site) as url:
        store = open_web(url)
        assert store.get("ten") == CONTENT
        child = os.fork()
        if not child:
            os._exit(0 if store.get("ten") == CONTENT else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
