"""Who asks: a secret in, a principal out, or `Unauthenticated`. Nothing is remembered here, so what was ended is ended at once.

Of all secrets there are only keyed hashes in the database. Those of all keys of the installation count, so that a key can be replaced; a
token that is used is hashed anew by the current one.
"""

import hmac
from datetime import datetime, timedelta
from typing import Final, Literal

from sqlalchemy import Connection

from kist.catalog import audit, keys, logins, people
from kist.catalog.keys import Holder
from kist.catalog.people import UserRow
from kist.errors import Busy, Unauthenticated
from kist.service import passwords, throttle, tokens
from kist.service.policy import Principal
from kist.service.rooms import Rooms

__all__ = [
    "SESSION",
    "by_access_key",
    "by_password",
    "by_session",
    "by_token",
    "close_session",
    "open_session",
    "session_hashes",
    "use_link",
    "write_login",
]

SESSION: Final = "session-"
"""What the `key_id` of a principal begins with whom the session of a browser proved."""

USED_EVERY: Final = timedelta(minutes=1)
_SESSION_DIGITS: Final = 16
_WRONG: Final = "the name or the password is wrong"

How = Literal["password", "link", "identity", "device"]


def by_token(rooms: Rooms, token: str) -> Principal:
    """Return whose API token this is.

    Raises:
        Unauthenticated: it is none, it has ended, or its owner is disabled.
        StoreError: the database failed.
    """
    key_id = tokens.token_id(token)
    with rooms.database.reading() as sql:
        found = keys.holder(sql, key_id)
    digests = rooms.keyring.digests(token.encode(), use="token")
    kept = (found.key.hash if found else None) or b""
    matches = [hmac.compare_digest(kept, digest) for digest in digests]
    if found is None or not any(matches):
        raise Unauthenticated("this token is not known here: perhaps it is of another server, or was deleted")
    who = _valid(found, rooms.now())
    _touch(rooms, found, hashed=None if matches[0] else digests[0])
    return who


def by_access_key(rooms: Rooms, access_key: str) -> tuple[Principal, str]:
    """Return whose access key for S3 clients this is, and the secret that a signature has to be made with. The caller checks the signature.

    Raises:
        Unauthenticated: it is none, it has ended, or its owner is disabled.
        IntegrityError: its master key is not in the keyring any more.
        StoreError: the database failed.
    """
    with rooms.database.reading() as sql:
        found = keys.holder(sql, access_key)
    if found is None or found.key.kind != "s3" or found.key.salt is None or found.key.master is None:
        raise Unauthenticated(f"the access key {access_key!r} is not known here")
    who = _valid(found, rooms.now())
    _touch(rooms, found, hashed=None)
    return who, tokens.s3_secret(rooms.keyring, access_key, found.key.salt, found.key.master)


def by_session(rooms: Rooms, secret: str) -> Principal:
    """Return whose browser this is.

    Raises:
        Unauthenticated: there is no such session, it has ended, or its user is disabled.
        StoreError: the database failed.
    """
    with rooms.database.reading() as sql:
        found = logins.session(sql, session_hashes(rooms, secret), rooms.now())
        user = people.by_id(sql, found[0]) if found else None
    if found is None or user is None or user.disabled:
        raise Unauthenticated("this browser is not logged in, or not any more: log in")
    return person(user, key_id=SESSION + found[1].hex()[:_SESSION_DIGITS])


def by_password(rooms: Rooms, user: str, password: str, *, address: str = "") -> Principal:
    """Return the user with this name or e-mail address, if the password is right.

    Raises:
        Unauthenticated: it is not; which of the two is wrong is not told, by the time it takes neither.
        Busy: there were too many failures; the message says how long to wait.
        StoreError: the database failed.
    """
    throttle.attempt(rooms, user, address)
    with rooms.database.reading() as sql:
        found = people.find_login(sql, user) if user.isprintable() else None  # others are nobody's, and no database takes them
    hashed = found.password if found else None
    if not passwords.check(hashed, password) or found is None or hashed is None or found.disabled:
        raise Unauthenticated(_WRONG)
    throttle.forgive(rooms, user, address)
    if passwords.is_outdated(hashed):
        again = passwords.hash_password(password)
        rooms.database.change(lambda sql: people.change_password(sql, found.id, again, was=hashed))
    return person(found)


def open_session(rooms: Rooms, user_id: str, *, how: How = "password", address: str = "") -> tuple[str, datetime]:
    """Log a browser in: return the secret for its cookie, and when it ends.

    Raises:
        Unauthenticated: the user is disabled.
        StoreError: the database failed.
    """
    secret, now = tokens.new_secret(), rooms.now()
    expires = now + timedelta(days=rooms.rules.login_days)
    hashed = session_hashes(rooms, secret)[0]

    def change(sql: Connection) -> None:
        user = _enabled(people.by_id(sql, user_id))
        logins.drop_ended(sql, now)
        logins.add_session(sql, hashed=hashed, user_id=user_id, now=now, expires=expires)
        write_login(sql, user, how=how, key_id=SESSION + hashed.hex()[:_SESSION_DIGITS], address=address, now=now)

    rooms.database.change(change)
    return secret, expires


def close_session(rooms: Rooms, secret: str) -> None:
    """Log a browser out; nothing happens if it was not logged in.

    Raises:
        StoreError: the database failed.
    """
    rooms.database.change(lambda sql: logins.drop_session(sql, session_hashes(rooms, secret)))


def use_link(rooms: Rooms, token: str) -> str:
    """Return the id of the user whom a link logs in. It works once.

    Raises:
        Unauthenticated: it is no such link, it was used, or it has ended.
        StoreError: the database failed.
    """
    hashes = rooms.keyring.digests(token.encode("utf-8", "surrogatepass"), use="link")
    user_id = rooms.database.change(lambda sql: logins.take_link(sql, hashes, rooms.now()))
    if user_id is None:
        raise Unauthenticated("this link is not valid, or it was used already: it works once; ask for a new one")
    return user_id


def person(user: UserRow, *, key_id: str = "") -> Principal:
    """Return a user as who asks."""
    return Principal(id=user.id, name=user.name, kind="user", admin=user.admin, key_id=key_id)


def session_hashes(rooms: Rooms, secret: str) -> list[bytes]:
    """Return the hashes by which a session may be kept."""
    return rooms.keyring.digests(secret.encode("utf-8", "surrogatepass"), use="session")


def write_login(sql: Connection, user: UserRow, *, how: How, key_id: str, address: str, now: datetime) -> None:
    """Add a line to the audit log for a login that is no operation: by a page."""
    details = {"how": how, "key": key_id, **({"from": address} if address else {})}
    audit.append(sql, org_id="", principal=user.name, operation="log_in", target=user.name, outcome="done", details=details, now=now)


def _enabled(user: UserRow | None) -> UserRow:
    if user is None or user.disabled:
        raise Unauthenticated("this user may not log in any more: ask an admin of the server")
    return user


def _valid(found: Holder, now: datetime) -> Principal:
    key = found.key
    if key.revoked is not None:
        raise Unauthenticated(f"the key {key.name!r} was revoked: make a new one")
    if key.expires is not None and key.expires <= now:
        raise Unauthenticated(f"the key {key.name!r} ended on {key.expires:%Y-%m-%d}: make a new one, or log in again")
    if found.disabled:
        raise Unauthenticated(f"{found.name} may not do anything any more: ask an admin")
    kind: Literal["user", "service-account"] = "service-account" if found.org_id else "user"
    return Principal(
        id=key.principal_id, name=found.name, kind=kind, admin=found.admin, org_id=found.org_id, scope=key.scope, key_id=key.id
    )


def _touch(rooms: Rooms, found: Holder, *, hashed: bytes | None) -> None:
    """Note when a key was used, to the minute: not every request is a change of the database."""
    now = rooms.now()
    if hashed is None and found.key.used is not None and found.key.used > now - USED_EVERY:
        return
    try:
        rooms.database.change(lambda sql: keys.touch(sql, found.key.id, now=now, before=now - USED_EVERY, hashed=hashed))
    except Busy:
        return  # no reason to refuse whoever asks; the next request notes it
