"""HTTP/1.1 as uvicorn speaks it, for clients that may be slow or hostile: the head of a request must be short, and come soon."""

import asyncio
from typing import ClassVar, Final, override

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

__all__ = ["Connection", "protocol"]

_TOO_LONG: Final = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class Connection(HttpToolsProtocol):
    """One connection. While a request's head is awaited, a clock runs and its bytes are counted."""

    header_bytes: ClassVar[int]
    header_seconds: ClassVar[float]

    _clock: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _in_head = True

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    @override
    def data_received(self, data: bytes) -> None:
        self._head_bytes += len(data) if self._in_head else 0
        super().data_received(data)
        if self._in_head and self._head_bytes > self.header_bytes and not self.transport.is_closing():
            self._refuse()

    @override
    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._clock is None:
            self._start()

    @override
    def on_headers_complete(self) -> None:
        self._stop()
        self._head_bytes, self._in_head = 0, False
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > self.header_bytes:
            self._refuse()
        else:
            super().on_headers_complete()

    @override
    def on_body(self, body: bytes) -> None:
        if not self.transport.is_closing():
            super().on_body(body)

    @override
    def on_message_complete(self) -> None:
        self._in_head = True
        if not self.transport.is_closing():
            super().on_message_complete()

    def _refuse(self) -> None:
        self._stop()
        self.transport.write(_TOO_LONG)
        self.transport.close()

    def _start(self) -> None:
        self._clock = self.loop.call_later(self.header_seconds, self.transport.close)

    def _stop(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None


def protocol(*, header_bytes: int, header_seconds: float) -> type[Connection]:
    """Return the protocol with these limits."""
    return type("LimitedConnection", (Connection,), {"header_bytes": header_bytes, "header_seconds": header_seconds})
