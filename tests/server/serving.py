"""The app on a real server: uvicorn in a thread, at a free port of loopback, always stopped."""

import contextlib
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import msgspec
import uvicorn
from starlette.types import ASGIApp

from kist.engine.repository import Repository
from kist.models.requests import UserName
from kist.operations import CREATE_LOGIN_LINK
from kist.server.app import make_app
from kist.server.render import site_name
from kist.server.serve import configure
from kist.server.settings import Keys, Listen, ServerSettings
from kist.service.alone import open_alone
from kist.service.dispatch import Service
from kist.service.rooms import Caller


@dataclass(frozen=True)
class Site:
    """The site of a repository, and clients; `client` is logged in, `stranger` is not."""

    repository: Repository
    port: int
    client: httpx.Client
    stranger: httpx.Client
    token: str = ""
    base: str = field(default="")

    @property
    def link(self) -> str:
        """The login link."""
        return f"http://127.0.0.1:{self.port}/login?token={self.token}"

    def get(self, page: str, headers: dict[str, str] | None = None, /, **parameters: str) -> httpx.Response:
        """Ask for a page of the repository as the user."""
        return self.client.get((self.base + page).rstrip("/"), params=parameters, headers=headers)


@contextlib.contextmanager
def running(make: Callable[[ServerSettings], ASGIApp], **changes: object) -> Iterator[str]:
    """Run what `make` makes of settings, as a server does, while the context lasts, and yield its URL."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        settings = ServerSettings(database="", keys=Keys(), listen=Listen(port=port))
        settings = msgspec.structs.replace(settings, **changes)
        config = configure(make(settings), settings)
        config.timeout_graceful_shutdown = 1
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            end = time.monotonic() + 30
            while not server.started:
                assert time.monotonic() < end, "uvicorn did not start"
                time.sleep(0.01)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            thread.join(30)
            assert not thread.is_alive(), "uvicorn did not stop"


@contextlib.contextmanager
def alone() -> Iterator[tuple[Service, Caller]]:
    """Open the service of a user alone, in a home of its own."""
    home = Path(tempfile.mkdtemp(prefix="kist-alone-"))
    try:
        service, caller = open_alone(home)
        with contextlib.closing(service.rooms.database):
            yield service, caller
    finally:
        shutil.rmtree(home)


@contextlib.contextmanager
def serving(repository: Repository, *, log_in: bool = True) -> Iterator[Site]:
    """Run the app of a user alone who also looks at `repository`, while the context lasts."""
    name = site_name(repository.name)
    with contextlib.ExitStack() as stack:
        service, caller = stack.enter_context(alone())
        url = stack.enter_context(running(lambda settings: make_app(service, settings, here={name: repository}, by_link=True)))
        client, stranger = (stack.enter_context(httpx.Client(base_url=url, timeout=30, verify=False, trust_env=False)) for _ in range(2))
        token = login_token(service, caller)
        if log_in:
            assert client.get("/login", params={"token": token}).status_code == 200
        yield Site(repository, httpx.URL(url).port or 0, client, stranger, token, f"/-/{name}")


def login_token(service: Service, caller: Caller) -> str:
    """Return a token that logs the caller's browser in, once."""
    return service.call(CREATE_LOGIN_LINK, UserName(user=caller.who.name), caller).token
