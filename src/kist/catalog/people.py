"""Users in SQL: their names, whether they may log in, and who they are to other services. No rule is here; passwords come as hashes."""

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Row, func, insert, select, update

from kist.catalog.database import lock
from kist.catalog.tables import identities, keys, sessions, users

__all__ = [
    "UserRow",
    "add",
    "add_identity",
    "anybody",
    "by_id",
    "change",
    "change_password",
    "find",
    "find_login",
    "has_email",
    "identified",
    "lock_admins",
    "lock_names",
    "never_in",
    "other_admin",
    "page",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class UserRow:
    """One user. `password` is its hash, None if no password logs this user in."""

    id: str
    name: str
    email: str
    password: str | None = field(repr=False)
    admin: bool
    disabled: bool
    created: datetime


def by_id(sql: Connection, user_id: str) -> UserRow | None:
    """Return a user, if there is one with this id."""
    return _one(sql, users.c.id == user_id)


def find(sql: Connection, name: str) -> UserRow | None:
    """Return the user of this name."""
    return _one(sql, users.c.folded == name.casefold())


def find_login(sql: Connection, said: str) -> UserRow | None:
    """Return the user of this name or e-mail address; none where several have that address."""
    if (user := find(sql, said)) or "@" not in said:
        return user
    rows = sql.execute(select(users).where(func.lower(users.c.email) == said.lower()).limit(2)).all()
    return _row(rows[0]) if len(rows) == 1 else None


def has_email(sql: Connection, email: str) -> bool:
    """Say whether any user has this e-mail address."""
    return sql.execute(select(users.c.id).where(func.lower(users.c.email) == email.lower()).limit(1)).one_or_none() is not None


def anybody(sql: Connection) -> bool:
    """Say whether there is any user."""
    return sql.execute(select(users.c.id).limit(1)).one_or_none() is not None


def never_in(sql: Connection) -> UserRow | None:
    """Return the only user, if nothing but a link could log them in, and nothing of them is logged in."""
    ways = (select(table.c.user_id) for table in (identities, sessions))
    held = select(keys.c.principal_id)
    found = sql.execute(select(users).limit(2)).all()
    if len(found) != 1 or found[0].password or any(sql.execute(way.limit(1)).first() for way in (*ways, held)):
        return None
    return _row(found[0])


def page(sql: Connection, *, after: str, limit: int) -> list[UserRow]:
    """Return users in the order of their folded names, from behind one."""
    return [_row(row) for row in sql.execute(select(users).where(users.c.folded > after).order_by(users.c.folded).limit(limit))]


def add(sql: Connection, user: UserRow) -> None:
    """Add a user, whose name is free."""
    sql.execute(
        insert(users).values(
            id=user.id,
            name=user.name,
            folded=user.name.casefold(),
            email=user.email or None,
            password=user.password,
            admin=user.admin,
            disabled=user.disabled,
            created=user.created,
        )
    )


def change(sql: Connection, user_id: str, **values: object) -> None:
    """Set columns of a user."""
    sql.execute(update(users).where(users.c.id == user_id).values(**values))


def change_password(sql: Connection, user_id: str, hashed: str, *, was: str | None) -> bool:
    """Keep the hash of another password; False if somebody else has changed it meanwhile."""
    same = users.c.password.is_(None) if was is None else users.c.password == was
    return sql.execute(update(users).where(users.c.id == user_id, same).values(password=hashed)).rowcount == 1


def lock_names(sql: Connection) -> None:
    """Let nobody else add a user until this transaction ends."""
    lock(sql, "new users")


def lock_admins(sql: Connection) -> None:
    """Let nobody else change who is an admin of the server until this transaction ends."""
    lock(sql, "server admins")


def other_admin(sql: Connection, user_id: str) -> bool:
    """Say whether somebody else is an admin of the server and can log in."""
    others = select(users.c.id).where(users.c.id != user_id, users.c.admin, ~users.c.disabled).limit(1)
    return sql.execute(others).one_or_none() is not None


def identified(sql: Connection, issuer: str, subject: str) -> UserRow | None:
    """Return the user whom another service calls so."""
    found = select(identities.c.user_id).where(identities.c.issuer == issuer, identities.c.subject == subject)
    return _one(sql, users.c.id == found.scalar_subquery())


def add_identity(sql: Connection, issuer: str, subject: str, user_id: str) -> None:
    """Note how another service calls a user."""
    sql.execute(insert(identities).values(issuer=issuer, subject=subject, user_id=user_id))


def _one(sql: Connection, condition: ColumnElement[bool]) -> UserRow | None:
    row = sql.execute(select(users).where(condition)).one_or_none()
    return None if row is None else _row(row)


def _row(row: Row[*tuple[object, ...]]) -> UserRow:
    said = row._mapping  # noqa: SLF001  a public name that cannot clash with a column's
    fields = {name: said[name] for name in ("id", "name", "password", "admin", "disabled", "created")}
    return UserRow(**fields, email=said["email"] or "")
