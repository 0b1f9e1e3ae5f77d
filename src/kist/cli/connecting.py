"""Whom a command asks, and in which organisation: a server, or the service of this machine; the same commands for both.

The organisation is what ``--org`` says, else ``KIST_ORG``, else what ``kist config set org`` kept, else the only one there is, else one's
own. Where it was not said, a note tells which was taken.
"""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from kist.cli.output import note
from kist.cli.text import escape
from kist.errors import InvalidInput, NotFound
from kist.ids import SCHEME

if TYPE_CHECKING:
    from kist.client.client import Client

__all__ = ["address", "connected", "in_org", "in_repo", "org_of", "split_name"]

LISTED = 5


class Manner(Protocol):
    """How a command talks, see `kist.cli.options.Everywhere`: that module needs this one for what the Tab key offers."""

    @property
    def json(self) -> bool:
        """Whether it talks to a program."""
        ...

    @property
    def quiet(self) -> bool:
        """Whether it notes nothing."""
        ...


@contextmanager
def connected(server: str | None = None, *, insecure: bool | None = None) -> Iterator["Client"]:
    """Lend a client of a server, of the current one unless one is named, or of this machine.

    Raises:
        KistError: it can't be opened.
    """
    from kist.client.client import Client  # noqa: PLC0415 - --help needs no client

    with Client(server, insecure=insecure) as client:
        gc.freeze()  # what is loaded stays: a look for garbage among it takes 30 ms
        gc.enable()  # see `kist.cli.main`
        yield client


@contextmanager
def in_org(org: str | None, everywhere: Manner) -> Iterator[tuple["Client", str]]:
    """Lend a client, with the name of the organisation that is meant.

    Raises:
        KistError: there is none, or it is not clear which.
    """
    with connected() as client:
        yield client, org_of(client, org, everywhere)


@contextmanager
def in_repo(name: str, org: str | None, everywhere: Manner) -> Iterator[tuple["Client", str]]:
    """Lend a client, with the full name of the repository that is meant.

    Raises:
        InvalidInput: it is no name of a repository.
        KistError: it is not clear in which organisation.
    """
    said, repo = split_name(name)
    if said and org and said.casefold() != org.casefold():
        raise InvalidInput(f"{name!r} is in {said!r}, and --org says {org!r}: leave one of them out")
    with connected() as client:
        yield client, f"{said or org_of(client, org, everywhere)}/{repo}"


def org_of(client: "Client", said: str | None, everywhere: Manner | None = None) -> str:
    """Return the name of the organisation that is meant, and tell whoever reads which one was taken; nobody reads if nobody is given.

    Raises:
        NotFound: whoever asks belongs to none.
        InvalidInput: they belong to several, and nothing says which.
    """
    if said:
        return said
    name, why = _configured() or _only(client)
    if everywhere and not (everywhere.quiet or everywhere.json):
        note(f"kist: in organisation {escape(name)} ({why})")
    return name


def split_name(text: str) -> tuple[str, str]:
    """Return what ``ORG/NAME``, ``kist://ORG/NAME`` or ``NAME`` says: the organisation, empty if not said, and the name.

    Raises:
        InvalidInput: it is no name of a repository.
    """
    org, slash, repo = text.removeprefix(SCHEME).rstrip("/").rpartition("/")
    if not repo or "/" in org or (slash and not org):
        raise InvalidInput(f"{text!r} is no name of a repository: write ORG/NAME, or NAME")
    return org, repo


def address(full_name: str) -> str:
    """Return the URL of a repository."""
    return f"{SCHEME}{full_name}"


def _configured() -> tuple[str, str] | None:
    if name := os.environ.get("KIST_ORG"):
        return name, "KIST_ORG says so"
    from kist.client.servers import LOCAL, find_server, known_servers  # noqa: PLC0415 - --help needs no client

    server = find_server()
    name = known_servers().orgs.get(server.url if server else LOCAL)
    return (name, "kist config set org says so") if name else None


def _only(client: "Client") -> tuple[str, str]:
    orgs = client.list_orgs()
    if not orgs:
        raise NotFound("you belong to no organisation: kist org create NAME makes one")
    if len(orgs) == 1:
        return orgs[0].name, "the only one"
    own = [org for org in orgs if org.personal and org.role == "admin"]
    if len(own) == 1:
        return own[0].name, "your own; --org chooses another"
    named = ", ".join(org.name for org in orgs[:LISTED]) + (", ..." if len(orgs) > LISTED else "")
    raise InvalidInput(f"you belong to {len(orgs)} organisations ({named}): say --org ORG, or kist config set org ORG")
