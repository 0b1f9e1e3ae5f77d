"""Mounts of organisations: names for places outside of repositories, with credentials that are sealed and never told."""

from typing import Final

from sqlalchemy import Connection

from kist.catalog import mounts
from kist.catalog.mounts import MountRow
from kist.errors import NotFound
from kist.ids import new_id
from kist.models import Mount
from kist.models.requests import ListInOrg, MountName, Page, SetMount
from kist.operations import LIST_MOUNTS, REMOVE_MOUNT, SET_MOUNT
from kist.service import outside
from kist.service.credentials import sealed_form, unsealed
from kist.service.handlers import Handlers
from kist.service.outside import Outside
from kist.service.rooms import Act, Rooms

__all__ = ["HANDLERS", "resolve"]

HANDLERS: Final = Handlers()


@HANDLERS.look(LIST_MOUNTS)
def list_mounts(act: Act, sql: Connection, request: ListInOrg) -> Page[Mount]:
    """List the mounts of an organisation by name."""
    found = mounts.page(sql, act.standing.org_id, after=request.after, limit=request.limit + 1)
    items = [_shown(act, row) for row in found[: request.limit]]
    return Page(items=items, next=items[-1].name if len(found) > request.limit else "")


def _prepare(act: Act, request: SetMount) -> Outside:
    found = outside.settle(request.name, request.url, request.options, request.secrets)
    outside.check(act.rooms.rules, found, use=False)
    return found


@HANDLERS.prepared_change(SET_MOUNT, _prepare)
def set_mount(act: Act, sql: Connection, request: SetMount, found: Outside) -> Mount:
    """Give a place a name, or a name another place; what was said of it before counts no more, secrets neither."""
    old = mounts.get(sql, act.standing.org_id, request.name)
    mount_id = old.id if old else new_id()
    content = sealed_form(found.secrets)
    row = MountRow(
        id=mount_id,
        org_id=act.standing.org_id,
        name=request.name.lower(),
        url=found.url,
        options={name: str(value) for name, value in found.options.items()},
        secrets=None if content is None else act.rooms.keyring.seal(content, place=_place(mount_id)),
        created=old.created if old else act.now,
        created_by=old.created_by if old else act.who.name,
    )
    mounts.put(sql, row)
    act.details["url"] = found.url
    return _shown(act, row)


@HANDLERS.change(REMOVE_MOUNT)
def remove_mount(act: Act, sql: Connection, request: MountName) -> None:
    """Forget a mount; what lies there stays."""
    mounts.remove(sql, _found(sql, act.standing.org_id, request.name).id)


def resolve(rooms: Rooms, sql: Connection, org_id: str, name: str) -> tuple[str, dict[str, object]]:
    """Return the URL of a mount and what its store is opened with, for use inside: the options hold its secrets.

    Raises:
        NotFound: there is no such mount.
        Denied: the rules do not allow it.
        IntegrityError: its secrets do not open.
        StoreError: nobody knows the name of its host.
    """
    row = _found(sql, org_id, name)
    secrets = unsealed(rooms.keyring.open(row.secrets, place=_place(row.id))) if row.secrets is not None else {}
    found = outside.settle(row.name, row.url, row.options, secrets)
    outside.check(rooms.rules, found, use=True)
    return found.url, found.opened(rooms.rules)


def _place(mount_id: str) -> str:
    return f"mounts/{mount_id}/secrets"


def _found(sql: Connection, org_id: str, name: str) -> MountRow:
    row = mounts.get(sql, org_id, name)
    if row is None:
        raise NotFound(f"the organisation has no mount {name!r}: kist mount list shows those it has")
    return row


def _shown(act: Act, row: MountRow) -> Mount:
    return Mount(
        org=act.standing.org, name=row.name, url=row.url, options=dict(row.options), created=row.created, created_by=row.created_by
    )
