# Made by kist.client.generate from kist/client/async_client.py: change that, and run python -m kist.client.generate
"""`kist.Client`: everything that can be done with organisations."""

import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import Self

from kist.client.blocking.accounts import Accounts
from kist.client.blocking.buckets import Buckets
from kist.client.blocking.keys import ServiceAccounts
from kist.client.blocking.mounts import Mounts
from kist.client.blocking.orgs import Orgs
from kist.client.blocking.repos import Repos
from kist.client.connect import open_transport
from kist.client.servers import Server, find_server, forget_server, remember_server
from kist.client.transport import Transport
from kist.errors import InvalidInput, Unauthenticated
from kist.models import Me
from kist.operations import GET_ME, LOG_IN, LOG_OUT

__all__ = ["Client"]


class Client(Accounts, Orgs, ServiceAccounts, Buckets, Repos, Mounts):
    """Organisations, bucket configs and repositories: of a server, or of this machine, where nothing need be set up.

    It may be used in a ``with`` block, which closes it at the end.
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
        self._transport = open_transport(self._server)

    @classmethod
    def over(cls, transport: Transport) -> Self:
        """Return a client that asks through a transport."""
        client = cls.__new__(cls)
        client._server, client._transport = None, transport  # noqa: SLF001 - of its own class
        return client

    def __repr__(self) -> str:
        """Name the place, and no token."""
        return f"<{type(self).__name__} {self._transport.place}>"

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_raised: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Give back connections; more than once is no error."""
        self._transport.close()

    @property
    def server(self) -> str:
        """The server's URL, or ``this machine``."""
        return self._transport.place

    def whoami(self) -> Me:
        """Return who asks: name, organisations and how far the key reaches.

        Raises:
            Unauthenticated: the server does not know the token, or there is none.
        """
        return self._ask(GET_ME)

    def login(
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
            token = (self._ask(LOG_IN, user=user, password=said)).secret
        server = replace(self._server, token=token, user="")
        transport = open_transport(server)
        before, self._transport = self._transport, transport
        try:
            me = self.whoami()
        except BaseException:
            self._transport = before
            transport.close()
            raise
        before.close()
        self._server = replace(server, user=me.name)
        if save:
            remember_server(self._server)
        return me

    def logout(self) -> None:
        """End the key that this client uses, and forget the login.

        Raises:
            InvalidInput: this client talks to this machine.
        """
        if self._server is None:
            raise InvalidInput("there is no login to this machine")
        with contextlib.suppress(Unauthenticated):  # it was over already
            self._ask(LOG_OUT)
        forget_server(self._server.url)
        self._server = replace(self._server, token="", user="")
        before, self._transport = self._transport, open_transport(self._server)
        before.close()
