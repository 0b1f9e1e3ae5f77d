"""SQLite as the catalog needs it: a file for its owner's eyes, written ahead and synced, one writer at a time, readers never in the way."""

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Insert, Table
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.engine import URL

from kist.errors import IntegrityError, InvalidInput, StoreError

__all__ = ["READING", "begin", "check_foreign_keys", "connector", "file_url", "insert_new", "without_foreign_keys"]

READING: Final[dict[str, object]] = {"kist_reading": True}
"""What marks a connection that only reads."""


def file_url(path: str) -> URL:
    """Return the URL of a database in a file.

    Raises:
        InvalidInput: it is no path of a file.
    """
    if not path or path.startswith((":", "file:")) or "\0" in path:
        raise InvalidInput(f"{path!r} is no path of a file: a database in memory would forget; write sqlite:///path")
    return URL.create("sqlite", database=str(Path(path).expanduser().absolute()))


def connector(url: URL, busy_seconds: float) -> Callable[[], sqlite3.Connection]:
    """Return what makes connections; the first one makes the file.

    Raises (the connector, too):
        StoreError: the file can't be made, or not be written ahead.
    """
    path = url.database or ""

    def connect() -> sqlite3.Connection:
        _make(path)
        connection = sqlite3.connect(path, timeout=busy_seconds, check_same_thread=False, isolation_level=None)
        try:
            _write_ahead(connection, path, time.monotonic() + busy_seconds)
            for pragma in ("synchronous = full", "foreign_keys = on"):
                connection.execute(f"pragma {pragma}")
        except BaseException:
            connection.close()
            raise
        return connection

    return connect


def begin(connection: Connection) -> None:
    """Begin a transaction. One that may write gets the right to at once: one that first looks and then writes could lose it in between."""
    reading = "kist_reading" in connection.get_execution_options()
    connection.exec_driver_sql(f"pragma query_only = {'on' if reading else 'off'}")
    connection.exec_driver_sql("begin" if reading else "begin immediate")


def insert_new(table: Table) -> Insert:
    """Return what inserts a row, unless its key is there already."""
    return insert(table).on_conflict_do_nothing()


@contextlib.contextmanager
def without_foreign_keys(connection: Connection) -> Iterator[None]:
    """Let tables be made anew: with foreign keys on, dropping the old one would delete all that refers to it. They are checked at the end.

    Raises:
        IntegrityError: something refers to what is not there.
    """
    raw = connection.connection.cursor()  # SQLAlchemy would begin a transaction, and within one this pragma does nothing
    raw.execute("pragma foreign_keys = off")
    try:
        yield
    finally:
        raw.execute("pragma foreign_keys = on")
        raw.close()


def check_foreign_keys(connection: Connection) -> None:
    """See that nothing refers to what is not there.

    Raises:
        IntegrityError: something does.
    """
    if found := connection.exec_driver_sql("pragma foreign_key_check").fetchone():
        raise IntegrityError(f"rows of the table {found[0]!r} refer to rows of {found[2]!r} that are not there: nothing was changed")


def _make(path: str) -> None:
    """Make an empty file that nobody else may read, if there is none; SQLite's other files get its mode."""
    if os.path.exists(path):  # noqa: PTH110  it may be a link, and the error of the open says more
        return
    folder = Path(path).parent
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise StoreError(f"the database {path} can't be made: {error.strerror}") from error


def _write_ahead(connection: sqlite3.Connection, path: str, end: float) -> None:
    """Let it write ahead. Processes that open a new file at once are in each other's way here, and SQLite does not wait by itself."""
    while True:
        try:
            (mode,) = connection.execute("pragma journal_mode = wal").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(0.01)
            continue
        if mode != "wal":
            raise StoreError(f"the database {path} can't be written ahead there ({mode}): put it on a local disk that can be written")
        return
