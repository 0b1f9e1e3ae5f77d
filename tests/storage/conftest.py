"""Places of every kind: each test that asks for `root` runs in each of them."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.prove.scale import scaled
from tests.servers.azurite import AzureServer
from tests.servers.files import FileServer
from tests.servers.s3 import S3Server
from tests.servers.swift import SwiftServer

from kist import open_repository, storage


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home for kist and its user, in an environment that says nothing else."""
    for name in ("KIST_REPOSITORY", "KIST_CONFIG", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("KIST_HOME", str(folder / "kist"))
    monkeypatch.setenv("KIST_AUTHOR", "ada")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def mount() -> Iterator[Callable[..., str]]:
    """Mounts a store under a name of its own, until the test ends, and returns the URL of its root."""
    names: list[str] = []

    def mounted(**options: object) -> str:
        name = f"m{uuid.uuid4().hex[:8]}"
        storage.mount(name, **options)  # type: ignore[arg-type]  # whatever the store takes
        names.append(name)
        return f"{name}://"

    yield mounted
    for name in names:
        storage.unmount(name)


def mount_s3(server: S3Server, mount: Callable[..., str]) -> str:
    """Mount a new bucket."""
    return mount(
        provider="s3",
        bucket=server.make_bucket(),
        prefix="some where",
        endpoint_url=server.endpoint,
        region=server.region,
        client_id=server.access_key,
        secret_id=server.secret_key,
    )


def _disk(request: pytest.FixtureRequest) -> str:
    folder: Path = request.getfixturevalue("tmp_path") / "disk"
    folder.mkdir()
    return f"{folder}/"


def _memory(_request: pytest.FixtureRequest) -> str:
    return f"memory://{uuid.uuid4().hex}/"


def _kist(_request: pytest.FixtureRequest) -> str:
    open_repository("kist://lab/cube", create=True)
    return "kist://lab/cube/"


def _mounted_folder(request: pytest.FixtureRequest) -> str:
    folder: Path = request.getfixturevalue("tmp_path") / "mounted"
    folder.mkdir()
    return str(request.getfixturevalue("mount")(url=f"file://{folder}"))


def _s3(name: str) -> Callable[[pytest.FixtureRequest], str]:
    return lambda request: mount_s3(request.getfixturevalue(name), request.getfixturevalue("mount"))


def _files(name: str) -> Callable[[pytest.FixtureRequest], str]:
    def made(request: pytest.FixtureRequest) -> str:
        server: FileServer = request.getfixturevalue(name)
        mounted: str = request.getfixturevalue("mount")(url=f"{server.url}/{uuid.uuid4().hex}", **server.options)
        storage.makedirs(mounted, exist_ok=True)
        return mounted

    return made


def _azure(request: pytest.FixtureRequest) -> str:
    server: AzureServer = request.getfixturevalue("azurite")
    mounted: str = request.getfixturevalue("mount")(url=f"az://{server.make_container()}/some where", **server.options())
    return mounted


def _swift(request: pytest.FixtureRequest) -> str:
    server: SwiftServer = request.getfixturevalue("swift")
    mounted: str = request.getfixturevalue("mount")(url=f"swift://{server.make_bucket()}/some where", **server.swift_options())
    return mounted


PLACES = [
    pytest.param(_disk, id="disk"),
    pytest.param(_memory, id="memory"),
    pytest.param(_kist, id="kist"),
    pytest.param(_mounted_folder, id="mounted-folder"),
    pytest.param(_s3("ministack"), id="MiniStack", marks=pytest.mark.peer("MiniStack")),
    pytest.param(_s3("ceph"), id="Ceph", marks=pytest.mark.peer("Ceph")),
    pytest.param(_azure, id="Azurite", marks=pytest.mark.peer("Azurite")),
    pytest.param(_swift, id="Swift", marks=pytest.mark.peer("Swift")),
    pytest.param(_files("sftp"), id="sftp", marks=pytest.mark.peer("OpenSSH")),
    pytest.param(_files("ftp"), id="ftp", marks=pytest.mark.peer("pyftpdlib")),
    pytest.param(_files("webdav"), id="webdav", marks=pytest.mark.peer("WsgiDAV")),
]


if scaled(20) == 20:  # the full proof goes on a third server of S3, too
    PLACES.append(pytest.param(_s3("garage"), id="Garage", marks=pytest.mark.peer("Garage")))


@pytest.fixture(params=PLACES)
def root(request: pytest.FixtureRequest) -> str:
    """The URL of an empty folder, with a ``/`` at its end."""
    made: str = request.param(request)
    return made
