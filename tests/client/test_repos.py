"""Repositories by the clients: made, opened, described, moved, deleted and restored. In this process and over HTTP."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.client.places import Place

from kist import AsyncClient, AsyncRepository, Repository, settings
from kist.errors import AlreadyExists, Conflict, Denied, InvalidInput, NotFound


@pytest.fixture
def folder(place: Place, org: str, tmp_path: Path) -> Path:
    """The folder of the organisation's default bucket config."""
    place.client.create_bucket_config(org=org, nickname="folder", uri=f"file://{tmp_path}/bucket")
    return tmp_path / "bucket"


@pytest.fixture
def cube(place: Place, org: str, folder: Path) -> Repository:
    """A new repository, with one version."""
    assert str(folder)
    repository = place.client.create_repo(f"{org}/cube", description="a cube", metadata={"team": "ice", "year": 2026})
    repository.save("a.txt", b"content", message="first")
    return repository


def test_what_is_saved_is_read_by_another(place: Place, org: str, cube: Repository) -> None:
    cube.save("data/b.bin", bytes(range(256)) * 1000)
    other = place.client.get_repo(f"{org}/cube")
    assert isinstance(other, Repository)
    assert (other.id, other.read("data/b.bin")) == (cube.id, bytes(range(256)) * 1000)
    assert [version.message for version in other.log()] == ["", "first"]
    assert other.verify(level="data").ok


def test_a_repository_for_event_loops(place: Place, org: str, folder: Path) -> None:
    assert str(folder)

    async def work(aclient: AsyncClient) -> None:
        repository = await aclient.create_repo(f"{org}/cube")
        assert isinstance(repository, AsyncRepository)
        await asyncio.gather(*(repository.save(f"{number}.txt", b"content") for number in range(3)))
        again = await aclient.get_or_create_repo(f"{org}/cube")
        assert [info.path async for info in again.walk()] == ["0.txt", "1.txt", "2.txt"]
        assert [repo.name async for repo in aclient.iter_repos(org)] == ["cube"]

    place.ran(work)


def test_all_that_a_repository_can_do(place: Place, org: str, cube: Repository, tmp_path: Path) -> None:
    cube.tag("first")
    cube.branch("dev")
    cube.save("a.txt", b"changed", branch="dev")
    cube.merge("dev")
    with cube.transaction("many") as change:
        change.put("c", b"1")
        change.move("a.txt", "b.txt")
    other = place.client.get_repo(f"{org}/cube")
    assert (other.read("b.txt"), other.read("a.txt", ref="first")) == (b"changed", b"content")
    assert sorted(other.branches()) == ["dev", "main"]
    other.restore("", tmp_path / "out")
    assert (tmp_path / "out" / "b.txt").read_bytes() == b"changed"
    forgotten = other.log()[1]
    assert [one.id for one in other.forget([forgotten.id], imsure=True)] == [forgotten.id]
    other.collect()
    assert other.verify().ok


def test_the_facts_of_a_repository(place: Place, org: str, cube: Repository) -> None:
    facts = place.client.describe_repo(f"{org}/cube")
    assert (facts.full_name, facts.kind, facts.bucket_config) == (f"{org}/cube", "files", "folder")
    assert cube.name.endswith(facts.full_name)
    assert (facts.description, facts.metadata, facts.status, facts.created_by) == ("a cube", {"team": "ice", "year": 2026}, "online", "ada")
    assert place.client.list_repos(org) == [facts]


def test_two_repositories_share_a_bucket_and_no_key(place: Place, org: str, cube: Repository, folder: Path) -> None:
    other = place.client.create_repo(f"{org}/sphere")
    assert other.tree() == []
    prefixes = {place.client.describe_repo(f"{org}/{name}").prefix.strip("/") for name in ("cube", "sphere")}
    assert sorted(one.name for one in folder.iterdir() if one.is_dir()) == sorted(prefixes)
    assert cube.id != other.id


def test_repositories_are_found(place: Place, org: str, cube: Repository) -> None:
    client = place.client
    client.create_repo(f"{org}/sphere", metadata={"team": "sea"})
    assert cube.name.endswith(f"{org}/cube")

    def found(**said: Any) -> list[str]:  # noqa: ANN401 - what a test says
        return [repo.name for repo in client.list_repos(org, **said)]

    assert found() == ["cube", "sphere"]
    assert (found(search="a cu"), found(search="PHER"), found(kind="arrays")) == (["cube"], ["sphere"], [])
    assert (found(filter_metadata={"team": "ice"}), found(filter_metadata={"team": "ice", "year": 1})) == (["cube"], [])
    assert (found(bucket_config="folder"), found(deleted=True)) == (["cube", "sphere"], [])


def test_metadata_is_json(place: Place, org: str, folder: Path) -> None:
    assert str(folder)
    with pytest.raises(InvalidInput):
        place.client.list_repos(org, filter_metadata={"a": object()})
    for value in (object(), float("nan"), float("inf"), 2**64):
        with pytest.raises(InvalidInput):
            place.client.create_repo(f"{org}/cube", metadata={"a": value})
    assert place.client.list_repos(org) == []


def test_facts_are_modified(place: Place, org: str, cube: Repository) -> None:
    client = place.client
    changed = client.modify_repo(
        f"{org}/cube", new_name="ball", description="", add_metadata={"new": [1]}, remove_metadata=["team"], update_metadata={"year": 2027}
    )
    assert (changed.name, changed.description, changed.metadata) == ("ball", "", {"new": [1], "year": 2027})
    assert client.modify_repo(f"{org}/ball", description="kept").metadata == {"new": [1], "year": 2027}
    assert client.get_repo(f"{org}/ball").id == cube.id
    with pytest.raises(InvalidInput):
        client.modify_repo(f"{org}/ball", add_metadata={"x": 1}, remove_metadata=["x"])


def test_a_deleted_repository_is_restored(place: Place, org: str, cube: Repository) -> None:
    client = place.client
    with pytest.raises(ValueError, match="imsure and imreallysure"):
        client.delete_repo(f"{org}/cube")
    assert client.delete_repo(f"{org}/cube", imsure=True, imreallysure=True).purge_at is not None
    with pytest.raises(NotFound):
        client.get_repo(f"{org}/cube")
    with pytest.raises(NotFound):
        cube.save("a.txt", b"late")
    assert [repo.name for repo in client.list_repos(org, deleted=True)] == ["cube"]
    assert client.restore_repo(f"{org}/cube").status == "online"
    assert client.get_repo(f"{org}/cube").read("a.txt") == b"content"


def test_a_name_is_taken_once(place: Place, org: str, cube: Repository) -> None:
    with pytest.raises(AlreadyExists):
        place.client.create_repo(f"{org}/CUBE")
    assert place.client.get_or_create_repo(f"{org}/cube").id == cube.id


def test_a_repository_that_is_there_is_imported(place: Place, org: str, cube: Repository) -> None:
    client = place.client
    prefix = client.describe_repo(f"{org}/cube").prefix
    with pytest.raises(Conflict):
        client.import_repo(f"{org}/copy", prefix=prefix)
    client.create_org(f"{org}-2")
    assert cube.id


def test_a_repository_is_moved_with_all_its_versions(place: Place, org: str, cube: Repository, tmp_path: Path) -> None:
    client, told = place.client, list[tuple[int, int]]()
    cube.save("a.txt", b"second")
    client.create_bucket_config(org=org, nickname="other", uri=f"file://{tmp_path}/other")
    job = client.move_repo(f"{org}/cube", bucket_config_nickname="other", progress=lambda done, total: told.append((done, total)))
    assert (job.state, client.get_job(org, job.id)) == ("done", job)
    assert job in client.list_jobs(org)
    assert told[-1][0] == told[-1][1] > 0
    assert client.describe_repo(f"{org}/cube").bucket_config == "other"
    moved = client.get_repo(f"{org}/cube")
    assert [(version.message, moved.read("a.txt", ref=version.id)) for version in moved.log()] == [("", b"second"), ("first", b"content")]
    cube.save("a.txt", b"third")
    assert moved.read("a.txt") == b"third"


def test_who_may_read_may_not_write(place: Place, org: str, cube: Repository) -> None:
    grace = place.user("grace")
    with pytest.raises(NotFound):
        grace.get_repo(f"{org}/cube")
    assert place.client.grant_role(f"{org}/cube", principal="grace", role="reader").role == "reader"
    assert [(one.principal, one.role) for one in place.client.list_roles(f"{org}/cube")] == [("grace", "reader")]
    assert [repo.name for repo in grace.list_repos(org)] == ["cube"]
    reading = grace.get_repo(f"{org}/cube")
    assert reading.read("a.txt") == b"content"
    with pytest.raises(Denied):
        reading.save("a.txt", b"mine")
    with pytest.raises(Denied):
        grace.get_repo(f"{org}/cube", access="write")
    place.client.grant_role(f"{org}/cube", principal="grace", role="writer")
    grace.get_repo(f"{org}/cube").save("b.txt", b"hers")
    place.client.revoke_role(f"{org}/cube", principal="grace")
    with pytest.raises(NotFound):
        grace.get_repo(f"{org}/cube")
    assert cube.read("b.txt") == b"hers"


def test_without_a_bucket_config_there_is_no_repository(place: Place, org: str) -> None:
    with pytest.raises((InvalidInput, NotFound), match="bucket"):
        place.client.create_repo(f"{org}/cube")


def test_a_server_knows_who_saves(place: Place, org: str, cube: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KIST_AUTHOR")
    assert cube.log()[0].author == "ada"
    version = place.client.get_repo(f"{org}/cube").save("a", b"1")

    assert version.author == (place.client.whoami().name if "://" in place.client.server else settings.author())
