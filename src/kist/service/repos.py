"""Repositories: made, taken in, found, described, shared, deleted and brought back.

A repository lies under a prefix of its own that nobody chooses, so no two ever meet. Its `format` is stored before the catalog knows of it:
whatever fails in between, there is no half repository.
"""

import json
import secrets
import string
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Literal, cast

from msgspec import UNSET
from sqlalchemy import Connection

from kist.catalog import buckets, grants, repos, standing
from kist.catalog.buckets import BucketRow
from kist.catalog.repos import Named, RepoRow
from kist.engine.opening import FORMAT, PROBES, create_repository, repository_on
from kist.errors import AlreadyExists, Busy, Conflict, InvalidInput, NotFound, Unsupported
from kist.ids import new_id
from kist.models import Repo, RepoRole
from kist.models.requests import (
    CreateRepo,
    DeleteRepo,
    GrantRole,
    ImportRepo,
    ListRepos,
    ModifyRepo,
    Page,
    RepoName,
    RoleName,
)
from kist.operations import (
    CREATE_REPO,
    DELETE_REPO,
    DESCRIBE_REPO,
    GRANT_ROLE,
    IMPORT_REPO,
    LIST_REPOS,
    LIST_ROLES,
    MODIFY_REPO,
    RESTORE_REPO,
    REVOKE_ROLE,
)
from kist.service.handlers import Handlers
from kist.service.places import open_place
from kist.service.rooms import Act
from kist.stores.conditional import Probe, probe
from kist.stores.keys import check_key
from kist.stores.protocols import Store

__all__ = ["HANDLERS", "bucket_of", "check_free", "check_metadata", "new_prefix", "told", "told_of"]

HANDLERS = Handlers()

RESERVED: Final = frozenset(
    {"audit", "buckets", "import", "jobs", "keys", "members", "mounts", "new", "repos", "service-accounts", "settings"}
)
"""Pages of an organisation: no repository is called so."""

METADATA_BYTES: Final = 4096
NAME_CHARS: Final = 128
GREATEST: Final = 2**63
_PROBES_KEPT: Final = 256
_LETTERS: Final = string.ascii_lowercase + string.digits


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ready:
    """What is stored by now, and where."""

    bucket: BucketRow
    prefix: str
    authority: str
    store: Store = field(repr=False)


# Making


def _make(act: Act, request: CreateRepo) -> _Ready:
    """Store the `format` of a new repository where nothing is."""
    if request.kind != "files":
        raise Unsupported("arrays come with kist[arrays], which this kist does not have yet")
    check_metadata(request.metadata)
    with act.rooms.database.reading() as sql:
        _check_name(act, sql, request.name)
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


_probes: dict[tuple[object, ...], Probe] = {}
_lock = threading.Lock()


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
        _check_name(act, sql, request.name)
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
    _check_name(act, sql, request.name)
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


def bucket_of(act: Act, sql: Connection, nickname: str | None) -> BucketRow:
    """Return a bucket config of the organisation; the default one if none is named.

    Raises:
        NotFound: there is none.
    """
    org = act.standing.org
    if nickname is None:
        if (found := buckets.default(sql, act.standing.org_id)) is None:
            raise NotFound(f"the organisation {org!r} has no default bucket config: name one, or set one (kist bucket set-default)")
        return found
    if (named := buckets.get(sql, act.standing.org_id, nickname)) is None:
        raise NotFound(f"the organisation {org!r} has no bucket config {nickname.strip()!r}: kist bucket list tells which there are")
    return named


def new_prefix(name: str) -> str:
    """Return a prefix that nobody has, and nobody guesses."""
    return "".join(secrets.choice(_LETTERS) for _ in range(8)) + f"_{name}"


def _check_name(act: Act, sql: Connection, name: str) -> None:
    """Refuse a name that is taken, or that pages have.

    Raises:
        InvalidInput: a page has it.
        AlreadyExists: it is taken.
    """
    if name.casefold() in RESERVED:
        raise InvalidInput(f"repository {name!r}: a page of the organisation has this name: choose another")
    if repos.get(sql, act.standing.org_id, name) is not None:
        raise AlreadyExists(f"there is a repository {act.standing.org}/{name} already: choose another name, or open that one")


def check_free(sql: Connection, bucket: BucketRow, prefix: str) -> None:
    """Refuse a place in which, or above or below which, another repository lies.

    Raises:
        Conflict: there is one; it is named only if it is of the same organisation.
    """
    for other in repos.overlapping(sql, bucket.place, prefix):
        which = f"the repository {other.name!r}" if other.org_id == bucket.org_id else "a repository of another organisation"
        trash = ", which is deleted but not yet for good" if other.deleted else ""
        raise Conflict(f"{which}{trash} lies at prefix {prefix!r} of the bucket config {bucket.nickname!r}, or above or below it")


def check_metadata(metadata: Mapping[str, object]) -> None:
    """Refuse metadata that are too long, or no JSON.

    Raises:
        InvalidInput: they are.
    """
    for name in metadata:
        if not 1 <= len(name) <= NAME_CHARS:
            raise InvalidInput(f"metadata {name[:20]!r}…: a name has 1 to {NAME_CHARS} characters")
    try:
        said = json.dumps(metadata, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"metadata are JSON: {error}") from error
    if len(said) > METADATA_BYTES:
        raise InvalidInput(f"the metadata of a repository have {len(said)} bytes: {METADATA_BYTES} are the most; keep long ones in a file")
    _check_numbers(metadata)


def _check_numbers(value: object) -> None:
    """Refuse integers that no database holds, and texts that PostgreSQL can't.

    Raises:
        InvalidInput: there is one.
    """
    if isinstance(value, Mapping):
        for name, one in value.items():
            _check_numbers(name)
            _check_numbers(one)
    elif isinstance(value, list | tuple):
        for one in value:
            _check_numbers(one)
    elif isinstance(value, int) and not -GREATEST <= value < GREATEST:
        raise InvalidInput("metadata have a whole number of more than 64 bits: write it as text")
    elif isinstance(value, str) and "\0" in value:
        raise InvalidInput("metadata have a text with a zero character")


# Looking


@HANDLERS.look(LIST_REPOS)
def _list(act: Act, sql: Connection, request: ListRepos) -> Page[Repo]:
    """List repositories, to guests those that they have a role for."""
    only, granted_to = _limits(act, sql)
    if only is None:
        return Page(items=[])
    bucket_id = bucket_of(act, sql, request.bucket_config).id if request.bucket_config else ""
    found = repos.page(
        sql,
        act.standing.org_id,
        search=request.search,
        kind=request.kind,
        metadata=_wanted(request.metadata),
        bucket_id=bucket_id,
        trash=request.deleted,
        granted_to=granted_to,
        only=only,
        after=request.after,
        limit=request.limit + 1,
    )
    more = repos.place_of(found[request.limit - 1]) if len(found) > request.limit else ""
    return Page(items=[told(act, one) for one in found[: request.limit]], next=more)


def _limits(act: Act, sql: Connection) -> tuple[str | None, str]:
    """Return the only repository that may be listed (empty: all; None: nothing), and for whom a role must be there (empty: for nobody)."""
    if act.standing.org_role is not None:
        return "", ""
    only = act.who.scope.repo
    if not only:
        return "", act.who.id
    found = standing.find(sql, act.who.id, act.standing.org, only)
    return (only, "") if found.org_role or found.repo_role else (None, "")


def _wanted(text: str) -> dict[str, object]:
    """Return what a filter by metadata says.

    Raises:
        InvalidInput: it is no JSON object.
    """
    if not text:
        return {}
    try:
        wanted = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f'a filter by metadata is a JSON object, such as {{"site": "A"}}: {error}') from error
    if not isinstance(wanted, dict):
        raise InvalidInput('a filter by metadata is a JSON object, such as {"site": "A"}')
    check_metadata(wanted)
    return cast("dict[str, object]", wanted)


@HANDLERS.look(DESCRIBE_REPO)
def _describe(act: Act, sql: Connection, _request: RepoName) -> Repo:
    """Tell a repository's facts."""
    return _here(act, sql)


def told(act: Act, one: Named) -> Repo:
    """Return a repository as people see it."""
    return repos.shown(one, trash_days=act.rooms.rules.trash_days)


def told_of(act: Act, repo_id: str) -> Repo:
    """Return a repository as people see it, by its id.

    Raises:
        NotFound: it is gone.
    """
    with act.rooms.database.reading() as sql:
        return _here(act, sql, repo_id)


def _here(act: Act, sql: Connection, repo_id: str = "") -> Repo:
    found = repos.named(sql, repo_id or act.standing.repo_id)
    if found is None:
        raise NotFound(f"there is no repository {act.standing.org}/{act.standing.repo}")
    return told(act, found)


# Changing


@HANDLERS.change(MODIFY_REPO)
def _modify(act: Act, sql: Connection, request: ModifyRepo) -> Repo:
    """Change a repository's facts."""
    row = _held(act, sql)
    values: dict[str, object] = {}
    if request.new_name is not UNSET and request.new_name != row.name:
        if request.new_name.casefold() != row.name.casefold():
            _check_name(act, sql, request.new_name)
        values["name"] = act.details["new_name"] = request.new_name
    if request.description is not UNSET:
        values["description"] = request.description
    metadata = _changed(row.metadata, request)
    if metadata != row.metadata:
        check_metadata(metadata)
        values["metadata"] = metadata
    if values:
        repos.modify(sql, row.id, values, now=act.now)
    return _here(act, sql)


def _changed(old: Mapping[str, object], request: ModifyRepo) -> dict[str, object]:
    """Return the metadata that a change makes of others.

    Raises:
        InvalidInput: a name is in more than one of the three.
        AlreadyExists: what is added is there.
        NotFound: what is removed or updated is not.
    """
    added, removed, updated = request.add_metadata, request.remove_metadata, request.update_metadata
    twice = sorted((added.keys() & updated.keys()) | (added.keys() & set(removed)) | (updated.keys() & set(removed)))
    if twice:
        raise InvalidInput(f"the metadata {', '.join(map(repr, twice))} can't be changed in two ways at once: add, remove or update")
    if there := sorted(added.keys() & old.keys()):
        raise AlreadyExists(f"there are metadata {', '.join(map(repr, there))} already: update them instead")
    if missing := sorted((updated.keys() | set(removed)) - old.keys()):
        raise NotFound(f"there are no metadata {', '.join(map(repr, missing))}: add them instead")
    return {**{name: value for name, value in old.items() if name not in set(removed)}, **added, **updated}


@HANDLERS.change(DELETE_REPO)
def _delete(act: Act, sql: Connection, request: DeleteRepo) -> Repo:
    """Delete a repository, so that it can be restored for some days."""
    if not (request.imsure and request.imreallysure):
        raise InvalidInput("imsure and imreallysure must be set to True")
    row = _held(act, sql)
    if row.status == "moving":
        raise Busy(f"{act.standing.org}/{row.name} is being moved: delete it when that is done")
    repos.modify(sql, row.id, {"deleted": act.now}, now=act.now)
    return _here(act, sql)


@HANDLERS.change(RESTORE_REPO)
def _restore(act: Act, sql: Connection, request: RepoName) -> Repo:
    """Bring a deleted repository back."""
    org = act.standing.org
    row = repos.deleted(sql, act.standing.org_id, request.repo)
    taken = repos.get(sql, act.standing.org_id, request.repo)
    if row is None and taken is not None:
        raise Conflict(f"the repository {org}/{taken.name} is not deleted: there is nothing to restore")
    if row is None or row.deleted is None or row.deleted + timedelta(days=act.rooms.rules.trash_days) <= act.now:
        raise NotFound(f"there is no deleted repository {org}/{request.repo} any more")
    if taken is not None:
        raise AlreadyExists(
            f"there is another repository {org}/{taken.name} by now: give that one another name (kist repo rename), then restore"
        )
    repos.modify(sql, row.id, {"deleted": None}, now=act.now)
    return _here(act, sql, row.id)


def _held(act: Act, sql: Connection) -> RepoRow:
    """Return the repository, which stays as it is until this transaction ends."""
    row = repos.by_id(sql, act.standing.repo_id, hold=True)
    if row is None or row.deleted:
        raise NotFound(f"there is no repository {act.standing.org}/{act.standing.repo}")
    return row


# Roles


@HANDLERS.look(LIST_ROLES)
def _list_roles(act: Act, sql: Connection, _request: RepoName) -> Page[RepoRole]:
    """List the roles for a repository."""
    return Page(items=list(grants.of_repo(sql, act.standing.repo_id)))


@HANDLERS.change(GRANT_ROLE)
def _grant(act: Act, sql: Connection, request: GrantRole) -> RepoRole:
    """Give a role for a repository."""
    grantee = _grantee(act, sql, request.principal)
    act.details["role"] = request.role
    since = grants.give(sql, act.standing.repo_id, grantee.id, request.role, now=act.now)
    return RepoRole(principal=grantee.name, kind=grantee.kind, role=request.role, created=since)


@HANDLERS.change(REVOKE_ROLE)
def _revoke(act: Act, sql: Connection, request: RoleName) -> None:
    """Take a role for a repository away."""
    grantee = _grantee(act, sql, request.principal)
    if not grants.take(sql, act.standing.repo_id, grantee.id):
        raise NotFound(f"{grantee.name} has no role for {act.standing.org}/{act.standing.repo} alone: kist repo roles lists who has")


def _grantee(act: Act, sql: Connection, name: str) -> grants.Grantee:
    found = grants.find(sql, act.standing.org_id, act.standing.org, name)
    if found is None:
        raise NotFound(f"there is no user {name!r}, and no such service account of {act.standing.org}")
    return found
