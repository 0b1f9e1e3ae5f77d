"""Repositories in the catalog: facts, where they lie, who has a role for one. What is in them is not known here.

Beside each repository stand its text to be searched and its metadata to be found by, both in the order of the names, so that a page of a
list costs what the page is long, and a search one look through 100,000 short texts.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Final, cast

from sqlalchemy import ColumnElement, Connection, Row, Select, Table, and_, delete, exists, insert, or_, select, update

from kist.catalog.tables import bucket_configs, grants, orgs, repo_metadata, repo_texts, repos
from kist.models import Repo, RepoKind

__all__ = [
    "Named",
    "RepoRow",
    "add",
    "by_id",
    "deleted",
    "expired",
    "get",
    "modify",
    "named",
    "of_bucket",
    "overlapping",
    "page",
    "place_of",
    "remove",
    "shown",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class RepoRow:
    """A repository as the catalog keeps it. `authority` is that of its `format`; `status` is online, moving, or purging."""

    id: str
    org_id: str
    name: str
    kind: RepoKind
    bucket_config_id: str
    prefix: str
    description: str
    metadata: Mapping[str, object]
    created: datetime
    created_by: str
    updated: datetime
    authority: str
    status: str = "online"
    deleted: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A repository with the names of its organisation and its bucket config."""

    row: RepoRow
    org: str
    bucket_config: str


_COLUMNS: Final = [repos.c[one.name] for one in fields(RepoRow)]
_NAMED: Final = (
    select(*_COLUMNS, orgs.c.name.label("org_name"), bucket_configs.c.nickname.label("bucket_nickname"))
    .join(orgs, orgs.c.id == repos.c.org_id)
    .join(bucket_configs, bucket_configs.c.id == repos.c.bucket_config_id)
)
_LIVE: Final = repos.c.deleted.is_(None)


def by_id(sql: Connection, repo_id: str, *, hold: bool = False) -> RepoRow | None:
    """Return a repository; with `hold` it stays as it is until this transaction ends."""
    query = select(*_COLUMNS).where(repos.c.id == repo_id)
    row = sql.execute(query.with_for_update() if hold else query).one_or_none()
    return None if row is None else _row(row)


def get(sql: Connection, org_id: str, name: str) -> RepoRow | None:
    """Return the repository of a name that is not deleted."""
    row = sql.execute(select(*_COLUMNS).where(repos.c.org_id == org_id, repos.c.folded == name.casefold(), _LIVE)).one_or_none()
    return None if row is None else _row(row)


def deleted(sql: Connection, org_id: str, name: str) -> RepoRow | None:
    """Return the repository of a name that was deleted last, and can still be restored."""
    query = select(*_COLUMNS).where(
        repos.c.org_id == org_id, repos.c.folded == name.casefold(), repos.c.deleted.is_not(None), repos.c.status != "purging"
    )
    row = sql.execute(query.order_by(repos.c.deleted.desc()).limit(1)).one_or_none()
    return None if row is None else _row(row)


def expired(sql: Connection, before: datetime, *, limit: int = 100) -> list[RepoRow]:
    """Return repositories that were deleted before some time."""
    rows = sql.execute(select(*_COLUMNS).where(repos.c.deleted < before).order_by(repos.c.deleted).limit(limit))
    return [_row(row) for row in rows]


def named(sql: Connection, repo_id: str) -> Named | None:
    """Return a repository with the names around it."""
    row = sql.execute(_NAMED.where(repos.c.id == repo_id)).one_or_none()
    return None if row is None else _with_names(row)


def page(
    sql: Connection,
    org_id: str,
    *,
    search: str = "",
    kind: RepoKind | None = None,
    metadata: Mapping[str, object] | None = None,
    bucket_id: str = "",
    trash: bool = False,
    granted_to: str = "",
    only: str = "",
    after: str = "",
    limit: int = 100,
) -> list[Named]:
    """Return repositories of an organisation in the order of their names, those behind the place `after`.

    Args:
        sql: a connection.
        org_id: the organisation.
        search: what name or description have in them, whatever the case.
        kind: what they hold.
        metadata: what their metadata have, all of it.
        bucket_id: the bucket config they lie at.
        trash: those that were deleted, instead of all others.
        granted_to: a principal: only those for which they have a role.
        only: the name of the only one that is meant.
        after: `place_of` the last one before.
        limit: how many.
    """
    gone = repos.alias()
    in_trash = repos.c.id.in_(select(gone.c.id).where(gone.c.org_id == org_id, gone.c.deleted.is_not(None)))
    about: list[ColumnElement[bool]] = [in_trash if trash else _LIVE]
    if kind is not None:
        about.append(repos.c.kind == kind)
    if bucket_id:
        about.append(repos.c.bucket_config_id == bucket_id)
    if granted_to:
        about.append(repos.c.id.in_(select(grants.c.repo_id).where(grants.c.principal_id == granted_to)))
    if only:
        about.append(repos.c.folded == only.casefold())
    folded, repo_id, query = _driven(org_id, search, metadata or {}, about)
    if after:
        name, _, last = after.partition("/")
        query = query.where(folded >= name, or_(folded > name, repo_id > last))
    # live names are unique, and an order by the name alone is that of an index
    order = (folded,) if folded is repos.c.folded and not trash else (folded, repo_id)
    ids = list(sql.execute(query.order_by(*order).limit(limit)).scalars())
    found = {row.id: row for row in sql.execute(_NAMED.where(repos.c.id.in_(ids)))}
    return [_with_names(found[one]) for one in ids if one in found]


def place_of(one: Named) -> str:
    """Return what `page` takes as `after` to go on behind a repository."""
    return f"{one.row.name.casefold()}/{one.row.id}"


def of_bucket(sql: Connection, bucket_id: str, *, after: str = "", limit: int = 1000) -> list[Named]:
    """Return the repositories that lie at a bucket config in the order of their names, those that are deleted too, as `page` does."""
    query = _NAMED.where(repos.c.bucket_config_id == bucket_id)
    if after:
        name, _, last = after.partition("/")
        query = query.where(or_(repos.c.folded > name, and_(repos.c.folded == name, repos.c.id > last)))
    return [_with_names(row) for row in sql.execute(query.order_by(repos.c.folded, repos.c.id).limit(limit))]


def overlapping(sql: Connection, bucket_place: str, prefix: str, *, but: str = "") -> list[RepoRow]:
    """Return repositories that lie where one at a prefix of a bucket config's place would lie, or above or below it, save that of id `but`.

    Whoever adds or moves one holds `kist.catalog.buckets.lock_places` from before this until the transaction ends.
    """
    wanted = f"{bucket_place}{prefix}/" if prefix else bucket_place
    above = [wanted[: end + 1] for end, sign in enumerate(wanted) if sign == "/"]
    past = f"{wanted[:-1]}0"  # what begins with "…/" comes before "…0"
    place = bucket_configs.c.place
    near = sql.execute(select(bucket_configs.c.id, place).where(or_(place.in_(above), (place >= wanted) & (place < past)))).all()
    found: list[RepoRow] = []
    for bucket in near:
        which = repos.c.bucket_config_id == bucket.id
        if not bucket.place.startswith(wanted):
            rest = wanted.removeprefix(bucket.place).rstrip("/")
            parents = ["", *(rest[:end] for end, sign in enumerate(rest) if sign == "/"), rest]
            which &= or_(repos.c.prefix.in_(parents), (repos.c.prefix >= f"{rest}/") & (repos.c.prefix < f"{rest}0"))
        found += [_row(row) for row in sql.execute(select(*_COLUMNS).where(which, repos.c.id != but).limit(10))]
    return found


def add(sql: Connection, row: RepoRow) -> None:
    """Add a repository."""
    values = {one.name: getattr(row, one.name) for one in fields(row)}
    sql.execute(insert(repos).values({**values, "metadata": dict(row.metadata), "folded": row.name.casefold()}))
    _note(sql, row)


def modify(sql: Connection, repo_id: str, values: Mapping[str, object], *, now: datetime) -> None:
    """Change some fields of a repository."""
    changed: dict[str, object] = {**values, "updated": now}
    if "name" in values:
        changed["folded"] = str(values["name"]).casefold()
    sql.execute(update(repos).where(repos.c.id == repo_id).values(changed))
    if values.keys() & {"name", "description", "metadata"} and (row := by_id(sql, repo_id)) is not None:
        sql.execute(delete(repo_texts).where(repo_texts.c.repo_id == repo_id))
        sql.execute(delete(repo_metadata).where(repo_metadata.c.repo_id == repo_id))
        _note(sql, row)


def remove(sql: Connection, repo_id: str) -> None:
    """Remove a repository, with all that belongs to it."""
    sql.execute(delete(repos).where(repos.c.id == repo_id))


def shown(one: Named, *, trash_days: int) -> Repo:
    """Return a repository as people see it."""
    row = one.row
    return Repo(
        id=row.id,
        org=one.org,
        name=row.name,
        kind=row.kind,
        bucket_config=one.bucket_config,
        prefix=row.prefix,
        description=row.description,
        metadata=dict(row.metadata),
        status="deleted" if row.deleted else "moving" if row.status == "moving" else "online",
        created=row.created,
        created_by=row.created_by,
        updated=row.updated,
        purge_at=row.deleted + timedelta(days=trash_days) if row.deleted else None,
    )


def _driven(
    org_id: str, search: str, metadata: Mapping[str, object], about: list[ColumnElement[bool]]
) -> tuple[ColumnElement[str], ColumnElement[str], Select[str]]:
    """Return a query for ids that walks along the narrowest of what it was asked for, and the columns of its order.

    All else is asked of each row that it meets; written as joins, SQLite would begin at the wrong end.
    """
    hashes = list(_hashes(metadata))
    if not hashes and not search:
        return repos.c.folded, repos.c.id, select(repos.c.id).where(repos.c.org_id == org_id, *about)
    asked: list[ColumnElement[bool]] = []
    if hashes:
        name, value = hashes.pop()
        table: Table = repo_metadata
        asked += [table.c.name == name, table.c.value == value]
        for name, value in hashes:
            other = repo_metadata.alias()
            same = (other.c.folded == table.c.folded, other.c.repo_id == table.c.repo_id)
            asked.append(exists().where(other.c.org_id == org_id, other.c.name == name, other.c.value == value, *same))
    else:
        table = repo_texts
    if search:
        found = repo_texts.c.text.like(_pattern(search), escape="\\")
        here = (repo_texts.c.org_id == org_id, repo_texts.c.folded == table.c.folded, repo_texts.c.repo_id == table.c.repo_id)
        asked.append(found if table is repo_texts else exists().where(*here, found))
    query = select(table.c.repo_id).where(table.c.org_id == org_id, *asked, exists().where(repos.c.id == table.c.repo_id, *about))
    return table.c.folded, table.c.repo_id, query


def _pattern(search: str) -> str:
    """Return what a text that has `search` in it is like."""
    folded = search.casefold()
    for sign in "\\%_":
        folded = folded.replace(sign, f"\\{sign}")
    return f"%{folded}%"


def _note(sql: Connection, row: RepoRow) -> None:
    """Write down what a repository is found by."""
    folded = row.name.casefold()
    text = f"{row.name}\n{row.description}".casefold()
    sql.execute(insert(repo_texts).values(org_id=row.org_id, folded=folded, repo_id=row.id, text=text))
    found = [
        {"org_id": row.org_id, "name": name, "value": value, "folded": folded, "repo_id": row.id} for name, value in _hashes(row.metadata)
    ]
    if found:
        sql.execute(insert(repo_metadata), found)


def _hashes(metadata: Mapping[str, object]) -> Iterator[tuple[str, bytes]]:
    """Yield the names of metadata with hashes of their values, which may be long; 1 and 1.0 are the same number."""
    for name, value in metadata.items():
        said = json.dumps(_normal(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        yield name, hashlib.sha256(said.encode()).digest()


def _normal(value: object) -> object:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_normal(one) for one in value]
    if isinstance(value, dict):
        return {name: _normal(one) for name, one in value.items()}
    return value


def _row(row: Row[*tuple[object, ...]]) -> RepoRow:
    return RepoRow(**cast("dict[str, object]", {one.name: getattr(row, one.name) for one in fields(RepoRow)}))  # type: ignore[arg-type]  # the columns have these types


def _with_names(row: Row[*tuple[object, ...]]) -> Named:
    return Named(row=_row(row), org=row.org_name, bucket_config=row.bucket_nickname)
