"""A user alone on this machine: the same service, in this process, on a catalog below the user's own folder.

It is made when it is first opened: the user, with the personal organisation ``local``, whose bucket config ``local`` is a folder, in which
lies the repository ``local/default``. All of that is one transaction, so of several processes that are the first, one makes it, and one
that is killed leaves nothing half made. Later it is only looked up.
"""

from pathlib import Path
from typing import Final

from sqlalchemy import Connection

from kist import settings
from kist.catalog import orgs, people
from kist.catalog.database import Database, open_database
from kist.catalog.keyrings import load_keyring
from kist.catalog.people import UserRow
from kist.errors import NotFound, StoreError
from kist.service.assembly import make_service
from kist.service.dispatch import Service
from kist.service.policy import Principal
from kist.service.rooms import Caller, Rooms, Rules

__all__ = ["RULES", "open_alone"]

RULES: Final = Rules(local_roots=("/",), endpoints=("*",), ambient=True, memory=True, fixed=("local/default",))
"""Everything that the user may do without kist too."""

ORG: Final = "local"


def open_alone(home: Path | None = None) -> tuple[Service, Caller]:
    """Open the service of the user of this machine, below a folder (`kist.settings.data_home` unless said), and make it if it is not there.

    Close it by ``service.rooms.database.close()``.

    Raises:
        StoreError: the folder can't be written, or is damaged; the message says how to choose another.
        InvalidInput: others may read the keys in it.
        Conflict: a newer kist wrote it.
    """
    home = home or settings.data_home()
    try:
        keyring = load_keyring(home / "catalog" / "keys", create=True)
        database = open_database(str(home / "catalog" / "kist.sqlite"))
        try:
            user = _opened(database, home)
        except BaseException:
            database.close()
            raise
    except StoreError as error:
        raise StoreError(
            f"{error}; kist keeps what it knows below {home}: if that can't be written, set KIST_HOME to a folder that can"
        ) from error
    service = make_service(Rooms(database=database, keyring=keyring, rules=RULES))
    who = Principal(id=user.id, name=user.name, kind="user", admin=True)
    return service, Caller(who=who, inside=True)


def _opened(database: Database, home: Path) -> UserRow:
    """Return the user of a catalog that is there and up to date, else make it so."""
    if database.pending():
        database.migrate()
    with database.reading() as sql:
        user = _owner(sql)
    if user is not None:
        return user
    from kist.service.founding import prepare  # noqa: PLC0415 - needed once, and it needs the engine

    found = prepare(home / "repositories", ORG)
    return database.change(lambda sql: _owner(sql) or found(sql))


def _owner(sql: Connection) -> UserRow | None:
    org = orgs.find(sql, ORG)
    if org is None:
        return None
    user = people.by_id(sql, org.owner_id or "")
    if user is None:
        raise NotFound(f"the organisation {ORG!r} of this machine's catalog has no owner: it was not made by kist")
    return user
