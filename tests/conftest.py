"""Real servers for tests: each is started once per process of a run, when a test first asks for it, and ended at the end of the run."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from tests.servers import azurite as azurite_server
from tests.servers import ceph as ceph_server
from tests.servers import ftp as ftp_server
from tests.servers import garage as garage_server
from tests.servers import gcs as gcs_server
from tests.servers import ministack as ministack_server
from tests.servers import postgresql as postgresql_server
from tests.servers import rclone as rclone_server
from tests.servers import sftp as sftp_server
from tests.servers import swift as swift_server
from tests.servers import webdav as webdav_server
from tests.servers.azurite import AzureServer
from tests.servers.files import FileServer
from tests.servers.gcs import GcsServer
from tests.servers.postgresql import PostgresServer
from tests.servers.process import memory
from tests.servers.s3 import S3Server
from tests.servers.swift import SwiftServer

from kist.catalog.database import Database, open_database

pytest.register_assert_rewrite(
    "kist.testing.blocks_suite", "kist.testing.sign_suite", "kist.testing.store_suite", "kist.testing.transfer_suite"
)


@pytest.fixture
def quick_path(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: for what asks nothing of `fsync`, and would wait for it thousands of times."""
    if (folder := memory()) is None:
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="kist-test-", dir=folder) as name:
        yield Path(name)


@pytest.fixture(scope="session")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """MiniStack: small, quick, honours every condition."""
    yield from _serve(ministack_server, tmp_path_factory)


@pytest.fixture(scope="session")
def ceph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Ceph's radosgw, with a whole cluster behind it."""
    yield from _serve(ceph_server, tmp_path_factory)


@pytest.fixture(scope="session")
def garage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Garage: takes conditions and ignores them."""
    yield from _serve(garage_server, tmp_path_factory)


@pytest.fixture(scope="session")
def rclone_s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """``rclone serve s3``: takes conditions and ignores them, on a folder."""
    yield from _serve(rclone_server, tmp_path_factory)


@pytest.fixture(scope="session")
def sftp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FileServer]:
    """OpenSSH's server, with keys of its own."""
    yield from _serve_files(sftp_server, tmp_path_factory)


@pytest.fixture(scope="session")
def ftp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FileServer]:
    """pyftpdlib: plain FTP with all that is usual today."""
    yield from _serve_files(ftp_server, tmp_path_factory)


@pytest.fixture(scope="session")
def old_ftp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FileServer]:
    """The same without MLSD, and one that does not rename over what is there."""
    yield from _serve_files(ftp_server, tmp_path_factory, old=True)


@pytest.fixture(scope="session")
def ftps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FileServer]:
    """The same within TLS, which it insists on."""
    if not ftp_server.has_tls():
        pytest.skip("pyftpdlib has no TLS here: pip install pyopenssl")
    yield from _serve_files(ftp_server, tmp_path_factory, tls=True)


@pytest.fixture(scope="session")
def webdav(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FileServer]:
    """WsgiDAV: WebDAV over plain http."""
    yield from _serve_files(webdav_server, tmp_path_factory)


@pytest.fixture(scope="session")
def swift(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SwiftServer]:
    """OpenStack Swift, with its S3 side."""
    yield from _serve(swift_server, tmp_path_factory)


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """PostgreSQL, with fsync on."""
    yield from _serve(postgresql_server, tmp_path_factory)


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite database with all tables and no rows, to be copied."""
    path = tmp_path_factory.mktemp("catalog") / "catalog.db"
    made = open_database(str(path))
    made.migrate()
    made.close()  # the last connection moves all into the one file
    return path


@pytest.fixture(scope="session")
def migrated_template(postgresql: PostgresServer) -> str:
    """The name of a PostgreSQL database with all tables and no rows, to be copied."""
    name = postgresql.make_database()
    made = open_database(postgresql.url(name))
    made.migrate()
    made.close()
    return name


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.peer("PostgreSQL"))])
def database_url(request: pytest.FixtureRequest, quick_path: Path) -> Iterator[str]:
    """The URL of a database of the catalog, with all tables and no rows, on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        yield f"sqlite:///{shutil.copy(request.getfixturevalue('migrated_file'), quick_path / 'catalog.db')}"
        return
    server: PostgresServer = request.getfixturevalue("postgresql")
    name = server.make_database(request.getfixturevalue("migrated_template"))
    yield server.url(name)
    server.drop_database(name)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """The same, opened."""
    opened = open_database(database_url)
    yield opened
    opened.close()


def _serve_files(server: ModuleType, folders: pytest.TempPathFactory, **how: bool) -> Iterator[FileServer]:
    """Run a server of files, as `_serve` does."""
    if server.program() is None:
        pytest.skip(server.MISSING)
    folder = folders.mktemp(server.__name__.rpartition(".")[2])
    try:
        with server.serving(folder, **how) as files:
            yield files
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AzureServer]:
    """Azurite: Microsoft's emulator of Azure's blobs."""
    yield from _serve(azurite_server, tmp_path_factory)


@pytest.fixture(scope="session")
def gcs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GcsServer]:
    """fake-gcs-server: an emulator of Google Cloud Storage, which reads as Google does, and writes by another interface."""
    yield from _serve(gcs_server, tmp_path_factory)


def _serve[Server](server: ModuleType, folders: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a server in a folder that is removed afterwards; skip what needs it if it is not installed."""
    if server.program() is None:
        pytest.skip(server.MISSING)
    folder = folders.mktemp(server.__name__.rpartition(".")[2])
    try:
        with server.serving(folder) as running:
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)
