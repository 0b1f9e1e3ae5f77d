"""The authority `catalog` (format 1, §8.3): a row of the database is the commit, and its object follows before anybody is told.

Objects are PUT in the order of their numbers, so whoever reads the bucket alone never sees a gap. What is missing in the bucket is PUT by
whoever finds that; what is missing in the catalog is taken over from the bucket. Any number of processes may commit.
"""

from functools import partial
from typing import Final

from sqlalchemy import Connection

from kist.catalog import refs, repos
from kist.catalog.database import Database
from kist.catalog.refs import EntryRow
from kist.catalog.repos import RepoRow
from kist.engine.records import RefEntry, slot
from kist.engine.refs import Line, NumberedRefs, encode_entry, ref_prefix
from kist.errors import Busy, Conflict, IntegrityError, StoreError
from kist.stores.protocols import Store

__all__ = ["CatalogAuthority", "is_here"]

_BATCH: Final = 1000


def is_here(now: RepoRow | None, seen: RepoRow) -> bool:
    """Say whether a repository is online, where it was seen before."""
    if now is None or now.deleted or now.status != "online":
        return False
    return (now.bucket_config_id, now.prefix) == (seen.bucket_config_id, seen.prefix)


class CatalogAuthority(NumberedRefs):
    """Decides by rows. Threads may share one, and so may processes the rows."""

    name = "catalog"

    def __init__(self, database: Database, repo: RepoRow, store: Store, record_id: str) -> None:
        """Decide for a repository; `record_id` is that of its `format`."""
        super().__init__(store, record_id)
        self._database, self._repo, self._store = database, repo, store
        self._seen: dict[str, int] = {}
        """The greatest number of each ref that was ever seen in the bucket: a catalog that knows less was restored from a backup."""

    def line(self, ref: str) -> Line | None:
        """Return the head of a ref, after bucket and catalog were made to say the same.

        Raises:
            IntegrityError: they contradict each other.
            StoreError: the store failed.
        """
        found = super().line(ref)
        highest = self._seen[ref] = found.highest if found else -1
        with self._database.reading() as sql:
            missing = refs.above(sql, self._repo.id, ref, highest, limit=_BATCH)
            known = refs.at(sql, self._repo.id, ref, highest) if found else None
        if found and known is None:
            head = found.heads[0]
            row = EntryRow(ref=ref, seq=head.seq, txn=head.txn, entry=encode_entry(head), stored=True)
            known = self._database.change(lambda sql: refs.add(sql, self._repo.id, row))
        if found and known and known.txn != found.heads[0].txn:
            raise IntegrityError(
                f"number {highest} of {ref} is one entry in the bucket and another one in the catalog: one of them was restored from a "
                "backup; look at both before anything is committed"
            )
        if not missing:
            return found
        self._put(missing)
        return self.line(ref) if len(missing) == _BATCH else super().line(ref)

    def commit(self, entry: RefEntry) -> bool:
        """Add an entry for good; False means that its number went to another writer.

        Raises:
            Busy: the repository is being moved, or was deleted; nothing was committed.
            Conflict: the entry leaves out a number.
            StoreError: it may be committed; asking again with the same entry is safe.
        """
        row = EntryRow(ref=entry.ref, seq=entry.seq, txn=entry.txn, entry=encode_entry(entry))
        begins = not entry.previous
        if entry.ref not in self._seen:
            self.line(entry.ref)
        found = self._database.change(lambda sql: self._insert(sql, row, begins=begins))
        if found is None:
            known = self.line(entry.ref) is not None  # the catalog may not know yet what the bucket has
            found = self._database.change(lambda sql: self._insert(sql, row, begins=begins, aligned=True)) if begins != known else None
        if found is None:
            return False
        self._store_up_to(found)
        self._seen[row.ref] = max(self._seen[row.ref], found.seq)
        return found.txn == row.txn and found.entry == row.entry

    def heal(self) -> None:
        """Store what is missing in the bucket.

        Raises:
            StoreError: the store failed.
        """
        with self._database.reading() as sql:
            missing = refs.unstored(sql, self._repo.id)
        self._put(missing)

    def _insert(self, sql: Connection, row: EntryRow, *, begins: bool, aligned: bool = False) -> EntryRow | None:
        """Add a row, and return the one that has its number.

        None: another one has it, or that is not to be known before bucket and catalog were `aligned`. `begins` says that nothing was seen
        before it.
        """
        if not is_here(repos.by_id(sql, self._repo.id, hold=True), self._repo):
            raise Busy("the repository is being moved, or was deleted meanwhile: nothing was committed; try again in a while")
        newest = refs.newest(sql, self._repo.id, row.ref)
        if newest is not None and newest.seq < self._seen[row.ref] and not aligned:
            return None
        if newest is None:
            return refs.add(sql, self._repo.id, row) if aligned else None
        if row.seq == newest.seq + 1 and not begins:
            return refs.add(sql, self._repo.id, row)
        if row.seq <= newest.seq or begins:
            return refs.at(sql, self._repo.id, row.ref, row.seq)
        if not aligned:
            return None
        raise Conflict(f"the newest entry of {row.ref} is number {newest.seq}, so {row.seq} can't be the next: look at it again")

    def _store_up_to(self, row: EntryRow) -> None:
        """Store the object of a row, after all of smaller numbers."""
        with self._database.reading() as sql:
            missing = [one for one in refs.unstored(sql, self._repo.id, row.ref) if one.seq <= row.seq]
        self._put(missing)

    def _put(self, rows: list[EntryRow]) -> None:
        """Store objects of rows, in their order, and note it.

        Raises:
            StoreError: they are not stored, or not where the repository is by now.
        """
        for row in rows:
            self._store.put(ref_prefix(row.ref) + slot(row.seq), row.entry)
            if not self._database.change(partial(self._note, row)):
                raise StoreError(
                    f"number {row.seq} of {row.ref} is committed, but the repository is being moved, or was deleted, so it is not to be "
                    "seen yet: ask again in a while"
                )

    def _note(self, row: EntryRow, sql: Connection) -> bool:
        """Note that the object of a row is stored, unless the repository does not lie there any more."""
        place = self._repo
        return refs.note_stored(sql, place.id, row.ref, row.seq, bucket_config_id=place.bucket_config_id, prefix=place.prefix)
