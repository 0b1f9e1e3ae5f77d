"""Users whom another service proves: by the service's name for itself and its name for them, never by an e-mail address."""

from typing import Final

from sqlalchemy import Connection

from kist.catalog import people
from kist.errors import Denied, InvalidInput, Unauthenticated
from kist.service.rooms import Rooms
from kist.service.users import LONGEST_EMAIL, add_user, free_name, name_like

__all__ = ["by_identity", "link_identity"]

_LONGEST: Final = {"issuer": 512, "subject": 256}


def by_identity(rooms: Rooms, issuer: str, subject: str, *, email: str = "", name: str = "", create: bool = False) -> str:
    """Return the id of the user whom `issuer` calls `subject`; with `create`, a new one if there is none.

    An address is taken down for a new user, if it is nobody else's. It never leads to a user who is there already: whoever runs the other
    service could else become anybody here.

    Raises:
        Denied: there is no such user, and none may be made.
        Unauthenticated: the user is disabled.
        InvalidInput: issuer or subject can't be kept.
        StoreError: the database failed.
    """
    _check(issuer, subject)
    with rooms.database.reading() as sql:
        user = people.identified(sql, issuer, subject)
    if user is None and not create:
        raise Denied(f"{issuer} calls you {email or name or subject!r}, and no user here is linked to that: ask an admin of the server")
    if user is None:
        user = rooms.database.change(lambda sql: _made(sql, rooms, issuer, subject, email=email, name=name))
    if user.disabled:
        raise Unauthenticated("this user may not log in any more: ask an admin of the server")
    return user.id


def link_identity(rooms: Rooms, user_id: str, issuer: str, subject: str) -> None:
    """Let another service prove a user from now on; whoever is logged in asks for this, nobody else.

    Raises:
        Denied: it proves somebody else already.
        InvalidInput: issuer or subject can't be kept.
        StoreError: the database failed.
    """
    _check(issuer, subject)

    def change(sql: Connection) -> None:
        user = people.identified(sql, issuer, subject)
        if user is None:
            people.add_identity(sql, issuer, subject, user_id)
        elif user.id != user_id:
            raise Denied(f"{issuer} proves another user with this login: log in as that one, or use another login there")

    rooms.database.change(change)


def _made(sql: Connection, rooms: Rooms, issuer: str, subject: str, *, email: str, name: str) -> people.UserRow:
    """Make a user and their identity; somebody else may have just done it."""
    people.lock_names(sql)
    if (user := people.identified(sql, issuer, subject)) is not None:
        return user
    wanted = free_name(sql, name_like(name or email.partition("@")[0]))
    free = email if len(email) <= LONGEST_EMAIL and not people.has_email(sql, email) else ""
    user = add_user(sql, wanted, email=free, now=rooms.now())
    people.add_identity(sql, issuer, subject, user.id)
    return user


def _check(issuer: str, subject: str) -> None:
    for what, said in (("issuer", issuer), ("subject", subject)):
        if not said or len(said) > _LONGEST[what]:
            raise InvalidInput(f"the other service says an {what} of {len(said)} characters: 1 to {_LONGEST[what]} can be kept")
