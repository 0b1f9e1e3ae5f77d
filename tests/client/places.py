"""The same service, asked in this process and over HTTP: what all tests of the clients run on."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.server.serving import running

from kist import AsyncClient, Client
from kist.client.http import AsyncHttpTransport, HttpTransport
from kist.client.inside import AsyncInside, InsideTransport
from kist.client.servers import Server
from kist.client.transport import AsyncTransport, Transport
from kist.server.app import make_app
from kist.service import authentication
from kist.service.alone import open_alone
from kist.service.jobs import Worker
from kist.service.rooms import Caller

PASSWORD = "correct horse battery staple"
HOW = ("inside", "over HTTP")


@dataclass(frozen=True)
class Place:
    """A service, and a client of its first user, who may do everything. `url` is empty in this process."""

    url: str
    client: Client
    transports: Callable[[str], tuple[Transport, Callable[[], AsyncTransport]]]
    opened: contextlib.ExitStack
    users: list[str] = field(default_factory=list)

    def ran[T](self, work: Callable[[AsyncClient], Awaitable[T]], *, token: str = "") -> T:
        """Do something with a client for event loops."""

        async def run() -> T:
            async with AsyncClient.over(self.transports(token)[1]()) as client:
                return await work(client)

        return asyncio.run(run())

    def user(self, name: str) -> Client:
        """Return the client of another user, who is made."""
        self.make_user(name)
        return self.login(name)

    def make_user(self, name: str) -> None:
        """Make a user, unless there is one of this name."""
        if name not in self.users:
            self.client.create_user(name, password=PASSWORD)
            self.users.append(name)

    def login(self, name: str) -> Client:
        """Return the client of a user who logs in."""
        if self.url:
            client = self.opened.enter_context(Client(self.url))
            client.login(user=name, password=PASSWORD, save=False)
            return client
        return Client.over(self.transports(name)[0])


@contextlib.contextmanager
def serving(home: Path, how: str) -> Iterator[Place]:
    """Open a service, and serve it if need be, until the end of the block."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("KIST_AUTHOR", "ada")
        service, caller = open_alone(home)
    with contextlib.ExitStack() as stack:
        stack.callback(service.rooms.database.close)
        worker = Worker(service, poll_seconds=0.1)
        worker.start()
        stack.callback(worker.stop)

        def inside(name: str) -> tuple[Transport, Callable[[], AsyncTransport]]:
            who = authentication.by_password(service.rooms, name, PASSWORD) if name else caller.who
            transport = InsideTransport(service, Caller(who=who, inside=True))
            return transport, lambda: AsyncInside(transport)

        if how == "inside":
            yield Place("", Client.over(inside("")[0]), inside, stack)
            return
        url = stack.enter_context(running(lambda settings: make_app(service, settings)))
        own = Client.over(inside("")[0]).create_key("tests").secret

        def over_http(token: str) -> tuple[Transport, Callable[[], AsyncTransport]]:
            server = Server(url=url, token=token or own)
            transport = HttpTransport(server)
            stack.callback(transport.close)
            return transport, lambda: AsyncHttpTransport(server)

        yield Place(url, Client.over(over_http("")[0]), over_http, stack)
