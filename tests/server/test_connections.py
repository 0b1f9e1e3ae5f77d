"""Slow, long and broken requests, as they come from the network."""

import socket
import time
from collections.abc import Iterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from tests.server.serving import running

from kist.server.settings import Limits


async def echo(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


@pytest.fixture(scope="module")
def url() -> Iterator[httpx.URL]:
    """A server that waits a second for a head, of at most 4 kB."""
    app = Starlette(routes=[Route("/", echo, methods=["POST"])])
    with running(lambda _settings: app, limits=Limits(header_bytes=4096, header_seconds=1)) as url:
        yield httpx.URL(url)


def told(url: httpx.URL, *parts: bytes) -> bytes:
    """Send parts, one after the other, and return all that comes until the server ends the connection."""
    with socket.create_connection(("127.0.0.1", url.port or 0), timeout=30) as connection:
        try:
            for part in parts:
                connection.sendall(part)
                time.sleep(0.05)
            received = b""
            while block := connection.recv(65536):
                received += block
        except ConnectionResetError:
            return b"reset"
        return received


HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"


def test_a_request_in_pieces_is_answered(url: httpx.URL) -> None:
    answer = told(url, HEAD[:20], HEAD[20:] + b"Connection: close\r\n\r", b"\nab", b"c")
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"\r\n\r\n3")


def test_a_body_may_be_longer_than_a_head(url: httpx.URL) -> None:
    assert httpx.post(url, content=b"x" * 1_000_000, trust_env=False).text == "1000000"


def test_requests_follow_each_other_on_a_connection(url: httpx.URL) -> None:
    with httpx.Client(base_url=url, trust_env=False) as client:
        assert [client.post("/", content=b"x" * 3000).text for _ in range(5)] == ["3000"] * 5


@pytest.mark.parametrize(
    "parts",
    [
        [HEAD + b"X: " + b"x" * 5000 + b"\r\n\r\nabc"],
        [HEAD] + [b"X-%d: " % number + b"x" * 990 + b"\r\n" for number in range(5)],
        [b"POST /" + b"x" * 5000 + b" HTTP/1.1\r\nHost: a\r\n\r\n"],
        [b"x" * 5000],
    ],
    ids=["one header", "many headers", "a path", "no request"],
)
def test_a_long_head_is_refused(url: httpx.URL, parts: list[bytes]) -> None:
    assert told(url, *parts)[:12] in {b"HTTP/1.1 431", b"HTTP/1.1 400", b"reset"}


@pytest.mark.parametrize("parts", [[], [b"POST"], [HEAD]], ids=["nothing", "a word", "half a head"])
def test_a_head_that_does_not_come_is_not_waited_for(url: httpx.URL, parts: list[bytes]) -> None:
    assert told(url, *parts) in {b"", b"reset"}


@pytest.mark.parametrize(
    "request_",
    [
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1e3\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nX : y\r\nContent-Length: 0\r\n\r\n",
        b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03",
    ],
)
def test_what_is_no_http_is_refused(url: httpx.URL, request_: bytes) -> None:
    assert told(url, request_)[:12] in {b"HTTP/1.1 400", b"reset"}
