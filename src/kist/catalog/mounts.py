"""Mounts of organisations in the catalog. A name is kept as it is looked up: in lower case."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Final, cast

from sqlalchemy import Connection, Row, delete, insert, select, update

from kist.catalog.tables import mounts

__all__ = ["MountRow", "get", "page", "put", "remove"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MountRow:
    """A mount as the catalog keeps it; the `secrets` are sealed."""

    id: str
    org_id: str
    name: str
    url: str
    options: Mapping[str, str]
    secrets: bytes | None = field(repr=False)
    created: datetime
    created_by: str


_COLUMNS: Final = [mounts.c[one.name] for one in fields(MountRow)]


def get(sql: Connection, org_id: str, name: str) -> MountRow | None:
    """Return the mount of an organisation that has this name."""
    row = sql.execute(select(*_COLUMNS).where(mounts.c.org_id == org_id, mounts.c.name == name.lower())).one_or_none()
    return None if row is None else _row(row)


def page(sql: Connection, org_id: str, *, after: str, limit: int) -> list[MountRow]:
    """Return mounts by name, those after `after`."""
    query = select(*_COLUMNS).where(mounts.c.org_id == org_id, mounts.c.name > after).order_by(mounts.c.name).limit(limit)
    return [_row(row) for row in sql.execute(query)]


def put(sql: Connection, row: MountRow) -> None:
    """Add a mount, or replace the one that has its id."""
    values = {**{one.name: getattr(row, one.name) for one in fields(row)}, "options": dict(row.options)}
    if sql.execute(update(mounts).where(mounts.c.id == row.id).values(values)).rowcount == 0:
        sql.execute(insert(mounts).values(values))


def remove(sql: Connection, mount_id: str) -> None:
    """Remove a mount."""
    sql.execute(delete(mounts).where(mounts.c.id == mount_id))


def _row(row: Row[*tuple[object, ...]]) -> MountRow:
    return MountRow(**cast("dict[str, object]", {one.name: getattr(row, one.name) for one in fields(MountRow)}))  # type: ignore[arg-type]  # the columns have these types
