"""Real servers for tests: each is started once per run, when a test first asks for it, and ended at the end of the run."""

import shutil
from collections.abc import Iterator
from types import ModuleType

import pytest
from tests.servers import ceph as ceph_server
from tests.servers import garage as garage_server
from tests.servers import ministack as ministack_server
from tests.servers import rclone as rclone_server
from tests.servers.s3 import S3Server

pytest.register_assert_rewrite("kist.testing.store_suite")


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


def _serve(server: ModuleType, folders: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Run a server in a folder that is removed afterwards; skip what needs it if it is not installed."""
    if server.program() is None:
        pytest.skip(server.MISSING)
    folder = folders.mktemp(server.__name__.rpartition(".")[2])
    try:
        with server.serving(folder) as running:
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)
