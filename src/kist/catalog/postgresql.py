"""PostgreSQL as the catalog needs it: all waiting ends, and a commit is on the disk when it returns."""

from typing import Any, Final

from sqlalchemy import Connection, Insert, Table
from sqlalchemy.engine import URL
from sqlalchemy.pool import ConnectionPoolEntry

from kist.errors import InvalidInput

__all__ = ["READING", "allow_long_work", "insert_new", "options", "prepare"]

READING: Final[dict[str, object]] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
"""How a connection that only reads sees one state."""

# No statement here is worth compiling, and without statistics of a young table PostgreSQL believes some are: it took 0.6 s each time
_LIMITS: Final = "-c lock_timeout={}ms -c statement_timeout=60s -c idle_in_transaction_session_timeout=60s -c jit=off"
_CONNECT: Final = {
    "application_name": "kist",
    "connect_timeout": "10",
    "tcp_user_timeout": "30000",  # milliseconds until a silent server counts as lost
    "client_encoding": "utf8",
}
# What the server was told counts, unless it was told not to sync at all
_SYNCED: Final = "select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off'"


def options(url: URL, patience_seconds: float) -> dict[str, str]:
    """Return what a connection is asked for beside what its URL says; that counts more."""
    limits = _LIMITS.format(round(patience_seconds * 1000))
    return {name: value for name, value in {**_CONNECT, "options": limits}.items() if name not in url.query}


def prepare(connection: Any, _record: ConnectionPoolEntry) -> None:  # noqa: ANN401  psycopg's; it may not be installed
    """Make a new connection sync its commits."""
    connection.execute(_SYNCED)
    connection.commit()


def insert_new(table: Table) -> Insert:
    """Return what inserts a row, unless its key is there already."""
    from sqlalchemy.dialects.postgresql import insert  # noqa: PLC0415  a user alone needs no PostgreSQL, which takes a while to load

    return insert(table).on_conflict_do_nothing()


def allow_long_work(connection: Connection) -> None:
    """Wait long for another one that migrates; a migration's own statements may be long too.

    Raises:
        InvalidInput: the database can't hold all characters.
    """
    encoding = connection.exec_driver_sql("show server_encoding").scalar_one()
    if encoding != "UTF8":
        raise InvalidInput(f"the database's encoding is {encoding}: make it with 'create database … encoding utf8 template template0'")
    connection.exec_driver_sql("set local statement_timeout = '1h'")
