"""Real servers for tests: each is started once per run, when a test first asks for it, and ended at the end of the run."""

import shutil
from collections.abc import Iterator
from types import ModuleType

import pytest
from tests.servers import azurite as azurite_server
from tests.servers import ceph as ceph_server
from tests.servers import ftp as ftp_server
from tests.servers import garage as garage_server
from tests.servers import gcs as gcs_server
from tests.servers import ministack as ministack_server
from tests.servers import rclone as rclone_server
from tests.servers import sftp as sftp_server
from tests.servers import swift as swift_server
from tests.servers import webdav as webdav_server
from tests.servers.azurite import AzureServer
from tests.servers.files import FileServer
from tests.servers.gcs import GcsServer
from tests.servers.s3 import S3Server
from tests.servers.swift import SwiftServer

pytest.register_assert_rewrite(
    "kist.testing.blocks_suite", "kist.testing.sign_suite", "kist.testing.store_suite", "kist.testing.transfer_suite"
)


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
