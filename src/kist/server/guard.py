"""What every request passes: which host it names, how often its sender may ask, what its answer carries, and what is noted of it.

A request must name this server as its host, so that no web site reaches it by rebinding a name. Its answer gets headers that leave hostile
content nothing to do, and a number that the log has too. A reader that does not read is not waited for without end.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

import anyio
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kist.errors import KistError
from kist.server.identity import Networks, address_of, is_proxied
from kist.server.limits import Rates
from kist.server.logs import Trace, log_request
from kist.server.metrics import Figures
from kist.server.settings import ServerSettings

__all__ = ["Guard", "Misdirected", "Refuse"]

HEADERS: Final = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
STRICT: Final = {"strict-transport-security": "max-age=31536000"}
HEALTH: Final = frozenset({"/healthz", "/readyz"})
"""Asked by machines that know this one by its address alone; they tell nothing else."""
BLOCK_BYTES: Final = 256 << 10
log = logging.getLogger(__name__)

type Refuse = Callable[[Scope, KistError | None], Response]
"""Renders an error, None for a bug, as the sender of a request reads it."""


class Misdirected(KistError):
    """A request names another host."""

    code = "misdirected"
    http_status = HTTPStatus.MISDIRECTED_REQUEST


class Guard:
    """The outermost part of the app."""

    def __init__(
        self, app: ASGIApp, *, settings: ServerSettings, trusted: Networks, rates: Rates, figures: Figures, refuse: Refuse
    ) -> None:
        """Take what lies behind, what the admin set, whom to trust, and how to refuse."""
        self._app, self._trusted = app, trusted
        self._rates, self._figures, self._refuse = rates, figures, refuse
        self._url, self._hosts, self._seconds = settings.url, settings.hosts, settings.limits.body_seconds
        self._headers = HEADERS | (STRICT if self._url.startswith("https:") else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        connection = HTTPConnection(scope)
        if is_proxied(connection, self._trusted) and connection.headers.get("x-forwarded-proto") in {"http", "https"}:
            scope["scheme"] = connection.headers["x-forwarded-proto"]
        trace = scope["kist"] = Trace(address=address_of(connection, self._trusted), operation=_kind(scope["path"]))
        answer = _Answer(send, {**self._headers, "x-request-id": trace.request}, block_seconds=self._seconds)
        begin = time.monotonic()
        self._figures.begin()
        try:
            await self._pass(scope, receive, answer)
        finally:
            seconds = time.monotonic() - begin
            self._figures.end(trace.operation, answer.status, seconds)
            if scope["path"] not in HEALTH:
                log_request(trace, verb=scope["method"], status=answer.status, seconds=seconds)

    async def _pass(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        trace: Trace = scope["kist"]
        try:
            app: ASGIApp = self._refusal(scope) or self._app
            await app(scope, receive, answer.send)
        except asyncio.CancelledError:
            log.warning("the server ended before an answer did: %s", trace.operation, extra={"request": trace.request})
        except TimeoutError:
            log.warning("nobody read an answer: %s", trace.operation, extra={"request": trace.request})
        except Exception:
            log.exception("failed on %s", trace.operation, extra={"request": trace.request})
            if not answer.status:
                await self._refuse(scope, None)(scope, receive, answer.send)

    def _refusal(self, scope: Scope) -> Response | None:
        if scope["path"] in HEALTH:
            return None
        hosts = [value.decode("latin-1").lower() for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1 or hosts[0] not in self._hosts:
            return self._refuse(scope, Misdirected(f"this site answers at {self._url}/ alone, and the request names another host"))
        try:
            self._rates.take(scope["kist"].address, "this address")
        except KistError as error:
            return self._refuse(scope, error)
        return None


class _Answer:
    """An answer on its way: in blocks, each of which must be taken in time."""

    def __init__(self, send: Send, headers: dict[str, str], *, block_seconds: float) -> None:
        self._send, self._headers, self._seconds = send, headers, block_seconds
        self.status = 0

    async def send(self, message: Message) -> None:
        """Send a part of it.

        Raises:
            TimeoutError: nobody takes it.
        """
        if message["type"] == "http.response.start":
            self.status = message["status"]
            MutableHeaders(scope=message).update(self._headers)
            await self._send(message)
            return
        body: bytes = message.get("body", b"")
        for start in range(0, max(1, len(body)), BLOCK_BYTES):
            more = message.get("more_body", False) or start + BLOCK_BYTES < len(body)
            with anyio.fail_after(self._seconds):
                await self._send({**message, "body": body[start : start + BLOCK_BYTES], "more_body": more})


def _kind(path: str) -> str:
    """Return what a request is until more is known: names of our own only, since figures are counted by them."""
    first = path.split("/", 2)[1]
    return first if first in {"login", "logout", "static", "healthz", "readyz", "metrics", "api"} else "page"
