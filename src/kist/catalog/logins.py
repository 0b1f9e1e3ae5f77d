"""What logs somebody in, in SQL: sessions of browsers, one-time links, requests of terminals, and the count of what failed.

Each is found by keyed hashes of its secret: one for every key of the installation, so that a key can be replaced.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from kist.catalog.tables import failures, links, sessions

__all__ = [
    "Attempts",
    "Device",
    "add_device",
    "add_link",
    "add_session",
    "attempts",
    "confirm",
    "device",
    "device_by_code",
    "drop_attempts",
    "drop_device",
    "drop_ended",
    "drop_session",
    "drop_sessions",
    "drop_user_links",
    "keep_attempts",
    "session",
    "take_link",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A terminal that waits for somebody to confirm its code; `user_id` is who did."""

    hash: bytes
    user_id: str | None
    label: str
    expires: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempts:
    """How often logging in failed; no more before `until`, and after `forget` the count begins anew."""

    count: int
    until: datetime
    forget: datetime


def add_session(sql: Connection, *, hashed: bytes, user_id: str, now: datetime, expires: datetime) -> None:
    """Add the session of a browser."""
    sql.execute(insert(sessions).values(hash=hashed, user_id=user_id, created=now, expires=expires))


def session(sql: Connection, hashes: Sequence[bytes], now: datetime) -> tuple[str, bytes] | None:
    """Return whose session one of these is, if it has not ended, and its hash."""
    query = select(sessions.c.user_id, sessions.c.hash).where(sessions.c.hash.in_(hashes), sessions.c.expires > now)
    row = sql.execute(query).one_or_none()
    return None if row is None else (row.user_id, row.hash)


def drop_session(sql: Connection, hashes: Sequence[bytes]) -> None:
    """End a session."""
    sql.execute(delete(sessions).where(sessions.c.hash.in_(hashes)))


def drop_sessions(sql: Connection, user_id: str, *, only: str = "", but: str = "") -> None:
    """End all sessions of a user; `only` and `but` are the first hexadecimal digits of the hash of one of them."""
    for hashed in sql.execute(select(sessions.c.hash).where(sessions.c.user_id == user_id)).scalars().all():
        digits = hashed.hex()
        if digits.startswith(only) and not (but and digits.startswith(but)):
            sql.execute(delete(sessions).where(sessions.c.hash == hashed))


def add_link(sql: Connection, *, hashed: bytes, user_id: str, expires: datetime) -> None:
    """Add a link that logs a user in, once."""
    sql.execute(insert(links).values(hash=hashed, user_id=user_id, expires=expires))


def take_link(sql: Connection, hashes: Sequence[bytes], now: datetime) -> str | None:
    """Return whom a link logs in, and end it: of two who take it at once, one gets it."""
    mine = (links.c.hash.in_(hashes), links.c.code.is_(None))
    row = sql.execute(delete(links).where(*mine).returning(links.c.user_id, links.c.expires)).one_or_none()
    return row.user_id if row is not None and row.expires > now else None


def drop_user_links(sql: Connection, user_id: str) -> None:
    """End all links that log a user in, and what this user confirmed but no terminal has fetched yet."""
    sql.execute(delete(links).where(links.c.user_id == user_id))


def add_device(sql: Connection, *, hashed: bytes, code: bytes, label: str, expires: datetime) -> None:
    """Add the request of a terminal, to be confirmed by its code."""
    sql.execute(insert(links).values(hash=hashed, code=code, label=label, expires=expires))


def device(sql: Connection, hashes: Sequence[bytes], now: datetime, *, hold: bool = False) -> Device | None:
    """Return a terminal's request by its secret; with `hold` nobody else gets it until this transaction ends."""
    query = select(links).where(links.c.hash.in_(hashes), links.c.code.is_not(None), links.c.expires > now)
    row = sql.execute(query.with_for_update() if hold else query).one_or_none()
    return None if row is None else Device(hash=row.hash, user_id=row.user_id, label=row.label, expires=row.expires)


def device_by_code(sql: Connection, codes: Sequence[bytes], now: datetime) -> Device | None:
    """Return a terminal's request that nobody has confirmed, by its code."""
    row = sql.execute(select(links).where(links.c.code.in_(codes), links.c.user_id.is_(None), links.c.expires > now)).one_or_none()
    return None if row is None else Device(hash=row.hash, user_id=row.user_id, label=row.label, expires=row.expires)


def confirm(sql: Connection, codes: Sequence[bytes], user_id: str, now: datetime) -> bool:
    """Note who confirmed a terminal's request; False if there is none, or somebody did already."""
    waiting = (links.c.code.in_(codes), links.c.user_id.is_(None), links.c.expires > now)
    return sql.execute(update(links).where(*waiting).values(user_id=user_id)).rowcount == 1


def drop_device(sql: Connection, hashed: bytes) -> None:
    """End a terminal's request."""
    sql.execute(delete(links).where(links.c.hash == hashed))


def drop_ended(sql: Connection, now: datetime) -> None:
    """Drop what has ended by itself."""
    sql.execute(delete(sessions).where(sessions.c.expires <= now))
    sql.execute(delete(links).where(links.c.expires <= now))


def attempts(sql: Connection, subject: bytes) -> Attempts | None:
    """Return how often logging in failed, and let nobody else count there until this transaction ends."""
    row = sql.execute(select(failures).where(failures.c.subject == subject).with_for_update()).one_or_none()
    return None if row is None else Attempts(**{name: row._mapping[name] for name in ("count", "until", "forget")})  # noqa: SLF001  a row has a method `count`


def keep_attempts(sql: Connection, subject: bytes, found: Attempts, *, new: bool) -> None:
    """Keep a count."""
    values = {"count": found.count, "until": found.until, "forget": found.forget}
    if new:
        sql.execute(insert(failures).values(subject=subject, **values))
    else:
        sql.execute(update(failures).where(failures.c.subject == subject).values(**values))


def drop_attempts(sql: Connection, *, subject: bytes | None = None, before: datetime | None = None) -> None:
    """Forget a count, or all those that may be forgotten."""
    if subject is not None:
        sql.execute(delete(failures).where(failures.c.subject == subject))
    if before is not None:
        sql.execute(delete(failures).where(failures.c.forget <= before))
