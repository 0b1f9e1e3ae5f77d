"""``kist://`` addresses: of a server, of this machine's catalog, and of plain folders."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.client.places import Place

from kist import Client, open_repository, settings, storage
from kist.client.addressed import repository_at, split
from kist.client.served import ServedRepository
from kist.engine.repository import Repository
from kist.errors import InvalidInput, NotFound


@pytest.fixture
def repository() -> Repository:
    return open_repository("kist://lab/cube", create=True)


@pytest.fixture
def client() -> Iterator[Client]:
    """A client of this machine, whose catalog is there."""
    with Client() as client:
        client.whoami()
        yield client


@pytest.fixture
def cube(client: Client) -> str:
    """A repository of the catalog that lies where its folder would be without one."""
    open_repository(settings.repository_place("local", "cube"), create=True)
    client.import_repo("local/cube", prefix="local/cube")
    return "local/cube"


def test_an_address_has_a_repository_and_a_path() -> None:
    assert split("kist://lab/cube/data/logo@2x.png") == ("kist://lab/cube", "data/logo@2x.png")
    assert split("KIST://lab/cube@v3/a%25b") == ("kist://lab/cube@v3", "a%b")
    assert split("kist://lab/cube@as-of:2026-11-20T10:00Z/a/") == ("kist://lab/cube@as-of:2026-11-20T10:00Z", "a/")
    assert split("kist://lab/cube") == ("kist://lab/cube", "")


@pytest.mark.parametrize(
    "url", ["kist://lab", "kist:///cube", "kist://lab/../etc", "kist://lab/cube@/a", "kist://lab/cube/a?b", "kist://l b/c"]
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput):
        split(url)


def test_a_missing_repository_says_how_to_make_it(repository: Repository) -> None:
    del repository
    with pytest.raises(NotFound, match="kist init kist://lab/other"):
        open_repository("kist://lab/other")


def test_the_default_repository_has_an_address(repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    del repository
    monkeypatch.setenv("KIST_REPOSITORY", str(tmp_path / "mine"))
    mine = open_repository(tmp_path / "mine", create=True)
    found, ref, path = repository_at("kist://local/default@main/a")
    assert (found.id, ref, path) == (mine.id, "main", "a")


def test_without_a_catalog_an_address_is_a_folder(repository: Repository, home: Path) -> None:
    assert Path(repository.name) == home / "data" / "repositories" / "lab" / "cube"
    assert not (home / "data" / "catalog").exists()


def test_a_folder_loads_no_catalog_and_no_network(home: Path) -> None:
    code = """
import kist, sys
kist.open_repository("kist://lab/cube", create=True).save("a", b"1")
kist.open_repository("kist://lab/cube").log()
print(*sys.modules)
"""
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(shown.stdout.split())
    assert (home / "data" / "repositories" / "lab" / "cube" / "format").is_file()
    assert {name.split(".")[0] for name in loaded} & {"sqlalchemy", "httpx", "alembic", "starlette", "obstore"} == set()
    assert {name for name in loaded if name.startswith(("kist.service", "kist.catalog", "kist.server"))} == set()


def test_the_default_folder_is_in_the_catalog(home: Path) -> None:
    before = open_repository("kist://local/default", create=True)
    before.save("a", b"1")
    assert Path(before.name) == home / "data" / "repositories" / "local" / "default"
    with Client() as client:
        assert client.get_repo("local/default").read("a") == b"1"
    after, _, _ = repository_at("kist://local/default")
    assert isinstance(after, ServedRepository)
    after.save("a", b"2")
    assert before.read("a") == b"2"


def test_an_address_means_what_the_catalog_says(client: Client, tmp_path: Path) -> None:
    client.create_org("lab")
    client.create_bucket_config(org="lab", nickname="elsewhere", uri=f"file://{tmp_path}/elsewhere")
    client.create_repo("lab/cube").save("a", b"1")
    assert storage.open("kist://lab/cube/a").read() == "1"
    with storage.open("kist://lab/cube/b", "w") as file:
        file.write("2")
    assert client.get_repo("lab/cube").read("b") == b"2"


def test_an_address_follows_a_repository_that_moves(cube: str, client: Client, tmp_path: Path) -> None:
    client.get_repo(cube).save("a", b"1")
    client.create_bucket_config(org="local", nickname="elsewhere", uri=f"file://{tmp_path}/elsewhere")
    client.move_repo(cube, bucket_config_nickname="elsewhere")
    moved, _, _ = repository_at(f"kist://{cube}")
    moved.save("b", b"2")
    assert [info.path for info in client.get_repo(cube).tree()] == ["a", "b"]
    assert client.describe_repo(cube).bucket_config == "elsewhere"


def test_a_folder_that_the_catalog_does_not_know_stays_one(repository: Repository, client: Client) -> None:
    repository.save("a", b"1")
    assert [org.name for org in client.list_orgs()] == ["local"]
    assert open_repository("kist://lab/cube").read("a") == b"1"
    assert open_repository("kist://lab/sphere", create=True).tree() == []


def test_a_repository_that_was_deleted_is_not_found_by_its_folder(cube: str, client: Client) -> None:
    client.delete_repo(cube, imsure=True, imreallysure=True)
    with pytest.raises(NotFound, match="deleted"):
        open_repository(f"kist://{cube}")


def test_a_repository_of_another_name_is_not_found_by_its_folder(cube: str, client: Client) -> None:
    client.modify_repo(cube, new_name="mine")
    with pytest.raises(NotFound):
        open_repository(f"kist://{cube}")
    assert open_repository("kist://local/mine").tree() == []


def test_a_new_repository_of_this_machine_is_in_the_catalog(client: Client) -> None:
    made = open_repository("kist://local/sphere", create=True)
    assert client.get_repo("local/sphere").id == made.id
    assert open_repository("kist://local/sphere", create=True).id == made.id


def test_an_address_takes_no_options() -> None:
    with pytest.raises(InvalidInput, match="does not take all of region"):
        open_repository("kist://lab/cube", region="eu")


@pytest.mark.parametrize("place", ["over HTTP"], indirect=True)
class TestServer:
    """Of a server that one is logged in to."""

    @pytest.fixture
    def cube(self, place: Place, org: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
        """The address of a repository of the server."""
        monkeypatch.setenv("KIST_SERVER", place.url)
        monkeypatch.setenv("KIST_TOKEN", place.client.create_key("tests").secret)
        place.client.create_bucket_config(org=org, nickname="folder", uri=f"file://{tmp_path}/bucket")
        place.client.create_repo(f"{org}/cube").save("a.txt", b"content")
        return f"kist://{org}/cube"

    def test_an_address_is_of_the_server(self, cube: str, place: Place) -> None:
        storage.copy(f"{cube}/a.txt", f"{cube}/b.txt")
        assert storage.open(f"{cube}@main/b.txt", "rb").read() == b"content"
        assert [info.path for info in place.client.get_repo(cube.removeprefix("kist://")).tree()] == ["a.txt", "b.txt"]

    def test_a_new_repository_is_made_there(self, cube: str, place: Place, org: str) -> None:
        open_repository(cube.replace("cube", "sphere"), create=True).save("a", b"1")
        assert [repo.name for repo in place.client.list_repos(org)] == ["cube", "sphere"]

    def test_what_the_server_does_not_have_is_not_found(self, cube: str) -> None:
        with pytest.raises(NotFound):
            open_repository(cube.replace("cube", "sphere"))

    def test_local_stays_this_machine(self, cube: str, home: Path) -> None:
        assert cube
        repository = open_repository("kist://local/default", create=True)
        assert Path(repository.name).is_relative_to(home)
