"""A server that answers as a test says: for what no real server does on demand, such as losing an answer."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import override

from kist.stores.protocols import ConditionalStore
from kist.stores.urls import open_store


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a client asked."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What it gets; `lost` closes the connection instead."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    lost: bool = False


type Script = Callable[[Request], Answer]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, script: Script) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script = script

    @override
    def handle_error(self, request: object, client_address: object) -> None:
        """Stay silent when a client goes away."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        assert isinstance(self.server, _Server)
        answer = self.server.script(Request(method=self.command, path=self.path, headers=dict(self.headers), body=body))
        if answer.lost:
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in {"Content-Length": str(len(answer.body)), "ETag": '"0"', **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _serve  # noqa: N815  the base class calls these names

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""


@contextlib.contextmanager
def scripted_store(script: Script, **options: object) -> Iterator[ConditionalStore]:
    """Lend an ``s3://bucket`` store whose server follows a script."""
    server = _Server(script)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    keys = {"access_key_id": "AKIDSCRIPTED", "secret_access_key": "very-secret-key", "retry_seconds": 5, "max_retries": 2}
    try:
        endpoint = f"http://127.0.0.1:{server.server_address[1]}"
        store = open_store("s3://bucket", create=False, **{"endpoint": endpoint, **keys, **options})
        assert isinstance(store, ConditionalStore)
        yield store
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
