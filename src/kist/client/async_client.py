"""`kist.AsyncClient`: everything that can be done with organisations, for event loops. `kist.Client` is made from it."""

import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import Self

from kist.client.asynchronous.accounts import Accounts
from kist.client.asynchronous.buckets import Buckets
from kist.client.asynchronous.keys import ServiceAccounts
from kist.client.asynchronous.mounts import Mounts
from kist.client.asynchronous.orgs import Orgs
from kist.client.asynchronous.repos import Repos
from kist.client.connect import open_async_transport
from kist.client.servers import Server, find_server, forget_server, remember_server
from kist.client.transport import AsyncTransport
from kist.errors import InvalidInput, Unauthenticated
from kist.models import Me
from kist.operations import GET_ME, LOG_IN, LOG_OUT

__all__ = ["AsyncClient"]


class AsyncClient(Accounts, Orgs, ServiceAccounts, Buckets, Repos, Mounts):
    """Organisations, bucket configs and repositories: of a server, or of this machine, where nothing need be set up.

    It may be used in an ``async with`` block, which closes it at the end.
    """

    def __init__(self, server: str | None = None, *, token: str | None = None, insecure: bool | None = None) -> None:
        """Choose what to talk to; nothing is sent yet.

        Args:
            server: its URL; else that of `KIST_SERVER`, else the one of the last login, else this machine (also by ``"local"``).
            token: speaks for you there; else that of `KIST_TOKEN`, else that of the login.
            insecure: whether plain http may be used to another machine.

        Raises:
            InvalidInput: it is no URL of a server, or would send the token in clear text.
        """
        self._server: Server | None = find_server(server, token, insecure=insecure)
        self._transport = open_async_transport(self._server)

    @classmethod
    def over(cls, transport: AsyncTransport) -> Self:
        """Return a client that asks through a transport."""
        client = cls.__new__(cls)
        client._server, client._transport = None, transport  # noqa: SLF001 - of its own class
        return client

    def __repr__(self) -> str:
        """Name the place, and no token."""
        return f"<{type(self).__name__} {self._transport.place}>"

    async def __aenter__(self) -> Self:
        """Begin."""
        return self

    async def __aexit__(self, *_raised: object) -> None:
        """Close it."""
        await self.aclose()

    async def aclose(self) -> None:
        """Give back connections; more than once is no error."""
        await self._transport.aclose()

    @property
    def server(self) -> str:
        """The server's URL, or ``this machine``."""
        return self._transport.place

    async def whoami(self) -> Me:
        """Return who asks: name, organisations and how far the key reaches.

        Raises:
            Unauthenticated: the server does not know the token, or there is none.
        """
        return await self._ask(GET_ME)

    async def login(
        self, *, token: str | None = None, user: str | None = None, password: str | Callable[[], str] | None = None, save: bool = True
    ) -> Me:
        """Log in to the server, by a token or by name and password.

        Args:
            token: one that was made before; or instead:
            user: a name or e-mail address,
            password: and the password, or what asks for it.
            save: whether the login is kept in the user's configuration, for all clients from now on.

        Raises:
            Unauthenticated: the server does not know them.
            InvalidInput: this client talks to this machine, which needs no login.
        """
        if self._server is None:
            raise InvalidInput("this machine needs no login: make a client of a server, such as Client('https://kist.lab.org')")
        if (token is None) == (user is None or password is None):
            raise InvalidInput("log in by a token, or by user and password")
        if token is None:
            said = password() if callable(password) else password
            token = (await self._ask(LOG_IN, user=user, password=said)).secret
        server = replace(self._server, token=token, user="")
        transport = open_async_transport(server)
        before, self._transport = self._transport, transport
        try:
            me = await self.whoami()
        except BaseException:
            self._transport = before
            await transport.aclose()
            raise
        await before.aclose()
        self._server = replace(server, user=me.name)
        if save:
            remember_server(self._server)
        return me

    async def logout(self) -> None:
        """End the key that this client uses, and forget the login.

        Raises:
            InvalidInput: this client talks to this machine.
        """
        if self._server is None:
            raise InvalidInput("there is no login to this machine")
        with contextlib.suppress(Unauthenticated):  # it was over already
            await self._ask(LOG_OUT)
        forget_server(self._server.url)
        self._server = replace(self._server, token="", user="")
        before, self._transport = self._transport, open_async_transport(self._server)
        await before.aclose()
