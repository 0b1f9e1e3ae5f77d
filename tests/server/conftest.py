"""Sites that only read are shared by all tests of a module."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.server.project import project
from tests.server.serving import Site, serving

from kist.catalog.database import Database, open_database
from kist.engine.opening import create_repository
from kist.engine.repository import Repository
from kist.stores.memory import MemoryStore


@pytest.fixture(scope="package", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the caches of these tests away from the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KIST_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="module")
def site(home: None) -> Iterator[Site]:  # noqa: ARG001 - the home comes first
    """The site of the analysis project, logged in."""
    with serving(project()) as site:
        yield site


@pytest.fixture
def repository() -> Repository:
    """An empty repository in memory."""
    return create_repository(MemoryStore(), name="/data/lab")


@pytest.fixture
def lab(repository: Repository) -> Iterator[Site]:
    """The site of that repository, logged in."""
    with serving(repository) as site:
        yield site


@pytest.fixture
def sqlite_database(migrated_file: Path, tmp_path: Path) -> Iterator[Database]:
    """A catalog on SQLite: pages know nothing of databases, whose kinds the service's tests tell apart."""
    opened = open_database(str(shutil.copy(migrated_file, tmp_path / "catalog.db")))
    yield opened
    opened.close()
