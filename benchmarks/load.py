"""Load for a server that speaks HTTP: many clients on connections that stay open, each asking one thing after the other.

A client of one's own, since a general one would cost more than the server that it measures.
"""

import asyncio
import itertools
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

__all__ = ["Asked", "Measured", "measure"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request."""

    verb: str
    path: str
    body: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a load took: answers per second, and milliseconds that half and 99 of 100 answers took at most."""

    clients: int
    answers: int
    per_second: float
    p50_ms: float
    p99_ms: float


def measure(port: int, token: str, ask: Callable[[int], Asked], *, clients: int, seconds: float) -> Measured:
    """Let `clients` ask what ``ask(number)`` says, each time with another number, for some seconds.

    Raises:
        AssertionError: an answer was no success.
    """
    took = asyncio.run(_all(port, token, ask, clients, seconds))
    took.sort()
    return Measured(
        clients=clients,
        answers=len(took),
        per_second=len(took) / seconds,
        p50_ms=1000 * took[len(took) // 2],
        p99_ms=1000 * took[min(len(took) - 1, len(took) * 99 // 100)],
    )


async def _all(port: int, token: str, ask: Callable[[int], Asked], clients: int, seconds: float) -> list[float]:
    numbers = itertools.count()
    end = time.monotonic() + seconds
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_one(port, token, ask, numbers, end)) for _ in range(clients)]
    return list(itertools.chain.from_iterable(task.result() for task in tasks))


async def _one(port: int, token: str, ask: Callable[[int], Asked], numbers: Iterator[int], end: float) -> list[float]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
    took = []
    try:
        while (began := time.monotonic()) < end:
            request = _bytes(ask(next(numbers)), port, token)
            began = time.monotonic()
            writer.write(request)
            status, body = await _answer(reader)
            took.append(time.monotonic() - began)
            assert 200 <= status < 300, (status, body[:500])  # noqa: PLR2004 - a success
    finally:
        writer.close()
    return took


def _bytes(asked: Asked, port: int, token: str) -> bytes:
    body = b"" if asked.body is None else json.dumps(asked.body).encode()
    head = [f"{asked.verb} {asked.path} HTTP/1.1", f"host: 127.0.0.1:{port}", f"authorization: Bearer {token}"]
    if asked.body is not None:
        head += ["content-type: application/json"]
    if asked.verb != "GET":
        head += [f"content-length: {len(body)}", f"idempotency-key: {time.monotonic_ns()}-{id(asked)}"]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    status, length = int(head[9:12]), 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return status, await reader.readexactly(length)
