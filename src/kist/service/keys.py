"""Keys: API tokens, and pairs for S3 clients, of users and of service accounts. A secret is shown once, when its key is made.

A key reaches at most what its owner may do, and never more than the key that asked for it.
"""

import os
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from kist.catalog import keys, orgs, standing
from kist.catalog.keys import KeyRow
from kist.catalog.orgs import AccountRow
from kist.errors import Denied, InvalidInput, NotFound
from kist.models import IssuedKey, Key, KeyKind, Scope
from kist.models.requests import CreateKey, CreateServiceKey, KeyName, ListKeys, ListServiceKeys, Page, ServiceKeyName
from kist.operations import CREATE_KEY, CREATE_SERVICE_KEY, LIST_KEYS, LIST_SERVICE_KEYS, REVOKE_KEY, REVOKE_SERVICE_KEY
from kist.service import tokens
from kist.service.handlers import Handlers
from kist.service.policy import is_within
from kist.service.rooms import Act

__all__ = ["HANDLERS", "issue"]

HANDLERS = Handlers()
KEPT: Final = timedelta(days=30)
"""How long a key is still listed after it ended."""

_SALT_BYTES: Final = 16
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@HANDLERS.look(LIST_KEYS)
def list_keys(act: Act, sql: Connection, request: ListKeys) -> Page[Key]:
    """List one's own keys."""
    return _page(sql, act.who.id, act.who.name, request)


@HANDLERS.change(CREATE_KEY)
def create_key(act: Act, sql: Connection, request: CreateKey) -> IssuedKey:
    """Make a key of one's own."""
    return _make(act, sql, act.who.id, act.who.name, request)


@HANDLERS.change(REVOKE_KEY)
def revoke_key(act: Act, sql: Connection, request: KeyName) -> None:
    """End a key of one's own; it may have ended already."""
    _revoke(act, sql, act.who.id, request.id)


@HANDLERS.look(LIST_SERVICE_KEYS)
def list_service_keys(act: Act, sql: Connection, request: ListServiceKeys) -> Page[Key]:
    """List the keys of a service account."""
    account = _account(act, sql, request.service_account)
    return _page(sql, account.id, f"{act.standing.org}/{account.name}", request)


@HANDLERS.change(CREATE_SERVICE_KEY)
def create_service_key(act: Act, sql: Connection, request: CreateServiceKey) -> IssuedKey:
    """Make a key of a service account."""
    account = _account(act, sql, request.service_account)
    return _make(act, sql, account.id, f"{act.standing.org}/{account.name}", request)


@HANDLERS.change(REVOKE_SERVICE_KEY)
def revoke_service_key(act: Act, sql: Connection, request: ServiceKeyName) -> None:
    """End a key of a service account; it may have ended already."""
    _revoke(act, sql, _account(act, sql, request.service_account).id, request.id)


def issue(
    act: Act,
    sql: Connection,
    principal_id: str,
    owner: str,
    *,
    kind: KeyKind,
    name: str,
    expires: datetime | None,
    scope: Scope,
    by_login: bool = False,
) -> IssuedKey:
    """Make a key, and return it with its secret. Keys that ended long ago are dropped."""
    keyring = act.rooms.keyring
    if kind == "token":
        secret, key_id = tokens.new_token()
        hashed, salt, master = keyring.digest(secret.encode(), use="token"), None, None
    else:
        key_id, salt = tokens.new_access_key(), os.urandom(_SALT_BYTES)
        hashed, master = None, keyring.current
        secret = tokens.s3_secret(keyring, key_id, salt, master)
    row = KeyRow(
        id=key_id,
        kind=kind,
        principal_id=principal_id,
        name=name,
        hash=hashed,
        salt=salt,
        master=master,
        scope=scope,
        by_login=by_login,
        created=act.now,
        expires=expires,
    )
    keys.drop_ended(sql, principal_id, act.now - KEPT)
    keys.add(sql, row)
    act.details["made"] = key_id
    return IssuedKey(key=_told(row, owner), secret=secret)


def _make(act: Act, sql: Connection, principal_id: str, owner: str, request: CreateKey | CreateServiceKey) -> IssuedKey:
    scope = _checked(act, sql, principal_id, owner, request.scope)
    expires = None if request.days is None else act.now + timedelta(days=request.days)
    act.details.update({"kind": request.kind, "role": scope.role, "scope": "/".join(filter(None, (scope.org, scope.repo)))})
    return issue(act, sql, principal_id, owner, kind=request.kind, name=request.name, expires=expires, scope=scope)


def _checked(act: Act, sql: Connection, principal_id: str, owner: str, scope: Scope) -> Scope:
    """Return a scope with names as they are written, if it lies within that of the key that asks, and names what the owner may see."""
    if scope.repo and not scope.org:
        raise InvalidInput(f"a key for the repository {scope.repo!r} needs its organisation too: say scope.org")
    if not is_within(scope, act.who.scope):
        reach = "/".join(filter(None, (act.who.scope.org, act.who.scope.repo))) or "everything"
        raise Denied(f"a key can't make one that reaches further: yours reaches {reach} as {act.who.scope.role}; say a scope within that")
    if not scope.org:
        return scope
    found = standing.find(sql, principal_id, scope.org, scope.repo)
    if not (found.org_role or found.guest):
        raise NotFound(f"there is no organisation {scope.org!r} where {owner} has a role")
    if scope.repo and not (found.repo_id and (found.org_role or found.repo_role)):
        raise NotFound(f"there is no repository {scope.org}/{scope.repo} for which {owner} has a role")
    return Scope(role=scope.role, org=found.org, repo=found.repo if scope.repo else "")


def _revoke(act: Act, sql: Connection, principal_id: str, key_id: str) -> None:
    if keys.find(sql, principal_id, key_id) is None:
        raise NotFound(f"there is no key {key_id!r} here")
    keys.revoke(sql, principal_id, key_id, act.now)


def _account(act: Act, sql: Connection, name: str) -> AccountRow:
    found = orgs.account(sql, act.standing.org_id, name)
    if found is None:
        raise NotFound(f"there is no service account {name!r} in the organisation {act.standing.org!r}")
    return found


def _page(sql: Connection, principal_id: str, owner: str, request: ListKeys | ListServiceKeys) -> Page[Key]:
    rows = keys.page(sql, principal_id, before=_place(request.after), limit=request.limit + 1)
    told = [_told(row, owner) for row in rows[: request.limit]]
    if len(rows) <= request.limit:
        return Page(items=told)
    last = rows[request.limit - 1]
    return Page(items=told, next=f"{(last.created - _EPOCH) // _MICROSECOND}-{last.id}")


def _place(after: str) -> tuple[datetime, str] | None:
    if not after:
        return None
    micros, _, key_id = after.partition("-")
    try:
        return _EPOCH + int(micros) * _MICROSECOND, key_id
    except (ValueError, OverflowError):
        raise InvalidInput("'after' is not what 'next' of a page before said: begin anew") from None


def _told(row: KeyRow, owner: str) -> Key:
    fields = {name: getattr(row, name) for name in ("id", "kind", "name", "scope", "created", "expires", "used", "revoked")}
    return Key(owner=owner, **fields)
