import stat
import threading
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, select, text, update
from sqlalchemy.exc import SQLAlchemyError

from kist.catalog.database import Database, lock, open_database
from kist.catalog.tables import audit_heads, orgs, users
from kist.errors import Busy, Conflict, IntegrityError, InvalidInput, KistError, StoreError

SHA = bytes(32)


def _head(org: str, seq: int) -> dict[str, object]:
    return {"org_id": org, "seq": seq, "hash": SHA}


def _read(database: Database, org: str) -> int | None:
    with database.reading() as sql:
        return sql.execute(select(audit_heads.c.seq).where(audit_heads.c.org_id == org)).scalar_one_or_none()


def test_a_change_is_seen_by_the_next_reader(database: Database) -> None:
    database.change(lambda sql: sql.execute(insert(audit_heads).values(_head("a", 7))))
    assert _read(database, "a") == 7


def test_a_change_that_raises_leaves_nothing(database: Database) -> None:
    def work(sql: Connection) -> None:
        sql.execute(insert(audit_heads).values(_head("a", 7)))
        raise KeyError("x")

    with pytest.raises(KeyError):
        database.change(work)
    assert _read(database, "a") is None


def test_a_reader_sees_one_state_while_others_write(database: Database) -> None:
    database.change(lambda sql: sql.execute(insert(audit_heads).values(_head("a", 1))))
    query = select(audit_heads.c.seq).where(audit_heads.c.org_id == "a")
    with database.reading() as sql:
        before = sql.execute(query).scalar_one()
        database.change(lambda other: other.execute(update(audit_heads).values(seq=2)))
        assert (before, sql.execute(query).scalar_one()) == (1, 1)
    assert _read(database, "a") == 2


def test_a_reader_can_not_write(database: Database) -> None:
    with pytest.raises(StoreError, match=r"read.?only"), database.reading() as sql:
        sql.execute(insert(audit_heads).values(_head("a", 1)))
    assert _read(database, "a") is None


def test_a_connection_that_has_read_can_write_afterwards(database_url: str) -> None:
    database = open_database(database_url, pool_size=1)
    assert _read(database, "a") is None
    database.change(lambda sql: sql.execute(insert(audit_heads).values(_head("a", 1))))
    assert _read(database, "a") == 1
    database.close()


def test_readers_do_not_wait_for_a_writer(database: Database) -> None:
    def work(sql: Connection) -> int | None:
        sql.execute(insert(audit_heads).values(_head("a", 1)))
        return _read(database, "a")

    assert database.change(work) is None


def test_a_name_that_was_taken_meanwhile_is_found_taken_when_the_work_runs_again(database: Database) -> None:
    seen: list[int | None] = []

    def work(sql: Connection) -> str:
        query = select(audit_heads.c.seq).where(audit_heads.c.org_id == "a")
        seen.append(sql.execute(query).scalar_one_or_none())
        if seen[-1] is not None:
            return "taken"
        if database.dialect == "postgresql":
            other = threading.Thread(target=lambda: database.change(lambda one: one.execute(insert(audit_heads).values(_head("a", 1)))))
            other.start()
            other.join(30)
        sql.execute(insert(audit_heads).values(_head("a", 2)))
        return "made"

    assert database.change(work) == ("taken" if database.dialect == "postgresql" else "made")


def test_a_contradiction_that_stays_is_a_conflict_without_values(database: Database) -> None:
    database.change(lambda sql: sql.execute(insert(audit_heads).values(_head("secret-value", 1))))
    with pytest.raises(Conflict, match="contradicts") as caught:
        database.change(lambda sql: sql.execute(insert(audit_heads).values(_head("secret-value", 2))))
    assert "secret-value" not in str(caught.value)
    assert "secret-value" not in str(caught.value.__cause__).partition("DETAIL")[0]


def test_foreign_keys_hold(database: Database) -> None:
    row = {"id": "o", "name": "O", "folded": "o", "owner_id": "nobody", "created": None}
    with pytest.raises(Conflict):
        database.change(lambda sql: sql.execute(insert(orgs).values(row)))


def test_a_lost_race_is_run_again(database: Database) -> None:
    """Two changes lock two names in opposite order: one loses, and does it again."""
    database.change(lambda sql: sql.execute(insert(audit_heads), [_head("a", 0), _head("b", 0)]))
    both = threading.Barrier(2)
    tries: list[str] = []

    def work(first: str, second: str) -> None:
        def change(sql: Connection) -> None:
            tries.append(first)
            lock(sql, first)
            if database.dialect == "postgresql" and tries.count(first) == 1:
                both.wait(30)
            lock(sql, second)
            sql.execute(update(audit_heads).values(seq=audit_heads.c.seq + 1))

        database.change(change)

    threads = [threading.Thread(target=work, args=names) for names in (("a", "b"), ("b", "a"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (_read(database, "a"), _read(database, "b")) == (2, 2)
    assert len(tries) == (3 if database.dialect == "postgresql" else 2)


def test_changes_that_count_in_many_threads_lose_nothing(database: Database) -> None:
    database.change(lambda sql: sql.execute(insert(audit_heads).values(_head("a", 0))))

    def count(sql: Connection) -> None:
        lock(sql, "a")
        seq = sql.execute(select(audit_heads.c.seq)).scalar_one()
        sql.execute(update(audit_heads).values(seq=seq + 1))

    threads = [threading.Thread(target=lambda: [database.change(count) for _ in range(10)]) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert _read(database, "a") == 60


def test_locks_of_other_names_do_not_wait(database: Database) -> None:
    def work(sql: Connection) -> int:
        lock(sql, "a")
        if database.dialect == "postgresql":
            database.change(lambda other: lock(other, "b"))
        return 1

    assert database.change(work) == 1


def test_a_text_with_half_a_character_is_bad_input(database: Database) -> None:
    with pytest.raises(InvalidInput, match="can't be kept") as caught:
        database.change(lambda sql: sql.execute(select(users.c.id).where(users.c.name == "geheim\ud800")).all())
    assert "geheim" not in str(caught.value)


@pytest.mark.peer("PostgreSQL")
def test_a_zero_character_is_bad_input(postgresql_database: str) -> None:
    database = open_database(postgresql_database)
    with pytest.raises(InvalidInput, match="can't be kept"):
        database.change(lambda sql: sql.execute(select(users.c.id).where(users.c.name == "zero\0")).all())
    database.close()


def test_a_number_that_no_database_can_hold_is_bad_input(database: Database) -> None:
    with pytest.raises(InvalidInput, match="can't be kept"):
        database.change(lambda sql: sql.execute(insert(audit_heads).values(_head("a", 2**70))))


def test_errors_of_reading_are_translated(database: Database) -> None:
    with pytest.raises(StoreError, match="nothing was changed") as caught, database.reading() as sql:
        sql.execute(text("select nothing from nowhere"))
    assert isinstance(caught.value.__cause__, SQLAlchemyError)


def test_too_many_at_once_are_told_to_wait(database_url: str) -> None:
    database = open_database(database_url, pool_size=1, patience_seconds=1)
    with database.reading(), database.reading(), pytest.raises(Busy, match="in use"), database.reading():
        pass
    database.close()


def test_a_writer_that_never_ends_makes_others_busy(database_url: str) -> None:
    first, second = open_database(database_url), open_database(database_url, patience_seconds=1)

    def work(sql: Connection) -> None:
        lock(sql, "a")
        with pytest.raises(Busy):
            second.change(lambda other: lock(other, "a"))

    first.change(work)
    first.close()
    second.close()


def test_a_url_never_shows_its_password() -> None:
    database = open_database("postgresql://user:geheim@127.0.0.1:1/x")
    with pytest.raises(StoreError) as caught, database.reading():
        pass
    for shown in (repr(database), database.url, str(caught.value)):
        assert "geheim" not in shown


@pytest.mark.parametrize(
    "url",
    ["mysql://h/x", "postgresql://user:geheim@h:port/x", "://", "sqlite://", "sqlite:///:memory:", ":memory:", "", "sqlite:///file:x?mode=ro",
     "sqlite://host/x", "sqlite:///a\0b"],
)  # fmt: skip
def test_what_is_no_database_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        open_database(url)
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_postgresql_has_several_schemes(scheme: str) -> None:
    assert open_database(f"{scheme}://u@h/x").dialect == "postgresql"


def test_opening_writes_nothing(tmp_path: Path) -> None:
    open_database(str(tmp_path / "new" / "catalog.db")).close()
    assert list(tmp_path.iterdir()) == []


def test_a_new_file_and_its_folder_are_for_their_owner_only(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'new' / 'catalog.db'}")
    database.migrate()
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in [tmp_path / "new", *(tmp_path / "new").iterdir()]}
    assert modes == {"new": 0o700, "catalog.db": 0o600, "catalog.db-wal": 0o600, "catalog.db-shm": 0o600}
    database.close()


def test_a_file_is_written_ahead_and_synced(migrated_file: Path) -> None:
    database = open_database(str(migrated_file))
    with database.reading() as sql:
        found = [sql.execute(text(f"pragma {name}")).scalar_one() for name in ("journal_mode", "synchronous", "foreign_keys")]
    assert found == ["wal", 2, 1]
    database.close()


def test_a_file_that_is_no_database_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "catalog.db").write_bytes(b"no database at all" * 100)
    database = open_database(str(tmp_path / "catalog.db"))
    with pytest.raises(IntegrityError, match="damaged"), database.reading():
        pass


def test_a_place_that_can_not_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    database = open_database(str(tmp_path / "file" / "catalog.db"))
    with pytest.raises(StoreError, match="can't be made") as caught:
        database.migrate()
    assert isinstance(caught.value, KistError)


@pytest.mark.peer("PostgreSQL")
def test_a_commit_is_synced_though_the_database_says_otherwise(postgresql_database: str) -> None:
    database = open_database(postgresql_database)
    name = postgresql_database.rpartition("/")[2]
    database.change(lambda sql: sql.execute(text(f'alter database "{name}" set synchronous_commit = off')))
    database.close()
    with database.reading() as sql:
        assert sql.execute(text("show synchronous_commit")).scalar_one() == "on"
    database.close()


@pytest.mark.peer("PostgreSQL")
@pytest.mark.parametrize("setting", ["lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout"])
def test_all_waiting_on_postgresql_ends(postgresql_database: str, setting: str) -> None:
    database = open_database(postgresql_database)
    with database.reading() as sql:
        assert sql.execute(text(f"show {setting}")).scalar_one() in {"30s", "1min"}
    database.close()
