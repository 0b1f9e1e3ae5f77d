"""What drivers say, made by drivers: each kind of failure is the error that says what to do."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from kist.catalog.database import open_database
from kist.catalog.failures import Failure, Raced, translate
from kist.errors import Busy, Conflict, IntegrityError, InvalidInput, KistError, StoreError

URL = "sqlite:////catalog.db"


def _sqlite(code: int) -> DBAPIError:
    error = sqlite3.OperationalError("said\nDETAIL: geheim")
    error.sqlite_errorcode = code
    return DBAPIError("select geheim", ("geheim",), error)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (sqlite3.SQLITE_CORRUPT, IntegrityError),
        (sqlite3.SQLITE_CORRUPT_INDEX, IntegrityError),
        (sqlite3.SQLITE_NOTADB, IntegrityError),
        (sqlite3.SQLITE_FULL, StoreError),
        (sqlite3.SQLITE_IOERR_FSYNC, StoreError),
        (sqlite3.SQLITE_READONLY, StoreError),
        (sqlite3.SQLITE_CANTOPEN, StoreError),
        (sqlite3.SQLITE_TOOBIG, InvalidInput),
    ],
)
def test_sqlite_codes_are_errors_by_what_to_do(code: int, expected: type[KistError]) -> None:
    error = translate(_sqlite(code), URL, Failure.BEFORE)
    assert type(error) is expected
    assert "geheim" not in str(error)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (sqlite3.SQLITE_BUSY, Busy),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, Busy),
        (sqlite3.SQLITE_LOCKED, Busy),
        (sqlite3.SQLITE_CONSTRAINT_UNIQUE, Conflict),
        (sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY, Conflict),
    ],
)
def test_lost_races_on_sqlite_can_be_run_again(code: int, expected: type[KistError]) -> None:
    error = translate(_sqlite(code), URL, Failure.BEFORE)
    assert isinstance(error, Raced)
    assert type(error.error) is expected


def test_a_failed_commit_is_not_called_undone() -> None:
    assert "unknown" in str(translate(_sqlite(sqlite3.SQLITE_IOERR), URL, Failure.COMMIT))
    assert "nothing was changed" in str(translate(_sqlite(sqlite3.SQLITE_IOERR), URL, Failure.BEFORE))


def test_a_pool_without_a_free_connection_is_busy() -> None:
    assert type(translate(PoolTimeout(), URL, Failure.BEFORE)) is Busy


@pytest.mark.peer("PostgreSQL")
@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("select 1/0", InvalidInput),
        ("select 'x'::int", InvalidInput),
        ("insert into audit_heads values ('o', null, null)", Conflict),
        ("insert into audit_heads values (repeat('o', 33), 1, '')", InvalidInput),
        ("set local statement_timeout = '10ms'; select pg_sleep(5)", Busy),
        ("select nothing", StoreError),
        ("select pg_terminate_backend(pg_backend_pid())", StoreError),
        ("do $$ begin raise serialization_failure; end $$", Busy),
        ("do $$ begin raise lock_not_available; end $$", Busy),
        ("do $$ begin raise too_many_connections; end $$", Busy),
        ("do $$ begin raise disk_full; end $$", StoreError),
    ],
)
def test_postgresql_states_are_errors_by_what_to_do(postgresql_database: str, statement: str, expected: type[KistError]) -> None:
    database = open_database(postgresql_database, patience_seconds=1)
    with pytest.raises(KistError) as caught:
        database.change(lambda sql: sql.execute(text(statement)))
    assert type(caught.value) is expected
    database.close()


@pytest.fixture
def locked_file(tmp_path: Path) -> str:
    return str(tmp_path / "catalog.db")


def test_sqlite_that_others_lock_is_busy(locked_file: str) -> None:
    database = open_database(locked_file, patience_seconds=0.1)
    work: Callable[[Connection], object] = lambda sql: sql.execute(text("create table a (b)"))  # noqa: E731  used twice
    database.change(work)
    with sqlite3.connect(locked_file, isolation_level=None) as other:
        other.execute("begin immediate")
        with pytest.raises(Busy, match="all the time"):
            database.change(work)
        other.execute("rollback")
    other.close()
    database.close()
