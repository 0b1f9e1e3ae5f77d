"""Repositories opened by the service: their store and, where it is needed, the engine on it. Where each one lies is asked anew every time.

What is kept between two operations is what never changes: connections, and the `format`. A repository that was moved is opened anew.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from kist.catalog import buckets, repos
from kist.catalog.buckets import BucketRow
from kist.catalog.repos import RepoRow
from kist.engine.opening import rooms_on
from kist.engine.rooms import Rooms as Engine
from kist.errors import Busy, Conflict, NotFound
from kist.service.committing import CatalogAuthority, is_here
from kist.service.places import open_place
from kist.service.rooms import Act, Rooms
from kist.stores.protocols import Store

__all__ = ["Opened", "engine_of", "here", "open_row", "still_here"]

_KEPT: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A repository, where it lies at this moment."""

    row: RepoRow
    bucket: BucketRow
    name: str
    store: Store = field(repr=False)


def here(act: Act, *, write: bool = False) -> Opened:
    """Open the repository that an operation is about; to write only while nobody moves it.

    Raises:
        NotFound: it is gone.
        Busy: it is being moved.
        Denied: the rules do not allow its place.
        StoreError: its place is not reached.
    """
    with act.rooms.database.reading() as sql:
        row = repos.by_id(sql, act.standing.repo_id)
        bucket = buckets.by_id(sql, row.bucket_config_id) if row else None
    name = f"{act.standing.org}/{act.standing.repo}"
    if row is None or bucket is None or row.deleted:
        raise NotFound(f"there is no repository {name} any more")
    if write and row.status != "online":
        raise Busy(f"{name} is being moved to another place: nothing was written; try again in a while")
    return open_row(act.rooms, row, bucket, name=name)


def open_row(rooms: Rooms, row: RepoRow, bucket: BucketRow, *, name: str) -> Opened:
    """Open the store of a repository.

    Raises:
        Denied: the rules do not allow its place.
        StoreError: its place is not reached.
    """
    return Opened(row=row, bucket=bucket, name=name, store=open_place(rooms, bucket, row.prefix))


def still_here(rooms: Rooms, opened: Opened) -> bool:
    """Say whether a repository is still online where it was opened."""
    with rooms.database.reading() as sql:
        now = repos.by_id(sql, opened.row.id)
    return is_here(now, opened.row)


def engine_of(rooms: Rooms, opened: Opened) -> Engine:
    """Return the engine on a repository, with its own authority: nothing of it is remembered on this machine.

    Raises:
        NotFound: nothing is stored there.
        Conflict: it is not made of files.
        Unsupported: a newer kist wrote it.
    """
    which = (id(rooms.database), opened.row.id)
    with _lock:
        kept = _engines.get(which)
        if kept is not None and kept.store is opened.store and kept.database is rooms.database:
            _engines.move_to_end(which)
            return kept.engine
    made = _Kept(store=opened.store, database=rooms.database, engine=_made(rooms, opened))
    with _lock:
        _engines[which] = made
        while len(_engines) > _KEPT:
            _engines.popitem(last=False)
    return made.engine


def _made(rooms: Rooms, opened: Opened) -> Engine:
    if opened.row.kind != "files":
        raise Conflict(f"{opened.name} holds {opened.row.kind}, not files")
    if opened.row.authority != "catalog":
        return rooms_on(opened.store, name=opened.name, cached=False)
    return rooms_on(
        opened.store,
        name=opened.name,
        cached=False,
        authority=lambda record, _cache: CatalogAuthority(rooms.database, opened.row, opened.store, record.id),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    store: Store
    database: object
    engine: Engine


_engines: OrderedDict[tuple[int, str], _Kept] = OrderedDict()
_lock = threading.Lock()
