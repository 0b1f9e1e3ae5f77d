"""How users come to be: each with a personal organisation, whose admin they are."""

import re
import unicodedata
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from kist import ids
from kist.catalog import orgs, people
from kist.catalog.orgs import OrgRow
from kist.catalog.people import UserRow
from kist.errors import AlreadyExists, InvalidInput
from kist.ids import check_owner_name, new_id

__all__ = ["add_user", "check_email", "free_name", "name_like"]

LONGEST_EMAIL: Final = 320
_EMAIL: Final = re.compile(r"[^\s@\x00-\x1f\x7f]+@[^\s@\x00-\x1f\x7f]+")
_NAME_CHARS: Final = 64
_TRIES: Final = 1000


def add_user(
    sql: Connection,
    name: str,
    *,
    email: str = "",
    password: str | None = None,
    admin: bool = False,
    org: str = "",
    now: datetime,
) -> UserRow:
    """Add a user with a personal organisation, called the same unless `org` says otherwise. `password` is a hash.

    Raises:
        AlreadyExists: a user or an organisation has the name.
    """
    org = org or name
    people.lock_names(sql)
    if people.find(sql, name) is not None:
        raise AlreadyExists(f"there is a user {name!r} already: choose another name")
    if orgs.find(sql, org) is not None:
        raise AlreadyExists(f"there is an organisation {org!r} already, and a user gets one of the same name: choose another name")
    user = UserRow(id=new_id(), name=name, email=email, password=password, admin=admin, disabled=False, created=now)
    people.add(sql, user)
    personal = OrgRow(id=new_id(), name=org, description="", owner_id=user.id, created=now)
    orgs.add(sql, personal)
    orgs.add_member(sql, org_id=personal.id, user_id=user.id, role="admin", now=now)
    return user


def check_email(email: str) -> str:
    """Return an e-mail address, or none, if it can be one.

    Raises:
        InvalidInput: it can't.
    """
    if email and (not _EMAIL.fullmatch(email) or len(email) > LONGEST_EMAIL):
        raise InvalidInput(f"{email!r} is no e-mail address: write name@place")
    return email


def name_like(said: str) -> str:
    """Return a name that a user may have, like one that may have any characters."""
    plain = unicodedata.normalize("NFKD", said).encode("ascii", "ignore").decode()
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip("-._")[:_NAME_CHARS]
    try:
        return check_owner_name(name, what="user")
    except InvalidInput:
        return f"{name}-user" if ids.REF_NAME.fullmatch(name) else "user"


def free_name(sql: Connection, name: str) -> str:
    """Return a name that no user and no organisation has: this one, or with a number.

    Raises:
        AlreadyExists: all are taken.
    """
    for number in range(1, _TRIES):
        tried = name if number == 1 else f"{name}-{number}"
        if people.find(sql, tried) is None and orgs.find(sql, tried) is None:
            return tried
    raise AlreadyExists(f"{name!r} and the names like it are all taken: ask an admin of the server to make the user")
