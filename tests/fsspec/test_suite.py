"""fsspec's own tests of a filesystem, on repositories and on mounts."""

import uuid
from collections.abc import Callable
from pathlib import Path

import fsspec  # type: ignore[import-untyped]  # it has no types
import pytest
from fsspec.tests import abstract  # type: ignore[import-untyped]  # as above
from tests.prove.scale import scaled
from tests.servers.s3 import S3Server

import kist


class Suite(abstract.AbstractCopyTests, abstract.AbstractGetTests, abstract.AbstractPutTests, abstract.AbstractOpenTests):  # type: ignore[misc]
    """All of them."""


class Fixtures(abstract.AbstractFixtures, abstract.AbstractPipeTests):  # type: ignore[misc]  # it has no types
    @pytest.fixture
    def fs_join(self) -> Callable[..., str]:
        return lambda *parts: "/".join(parts)

    @pytest.fixture
    def local_path(self, tmp_path: Path) -> str:
        return str(tmp_path)


class TestRepository(Suite, Fixtures):
    @pytest.fixture
    def fs(self, home: Path) -> object:
        assert not home.exists()
        kist.open_repository("kist://lab/cube", create=True)
        return fsspec.filesystem("kist")

    @pytest.fixture
    def fs_path(self) -> str:
        return "lab/cube"


if scaled(20) == 20:  # a folder differs little from what `tests/storage` shows of it, so only the full proof goes there

    class TestFolder(Suite, Fixtures):
        @pytest.fixture
        def fs(self, mounted: Callable[[str], str], tmp_path: Path) -> object:
            (tmp_path / "there").mkdir()
            return fsspec.filesystem(mounted(str(tmp_path / "there")))

        @pytest.fixture
        def fs_path(self) -> str:
            return "some/where"


class TestMemory(Suite, Fixtures):
    @pytest.fixture
    def fs(self, mounted: Callable[[str], str]) -> object:
        return fsspec.filesystem(mounted(f"memory://{uuid.uuid4().hex}/prefix"))

    @pytest.fixture
    def fs_path(self) -> str:
        return "some/where"

    @pytest.fixture
    def supports_empty_directories(self) -> bool:
        return False


@pytest.mark.peer("MiniStack")
class TestBucket(TestMemory):
    @pytest.fixture
    def fs(self, mounted: Callable[..., str], ministack: S3Server) -> object:
        return fsspec.filesystem(mounted(f"s3://{ministack.make_bucket()}/pre fix", **ministack.options()))
