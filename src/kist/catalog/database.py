"""The database: opened by URL, its schema brought up to date, its transactions short.

What `Database.change` has returned is on the disk: SQLite syncs each commit, PostgreSQL as it is told to, at least once. A change whose
race was lost is run again; waiting is bounded. SQLite is for the processes of one machine, PostgreSQL for many machines.
"""

import contextlib
import random
import time
from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, Insert, Table, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from kist.catalog import migrating, postgresql, sqlite
from kist.catalog.failures import Failure, Raced, translate
from kist.catalog.migrating import SCRIPTS, Stage
from kist.errors import InvalidInput, Unsupported

__all__ = ["Database", "insert_new", "lock", "open_database"]

BUSY_SECONDS: Final = 30
_FOREIGN: Final = (SQLAlchemyError, UnicodeError, OverflowError)
_Around = Callable[[Connection], contextlib.AbstractContextManager[object]]
_KINDS: Final = "write sqlite:///path or postgresql://user@host/name"


class Database:
    """An open database. It may be shared by threads."""

    def __init__(self, engine: Engine, *, patience_seconds: float = BUSY_SECONDS) -> None:
        self._engine = engine
        self._patience_seconds = patience_seconds
        self._reader = engine.execution_options(**(postgresql.READING if self.dialect == "postgresql" else sqlite.READING))

    def __repr__(self) -> str:
        return f"<Database {self.url}>"

    @property
    def url(self) -> str:
        """Where it is, without the password, and without options: they can hold one too."""
        return self._engine.url.set(query={}).render_as_string(hide_password=True).replace("+psycopg", "", 1)

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return self._engine.dialect.name

    @property
    def connections(self) -> int:
        """How many connections are in use now, in this process."""
        pool = self._engine.pool
        return pool.checkedout() if isinstance(pool, QueuePool) else 0

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """Lend a connection that sees one state of the database, that of its first look. It can't write, and keeps nobody from writing.

        Raises:
            Busy: it takes too long to get one, or an answer.
            StoreError: the database failed.
            IntegrityError: the database's file is damaged.
            InvalidInput: a value can't be in a database, such as a text with a zero character.
        """
        try:
            with self._reader.connect() as connection, connection.begin():
                yield connection
        except _FOREIGN as error:
            found = translate(error, self.url, Failure.BEFORE)
            raise (found.error if isinstance(found, Raced) else found) from error

    def change[T](self, work: Callable[[Connection], T]) -> T:
        """Do something in one transaction: all of it or, when `work` raises, nothing.

        After a lost race `work` is run again, so it must do nothing else. A name that somebody else took meanwhile is such a race: when
        `work` is run again it finds that name taken, and says so.

        Raises:
            Busy: others write all the time.
            Conflict: what it writes contradicts what is there, each time.
            StoreError: the database failed; the message says whether the outcome is unknown.
            IntegrityError: the database's file is damaged.
            InvalidInput: a value can't be in a database, such as a text with a zero character.
        """
        end = time.monotonic() + self._patience_seconds
        attempt = 0
        while True:
            attempt += 1
            try:
                return self._attempt(work)
            except Raced as raced:
                if attempt >= raced.attempts or time.monotonic() > end:
                    raise raced.error from raced.__cause__
            time.sleep(random.uniform(0.5, 1) * 0.01 * 2**attempt)  # noqa: S311  no secret

    def _attempt[T](self, work: Callable[[Connection], T], around: _Around = contextlib.nullcontext) -> T:
        failure = Failure.BEFORE
        try:
            with self._engine.connect() as connection, around(connection), connection.begin() as transaction:
                result = work(connection)
                failure = Failure.COMMIT
                transaction.commit()
        except _FOREIGN as error:
            raise translate(error, self.url, failure) from error
        return result

    def migrate(self, stage: Stage = "all", *, scripts: Path = SCRIPTS) -> None:
        """Bring the schema up to date; of several servers that do so at once, one does it and the others wait.

        `pre` makes what the new kist needs and the old one can live with: run it while servers of the old one still work. `post` takes
        away what only the old one needed: run it when none is left. `all` is both, for when no server runs, or only this one.

        Raises:
            Conflict: a newer kist wrote it, or the old one is older than the release before.
            Busy: another one is at it, and takes too long.
            StoreError: the database failed; nothing was changed, unless the message says otherwise.
        """
        around = sqlite.without_foreign_keys if self.dialect == "sqlite" else contextlib.nullcontext
        try:
            self._attempt(lambda connection: migrating.migrate(connection, stage, scripts=scripts), around)
        except Raced as raced:
            raise raced.error from raced.__cause__

    def pending(self, *, scripts: Path = SCRIPTS) -> tuple[str, ...]:
        """Return the names of the migrations that have not been run yet.

        Raises:
            Conflict: a newer kist wrote it.
            StoreError: the database failed.
        """
        with self.reading() as connection:
            return migrating.pending(connection, scripts=scripts)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()


def insert_new(sql: Connection, table: Table) -> Insert:
    """Return what inserts a row, unless its key is there already."""
    return postgresql.insert_new(table) if sql.dialect.name == "postgresql" else sqlite.insert_new(table)


def lock(sql: Connection, name: str) -> None:
    """Let nobody else pass here with the same name until this transaction ends.

    On SQLite nothing need be done: `Database.change` has the whole database to itself. Take several in one order, and as late as possible.
    """
    if sql.dialect.name == "postgresql":
        number = int.from_bytes(blake2b(name.encode(), digest_size=8, person=b"kist lock").digest(), signed=True)
        sql.execute(text("select pg_advisory_xact_lock(:number)"), {"number": number})


def open_database(url: str, *, pool_size: int = 10, patience_seconds: float = BUSY_SECONDS) -> Database:
    """Open ``sqlite:///path``, a path, or ``postgresql://user@host/name``; nothing is sent or written yet, no schema is made.

    `patience_seconds` bounds the wait for a connection, and for others who write.

    Raises:
        InvalidInput: it is no such URL.
        Unsupported: PostgreSQL's driver is not installed.
    """
    parsed = _parsed(url)
    # errors that are logged with their cause must not show the values of a statement
    shared = {"pool_size": pool_size, "max_overflow": pool_size, "pool_timeout": patience_seconds, "hide_parameters": True}
    if parsed.get_backend_name() == "sqlite":
        engine = create_engine(parsed, creator=sqlite.connector(parsed, patience_seconds), **shared)
        event.listen(engine, "begin", sqlite.begin)
        return Database(engine, patience_seconds=patience_seconds)
    try:
        options = postgresql.options(parsed, patience_seconds)
        engine = create_engine(parsed, connect_args=options, pool_pre_ping=True, isolation_level="READ COMMITTED", **shared)
    except ModuleNotFoundError as error:
        raise Unsupported("PostgreSQL needs its driver: pip install 'kist[server]'") from error
    except (ArgumentError, TypeError) as error:
        raise InvalidInput(f"the URL of the database says what PostgreSQL does not know: {_KINDS}") from error
    event.listen(engine, "connect", postgresql.prepare)
    return Database(engine, patience_seconds=patience_seconds)


def _parsed(url: str) -> URL:
    """Take a URL apart. Its text may hold a password, so no message repeats it."""
    if "://" not in url:
        return sqlite.file_url(url)
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise InvalidInput(f"the URL of the database makes no sense: {_KINDS}") from None
    match parsed.get_backend_name():
        case "sqlite":
            if parsed.host or parsed.query:
                raise InvalidInput(
                    "the URL of an SQLite database has a path and nothing else: write sqlite:///relative or sqlite:////absolute"
                )
            return sqlite.file_url(parsed.database or "")
        case "postgresql" | "postgres":
            return parsed.set(drivername="postgresql+psycopg")
        case other:
            raise InvalidInput(f"{other!r} is no database that kist knows: {_KINDS}")
