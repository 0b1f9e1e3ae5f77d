"""Ref entries as rows: the commit point of repositories whose store honours no conditions (format 1, §8.3).

A row holds the whole entry, and its key is unique, so of many writers one has each number. `stored` says that the object is in the bucket.
"""

from dataclasses import dataclass
from typing import Final, cast

from sqlalchemy import Connection, Row, exists, select, update

from kist.catalog.database import insert_new
from kist.catalog.tables import ref_entries, repos

__all__ = ["EntryRow", "above", "add", "at", "newest", "note_stored", "unstored", "unstored_repos"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryRow:
    """One entry of a ref, in its sealed bytes."""

    ref: str
    seq: int
    txn: bytes
    entry: bytes
    stored: bool = False


_COLUMNS: Final = (ref_entries.c.ref, ref_entries.c.seq, ref_entries.c.txn, ref_entries.c.entry, ref_entries.c.stored)


def newest(sql: Connection, repo_id: str, ref: str) -> EntryRow | None:
    """Return the row of a ref with the greatest number."""
    which = (ref_entries.c.repo_id == repo_id) & (ref_entries.c.ref == ref)
    row = sql.execute(select(*_COLUMNS).where(which).order_by(ref_entries.c.seq.desc()).limit(1)).one_or_none()
    return None if row is None else _row(row)


def at(sql: Connection, repo_id: str, ref: str, seq: int) -> EntryRow | None:
    """Return the row of a number."""
    which = (ref_entries.c.repo_id == repo_id) & (ref_entries.c.ref == ref) & (ref_entries.c.seq == seq)
    row = sql.execute(select(*_COLUMNS).where(which)).one_or_none()
    return None if row is None else _row(row)


def above(sql: Connection, repo_id: str, ref: str, seq: int, *, limit: int = 1000) -> list[EntryRow]:
    """Return the rows of a ref with greater numbers, the smallest first."""
    which = (ref_entries.c.repo_id == repo_id) & (ref_entries.c.ref == ref) & (ref_entries.c.seq > seq)
    return [_row(row) for row in sql.execute(select(*_COLUMNS).where(which).order_by(ref_entries.c.seq).limit(limit))]


def unstored(sql: Connection, repo_id: str, ref: str | None = None, *, limit: int = 1000) -> list[EntryRow]:
    """Return the rows of a repository, or of one ref, whose objects may be missing, the smallest numbers first."""
    which = (ref_entries.c.repo_id == repo_id) & ~ref_entries.c.stored
    if ref is not None:
        which &= ref_entries.c.ref == ref
    return [_row(row) for row in sql.execute(select(*_COLUMNS).where(which).order_by(ref_entries.c.ref, ref_entries.c.seq).limit(limit))]


def unstored_repos(sql: Connection, *, limit: int = 100) -> list[str]:
    """Return the ids of repositories that are online and have such rows."""
    query = select(ref_entries.c.repo_id).distinct().join(repos, repos.c.id == ref_entries.c.repo_id)
    return list(
        sql.execute(query.where(~ref_entries.c.stored, repos.c.status == "online", repos.c.deleted.is_(None)).limit(limit)).scalars()
    )


def add(sql: Connection, repo_id: str, row: EntryRow) -> EntryRow:
    """Add a row, unless its number is taken; return the one that has the number."""
    values = {"repo_id": repo_id, "ref": row.ref, "seq": row.seq, "txn": row.txn, "entry": row.entry, "stored": row.stored}
    sql.execute(insert_new(sql, ref_entries).values(**values))
    found = at(sql, repo_id, row.ref, row.seq)
    return found or row


def note_stored(sql: Connection, repo_id: str, ref: str, seq: int, *, bucket_config_id: str, prefix: str) -> bool:
    """Note that an object was stored at a place, if the repository still lies there, and nobody is moving it; say whether."""
    here = exists().where(
        repos.c.id == repo_id, repos.c.bucket_config_id == bucket_config_id, repos.c.prefix == prefix, repos.c.status == "online"
    )
    which = (ref_entries.c.repo_id == repo_id) & (ref_entries.c.ref == ref) & (ref_entries.c.seq == seq)
    return sql.execute(update(ref_entries).where(which, here).values(stored=True)).rowcount > 0


def _row(row: Row[*tuple[object, ...]]) -> EntryRow:
    return EntryRow(
        ref=cast("str", row.ref),
        seq=cast("int", row.seq),
        txn=bytes(cast("bytes", row.txn)),
        entry=bytes(cast("bytes", row.entry)),
        stored=cast("bool", row.stored),
    )
