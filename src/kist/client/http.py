"""A kist server over HTTPS as a transport, for threads and for event loops. The rules are those of `kist.client.exchange`."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, cast
from weakref import WeakKeyDictionary

import httpx

from kist.client.exchange import ANSWER_BYTES, Exchange, Pause, options
from kist.client.servers import Server
from kist.errors import StoreError
from kist.models.requests import Request
from kist.operations import Operation

__all__ = ["AsyncHttpTransport", "HttpTransport"]


class HttpTransport:
    """Asks a server, and waits."""

    def __init__(self, server: Server, *, sleep: Callable[[float], object] = time.sleep) -> None:
        """Connect when it is first asked."""
        self._server, self._sleep = server, sleep
        self._lock = threading.Lock()
        self._http: httpx.Client | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.place}>"

    @property
    def place(self) -> str:
        """See `kist.client.transport.Transport`."""
        return self._server.url

    def call[In: Request, Out](self, operation: Operation[In, Out], request: In) -> Out:
        """See `kist.client.transport.Transport`."""
        exchange = Exchange(self._server, operation, request)
        while True:
            outcome = self._attempt(exchange)
            if not isinstance(outcome, Pause):
                return outcome
            self._sleep(outcome.seconds)

    def close(self) -> None:
        """See `kist.client.transport.Transport`."""
        with self._lock:
            http, self._http = self._http, None
        if http:
            http.close()

    def _attempt[In: Request, Out](self, exchange: Exchange[In, Out]) -> Out | Pause:
        try:
            with self._opened().stream(
                exchange.verb, exchange.url, content=exchange.content, headers=exchange.headers, timeout=exchange.timeout
            ) as response:
                content = b"".join(_limited(response.iter_bytes()))
        except httpx.RequestError as error:
            return exchange.lost(error)
        return exchange.answered(response, content)

    def _opened(self) -> httpx.Client:
        with self._lock:
            if self._http is None:
                self._http = httpx.Client(**cast("dict[str, Any]", options(self._server)))
            return self._http


class AsyncHttpTransport:
    """Asks a server from event loops; each has connections of its own."""

    def __init__(self, server: Server, *, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep) -> None:
        """Connect when it is first asked."""
        self._server, self._sleep = server, sleep
        self._https: WeakKeyDictionary[asyncio.AbstractEventLoop, httpx.AsyncClient] = WeakKeyDictionary()
        self.blocking = HttpTransport(server)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.place}>"

    @property
    def place(self) -> str:
        """See `kist.client.transport.AsyncTransport`."""
        return self._server.url

    async def call[In: Request, Out](self, operation: Operation[In, Out], request: In) -> Out:
        """See `kist.client.transport.AsyncTransport`."""
        exchange = Exchange(self._server, operation, request)
        while True:
            outcome = await self._attempt(exchange)
            if not isinstance(outcome, Pause):
                return outcome
            await self._sleep(outcome.seconds)

    async def aclose(self) -> None:
        """See `kist.client.transport.AsyncTransport`."""
        self.blocking.close()
        if http := self._https.pop(asyncio.get_running_loop(), None):
            await http.aclose()

    async def _attempt[In: Request, Out](self, exchange: Exchange[In, Out]) -> Out | Pause:
        try:
            async with self._opened().stream(
                exchange.verb, exchange.url, content=exchange.content, headers=exchange.headers, timeout=exchange.timeout
            ) as response:
                content = b"".join([part async for part in _alimited(response.aiter_bytes())])
        except httpx.RequestError as error:
            return exchange.lost(error)
        return exchange.answered(response, content)

    def _opened(self) -> httpx.AsyncClient:
        loop = asyncio.get_running_loop()
        if loop not in self._https:
            self._https[loop] = httpx.AsyncClient(**cast("dict[str, Any]", options(self._server)))
        return self._https[loop]


def _limited(parts: Iterator[bytes]) -> Iterator[bytes]:
    """Pass parts on, unless they are too many for an answer.

    Raises:
        StoreError: they are.
    """
    left = ANSWER_BYTES
    for part in parts:
        left = _less(left, part)
        yield part


async def _alimited(parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    left = ANSWER_BYTES
    async for part in parts:
        left = _less(left, part)
        yield part


def _less(left: int, part: bytes) -> int:
    if len(part) > left:
        raise StoreError(f"the server's answer is longer than {ANSWER_BYTES >> 20} MiB, which no kist server's is")
    return left - len(part)
