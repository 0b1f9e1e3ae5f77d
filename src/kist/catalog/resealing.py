"""Secrets that an old key sealed: found, and sealed by the current one while all else goes on.

Once none is left, and answers of changes (`kist.catalog.idempotency`) that it sealed have been purged, the old key opens nothing any more.
What was derived from it (tokens' hashes, secrets of pairs for S3) still needs it: that ends with the tokens and pairs.
"""

from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Column, Connection, func, select, update

from kist.catalog.sealing import Keyring
from kist.catalog.tables import bucket_configs, mounts

__all__ = ["Sealed", "old", "place_of", "reseal"]

_COLUMNS: Final = (bucket_configs.c.credentials, mounts.c.secrets)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """A sealed secret, and where it is."""

    table: str
    column: str
    id: str
    value: bytes = field(repr=False)

    @property
    def key(self) -> str:
        """The name of the key that sealed it."""
        return Keyring.sealed_by(self.value)

    @property
    def place(self) -> str:
        """The place that it is bound to."""
        return place_of(self.table, self.id, self.column)


def place_of(table: str, id: str, column: str) -> str:  # noqa: A002  the column's name
    """Return what a secret of a row is sealed for."""
    return f"{table}/{id}/{column}"


def old(sql: Connection, keyring: Keyring, *, limit: int = 100) -> list[Sealed]:
    """Return secrets that another key than the current one has sealed."""
    found: list[Sealed] = []
    for column in _COLUMNS:
        by_other = func.substr(column, 1, len(keyring.mark)) != keyring.mark
        query = select(column.table.c.id, column).where(column.is_not(None), by_other).order_by(column.table.c.id).limit(limit - len(found))
        found += [Sealed(table=column.table.name, column=column.name, id=row[0], value=row[1]) for row in sql.execute(query)]
    return found


def reseal(sql: Connection, keyring: Keyring, secret: Sealed) -> bool:
    """Seal a secret by the current key; say whether it was still there as it was found.

    Raises:
        IntegrityError: it does not open.
    """
    column = _column(secret)
    sealed = keyring.seal(keyring.open(secret.value, place=secret.place), place=secret.place)
    row = (column.table.c.id == secret.id) & (column == secret.value)
    return sql.execute(update(column.table).where(row).values({column.name: sealed})).rowcount == 1


def _column(secret: Sealed) -> Column[bytes]:
    return next(column for column in _COLUMNS if (column.table.name, column.name) == (secret.table, secret.column))
