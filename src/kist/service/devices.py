"""Logging a terminal in by a browser, on this machine or another: the terminal shows a code, and somebody who is logged in confirms it.

The request is a row of the database, so any of several servers can be asked. The terminal's secret and the code are kept as keyed hashes;
the token is only made when the terminal fetches it, and is kept nowhere.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from kist.catalog import logins, people
from kist.catalog.standing import Standing
from kist.errors import NotFound, Unauthenticated
from kist.models import IssuedKey, Scope
from kist.service import authentication, throttle, tokens
from kist.service.keys import issue
from kist.service.policy import Principal
from kist.service.rooms import Act, Caller, Rooms

__all__ = ["Asked", "allow", "ask", "look", "refuse", "take"]

MINUTES: Final = 10
_LABEL_CHARS: Final = 100
_GONE: Final = "nobody confirmed this login in time, or it was refused: begin anew"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a terminal is told: a secret to ask again with, and a code to show."""

    device_code: str = field(repr=False)
    user_code: str
    expires: datetime


def ask(rooms: Rooms, label: str, *, address: str = "") -> Asked:
    """Begin to log a terminal in; `label` is how it calls itself.

    Raises:
        Busy: this address asks too often; the message says how long to wait.
        StoreError: the database failed.
    """
    throttle.attempt(rooms, f"terminals at {address}", "")
    secret, code, now = tokens.new_secret(), tokens.new_user_code(), rooms.now()
    expires = now + timedelta(minutes=MINUTES)
    hashed, hashed_code = _secrets(rooms, secret)[0], _codes(rooms, code)[0]
    shown = "".join(sign if sign.isprintable() else "?" for sign in label)[:_LABEL_CHARS]

    def change(sql: Connection) -> None:
        logins.drop_ended(sql, now)
        logins.add_device(sql, hashed=hashed, code=hashed_code, label=shown, expires=expires)

    rooms.database.change(change)
    return Asked(device_code=secret, user_code=code, expires=expires)


def look(rooms: Rooms, who: Principal, code: str) -> str:
    """Return how the terminal calls itself that shows a code.

    Raises:
        NotFound: no terminal that waits shows it.
        Busy: there were too many such codes; the message says how long to wait.
        StoreError: the database failed.
    """
    throttle.attempt(rooms, f"codes of {who.id}", "")
    with rooms.database.reading() as sql:
        found = logins.device_by_code(sql, _codes(rooms, code), rooms.now())
    if found is None:
        raise NotFound("no terminal waits with this code: look at it again, it is valid for ten minutes and once")
    throttle.forgive(rooms, f"codes of {who.id}", "")
    return found.label


def allow(rooms: Rooms, who: Principal, code: str) -> None:
    """Let the terminal that shows a code act for whoever allows it.

    Raises:
        NotFound: no terminal that waits shows it.
        Busy: see `look`.
        StoreError: the database failed.
    """
    look(rooms, who, code)
    if not rooms.database.change(lambda sql: logins.confirm(sql, _codes(rooms, code), who.id, rooms.now())):
        raise NotFound("this code was confirmed already, or has ended: begin anew")


def refuse(rooms: Rooms, who: Principal, code: str) -> None:
    """End the request of the terminal that shows a code.

    Raises:
        NotFound: no terminal that waits shows it.
        Busy: see `look`.
        StoreError: the database failed.
    """
    look(rooms, who, code)

    def change(sql: Connection) -> None:
        if (found := logins.device_by_code(sql, _codes(rooms, code), rooms.now())) is not None:
            logins.drop_device(sql, found.hash)

    rooms.database.change(change)


def take(rooms: Rooms, device_code: str, *, address: str = "") -> IssuedKey | None:
    """Return the token for a terminal, once; None while nobody has confirmed its code.

    Raises:
        Unauthenticated: nobody did in time, or it was refused.
        StoreError: the database failed.
    """
    with rooms.database.reading() as sql:
        waiting = logins.device(sql, _secrets(rooms, device_code), rooms.now())
    if waiting is None:
        raise Unauthenticated(_GONE)
    if waiting.user_id is None:
        return None
    issued = rooms.database.change(lambda sql: _issued(sql, rooms, device_code, address))
    throttle.forgive(rooms, f"terminals at {address}", "")
    return issued


def _issued(sql: Connection, rooms: Rooms, device_code: str, address: str) -> IssuedKey:
    now = rooms.now()
    found = logins.device(sql, _secrets(rooms, device_code), now, hold=True)
    user = people.by_id(sql, found.user_id or "") if found else None
    if found is None or user is None or user.disabled:
        raise Unauthenticated(_GONE)
    logins.drop_device(sql, found.hash)
    who = authentication.person(user)
    act = Act(rooms=rooms, caller=Caller(who=who, address=address), standing=Standing(), now=now)
    ends = now + timedelta(days=rooms.rules.login_days)
    name = found.label or "login"
    issued = issue(act, sql, user.id, user.name, kind="token", name=name, expires=ends, scope=Scope(), by_login=True)
    authentication.write_login(sql, user, how="device", key_id=issued.key.id, address=address, now=now)
    return issued


def _secrets(rooms: Rooms, secret: str) -> list[bytes]:
    return rooms.keyring.digests(secret.encode("utf-8", "surrogatepass"), use="device")


def _codes(rooms: Rooms, code: str) -> list[bytes]:
    return rooms.keyring.digests(tokens.typed_code(code).encode(), use="code")
