"""Repositories made, and those taken in that lie in a bucket already.

The `format` of a new one is stored before the catalog knows of it: whatever fails in between, there is no half repository.
"""

import threading
from dataclasses import dataclass, field
from typing import Final, Literal

from sqlalchemy import Connection

from kist.catalog import buckets, repos
from kist.catalog.buckets import BucketRow
from kist.catalog.repos import Named, RepoRow
from kist.engine.opening import FORMAT, PROBES, create_repository, repository_on
from kist.errors import Conflict, Unsupported
from kist.ids import new_id
from kist.models import Repo
from kist.models.requests import CreateRepo, ImportRepo
from kist.operations import CREATE_REPO, IMPORT_REPO
from kist.service.handlers import Handlers
from kist.service.metadata import check_metadata
from kist.service.places import open_place
from kist.service.repos import bucket_of, check_free, check_name, new_prefix, told
from kist.service.rooms import Act
from kist.stores.conditional import Probe, probe
from kist.stores.keys import check_key
from kist.stores.protocols import Store

__all__ = ["HANDLERS"]

HANDLERS = Handlers()

_PROBES_KEPT: Final = 256

_probes: dict[tuple[object, ...], Probe] = {}
_lock = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ready:
    """What is stored by now, and where."""

    bucket: BucketRow
    prefix: str
    authority: str
    store: Store = field(repr=False)


def _make(act: Act, request: CreateRepo) -> _Ready:
    """Store the `format` of a new repository where nothing is."""
    if request.kind != "files":
        raise Unsupported("arrays come with kist[arrays], which this kist does not have yet")
    check_metadata(request.metadata)
    with act.rooms.database.reading() as sql:
        check_name(act, sql, request.name)
        bucket = bucket_of(act, sql, request.bucket_config_nickname)
    prefix = new_prefix(request.name)
    store = open_place(act.rooms, bucket, prefix)
    authority: Literal["create", "catalog"] = request.authority or "create"
    if authority == "create" and not (found := _tried(bucket, store)).put_if_absent:
        if request.authority:
            raise Unsupported(
                f"the bucket config {bucket.nickname!r} can't decide on commits ({'; '.join(found.reasons)}): let the catalog do it "
                "(authority='catalog', or none named)"
            )
        authority = "catalog"
    create_repository(store, name=f"{act.standing.org}/{request.name}", authority=authority)
    return _Ready(bucket=bucket, prefix=prefix, authority=authority, store=store)


def _tried(bucket: BucketRow, store: Store) -> Probe:
    """Return what a bucket was found to honour, tried once in a process: before its first commit each of them looks again."""
    which = (bucket.id, bucket.updated, bucket.place)
    with _lock:
        if which in _probes:
            return _probes[which]
    found = probe(store, PROBES)
    with _lock:
        while len(_probes) >= _PROBES_KEPT:
            _probes.popitem()
        _probes[which] = found
    return found


def _unmake(ready: _Ready) -> None:
    ready.store.delete(FORMAT)


def _create(act: Act, sql: Connection, request: CreateRepo, ready: _Ready) -> Repo:
    """Make a repository."""
    return _added(act, sql, request, ready)


HANDLERS.prepared_change(CREATE_REPO, _make, _unmake)(_create)


def _find(act: Act, request: ImportRepo) -> _Ready:
    """Look at what lies at the prefix."""
    check_metadata(request.metadata)
    prefix = request.prefix.strip("/")
    if prefix:
        check_key(prefix)
    with act.rooms.database.reading() as sql:
        check_name(act, sql, request.name)
        bucket = bucket_of(act, sql, request.bucket_config_nickname)
        check_free(sql, bucket, prefix)
    store = open_place(act.rooms, bucket, prefix)
    found = repository_on(store, name=f"prefix {prefix!r} of the bucket config {bucket.nickname!r}", cached=False)
    return _Ready(bucket=bucket, prefix=prefix, authority=found.authority, store=store)


def _import(act: Act, sql: Connection, request: ImportRepo, ready: _Ready) -> Repo:
    """Take in a repository that lies in the bucket already."""
    return _added(act, sql, request, ready)


HANDLERS.prepared_change(IMPORT_REPO, _find)(_import)


def _added(act: Act, sql: Connection, request: CreateRepo | ImportRepo, ready: _Ready) -> Repo:
    buckets.lock_places(sql)
    check_name(act, sql, request.name)
    bucket = buckets.by_id(sql, ready.bucket.id, hold=True)
    if bucket is None or bucket.place != ready.bucket.place:
        raise Conflict(f"the bucket config {ready.bucket.nickname!r} was changed or deleted meanwhile: try again")
    check_free(sql, bucket, ready.prefix)
    row = RepoRow(
        id=new_id(),
        org_id=act.standing.org_id,
        name=request.name,
        kind="files",
        bucket_config_id=bucket.id,
        prefix=ready.prefix,
        description=request.description,
        metadata=request.metadata,
        created=act.now,
        created_by=act.who.name,
        updated=act.now,
        authority=ready.authority,
    )
    repos.add(sql, row)
    act.details.update({"bucket_config": bucket.nickname, "prefix": ready.prefix})
    return told(act, Named(row=row, org=act.standing.org, bucket_config=bucket.nickname))
