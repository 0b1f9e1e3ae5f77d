"""Operations over HTTP: what is sent, what is asked for again, and what answers mean. For threads and for event loops."""

import asyncio
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, cast

import msgspec
import pytest
from tests.client.scripted import Answer, Scripted, scripted
from tests.servers.web import self_signed

from kist import models
from kist.client.http import AsyncHttpTransport, HttpTransport
from kist.client.servers import Server
from kist.errors import AlreadyExists, Busy, Conflict, InvalidInput, NotFound, StoreError, Unauthenticated
from kist.models import requests as ask
from kist.models.requests import Request
from kist.operations import CREATE_ORG, GET_ME, GET_ORG, LOG_IN, LOG_OUT, PUT_OBJECT, READ_OBJECT, Operation

ME = models.Me(name="ada", kind="user", scope=models.Scope())
WELL = Answer(content=msgspec.json.encode(ME))
ORG = b'{"id": "1", "name": "lab", "created": "2026-11-20T10:00:00Z"}'
MADE = Answer(status=201, content=ORG)
LOST = Answer(status=0)
CREATE = ask.CreateOrg(name="lab")
OBJECT = ask.PutObject(org="lab", repo="cube", key="packs/ab/cd", content=b"\0bytes")
BYTES = {"content-type": "application/octet-stream"}

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed: apt-get install openssl")


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as running:
        yield running


def by_threads[In: Request, Out](url: str, operation: Operation[In, Out], request: In) -> Out:
    transport = HttpTransport(Server(url=url, token="canary"), sleep=lambda _seconds: None)
    try:
        return transport.call(operation, request)
    finally:
        transport.close()


def by_event_loop[In: Request, Out](url: str, operation: Operation[In, Out], request: In) -> Out:
    async def call() -> Out:
        transport = AsyncHttpTransport(Server(url=url, token="canary"), sleep=lambda _seconds: asyncio.sleep(0))
        try:
            return await transport.call(operation, request)
        finally:
            await transport.aclose()

    return asyncio.run(call())


class Call(Protocol):
    """Does an operation."""

    def __call__[In: Request, Out](self, url: str, operation: Operation[In, Out], request: In) -> Out: ...


@pytest.fixture(params=[by_threads, by_event_loop])
def call(request: pytest.FixtureRequest) -> Call:
    return cast("Call", request.param)


def error(status: int, code: str, **headers: str) -> Answer:
    content = msgspec.json.encode({"error": {"code": code, "message": "told"}})
    return Answer(status=status, content=content, headers={name.replace("_", "-"): value for name, value in headers.items()})


def test_a_look_is_sent_with_the_token_and_no_key(server: Scripted, call: Call) -> None:
    server.then(WELL)
    assert call(server.url, GET_ME, ask.Nothing()) == ME
    (asked,) = server.asked
    assert (asked.verb, asked.target, asked.headers["authorization"]) == ("GET", "/api/v1/me", "Bearer canary")
    assert asked.headers["user-agent"].startswith("kist/")
    assert "idempotency-key" not in asked.headers


def test_a_change_is_sent_with_a_key_of_its_own(server: Scripted, call: Call) -> None:
    server.then(MADE, MADE)
    for _ in range(2):
        call(server.url, CREATE_ORG, CREATE)
    first, second = server.asked
    assert (first.verb, first.target, first.content) == ("POST", "/api/v1/orgs", b'{"name":"lab","description":""}')
    assert len({first.headers["idempotency-key"], second.headers["idempotency-key"]}) == 2


def test_objects_travel_as_they_are(server: Scripted, call: Call) -> None:
    server.then(Answer(status=204), Answer(content=b"\0bytes", headers=BYTES))
    call(server.url, PUT_OBJECT, OBJECT)
    assert call(server.url, READ_OBJECT, ask.ReadObject(org="lab", repo="cube", key=OBJECT.key)) == b"\0bytes"
    assert (server.asked[0].content, server.asked[0].headers["content-type"]) == (b"\0bytes", "application/octet-stream")


def test_a_look_without_an_answer_is_asked_for_again(server: Scripted, call: Call) -> None:
    server.then(LOST, LOST, WELL)
    assert call(server.url, GET_ME, ask.Nothing()) == ME


def test_a_change_without_an_answer_is_asked_for_again_with_the_same_key(server: Scripted, call: Call) -> None:
    server.then(LOST, MADE)
    call(server.url, CREATE_ORG, CREATE)
    assert len(server.asked) == 2
    assert len({asked.headers["idempotency-key"] for asked in server.asked}) == 1


def test_a_login_without_an_answer_is_not_asked_for_again(server: Scripted, call: Call) -> None:
    server.then(LOST)
    with pytest.raises(StoreError, match="unknown"):
        call(server.url, LOG_IN, ask.LogIn(user="ada", password="secret"))


def test_a_change_that_gets_no_answer_at_all_may_have_been_made(server: Scripted, call: Call) -> None:
    server.then(*[LOST] * 5)
    with pytest.raises(StoreError, match="whether it was done is unknown"):
        call(server.url, CREATE_ORG, CREATE)
    assert len(server.asked) == 5


def test_a_server_that_is_not_there_did_nothing(call: Call) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with pytest.raises(StoreError, match="can't be reached") as raised:
            call(f"http://127.0.0.1:{closed.getsockname()[1]}", CREATE_ORG, CREATE)
    assert "unknown" not in str(raised.value)


@pytest.mark.parametrize(
    "later", [error(429, "busy"), error(503, "busy"), Answer(status=502, headers={"content-type": "text/html"}), Answer(status=504)]
)
def test_what_says_later_is_asked_again(later: Answer, server: Scripted, call: Call) -> None:
    server.then(later if later.status != 504 else Answer(status=504, headers={"content-type": "text/plain"}), MADE)
    call(server.url, CREATE_ORG, CREATE)
    assert len({asked.headers["idempotency-key"] for asked in server.asked}) == 1


def test_a_wait_that_is_too_long_is_the_callers(server: Scripted, call: Call) -> None:
    server.then(error(429, "busy", retry_after="3600"))
    with pytest.raises(Busy, match="told"):
        call(server.url, GET_ME, ask.Nothing())


def test_what_a_store_failed_at_is_not_asked_again(server: Scripted, call: Call) -> None:
    server.then(error(502, "store"))
    with pytest.raises(StoreError, match="told"):
        call(server.url, GET_ME, ask.Nothing())


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (409, "already-exists", AlreadyExists),
        (409, "conflict", Conflict),
        (404, "not-found", NotFound),
        (401, "unauthenticated", Unauthenticated),
    ],
)
def test_errors_are_those_of_the_service(status: int, code: str, kind: type[Exception], server: Scripted, call: Call) -> None:
    server.then(error(status, code))
    with pytest.raises(kind, match=r"^told$"):
        call(server.url, GET_ORG, ask.OrgName(org="lab"))
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_token_is_sent_on(status: int, server: Scripted, call: Call) -> None:
    with scripted() as other:
        server.then(Answer(status=status, headers={"location": f"{other.url}/api/v1/me"}))
        with pytest.raises(InvalidInput, match="sends on to"):
            call(server.url, GET_ME, ask.Nothing())
        assert other.asked == []


@pytest.mark.parametrize("operation", [GET_ME, LOG_OUT])
def test_a_page_that_some_network_shows_is_no_answer(
    operation: Operation[ask.Nothing, models.Me | None], server: Scripted, call: Call
) -> None:
    server.then(Answer(content=b"<html>log in to this network</html>", headers={"content-type": "text/html"}))
    with pytest.raises(StoreError, match="is it one"):
        call(server.url, operation, ask.Nothing())


def test_bytes_of_a_page_are_no_object(server: Scripted, call: Call) -> None:
    server.then(Answer(content=b"<html>", headers={"content-type": "text/html"}))
    with pytest.raises(StoreError, match="is it one"):
        call(server.url, READ_OBJECT, ask.ReadObject(org="lab", repo="cube", key="packs/a"))


def test_an_answer_of_another_shape_is_no_answer(server: Scripted, call: Call) -> None:
    server.then(Answer(content=b'{"name": 3}'))
    with pytest.raises(StoreError, match="no kist server"):
        call(server.url, GET_ME, ask.Nothing())


def test_what_cannot_be_asked_is_not_sent(server: Scripted, call: Call) -> None:
    with pytest.raises(InvalidInput, match="org must be"):
        call(server.url, GET_ORG, ask.OrgName(org="a/../b"))
    assert server.asked == []


def test_a_key_with_odd_characters_stays_one_key(server: Scripted, call: Call) -> None:
    server.then(Answer(content=b"", headers=BYTES))
    call(server.url, READ_OBJECT, ask.ReadObject(org="lab", repo="cube", key="a/../%2e/ä?#b"))
    assert server.asked[0].target == "/api/v1/repos/lab/cube/objects/a/%2E%2E/%252e/%C3%A4%3F%23b"


def test_no_error_and_no_repr_shows_the_token(server: Scripted) -> None:
    transport = HttpTransport(Server(url=server.url, token="canary"), sleep=lambda _seconds: None)
    server.then(*[LOST] * 5)
    with pytest.raises(StoreError) as raised:
        transport.call(GET_ME, ask.Nothing())
    transport.close()
    assert "canary" not in repr(raised.value) + repr(raised.value.__cause__) + repr(transport) + repr(
        AsyncHttpTransport(Server(url="https://a"))
    )


def test_one_transport_works_in_one_event_loop_after_another(server: Scripted) -> None:
    transport = AsyncHttpTransport(Server(url=server.url))

    async def ask_once() -> models.Me:
        try:
            return await transport.call(GET_ME, ask.Nothing())
        finally:
            await transport.aclose()

    server.then(WELL, WELL)
    assert [asyncio.run(ask_once()), asyncio.run(ask_once())] == [ME, ME]


def test_plain_http_goes_through_no_proxy(server: Scripted, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    server.then(WELL)
    assert call(server.url, GET_ME, ask.Nothing()) == ME


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[tuple[Scripted, Path]]:
    """A server whose certificate nobody vouches for, and the certificate."""
    context, certificate = self_signed(tmp_path)
    with scripted(context) as running:
        yield running, certificate


@needs_openssl
def test_a_certificate_that_nobody_vouches_for_is_refused_at_once(secure: tuple[Scripted, Path], call: Call) -> None:
    server, _ = secure
    server.then(WELL)
    with pytest.raises(StoreError, match="CERTIFICATE_VERIFY_FAILED"):
        call(server.url, GET_ME, ask.Nothing())
    assert server.asked == []


@needs_openssl
def test_a_certificate_that_this_machine_trusts_is_good(secure: tuple[Scripted, Path], call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    server, certificate = secure
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setenv("NO_PROXY", "localhost")
    server.then(WELL)
    assert call(server.url, GET_ME, ask.Nothing()) == ME
