"""The authority `catalog`: rows decide, objects follow, and each heals what the other lacks."""

import subprocess
import sys
import threading
from collections.abc import Buffer
from pathlib import Path

import pytest
from sqlalchemy import delete, select, update
from tests.engine.parts import PlainStore, an_entry
from tests.service.houses import House

from kist.catalog import refs, repos
from kist.catalog.refs import EntryRow
from kist.catalog.tables import ref_entries
from kist.catalog.tables import repos as repos_table
from kist.engine.opening import open_repository, rooms_on
from kist.engine.records import RefEntry, slot
from kist.engine.refs import CommitAuthority, encode_entry
from kist.engine.rooms import Rooms
from kist.errors import Busy, Conflict, IntegrityError, KistError, StoreError
from kist.models.requests import ImportRepo
from kist.operations import IMPORT_REPO
from kist.service import jobs
from kist.service.committing import CatalogAuthority
from kist.stores.local import LocalStore
from kist.stores.memory import MemoryStore
from kist.testing.faulty import Fault, FaultyStore

MAIN = "heads/main"


def authority_on(house: House, store: object) -> tuple[CatalogAuthority, Rooms]:
    """Return the authority of a new repository whose objects go to some store, and the engine on it."""
    made = house.repo("cube", authority="catalog")
    inner = LocalStore(house.folder / "shelf" / made.prefix)
    record = inner.get("format")
    store.put("format", record)  # type: ignore[attr-defined]
    return again(house, store)


def again(house: House, store: object) -> tuple[CatalogAuthority, Rooms]:
    """Return an authority that shares nothing with the first but the store and the rows."""
    with house.rooms.database.reading() as sql:
        row = repos.get(sql, house.org_id("lab"), "cube")
    assert row is not None
    made: list[CatalogAuthority] = []

    def authority(record: object, _cache: object) -> CommitAuthority:
        made.append(CatalogAuthority(house.rooms.database, row, store, record.id))  # type: ignore[attr-defined,arg-type]
        return made[0]

    rooms = rooms_on(store, name="x", cached=False, authority=authority)  # type: ignore[arg-type]
    return made[0], rooms


def chain(authority: CatalogAuthority, rooms: Rooms, count: int) -> list[RefEntry]:
    """Commit some entries, one after the other."""
    line = authority.line(MAIN)
    done = list(line.heads) if line else []
    for _ in range(count):
        entry = an_entry(rooms, parents=done[-1:], seq=len(done) + 1 if not done else done[-1].seq + 1)
        assert authority.commit(entry)
        done.append(entry)
    return done


def rows(house: House) -> list[tuple[int, bool]]:
    """Return numbers of the rows, and whether their objects are stored."""
    with house.rooms.database.reading() as sql:
        return [tuple(row) for row in sql.execute(select(ref_entries.c.seq, ref_entries.c.stored).order_by(ref_entries.c.seq))]


def test_an_entry_is_a_row_and_then_an_object(house: House) -> None:
    store = MemoryStore()
    authority, rooms = authority_on(house, PlainStore(store))
    done = chain(authority, rooms, 3)
    assert rows(house) == [(1, True), (2, True), (3, True)]
    assert [store.get(f"refs/{MAIN}/{slot(entry.seq)}") for entry in done] == [encode_entry(entry) for entry in done]
    assert [entry.seq for entry in rooms_on(store, name="x", cached=False).authority.entries(MAIN)] == [3, 2, 1]


def test_the_same_entry_again_is_committed_and_not_added_again(house: House) -> None:
    authority, rooms = authority_on(house, PlainStore(MemoryStore()))
    [*_, last] = chain(authority, rooms, 2)
    assert authority.commit(last)
    assert rows(house) == [(1, True), (2, True)]


def test_a_number_is_had_once(house: House) -> None:
    authority, rooms = authority_on(house, PlainStore(MemoryStore()))
    [first] = chain(authority, rooms, 1)
    entries = [an_entry(rooms, parents=[first], seq=2) for _ in range(2)]
    assert [authority.commit(entry) for entry in entries] == [True, False]


def test_a_number_is_not_left_out(house: House) -> None:
    authority, rooms = authority_on(house, PlainStore(MemoryStore()))
    [first] = chain(authority, rooms, 1)
    with pytest.raises(Conflict):
        authority.commit(an_entry(rooms, parents=[first], seq=3))
    assert rows(house) == [(1, True)]


def test_of_many_threads_each_number_has_one_winner(house: House) -> None:
    authority, rooms = authority_on(house, PlainStore(MemoryStore()))
    [first] = chain(authority, rooms, 1)
    entries = [an_entry(rooms, parents=[first], seq=2) for _ in range(8)]
    won: list[bool] = []
    threads = [threading.Thread(target=lambda entry=entry: won.append(authority.commit(entry))) for entry in entries]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(won) == [False] * 7 + [True]


class Refusing(PlainStore):
    """A store that refuses what is written below refs/ for a while."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self.inner, self.refuses = store, False

    def put(self, key: str, data: Buffer) -> None:
        if self.refuses and key.startswith("refs/"):
            raise StoreError("the disk is full")
        self.inner.put(key, data)


def refusing(house: House) -> tuple[Refusing, CatalogAuthority, Rooms]:
    store = Refusing(MemoryStore())
    store.put = lambda key, data: Refusing.put(store, key, data)  # type: ignore[method-assign]  # over that of the class above
    authority, rooms = authority_on(house, store)
    return store, authority, rooms


def test_what_is_not_stored_is_not_acknowledged_and_stands_once_it_is(house: House) -> None:
    store, authority, rooms = refusing(house)
    [first] = chain(authority, rooms, 1)
    entry = an_entry(rooms, parents=[first], seq=2)
    store.refuses = True
    with pytest.raises(StoreError):
        authority.commit(entry)
    assert rows(house) == [(1, True), (2, False)]
    store.refuses = False
    assert authority.commit(entry)
    assert rows(house) == [(1, True), (2, True)]


def test_what_is_missing_in_the_bucket_is_stored_by_the_next_one_who_looks(house: House) -> None:
    store, authority, rooms = refusing(house)
    [first] = chain(authority, rooms, 1)
    left = an_entry(rooms, parents=[first], seq=2)
    store.refuses = True
    with pytest.raises(StoreError):
        authority.commit(left)
    store.refuses = False
    line = again(house, store)[0].line(MAIN)
    assert line is not None
    assert line.heads == (left,)
    assert rows(house) == [(1, True), (2, True)]


def test_whoever_loses_against_an_entry_that_is_not_stored_stores_it(house: House) -> None:
    store, authority, rooms = refusing(house)
    [first] = chain(authority, rooms, 1)
    store.refuses = True
    with pytest.raises(StoreError):
        authority.commit(an_entry(rooms, parents=[first], seq=2))
    store.refuses = False
    assert not authority.commit(an_entry(rooms, parents=[first], seq=2))
    assert rows(house) == [(1, True), (2, True)]


def test_a_bucket_that_was_restored_gets_its_entries_again(house: House) -> None:
    store = MemoryStore()
    authority, rooms = authority_on(house, PlainStore(store))
    done = chain(authority, rooms, 4)
    for entry in done[2:]:
        store.delete(f"refs/{MAIN}/{slot(entry.seq)}")
    line = authority.line(MAIN)
    assert line is not None
    assert line.highest == 4
    assert [entry.seq for entry in authority.entries(MAIN)] == [4, 3, 2, 1]


@pytest.mark.parametrize("kept", [0, 2])
def test_a_catalog_that_was_lost_or_restored_goes_on_after_what_the_bucket_has(house: House, kept: int) -> None:
    authority, rooms = authority_on(house, PlainStore(MemoryStore()))
    done = chain(authority, rooms, 4)
    house.rooms.database.change(lambda sql: sql.execute(delete(ref_entries).where(ref_entries.c.seq > kept)))
    assert not authority.commit(an_entry(rooms, parents=done[1:2], seq=3))
    assert authority.commit(an_entry(rooms, parents=done[-1:], seq=5))
    assert [entry.seq for entry in authority.entries(MAIN)] == [5, 4, 3, 2, 1]
    assert list(authority.entries(MAIN))[1:] == done[::-1]


def test_where_bucket_and_catalog_contradict_each_other_nothing_is_committed(house: House) -> None:
    authority, rooms = authority_on(house, PlainStore(MemoryStore()))
    done = chain(authority, rooms, 2)
    row = EntryRow(ref=MAIN, seq=2, txn=b"\1" * 16, entry=b"other", stored=True)
    house.rooms.database.change(
        lambda sql: sql.execute(update(ref_entries).where(ref_entries.c.seq == 2).values(txn=row.txn, entry=row.entry))
    )
    with pytest.raises(IntegrityError, match="backup"):
        authority.line(MAIN)
    del done


@pytest.mark.parametrize("change", [{"status": "moving"}, {"prefix": "elsewhere"}])
def test_where_a_repository_is_not_any_more_nothing_is_committed(house: House, change: dict[str, str]) -> None:
    authority, rooms = authority_on(house, PlainStore(MemoryStore()))
    [first] = chain(authority, rooms, 1)
    house.rooms.database.change(lambda sql: sql.execute(update(repos_table).values(**change)))
    with pytest.raises(Busy):
        authority.commit(an_entry(rooms, parents=[first], seq=2))
    assert rows(house) == [(1, True)]


def test_what_lands_in_a_place_that_was_left_does_not_count_as_stored(house: House) -> None:
    store, authority, rooms = refusing(house)
    [first] = chain(authority, rooms, 1)
    store.refuses = True
    with pytest.raises(StoreError):
        authority.commit(an_entry(rooms, parents=[first], seq=2))
    store.refuses = False
    house.rooms.database.change(lambda sql: sql.execute(update(repos_table).values(status="moving")))
    with pytest.raises(StoreError, match="being moved"):
        authority.heal()
    assert rows(house) == [(1, True), (2, False)]


def test_a_worker_stores_what_is_missing(house: House) -> None:
    made = house.repo("cube", authority="catalog")
    house.opened("cube", house.ben).save("a", b"1")
    store = LocalStore(house.folder / "shelf" / made.prefix)
    key = f"refs/{MAIN}/{slot(1)}"
    content = store.get(key)
    store.delete(key)
    house.rooms.database.change(lambda sql: sql.execute(update(ref_entries).values(stored=False)))
    jobs.sweep(house.rooms)
    assert store.get(key) == content
    assert rows(house) == [(1, True)]


@pytest.mark.parametrize("seed", range(4))
def test_on_a_store_that_fails_what_was_acknowledged_is_there(house: House, seed: int) -> None:
    inner = MemoryStore()
    authority, rooms = authority_on(house, PlainStore(inner))
    faulty = FaultyStore(inner, seed=seed, rates=dict.fromkeys((Fault.ERROR_BEFORE, Fault.LOST_RESPONSE, Fault.DUPLICATE), 0.15))
    with house.rooms.database.reading() as sql:
        row = repos.get(sql, house.org_id("lab"), "cube")
    assert row is not None
    shaky = CatalogAuthority(house.rooms.database, row, PlainStore(faulty), rooms.format.id)
    done = chain(authority, rooms, 1)
    acknowledged = list(done)
    for _ in range(25):
        try:
            line = shaky.line(MAIN)
            assert line is not None
            entry = an_entry(rooms, parents=list(line.heads), seq=line.highest + 1)
            if shaky.commit(entry):
                acknowledged.append(entry)
        except StoreError:
            continue
    found = list(authority.entries(MAIN, seq=authority.line(MAIN).highest))  # type: ignore[union-attr]  # there is one
    assert [entry.seq for entry in found] == list(range(len(found), 0, -1))
    assert {entry.txn for entry in acknowledged} <= {entry.txn for entry in found}


def test_processes_that_commit_at_once_lose_nothing(house: House, database_url: str) -> None:
    made = house.repo("cube", authority="catalog")
    each, root = 4, Path(__file__).resolve().parents[2]
    programs = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.service.committing", database_url, str(house.folder), "cube", who, str(each)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=root,
        )
        for who in ("p0", "p1", "p2")
    ]
    said = [program.communicate(timeout=120) for program in programs]
    assert [program.returncode for program in programs] == [0, 0, 0], said
    numbers = sorted(int(line) for out, _ in said for line in out.split())
    assert numbers == list(range(1, 3 * each + 1))
    repo = open_repository(house.folder / "shelf" / made.prefix)
    assert [version.number for version in repo.log()] == numbers[::-1]
    assert len([one for one in repo.walk() if one.kind == "file"]) == 3 * each


def test_threads_that_save_at_once_lose_nothing(house: House) -> None:
    house.repo("cube", authority="catalog")
    errors: list[KistError] = []

    def save(who: int) -> None:
        try:
            repo = house.opened("cube", house.ben)
            for number in range(2):
                repo.save(f"{who}/{number}", b"x")
        except KistError as error:
            errors.append(error)

    threads = [threading.Thread(target=save, args=(who,)) for who in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    repo = house.opened("cube", house.cleo, access="read")
    assert errors == []
    assert [version.number for version in repo.log()] == list(range(16, 0, -1))
    assert len([one for one in repo.walk() if one.kind == "file"]) == 16


def test_a_repository_of_another_catalog_is_taken_in_with_its_entries(house: House) -> None:
    made = house.repo("cube", authority="catalog")
    repo = house.opened("cube", house.ben)
    for number in range(3):
        repo.save("a", str(number).encode())
    house.rooms.database.change(lambda sql: (sql.execute(delete(ref_entries)), sql.execute(delete(repos_table))))
    house.do(IMPORT_REPO, ImportRepo(org="lab", name="again", prefix=made.prefix), house.anna)
    found = house.opened("again", house.ben)
    assert (found.save("a", b"3").number, found.authority, found.read("a", ref="v1")) == (4, "catalog", b"0")


def test_rows_of_a_ref_are_found_by_their_numbers(house: House) -> None:
    authority, rooms = authority_on(house, PlainStore(MemoryStore()))
    chain(authority, rooms, 3)
    with house.rooms.database.reading() as sql:
        row = repos.get(sql, house.org_id("lab"), "cube")
        assert row is not None
        newest = refs.newest(sql, row.id, MAIN)
        assert newest is not None
        assert newest.seq == 3
        assert [one.seq for one in refs.above(sql, row.id, MAIN, 1)] == [2, 3]
        assert refs.at(sql, row.id, "heads/none", 1) is None
