"""``kist://org/repo@ref/path`` as one more scheme: of the server that one is logged in to, or of this machine.

On this machine a repository is what the catalog says, once there is one; without it, a folder. The organisation ``local`` always is
this machine's, and ``local/default`` is what `KIST_REPOSITORY` names, if that is set.
"""

import atexit
import contextlib
import os
import threading
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kist import settings
from kist.engine.addressed import RepositoryStore
from kist.engine.opening import open_repository
from kist.engine.repository import Repository
from kist.errors import InvalidInput, NotFound
from kist.ids import Address, parse_address

if TYPE_CHECKING:
    from kist.client.client import Client
    from kist.client.servers import Server

__all__ = ["open_addressed", "repository_at", "split"]

_CLIENTS: Final = 8

type _Where = tuple[Server | None, str, int]

_clients: OrderedDict[_Where, "Client"] = OrderedDict()
_lock = threading.Lock()


def split(url: str) -> tuple[str, str]:
    """Return the address of a repository's whole tree, and the path in it.

    Raises:
        InvalidInput: it is no such address.
    """
    address = parse_address(url)
    return address.root, address.path + ("/" if address.path and url.endswith("/") else "")


def open_addressed(url: str, *, create: bool = False, **options: object) -> RepositoryStore:
    """Open ``kist://org/repo@ref`` as a store.

    Raises:
        NotFound: there is no such repository, and `create` is not set.
        InvalidInput: it is no such address.
    """
    repository, ref, path = repository_at(url, create=create, **options)
    if path:
        raise InvalidInput(f"{url!r} is a place in a repository, not a whole one")
    return RepositoryStore(repository, ref, url=parse_address(url).root)


def repository_at(url: str, *, create: bool = False, **options: object) -> tuple[Repository, str | None, str]:
    """Return the repository, the ref and the path that ``kist://org/repo@ref/path`` names.

    Raises:
        NotFound: there is no such repository, and `create` is not set.
        InvalidInput: it is no such address, or takes no options.
        Denied: you may not open it.
    """
    if options:
        raise InvalidInput(f"a 'kist' store does not take all of {', '.join(sorted(options))}")
    address = parse_address(url)
    return _open(address, create=create), address.ref, address.path


def _open(address: Address, *, create: bool) -> Repository:
    if address.name == "local/default" and os.environ.get("KIST_REPOSITORY"):
        return _on_this_machine(address, settings.default_repository(), create=create)
    server = None if address.org == "local" else _server()
    if server is None:
        return _known_here(address, create=create)
    client = _client(server)
    return client.get_or_create_repo(address.name) if create else client.get_repo(address.name)


def _known_here(address: Address, *, create: bool) -> Repository:
    """Open a repository of this machine: the catalog's, or, where it has none, or there is no catalog, one that is a folder."""
    place = settings.repository_place(address.org, address.repo)
    if not (settings.data_home() / "catalog" / "kist.sqlite").exists():
        return _on_this_machine(address, place, create=create)
    client = _client(None)
    try:
        return client.get_repo(address.name)
    except NotFound as error:
        if Path(place).is_dir() and not _is_held(client, address):
            return _on_this_machine(address, place, create=create)
        if not create:
            raise NotFound(f"{error}; kist init kist://{address.name} makes one on this machine") from error
    try:
        return client.create_repo(address.name)
    except NotFound:  # the organisation: a folder needs none
        return _on_this_machine(address, place, create=True)


def _is_held(client: "Client", address: Address) -> bool:
    """Say whether the folder of a name is a repository that the catalog knows by another name, or one that was deleted."""
    with contextlib.suppress(NotFound):
        known = [*client.iter_repos("local"), *client.iter_repos("local", deleted=True)]
        return any(repo.prefix.strip("/") == address.name for repo in known)
    return False


def _on_this_machine(address: Address, place: str, *, create: bool) -> Repository:
    try:
        return open_repository(place, create=create)
    except NotFound as error:
        raise NotFound(f"there is no repository {address.name} on this machine: kist init kist://{address.name} makes one") from error


def _server() -> "Server | None":
    """Return the server that is configured. Who has none, and no file that could name one, need not load what reads it."""
    if not os.environ.get("KIST_SERVER") and not (settings.config_home() / "client.toml").exists():
        return None
    from kist.client.servers import find_server  # noqa: PLC0415 - see above

    return find_server()


def _client(server: "Server | None") -> "Client":
    """Return the client of a server, or of this machine, which all addresses share."""
    from kist.client.client import Client  # noqa: PLC0415 - a folder needs no client
    from kist.client.connect import open_transport  # noqa: PLC0415

    where = (server, "" if server else str(settings.data_home()), os.getpid())  # connections are no good after a fork
    with _lock:
        if not _clients:
            atexit.register(_close)
        if where not in _clients:
            _clients[where] = Client.over(open_transport(server))
            while len(_clients) > _CLIENTS:
                _clients.popitem(last=False)[1].close()
        _clients.move_to_end(where)
        return _clients[where]


def _close() -> None:
    """Give back all connections, at the end of the process."""
    with _lock:
        while _clients:
            where, client = _clients.popitem()
            if where[2] == os.getpid():
                client.close()
