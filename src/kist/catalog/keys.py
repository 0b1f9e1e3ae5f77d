"""Keys in SQL: of users and service accounts, found by their ids.

Secrets are not here: only the keyed hash of a token, and what the secret of a pair for S3 is derived from.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import msgspec
from sqlalchemy import Connection, Row, String, bindparam, delete, insert, or_, select, tuple_, update

from kist.catalog.tables import Moment, keys, orgs, service_accounts, users
from kist.models import KeyKind, Scope

__all__ = ["Holder", "KeyRow", "add", "drop_ended", "drop_of", "find", "holder", "page", "revoke", "revoke_logins", "touch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRow:
    """One key. A token has a `hash`; of a pair for S3, `salt` and the name of the `master` key make the secret."""

    id: str
    kind: KeyKind
    principal_id: str
    name: str
    hash: bytes | None = field(default=None, repr=False)
    salt: bytes | None = field(default=None, repr=False)
    master: str | None = None
    scope: Scope
    by_login: bool = False
    created: datetime
    expires: datetime | None = None
    used: datetime | None = None
    revoked: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A key with whose it is: a user, or a service account of the organisation `org_id`."""

    key: KeyRow
    name: str
    admin: bool
    org_id: str
    org: str
    disabled: bool


_HOLDER: Final = (  # made once: every request with a token asks for it
    select(
        keys,
        *(column.label(f"user_{column.name}") for column in (users.c.name, users.c.admin, users.c.disabled)),
        service_accounts.c.name.label("account_name"),
        service_accounts.c.disabled.label("account_disabled"),
        service_accounts.c.org_id,
        orgs.c.name.label("org"),
    )
    .outerjoin(users, users.c.id == keys.c.principal_id)
    .outerjoin(service_accounts, service_accounts.c.id == keys.c.principal_id)
    .outerjoin(orgs, orgs.c.id == service_accounts.c.org_id)
    .where(keys.c.id == bindparam("id", type_=String))
)


def add(sql: Connection, key: KeyRow) -> None:
    """Add a key."""
    values = {name: getattr(key, name) for name in KeyRow.__dataclass_fields__}
    sql.execute(insert(keys).values(**{**values, "scope": msgspec.to_builtins(key.scope)}))


def find(sql: Connection, principal_id: str, key_id: str) -> KeyRow | None:
    """Return a key of a user or a service account."""
    row = sql.execute(select(keys).where(keys.c.id == key_id, keys.c.principal_id == principal_id)).one_or_none()
    return None if row is None else _row(row)


def holder(sql: Connection, key_id: str) -> Holder | None:
    """Return a key and whose it is."""
    row = sql.execute(_HOLDER, {"id": key_id}).one_or_none()
    if row is None or (row.user_name is None and row.account_name is None):
        return None
    if row.user_name is not None:
        return Holder(key=_row(row), name=row.user_name, admin=row.user_admin, org_id="", org="", disabled=row.user_disabled)
    name = f"{row.org}/{row.account_name}"
    return Holder(key=_row(row), name=name, admin=False, org_id=row.org_id, org=row.org, disabled=row.account_disabled)


def page(sql: Connection, principal_id: str, *, before: tuple[datetime, str] | None, limit: int) -> list[KeyRow]:
    """Return keys, newest first, from those made before a moment and an id."""
    query = select(keys).where(keys.c.principal_id == principal_id).order_by(keys.c.created.desc(), keys.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(tuple_(keys.c.created, keys.c.id) < tuple_(*before, types=[Moment(), keys.c.id.type]))
    return [_row(row) for row in sql.execute(query)]


def revoke(sql: Connection, principal_id: str, key_id: str, now: datetime) -> None:
    """End a key; when it ended first is kept."""
    mine = (keys.c.id == key_id, keys.c.principal_id == principal_id, keys.c.revoked.is_(None))
    sql.execute(update(keys).where(*mine).values(revoked=now))


def revoke_logins(sql: Connection, principal_id: str, now: datetime, *, but: str = "") -> None:
    """End all keys that were made by logging in, but one."""
    made = (keys.c.principal_id == principal_id, keys.c.by_login, keys.c.revoked.is_(None), keys.c.id != but)
    sql.execute(update(keys).where(*made).values(revoked=now))


def touch(sql: Connection, key_id: str, *, now: datetime, before: datetime, hashed: bytes | None = None) -> None:
    """Note that a key was used, unless that was noted after `before`; `hashed` is to be kept instead of what an older key hashed."""
    sql.execute(update(keys).where(keys.c.id == key_id, or_(keys.c.used.is_(None), keys.c.used < before)).values(used=now))
    if hashed is not None:
        sql.execute(update(keys).where(keys.c.id == key_id).values(hash=hashed))


def drop_of(sql: Connection, principal_ids: Sequence[str]) -> None:
    """Drop all keys of these."""
    sql.execute(delete(keys).where(keys.c.principal_id.in_(principal_ids)))


def drop_ended(sql: Connection, principal_id: str, before: datetime) -> None:
    """Drop the keys that ended long ago."""
    sql.execute(delete(keys).where(keys.c.principal_id == principal_id, or_(keys.c.expires < before, keys.c.revoked < before)))


def _row(row: Row[*tuple[object, ...]]) -> KeyRow:
    said = row._mapping  # noqa: SLF001  a public name that cannot clash with a column's
    fields = {name: said[keys.c[name]] for name in KeyRow.__dataclass_fields__ if name != "scope"}
    return KeyRow(**fields, scope=msgspec.convert(said[keys.c.scope], Scope))
