"""How much one may ask for at once: rates, and bytes that wait in memory. Counted in this process, from its start."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import anyio
from starlette.requests import ClientDisconnect, Request

from kist.errors import Busy, InvalidInput, StoreError

__all__ = ["Buffers", "Rates", "TooLarge", "TooMany"]

SLOWEST: Final = 64 << 10
"""Bytes a second that a client must manage to send once its first seconds are over."""


class TooMany(Busy):
    """Too many requests at once; `seconds` says how long to wait."""

    http_status = 429

    def __init__(self, message: str, seconds: float = 1.0) -> None:
        """Take what to say."""
        super().__init__(message)
        self.seconds = seconds


class TooLarge(InvalidInput):
    """A body is longer than may be."""

    http_status = 413


class Rates:
    """Token buckets: each key may do `burst` at once, `rate` a second over any longer time. The longest idle of too many is forgotten."""

    def __init__(self, rate: float, burst: int, *, keys: int = 50_000, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with full buckets."""
        self._rate, self._burst, self._keys, self._clock = rate, burst, keys, clock
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, key: str, what: str) -> None:
        """Count one of `key`.

        Raises:
            TooMany: it was one too many.
        """
        now = self._clock()
        left, since = self._left.pop(key, (float(self._burst), now))
        left = min(self._burst, left + (now - since) * self._rate)
        allowed = left >= 1
        self._left[key] = (left - 1 if allowed else left, now)
        if len(self._left) > self._keys:
            del self._left[next(iter(self._left))]
        if not allowed:
            seconds = (1 - left) / self._rate
            raise TooMany(f"too many requests of {what}: wait {seconds:.1f} s, then try again", seconds)


class Buffers:
    """The memory for bodies that are being received or worked on."""

    def __init__(self, total_bytes: int, *, first_seconds: float) -> None:
        """Allow so many bytes altogether; a client has `first_seconds`, and then must keep to a lowest speed."""
        self._left_bytes, self._first_seconds = total_bytes, first_seconds

    @asynccontextmanager
    async def body(self, request: Request, *, most_bytes: int) -> AsyncIterator[bytes]:
        """Lend the body of a request.

        Raises:
            TooLarge: it is longer than `most_bytes`.
            Busy: others have too much at once, or the client is too slow.
            StoreError: the client went away.
        """
        said = request.headers.get("content-length", "")
        expected = int(said) if said.isascii() and said.isdigit() and len(said) < 16 else None  # noqa: PLR2004 - digits of a sane number
        if expected is not None and expected > most_bytes:
            raise TooLarge(f"the body has {expected:,} bytes, and {most_bytes:,} are the most")
        reserved = most_bytes if expected is None and "transfer-encoding" in request.headers else expected or 0
        if reserved > self._left_bytes:
            raise Busy("others send too much at once: wait and try again")
        self._left_bytes -= reserved
        try:
            yield await self._received(request, most_bytes)
        finally:
            self._left_bytes += reserved

    async def _received(self, request: Request, most_bytes: int) -> bytes:
        content = bytearray()
        begin = anyio.current_time()
        try:
            with anyio.fail_after(self._first_seconds) as scope:
                async for block in request.stream():
                    content += block
                    if len(content) > most_bytes:
                        raise TooLarge(f"the body has more than the {most_bytes:,} bytes that it may have")
                    scope.deadline = begin + self._first_seconds + len(content) / SLOWEST
        except TimeoutError as error:
            raise Busy(f"the body came too slowly: {len(content):,} bytes in {anyio.current_time() - begin:.0f} s") from error
        except ClientDisconnect as error:
            raise StoreError("the client went away before its request was complete") from error
        return bytes(content)
