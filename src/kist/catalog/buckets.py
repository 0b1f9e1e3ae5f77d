"""Bucket configs in the catalog: one line each, found by its id, its nickname or its place.

A place is a text that begins with the text of what it lies in, so one look at the index finds all that overlap. Whoever makes or moves one
holds the lock `PLACES` from before that look to the end of the transaction, so that no two overlap, whoever asks at the same time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Final, cast

from sqlalchemy import Connection, Row, delete, func, insert, or_, select, update

from kist.catalog.database import lock
from kist.catalog.tables import bucket_configs, repos

__all__ = [
    "BucketRow",
    "add",
    "by_id",
    "count_repos",
    "default",
    "get",
    "lock_places",
    "make_default",
    "modify",
    "names_of_repos",
    "overlapping",
    "page",
    "remove",
]

PLACES: Final = "places"


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketRow:
    """A bucket config as the catalog keeps it: `place` is its one text, the `credentials` are sealed."""

    id: str
    org_id: str
    nickname: str
    platform: str
    name: str
    prefix: str
    extra_config: Mapping[str, str | bool]
    auth_method: str
    credentials: bytes | None = field(repr=False)
    place: str
    is_default: bool
    created: datetime
    created_by: str
    updated: datetime


_COLUMNS: Final = [bucket_configs.c[one.name] for one in fields(BucketRow)]


def lock_places(sql: Connection) -> None:
    """Let nobody else make or move a bucket config until this transaction ends."""
    lock(sql, PLACES)


def get(sql: Connection, org_id: str, nickname: str, *, hold: bool = False) -> BucketRow | None:
    """Return the bucket config of an organisation that has this nickname; with `hold`, see `by_id`."""
    folded = nickname.strip().casefold()
    return _one(sql, (bucket_configs.c.org_id == org_id) & (bucket_configs.c.folded == folded), hold=hold)


def by_id(sql: Connection, bucket_id: str, *, hold: bool = False) -> BucketRow | None:
    """Return a bucket config; with `hold`, it stays as it is, and no repository comes to use it, until this transaction ends."""
    return _one(sql, bucket_configs.c.id == bucket_id, hold=hold)


def default(sql: Connection, org_id: str) -> BucketRow | None:
    """Return the bucket config of new repositories of an organisation, if it has one."""
    return _one(sql, (bucket_configs.c.org_id == org_id) & bucket_configs.c.is_default, hold=False)


def page(sql: Connection, org_id: str, *, after: str, limit: int) -> list[tuple[BucketRow, int]]:
    """Return bucket configs by nickname, those after the folded one `after`, each with the number of repositories that use it."""
    used = select(func.count()).where(repos.c.bucket_config_id == bucket_configs.c.id).scalar_subquery()
    rows = sql.execute(
        select(*_COLUMNS, used.label("used"))
        .where(bucket_configs.c.org_id == org_id, bucket_configs.c.folded > after)
        .order_by(bucket_configs.c.folded)
        .limit(limit)
    )
    return [(_row(row), int(row.used)) for row in rows]


def count_repos(sql: Connection, bucket_id: str) -> int:
    """Return how many repositories use a bucket config, those in the trash too."""
    return sql.execute(select(func.count()).where(repos.c.bucket_config_id == bucket_id)).scalar_one()


def names_of_repos(sql: Connection, bucket_id: str, *, limit: int) -> list[tuple[str, bool]]:
    """Return names of repositories that use a bucket config, and whether each is in the trash."""
    rows = sql.execute(
        select(repos.c.name, repos.c.deleted)
        .where(repos.c.bucket_config_id == bucket_id)
        .order_by(repos.c.deleted.is_not(None), repos.c.folded)
        .limit(limit)
    )
    return [(row.name, row.deleted is not None) for row in rows]


def overlapping(sql: Connection, place: str, *, but: str = "") -> list[BucketRow]:
    """Return the bucket configs whose place is this one, or lies in it, or in whose place it lies, save the one of the id `but`."""
    column = bucket_configs.c.place
    above = [place[: end + 1] for end, sign in enumerate(place) if sign == "/"]
    past = f"{place[:-1]}0"  # what begins with "…/" comes before "…0"
    rows = sql.execute(
        select(*_COLUMNS)
        .where(or_(column.in_(above), (column >= place) & (column < past)), bucket_configs.c.id != but)
        .order_by(column)
        .limit(100)
    )
    return [_row(row) for row in rows]


def add(sql: Connection, row: BucketRow) -> None:
    """Add a bucket config."""
    values = {one.name: getattr(row, one.name) for one in fields(row)}
    sql.execute(insert(bucket_configs).values({**values, "extra_config": dict(row.extra_config), "folded": row.nickname.casefold()}))


def modify(sql: Connection, bucket_id: str, values: Mapping[str, object], *, now: datetime) -> None:
    """Change some fields of a bucket config."""
    changed: dict[str, object] = {**values, "updated": now}
    if "nickname" in values:
        changed["folded"] = str(values["nickname"]).casefold()
    sql.execute(update(bucket_configs).where(bucket_configs.c.id == bucket_id).values(changed))


def make_default(sql: Connection, org_id: str, bucket_id: str) -> None:
    """Make a bucket config the only default of its organisation."""
    is_default = bucket_configs.c.is_default
    sql.execute(update(bucket_configs).where(bucket_configs.c.org_id == org_id, is_default).values(is_default=False))
    sql.execute(update(bucket_configs).where(bucket_configs.c.id == bucket_id).values(is_default=True))


def remove(sql: Connection, bucket_id: str) -> None:
    """Remove a bucket config that no repository uses."""
    sql.execute(delete(bucket_configs).where(bucket_configs.c.id == bucket_id))


def _one(sql: Connection, which: object, *, hold: bool) -> BucketRow | None:
    found = select(*_COLUMNS).where(which)  # type: ignore[arg-type]  # a condition on the table
    row = sql.execute(found.with_for_update() if hold else found).one_or_none()
    return None if row is None else _row(row)


def _row(row: Row[*tuple[object, ...]]) -> BucketRow:
    return BucketRow(**cast("dict[str, object]", {one.name: getattr(row, one.name) for one in fields(BucketRow)}))  # type: ignore[arg-type]  # the columns have these types
