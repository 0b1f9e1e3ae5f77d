"""Web servers: Python's own (no ranges), rclone's (ranges), and one that says byte by byte what a test wants."""

import contextlib
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import override

from tests.servers.process import answers, free_port, running, wait_until
from tests.servers.rclone import program


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request, as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes = b""


type Say = Callable[[Asked], Iterable[bytes | float]]
"""What to send for a request; a number is a pause in seconds. The connection is closed behind it."""


@dataclass(kw_only=True)
class RawServer:
    """A running server, and what it was asked so far."""

    port: int
    scheme: str = "http"
    asked: list[Asked] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Its address."""
        return f"{self.scheme}://localhost:{self.port}" if self.scheme == "https" else f"http://127.0.0.1:{self.port}"


def said(status: str, *headers: str, body: bytes = b"") -> list[bytes]:
    """Return an answer that says no more about its body than `headers` do."""
    return ["\r\n".join([f"HTTP/1.1 {status}", *headers, "Connection: close", "", ""]).encode("latin-1"), body]


@contextlib.contextmanager
def raw_server(say: Say, *, tls: ssl.SSLContext | None = None) -> Iterator[RawServer]:
    """Run a server that answers each connection with what `say` yields."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = RawServer(port=listener.getsockname()[1], scheme="https" if tls else "http")
    stop = threading.Event()
    thread = threading.Thread(target=_accept, args=(listener, server, say, tls, stop), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        stop.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)


def _accept(listener: socket.socket, server: RawServer, say: Say, tls: ssl.SSLContext | None, stop: threading.Event) -> None:
    threads = []
    with contextlib.suppress(OSError):
        while not stop.is_set():
            connection, _ = listener.accept()
            threads.append(threading.Thread(target=_talk, args=(connection, server, say, tls, stop), daemon=True))
            threads[-1].start()
    for thread in threads:
        thread.join(5)


def _talk(connection: socket.socket, server: RawServer, say: Say, tls: ssl.SSLContext | None, stop: threading.Event) -> None:
    with contextlib.suppress(OSError), contextlib.closing(tls.wrap_socket(connection, server_side=True) if tls else connection) as line:
        line.settimeout(10)
        asked = _read(line)
        if asked is None:
            return
        server.asked.append(asked)
        for piece in say(asked):
            if isinstance(piece, bytes):
                line.sendall(piece)
            elif stop.wait(piece):
                return


def _read(line: socket.socket) -> Asked | None:
    data = b""
    while b"\r\n\r\n" not in data:
        more = line.recv(65536)
        if not more:
            return None
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    first, *rest = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (text.partition(":") for text in rest)}
    while len(body) < int(headers.get("content-length", 0)):
        body += line.recv(65536) or b"\0" * (1 << 20)
    return Asked(method=method, target=target, headers=headers, body=body)


def self_signed(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """Make a certificate for localhost; return what a server needs, and the certificate for its clients."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(["openssl", "req", "-x509", *kind, *name, *files], check=True, capture_output=True, timeout=60)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context, certificate


class _Quiet(SimpleHTTPRequestHandler):
    @override
    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    @override
    def handle_error(self, request: object, client_address: object) -> None:
        """Stay silent when a client goes away."""


@contextlib.contextmanager
def plain_server(folder: Path) -> Iterator[str]:
    """Serve a folder by ``http.server``, which knows no ranges, and yield its address."""
    server = _Server(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


@contextlib.contextmanager
def rclone_server(folder: Path, log: Path, *, login: tuple[str, str] | None = None) -> Iterator[str]:
    """Serve a folder by ``rclone serve http``, which knows ranges, and yield its address."""
    port = free_port()
    who = ["--user", login[0], "--pass", login[1]] if login else []
    argv = [
        program() or "rclone",
        "serve",
        "http",
        "--addr",
        f"127.0.0.1:{port}",
        "--read-only",
        "--dir-cache-time",
        "0s",
        *who,
        str(folder),
    ]
    with running(argv, log=log, env={"RCLONE_CONFIG": str(log.with_suffix(".conf"))}):
        wait_until(lambda: answers(port), "rclone's start", log=log)
        yield f"http://127.0.0.1:{port}"
