"""A network that fails on purpose: a proxy on loopback in front of a server that speaks HTTP, with faults drawn by a seed.

It counts the requests that it is armed for, does to the chosen ones what their fault says, and writes down what it did and how many
bytes went which way, so that a failure can be read and, by its seed, seen again.
"""

import contextlib
import enum
import random
import select
import socket
import struct
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

BLOCK_BYTES = 256 << 10
STALL_SECONDS = 4
"""How long a silence lasts at most, for clients that would bear it longer."""


class Kind(enum.StrEnum):
    """What may happen to a request."""

    RESET_BEFORE = "reset before anything was forwarded"
    CUT_REQUEST = "reset in the middle of the request's body"
    RESET_AFTER = "reset after the request was forwarded"
    LOST = "done by the server, and the answer is lost"
    CUT_ANSWER = "closed in the middle of the answer"
    RESET_ANSWER = "reset in the middle of the answer"
    STALL_REQUEST = "silence in the middle of the request's body"
    STALL_ANSWER = "silence in the middle of the answer"
    ERROR = "500"
    OVERLOAD = "503"
    OVERLOAD_LATER = "503 with Retry-After"
    TOO_MANY = "429"
    LATE_ERROR = "200 with an error in it, as S3 answers what takes long; else 500"
    HOLD = "nothing goes on until the proxy is armed anew"


ANSWERS = {
    Kind.ERROR: ("500 Internal Server Error", "InternalError", ""),
    Kind.OVERLOAD: ("503 Slow Down", "SlowDown", ""),
    Kind.OVERLOAD_LATER: ("503 Service Unavailable", "SlowDown", "Retry-After: 1\r\n"),
    Kind.TOO_MANY: ("429 Too Many Requests", "TooManyRequests", ""),
}
_BROKEN_REQUESTS = (Kind.CUT_REQUEST, Kind.STALL_REQUEST)
_BROKEN_ANSWERS = (Kind.CUT_ANSWER, Kind.RESET_ANSWER, Kind.STALL_ANSWER)
_SILENCES = (Kind.STALL_REQUEST, Kind.STALL_ANSWER, Kind.HOLD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What happens to the `times` requests from number `at` on, counted from 0; in a body, after so many bytes, -1: in the head."""

    kind: Kind
    at: int = 0
    times: int = 1
    after_bytes: int = -1
    method: str = ""
    """Of which requests: all, unless it says so."""


def random_fault(chance: random.Random, *, most_at: int, most_bytes: int) -> Fault:
    """Draw one; it happens once, or to some requests, or to all that follow."""
    kind = chance.choice([kind for kind in Kind if kind is not Kind.HOLD])
    times = chance.choice((1, 1, 2, 1000)) if kind not in _SILENCES else chance.choice((1, 1, 2))
    after = chance.choice((-1, 0, 1, chance.randint(0, most_bytes), chance.randint(0, most_bytes)))
    return Fault(kind=kind, at=chance.randint(0, most_at), times=times, after_bytes=after)


@dataclass(slots=True, kw_only=True)
class Seen:
    """One request, what befell it, and how many bytes of its body and of the answer's went through."""

    method: str
    target: str
    fault: Fault | None
    sent_bytes: int = 0
    answered_bytes: int = 0


@dataclass(frozen=True, slots=True)
class _Head:
    """The beginning of a request or an answer."""

    first: str
    lines: tuple[str, ...]

    @property
    def raw(self) -> bytes:
        return "\r\n".join([self.first, *self.lines, "", ""]).encode("latin-1")

    def get(self, name: str) -> str:
        """Return a header, in lower case; empty if there is none."""
        for line in self.lines:
            key, _, value = line.partition(":")
            if key.lower() == name:
                return value.strip().lower()
        return ""

    def without(self, name: str) -> "_Head":
        return _Head(self.first, tuple(line for line in self.lines if line.partition(":")[0].lower() != name))


class _Line:
    """A connection, read by heads and bodies."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._data = b""

    def head(self) -> _Head | None:
        """Read a head; None at the end."""
        while b"\r\n\r\n" not in self._data:
            if not self._more():
                return None
        raw, _, self._data = self._data.partition(b"\r\n\r\n")
        first, *lines = raw.decode("latin-1").split("\r\n")
        return _Head(first, tuple(lines))

    def body(self, head: _Head, *, answer_to: str = "") -> Iterator[bytes]:
        """Yield a body as it comes, chunks with their frames."""
        status = head.first.split(" ")[1] if answer_to else ""
        if answer_to == "HEAD" or status in {"204", "304"}:
            return
        if head.get("transfer-encoding") == "chunked":
            yield from self._chunks()
        elif head.get("content-length") or not answer_to:
            yield from self._counted(int(head.get("content-length") or 0))
        else:
            while self._data or self._more():
                yield self._take(BLOCK_BYTES)

    def _more(self) -> bool:
        data = self.socket.recv(BLOCK_BYTES)
        self._data += data
        return bool(data)

    def _take(self, count: int) -> bytes:
        data, self._data = self._data[:count], self._data[count:]
        return data

    def _counted(self, count: int) -> Iterator[bytes]:
        while count:
            if not self._data and not self._more():
                raise ConnectionError("the other side closed in the middle of a body")
            data = self._take(min(count, BLOCK_BYTES))
            count -= len(data)
            yield data

    def _chunks(self) -> Iterator[bytes]:
        count = -1
        while count:
            while b"\r\n" not in self._data:
                if not self._more():
                    raise ConnectionError("the other side closed in the middle of a chunk")
            frame = self._take(self._data.index(b"\r\n") + 2)
            yield frame
            count = int(frame.split(b";")[0], 16)
            yield from self._counted(count + 2)


class Proxy:
    """A running proxy."""

    def __init__(self, port: int, listener: socket.socket) -> None:
        self.port: int = listener.getsockname()[1]
        self.seen: list[Seen] = []
        self._server, self._listener = port, listener
        self._lock = threading.Condition()
        self._faults: Sequence[Fault] = ()
        self._hits: list[int] = []
        self._only = ""
        self._awake = threading.Event()
        self._open: dict[socket.socket, threading.Thread] = {}
        self._thread = threading.Thread(target=self._accept, name="proxy", daemon=True)

    @property
    def endpoint(self) -> str:
        """Its URL."""
        return f"http://127.0.0.1:{self.port}"

    def arm(self, *faults: Fault, only: str = "") -> None:
        """Forget what was seen, and wake all that is silent; from now on these faults hit requests that have `only` in their head."""
        with self._lock:
            self._awake.set()
            self._awake = threading.Event()
            self.seen = []
            self._faults, self._hits, self._only = faults, [0] * len(faults), only

    def hit(self) -> list[Seen]:
        """Return the requests that met a fault."""
        with self._lock:
            return [seen for seen in self.seen if seen.fault]

    def moved_bytes(self) -> tuple[int, int]:
        """Return how many bytes of bodies went to the server, and how many came back."""
        with self._lock:
            return sum(seen.sent_bytes for seen in self.seen), sum(seen.answered_bytes for seen in self.seen)

    def close(self) -> None:
        """End all."""
        self.arm()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._listener.close()
        with self._lock:
            left = dict(self._open)
        for connection, thread in left.items():
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            thread.join(10)

    def start(self) -> None:
        """Begin to accept connections."""
        self._thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                thread = threading.Thread(target=self._serve, args=(connection,), name="proxy", daemon=True)
                with self._lock:
                    self._open[connection] = thread
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.settimeout(60)
                line = _Line(connection)
                while (head := line.head()) and self._relay(line, head):
                    pass
        finally:
            with self._lock:
                del self._open[connection]
            connection.close()

    def _meet(self, head: _Head) -> Seen:
        """Note a request, and choose what befalls it."""
        method, target, _ = head.first.split(" ", 2)
        with self._lock:
            seen = Seen(method=method, target=target, fault=None)
            if self._only.encode() not in head.raw:
                return seen
            self.seen.append(seen)
            for number, fault in enumerate(self._faults):
                if fault.method in {"", method}:
                    self._hits[number] += 1
                    if seen.fault is None and fault.at < self._hits[number] <= fault.at + fault.times:
                        seen.fault = fault
            return seen

    def _relay(self, line: _Line, head: _Head) -> bool:
        """Pass a request on; return whether another may follow on this connection."""
        awake = self._awake
        seen = self._meet(head)
        kind = seen.fault.kind if seen.fault else None
        if kind is Kind.HOLD:
            _stay_silent(line.socket, awake, 600)
        if kind in {Kind.RESET_BEFORE, Kind.HOLD}:
            return _reset(line.socket)
        if head.get("expect"):
            line.socket.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if kind in ANSWERS or kind is Kind.LATE_ERROR:
            return _refuse(line, head, kind)
        with socket.create_connection(("127.0.0.1", self._server), timeout=60) as server:
            server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            server.sendall(head.without("expect").raw)
            if kind in _BROKEN_REQUESTS and not line_has_body(head):
                kind = Kind.RESET_AFTER
            limit = max(seen.fault.after_bytes, 0) if seen.fault and kind in _BROKEN_REQUESTS else None
            if not _pass(line.body(head), server, limit, seen, "sent_bytes"):
                _reset(server)
                server.close()  # first: MiniStack stores what came of a body that ends early, and must not do so after the next try
                if kind is Kind.STALL_REQUEST:
                    _stay_silent(line.socket, awake, STALL_SECONDS)
                return _reset(line.socket)
            if kind is Kind.RESET_AFTER:
                return _reset(line.socket)
            return self._answer(line.socket, _Line(server), seen, awake)

    def _answer(self, client: socket.socket, server: _Line, seen: Seen, awake: threading.Event) -> bool:
        """Pass an answer back."""
        head = server.head()
        if head is None:
            return False
        body = server.body(head, answer_to=seen.method)
        if seen.fault is None or seen.fault.kind not in {*_BROKEN_ANSWERS, Kind.LOST}:
            client.sendall(head.raw)
            _pass(body, client, None, seen, "answered_bytes")
            return head.get("connection") != "close" and bool(head.get("content-length") or head.get("transfer-encoding"))
        if seen.fault.kind is Kind.LOST:
            for _ in body:
                pass
            return False
        whole = seen.fault.after_bytes >= 0
        client.sendall(head.raw if whole else head.raw[: len(head.raw) // 2])
        if whole:
            _pass(body, client, seen.fault.after_bytes, seen, "answered_bytes")
        if seen.fault.kind is Kind.STALL_ANSWER:
            _stay_silent(client, awake, STALL_SECONDS)
        return _reset(client) if seen.fault.kind is not Kind.CUT_ANSWER else False


def line_has_body(head: _Head) -> bool:
    """Say whether a request has a body."""
    return head.get("content-length") not in {"", "0"} or bool(head.get("transfer-encoding"))


def _pass(body: Iterator[bytes], to: socket.socket, limit: int | None, seen: Seen, counter: str) -> bool:
    """Pass a body on, `limit` bytes of it at most; return whether that was all."""
    done = 0
    for data in body:
        part = data if limit is None else data[: limit - done]
        to.sendall(part)
        done += len(part)
        setattr(seen, counter, done)
        if len(part) < len(data):
            return False
    return limit is None


def _refuse(line: _Line, head: _Head, kind: Kind) -> bool:
    """Answer with an error instead of the server, which hears nothing."""
    for _ in line.body(head):
        pass
    status, code, header = ANSWERS.get(kind, ANSWERS[Kind.ERROR])
    if kind is Kind.LATE_ERROR and (head.get("x-amz-copy-source") or (head.first.startswith("POST") and "uploadId=" in head.first)):
        status = "200 OK"
    body = f"<?xml version='1.0' encoding='UTF-8'?>\n<Error><Code>{code}</Code><Message>Please try again.</Message></Error>".encode()
    line.socket.sendall(f"HTTP/1.1 {status}\r\nContent-Type: application/xml\r\n{header}Content-Length: {len(body)}\r\n\r\n".encode())
    if not head.first.startswith("HEAD "):
        line.socket.sendall(body)
    return True


def _stay_silent(connection: socket.socket, awake: threading.Event, seconds: float) -> None:
    """Do nothing until the client goes away, or the proxy is armed anew, or for so long."""
    poll = select.poll()
    poll.register(connection, select.POLLRDHUP | select.POLLHUP | select.POLLERR)
    for _ in range(int(seconds * 20)):
        if awake.wait(0.05) or poll.poll(0):
            return


def _reset(*connections: socket.socket) -> bool:
    """Close connections so that the other side gets an error."""
    for connection in connections:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


@contextlib.contextmanager
def proxying(port: int) -> Iterator[Proxy]:
    """Run a proxy in front of a server at a port of 127.0.0.1."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        proxy = Proxy(port, listener)
        proxy.start()
        try:
            yield proxy
        finally:
            proxy.close()
