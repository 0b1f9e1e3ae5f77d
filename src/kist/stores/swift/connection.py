"""Connections to an account of Swift: each is lent to one thread at a time, waits for a bounded time, and speaks kist's errors."""

import contextlib
import os
import threading
import weakref
from collections.abc import Iterator
from typing import Final

import keystoneauth1.exceptions
import requests
import swiftclient  # type: ignore[import-untyped]  # it has no types
import urllib3
from keystoneauth1 import session
from keystoneauth1.identity import BaseIdentityPlugin, v2, v3

from kist.errors import Conflict, Denied, IntegrityError, InvalidInput, KistError, NotFound, StoreError, Unauthenticated, Unsupported
from kist.stores import budget
from kist.stores.swift.options import Account

__all__ = ["Connections", "status_of"]

_MEANINGS: Final[dict[int, tuple[type[KistError], str]]] = {
    400: (InvalidInput, "the server does not take it"),
    401: (Unauthenticated, "the credentials are not accepted; check them"),
    403: (Denied, "these credentials don't allow it; check them and the rights of the container"),
    404: (NotFound, "there is no such object"),
    405: (Unsupported, "this server can't do it"),
    411: (StoreError, "the server wants to know the length first"),
    412: (Conflict, "it is not the same any more"),
    413: (StoreError, "it is too big for the server"),
    422: (IntegrityError, "other bytes arrived than were sent; try again"),
    429: (StoreError, "the server is overloaded; try again later"),
    498: (StoreError, "the server is overloaded; try again later"),
    501: (Unsupported, "this server can't do it"),
    503: (StoreError, "the server is overloaded; try again later"),
    507: (StoreError, "the server has no room left"),
}
_LOGIN: Final = ("Unauthorized", "Authorization Failure")
_TEXT_LIMIT: Final = 300


class Connections:
    """Lends connections of one account, and remembers who one is there. May be used from any thread, and after a fork."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._idle: list[swiftclient.Connection] = []
        self._login = (account.get("storage_url"), account.get("token"))
        weakref.finalize(self, _close_all, self._idle, self._process)

    @contextlib.contextmanager
    def request(self, action: str) -> Iterator[swiftclient.Connection]:
        """Lend a connection for one request, within the budget, and translate its errors."""
        with budget.request(), self.lend(action) as connection:
            yield connection

    @contextlib.contextmanager
    def lend(self, action: str) -> Iterator[swiftclient.Connection]:
        """Lend a connection; whoever borrows it takes care of the budget."""
        connection = self._take()
        try:
            with self._translated(action):
                yield connection
        except (StoreError, GeneratorExit):
            connection.close()  # nobody knows what is still on its way
            raise
        except BaseException:
            self._give_back(connection)
            raise
        self._give_back(connection)

    def storage_url(self, action: str) -> str:
        """Return the address of the account, after logging in if need be."""
        with self.request(action) as connection:
            if not connection.url:
                connection.get_auth()
            return str(connection.url)

    def _take(self) -> swiftclient.Connection:
        with self._lock:
            if self._process != os.getpid():  # the parent's sockets are not ours
                self._process, self._idle = os.getpid(), []
            if self._idle:
                return self._idle.pop()
            url, token = self._login
        return _connection(self.account, url, token)

    def _give_back(self, connection: swiftclient.Connection) -> None:
        with self._lock:
            if connection.url and connection.token:
                self._login = (connection.url, connection.token)
            self._idle.append(connection)

    @contextlib.contextmanager
    def _translated(self, action: str) -> Iterator[None]:
        try:
            yield
        except swiftclient.ClientException as error:
            raise self._refused(error, action) from None  # its text may repeat headers, and so a secret
        except (keystoneauth1.exceptions.ClientException, keystoneauth1.exceptions.CatalogException) as error:
            raise self._no_login(error, action) from None
        except KistError:
            raise
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            said = self._masked(f"{error}")[:_TEXT_LIMIT]
            raise StoreError(f"can't {action}: the connection failed or broke off ({said}); is the server running?") from None

    def _refused(self, error: swiftclient.ClientException, action: str) -> KistError:
        status = error.http_status or 0
        if not status:
            return self._no_login(error, action)
        kind, meaning = _MEANINGS.get(status, (StoreError, "the store failed"))
        refused = kind(self._masked(f"can't {action}: {meaning} (HTTP {status} {error.http_reason or ''})".replace(" )", ")")))
        refused.add_note(f"status {status}")
        return refused

    def _no_login(self, error: Exception, action: str) -> KistError:
        text = self._masked(str(error))[:_TEXT_LIMIT]
        unknown = (keystoneauth1.exceptions.Unauthorized, keystoneauth1.exceptions.AuthorizationFailure)
        if isinstance(error, unknown) or text.startswith(_LOGIN):
            return Unauthenticated(f"can't {action}: the credentials are not accepted; check them ({text})")
        if isinstance(error, keystoneauth1.exceptions.CatalogException) or "region" in text:
            return InvalidInput(f"can't {action}: the account has no object store there; set region ({text})")
        return StoreError(f"can't {action}: can't log in ({text})")

    def _masked(self, text: str) -> str:
        for secret in self.account.secrets:
            text = text.replace(secret, "***")
        return text


def status_of(error: KistError) -> int:
    """Return the HTTP status behind an error; 0 if nobody answered, or nobody knows."""
    return next((int(note.removeprefix("status ")) for note in getattr(error, "__notes__", ()) if note.startswith("status ")), 0)


def _close_all(idle: list[swiftclient.Connection], process: int) -> None:
    if process == os.getpid():
        while idle:
            idle.pop().close()


def _connection(account: Account, url: str, token: str) -> swiftclient.Connection:
    options = {"region_name": account.get("region")} if account.get("region") else {}
    login = _plugin(account)
    return swiftclient.Connection(
        authurl=account.get("auth_url") or None,
        user=account.get("username") or None,
        key=account.get("password") or None,
        session=session.Session(login, timeout=account.timeout_seconds, verify=account.get("cacert") or True) if login else None,
        preauthurl=url or None,
        preauthtoken=token or None,
        os_options=options,
        auth_version=account.auth_version,
        cacert=account.get("cacert") or None,
        timeout=account.timeout_seconds,
        retries=account.max_retries,
        starting_backoff=0.2,
        max_backoff=5,
    )


def _plugin(account: Account) -> BaseIdentityPlugin | None:
    """Return how to log in by Keystone, if that is asked for."""
    if not account.get("auth_url") or account.auth_version == "1":
        return None
    url, name, word = account.get("auth_url"), account.get("username"), account.get("password")
    project_name, project_id = account.get("project_name") or None, account.get("project_id") or None
    if account.auth_version == "2":
        return v2.Password(url, username=name, password=word, tenant_name=project_name, tenant_id=project_id)
    if account.get("application_credential_id"):
        return v3.ApplicationCredential(
            url, account.get("application_credential_secret"), application_credential_id=account.get("application_credential_id")
        )
    user_domain, project_domain = account.get("user_domain_name") or None, account.get("project_domain_name") or None
    return v3.Password(
        url,
        username=name,
        password=word,
        project_name=project_name,
        project_id=project_id,
        user_domain_name=user_domain,
        user_domain_id=account.get("user_domain_id") or (None if user_domain else "default"),
        project_domain_name=project_domain,
        project_domain_id=account.get("project_domain_id") or (None if project_domain or project_id else "default"),
    )
