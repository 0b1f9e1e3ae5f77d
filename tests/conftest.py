"""Real servers for tests: each is started once per run, when a test first asks for it, and ended at the end of the run."""

from collections.abc import Iterator

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
    if ministack_server.program() is None:
        pytest.skip(ministack_server.MISSING)
    with ministack_server.serving(tmp_path_factory.mktemp("ministack")) as server:
        yield server


@pytest.fixture(scope="session")
def ceph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Ceph's radosgw, with a whole cluster behind it."""
    if ceph_server.program() is None:
        pytest.skip(ceph_server.MISSING)
    with ceph_server.serving(tmp_path_factory.mktemp("ceph")) as server:
        yield server


@pytest.fixture(scope="session")
def garage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Garage: takes conditions and ignores them."""
    if garage_server.program() is None:
        pytest.skip(garage_server.MISSING)
    with garage_server.serving(tmp_path_factory.mktemp("garage")) as server:
        yield server


@pytest.fixture(scope="session")
def rclone_s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """``rclone serve s3``: takes conditions and ignores them, on a folder."""
    if rclone_server.program() is None:
        pytest.skip(rclone_server.MISSING)
    with rclone_server.serving(tmp_path_factory.mktemp("rclone")) as server:
        yield server
