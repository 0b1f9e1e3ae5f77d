"""The web site of a repository on a real server: uvicorn in a thread, at a free port of loopback, always stopped."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import uvicorn

from kist.engine.repository import Repository
from kist.server.app import make_app

TOKEN = "the-token-of-the-link"


@dataclass(frozen=True)
class Site:
    """Where it is, and a client; `client` is logged in, `stranger` is not."""

    repository: Repository
    port: int
    client: httpx.Client
    stranger: httpx.Client

    @property
    def link(self) -> str:
        """The login link."""
        return f"http://127.0.0.1:{self.port}/login?token={TOKEN}"

    def get(self, page: str, headers: dict[str, str] | None = None, /, **parameters: str) -> httpx.Response:
        """Ask as the user."""
        return self.client.get(page, params=parameters, headers=headers)


@contextlib.contextmanager
def serving(repository: Repository, *, log_in: bool = True) -> Iterator[Site]:
    """Run the site while the context lasts."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        config = uvicorn.Config(
            make_app(repository, login_token=TOKEN), lifespan="off", ws="none", log_level="critical", timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        base = f"http://127.0.0.1:{port}"
        try:
            end = time.monotonic() + 30
            while not server.started:
                assert time.monotonic() < end, "uvicorn did not start"
                time.sleep(0.01)
            with (
                httpx.Client(base_url=base, timeout=30, trust_env=False) as client,
                httpx.Client(base_url=base, timeout=30, trust_env=False) as stranger,
            ):
                if log_in:
                    assert client.get("/login", params={"token": TOKEN}).status_code == 200
                yield Site(repository, port, client, stranger)
        finally:
            server.should_exit = True
            thread.join(30)
            assert not thread.is_alive(), "uvicorn did not stop"
