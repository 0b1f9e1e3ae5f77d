"""Four processes save to one repository at once: in a folder, on servers that honour conditions, and on servers that ignore them."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.prove.forms import content, tree_of
from tests.prove.processes import PROCESSES, Place, at_once, content_of
from tests.prove.scale import scaled
from tests.servers.s3 import S3Server

from kist.engine.opening import open_repository, repository_on
from kist.engine.repository import Repository
from kist.stores.urls import open_store

SAVES = scaled(100)
READERS = 4


@pytest.fixture
def local(tmp_path: Path) -> Place:
    return Place(url=str(tmp_path / "repo"))


def in_bucket(server: S3Server) -> Place:
    return Place(url=f"s3://{server.make_bucket()}/repo", options=server.options())


@pytest.fixture(
    params=["local", pytest.param("ministack", marks=pytest.mark.peer("MiniStack")), pytest.param("ceph", marks=pytest.mark.peer("Ceph"))]
)
def decided(request: pytest.FixtureRequest) -> Place:
    """A place where of two writers of one number the store lets one win."""
    found = request.getfixturevalue(request.param)
    place = in_bucket(found) if isinstance(found, S3Server) else found
    assert open_repository(place.url, create=True, **place.options).authority == "create"
    return place


@pytest.fixture(
    params=[pytest.param("rclone_s3", marks=pytest.mark.peer("rclone")), pytest.param("garage", marks=pytest.mark.peer("Garage"))]
)
def forked(request: pytest.FixtureRequest) -> Place:
    """A place that ignores conditions."""
    place = in_bucket(request.getfixturevalue(request.param))
    assert open_repository(place.url, create=True, **place.options).authority == "fork"
    return place


def fresh(place: Place) -> Repository:
    """Open a repository as a machine does that has no cache of it."""
    return repository_on(open_store(place.url, create=False, **place.options), name=place.url, cached=False)


def acknowledged(told: list[list[str]]) -> set[str]:
    return {version for one in told for version in one if version}


def all_files() -> dict[str, str]:
    return {f"own/{number}/{save}": content(content_of(number, save)) for number in range(PROCESSES) for save in range(SAVES)}


def test_saves_of_different_paths_are_all_there(decided: Place) -> None:
    told = at_once(decided, SAVES, shared=False)
    assert len(acknowledged(told)) == PROCESSES * SAVES
    assert tree_of(fresh(decided)) == all_files()


def test_saves_of_different_paths_make_one_line(decided: Place) -> None:
    told = at_once(decided, SAVES, shared=False)
    log = fresh(decided).log()
    assert {version.id for version in log} == acknowledged(told)
    assert [version.number for version in log] == list(range(PROCESSES * SAVES, 0, -1))
    assert [version.parents for version in log] == [*((version.id,) for version in log[1:]), ()]


def test_of_one_path_each_save_is_a_version_or_a_conflict(decided: Place) -> None:
    told = at_once(decided, SAVES, shared=True)
    repo = fresh(decided)
    assert {version.id for version in repo.log()} == acknowledged(told)
    for number, versions in enumerate(told):
        for save, version in enumerate(versions):
            assert not version or repo.read("shared", ref=version) == content_of(number, save)


def test_saves_of_one_path_in_order_are_all_versions(decided: Place) -> None:
    told = at_once(decided, SAVES, shared=True, concurrent="order")
    repo = fresh(decided)
    assert len(acknowledged(told)) == PROCESSES * SAVES
    assert {version.id for version in repo.log()} == acknowledged(told)
    assert repo.read("shared") in {content_of(number, SAVES - 1) for number in range(PROCESSES)}


def test_forked_saves_are_all_there_for_every_reader(forked: Place) -> None:
    told = at_once(forked, SAVES, shared=False)
    with ThreadPoolExecutor(READERS) as pool:
        trees = list(pool.map(lambda _: tree_of(fresh(forked)), range(READERS)))
    assert trees == [all_files()] * READERS
    assert acknowledged(told) <= {version.id for version in fresh(forked).log()}


def test_forked_saves_of_one_path_are_all_versions(forked: Place) -> None:
    told = at_once(forked, SAVES, shared=True)
    repo = fresh(forked)
    assert all(version for one in told for version in one)
    for number, versions in enumerate(told):
        for save, version in enumerate(versions):
            assert repo.read("shared", ref=version) == content_of(number, save)
    assert repo.read("shared") in {content_of(number, SAVES - 1) for number in range(PROCESSES)}
