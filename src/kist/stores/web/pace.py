"""How long one request may wait: a bound on all of it, not only on each silence.

Until the headers are there, so many seconds may pass. Behind them there is as much credit again: waiting uses it up, and what comes refills
it, by the least rate that is asked for. So an average over that time counts, and what came quickly before is no excuse.
Time between two steps, in which the reader is at work, is not counted. The bound holds for every wait on a connection, since a server
that sends a byte now and then is never silent.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import override

import httpcore

__all__ = ["Pace", "PacedBackend", "paced"]


class Pace:
    """How long reading may still take."""

    def __init__(self, patience_seconds: float, min_bytes_per_second: float) -> None:
        self._patience_seconds = patience_seconds
        self._rate = min_bytes_per_second
        self._credit_seconds = patience_seconds
        self.deadline = time.monotonic() + patience_seconds

    @contextlib.contextmanager
    def step(self) -> Iterator[Callable[[int], None]]:
        """Read once; tell the yielded function how many bytes came."""
        begin = time.monotonic()
        self.deadline = begin + self._credit_seconds

        def came(size_bytes: int) -> None:
            earned = size_bytes / self._rate if self._rate else self._patience_seconds
            self._credit_seconds = min(self._patience_seconds, self._credit_seconds - (time.monotonic() - begin) + earned)

        yield came

    def left(self, timeout: float | None) -> float:
        """Return how long one wait may last."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("it is too slow")
        return left if timeout is None else min(left, timeout)


_here = threading.local()


@contextlib.contextmanager
def paced(pace: Pace) -> Iterator[None]:
    """Let all waiting on this thread follow a pace."""
    before = getattr(_here, "pace", None)
    _here.pace = pace
    try:
        yield
    finally:
        _here.pace = before


def _left(timeout: float | None) -> float | None:
    pace: Pace | None = getattr(_here, "pace", None)
    return pace.left(timeout) if pace else timeout


class _PacedStream(httpcore.NetworkStream):
    """A connection whose every wait is bounded by the pace of the request that waits."""

    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    @override
    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, timeout=_left(timeout))

    @override
    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, timeout=_left(timeout))

    @override
    def close(self) -> None:
        self._inner.close()

    @override
    def start_tls(self, ssl_context: object, server_hostname: str | None = None, timeout: float | None = None) -> httpcore.NetworkStream:
        return _PacedStream(self._inner.start_tls(ssl_context, server_hostname, _left(timeout)))  # type: ignore[arg-type]  # as it came

    @override
    def get_extra_info(self, info: str) -> object:
        return self._inner.get_extra_info(info)


class PacedBackend(httpcore.SyncBackend):
    """Connects."""

    @override
    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        return _PacedStream(super().connect_tcp(host, port, _left(timeout), local_address, socket_options))
