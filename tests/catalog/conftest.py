"""Databases without tables, and the time."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.servers.postgresql import PostgresServer

from kist.catalog.database import Database, open_database


@pytest.fixture
def now() -> datetime:
    return datetime(2026, 11, 20, 16, 30, 1, 234567, tzinfo=UTC)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.peer("PostgreSQL"))])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    server: PostgresServer = request.getfixturevalue("postgresql")
    name = server.make_database()
    yield server.url(name)
    server.drop_database(name)


@pytest.fixture
def empty(empty_url: str) -> Iterator[Database]:
    """The same, opened."""
    opened = open_database(empty_url)
    yield opened
    opened.close()


@pytest.fixture
def postgresql_database(postgresql: PostgresServer, migrated_template: str) -> Iterator[str]:
    """The URL of a database on PostgreSQL, with all tables and no rows."""
    name = postgresql.make_database(migrated_template)
    yield postgresql.url(name)
    postgresql.drop_database(name)


@pytest.fixture
def sqlite_database(migrated_file: Path, tmp_path: Path) -> Iterator[Database]:
    """A database on SQLite, with all tables and no rows."""
    opened = open_database(str(shutil.copy(migrated_file, tmp_path / "catalog.db")))
    yield opened
    opened.close()
